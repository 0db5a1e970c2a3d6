import { clippingSetUp, clipRules } from '../../lib/study/clip-rules';
import { depthSetUp, initializers } from '../../lib/study/depth';
import { findingsOf } from '../../lib/study/findings';
import { type DepthPlacement, placements } from '../../lib/study/placements';
import { referenceSetUp } from '../../lib/study/reference';
import type { ClippingRun, DepthDesign, ReferenceRun, SeriesRun, StudyResults } from '../../lib/study/results';
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

/** A design whose gradients grow at one rate from every seed. */
export function depthDesign(placement: DepthPlacement, initializer: string, growthRate: number): DepthDesign {
  const verdict = growthRate > 0.023 ? 'exploding' : growthRate < -0.023 ? 'vanishing' : 'stable';
  const horizon = verdict === 'stable' ? Number.POSITIVE_INFINITY : Math.ceil(88 / Math.abs(growthRate));
  return {
    placement,
    initializer,
    growths: [1, 2, 3].map(() => ({
      growthRate,
      growthRateError: 0.006,
      growthRateInterval: [growthRate - 0.012, growthRate + 0.012],
      batchGrowthRate: growthRate + 0.01,
      verdict,
      horizon,
      horizonInterval: [horizon, horizon],
    })),
    course: Array.from({ length: 200 }, (_, distance) => {
      const mean = growthRate * distance;
      return { distance, mean, low: mean - distance / 100, high: mean + distance / 100 };
    }),
    spectra: [1, 2, 3].map(() => ({
      exponents: Array.from({ length: 20 }, (_, i) => growthRate - i / 10),
      standardErrors: Array.from({ length: 20 }, () => 0.004),
    })),
    seconds: 1,
  };
}

/** As it is measured: hidden alone explodes, with orthogonal ×1.5. */
export function depthDesigns(rates: Partial<Record<DepthPlacement, number>> = { hidden: 0.1 }): DepthDesign[] {
  return initializers.flatMap(({ name }) =>
    placements.map((placement) => depthDesign(placement.name, name, name === 'orthogonal ×1.5' ? (rates[placement.name] ?? -0.01) : -0.2)),
  );
}

export function clippingRun(rule: ClippingRun['rule'], lastLoss: number): ClippingRun {
  const { gradNorms: _, system, trend, trendRatio, ...run } = referenceRun('after-clipped', 1e10, 1e9);
  const threshold = run.gradNorm.map(() => (rule === 'none' ? Number.POSITIVE_INFINITY : 1));
  const clipped = run.clipped.map(() => rule !== 'none');
  return { ...run, rule, threshold, clipped, clippedSteps: countTrue(clipped), lastLoss };
}

/** A whole study in which nothing grew over training, the clip of Example 3 never acted, and hidden explodes with orthogonal ×1.5. */
export function studyResults(overrides: Partial<StudyResults> = {}): StudyResults {
  const reference = { ...referenceSetUp, systems: systems.map(({ name }) => referenceRun(name, 0.5, 0.5)) };
  const depth = { ...depthSetUp, timeSteps: 200, designs: depthDesigns() };
  const clipping = { ...clippingSetUp, rules: clipRules.map(({ name }) => clippingRun(name, 2)) };
  return {
    schema: 'evenkeel/study',
    schemaVersion: 3,
    interrupted: false,
    date: '2026-01-02T03:04:05.678Z',
    seconds: 9,
    options: { seed: 1, length: 200, epochs: 2, window: 5 },
    environment: { evenkeel: '1.2.3', node: 'v20', platform: 'linux x64', cpu: 'a CPU', threads: 2, simdTarget: 'avx2', blas: 'a BLAS' },
    reference,
    depth,
    clipping,
    findings: findingsOf({ reference, depth, clipping }),
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
