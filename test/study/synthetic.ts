import { findingsOf } from '../../lib/study/findings';
import { referenceSetUp } from '../../lib/study/reference';
import type { ReferenceRun, SeriesRun, StudyResults } from '../../lib/study/results';
import { type SystemName, systems } from '../../lib/study/systems';
import { countTrue, gradientTrend, trendSteps } from '../../lib/study/verdicts';

/** A run whose gradient norm goes from `first` to `last` in equal ratios; the clip acts above 1 where the system has one. */
export function referenceRun(system: SystemName, first: number, last: number): ReferenceRun {
  const steps = Array.from({ length: 100 }, (_, i) => i / 99);
  const gradNorm = steps.map((part) => first * (last / first) ** part);
  const clipped = gradNorm.map((norm) => system === 'after-clipped' && norm > 1);
  const { trend, ratio } = gradientTrend(gradNorm, trendSteps);
  return {
    system,
    loss: steps.map((part) => 2 - part),
    gradNorm,
    gradNorms: { 'rnn.weight_hh_l0': gradNorm },
    clipped,
    clippedSteps: countTrue(clipped),
    trend,
    trendRatio: ratio,
    seconds: 1,
  };
}

export function seriesRun(system: SystemName, testError: number): SeriesRun {
  const { gradNorms: _, ...run } = referenceRun(system, 0.5, 0.5);
  return { ...run, validationError: [3, 2], bestEpoch: 2, testError, forecast: [1, 2, 3] };
}

/** A whole study in which nothing grew and the clip never acted. */
export function studyResults(overrides: Partial<StudyResults> = {}): StudyResults {
  const reference = { ...referenceSetUp, systems: systems.map(({ name }) => referenceRun(name, 0.5, 0.5)) };
  return {
    schema: 'evenkeel/study',
    schemaVersion: 1,
    interrupted: false,
    date: '2026-01-02T03:04:05.678Z',
    seconds: 9,
    options: { seed: 1, epochs: 2, window: 5 },
    environment: { evenkeel: '1.2.3', node: 'v20', platform: 'linux x64', cpu: 'a CPU', threads: 2, simdTarget: 'avx2', blas: 'a BLAS' },
    reference,
    findings: findingsOf(reference.systems),
    series: {
      source: 'made up',
      columns: ['a', 'b'],
      ignored: [],
      constantColumns: [],
      target: 'a',
      window: 5,
      hiddenSize: 20,
      batchSize: 32,
      learningRate: 1e-3,
      rows: { train: 70, validation: 15, test: 3 },
      baselines: { lastValue: 2, trainingMean: 4 },
      truth: [1, 2, 3],
      systems: systems.map(({ name }) => seriesRun(name, 1)),
    },
    ...overrides,
  };
}
