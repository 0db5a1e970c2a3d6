import { type CellStateSetUp, quickCellState } from '../../lib/study/cell-state/set-up';
import { clippingSetUp, clipRules } from '../../lib/study/clip-rules';
import { clipTrialsSetUp } from '../../lib/study/clip-trials';
import { depthSetUp } from '../../lib/study/depth';
import type { DrawnMean } from '../../lib/study/draws';
import { findingsOf } from '../../lib/study/findings';
import { gridSetUp } from '../../lib/study/grid';
import { type DepthPlacement, recurrencesOf } from '../../lib/study/placements';
import { referenceSetUp } from '../../lib/study/reference';
import { regimeSystems, regimes, regimesSetUp } from '../../lib/study/regimes';
import {
  type ClippingRun,
  type ClipTrial,
  type ClipTrialsPart,
  type DepthDesign,
  type GridCell,
  type GridPart,
  type ReferenceRun,
  type RegimeRun,
  type RegimesPart,
  type SeriesRun,
  type StudyResults,
  schemaVersion,
} from '../../lib/study/results';
import { starts } from '../../lib/study/starts';
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

export function depthDesigns(): DepthDesign[] {
  return starts.flatMap(({ name }) =>
    recurrencesOf().map(({ name: placement }) =>
      depthDesign(placement, name, placement === 'hidden' && name === 'orthogonal ×1.5' ? 0.1 : -0.1),
    ),
  );
}

/** A mean over ten draws, with half of its interval. */
export function drawn(mean: number, half = 0.005): DrawnMean {
  return { mean, interval: [mean - half, mean + half], draws: 10 };
}

type Rates = Partial<Record<DepthPlacement, number>>;

/** Cells of one block; without a rate of its own, a placement has that of none. */
export function gridCells(initializer: string, hiddenSize: number, rates: Rates, inputScale = 1): GridCell[] {
  const plain = rates.none ?? -0.2;
  return recurrencesOf().map(({ name: placement }) => ({
    placement,
    initializer,
    nonlinearity: 'tanh',
    hiddenSize,
    inputScale,
    timeSteps: 200,
    growth: drawn(rates[placement] ?? plain),
    overNone: drawn((rates[placement] ?? plain) - plain, 0.0002),
    meanField: initializer === 'identity' ? null : (rates[placement] ?? plain) + 0.002,
  }));
}

/** As it is measured: preactivation with many units, and hidden with a large W_hh as well. */
export function gridOf(many: Rates = { preactivation: 0.02, hidden: 0.0 }): GridCell[] {
  return [
    ...gridCells('uniform', 20, {}),
    ...gridCells('uniform', 256, many),
    ...gridCells('orthogonal ×1.0', 20, {}),
    ...gridCells('orthogonal ×1.0', 256, { ...many, hidden: 0.07 }),
    ...gridCells('identity', 20, {}),
  ];
}

export function regimeRun(regime: string, system: RegimeRun['system'], peak: number): RegimeRun {
  return {
    regime,
    system,
    trainingSteps: 100,
    lnFirst: drawn(Math.log(0.5)),
    lnPeak: drawn(Math.log(peak)),
    lnRatio: drawn(-0.1),
    rising: drawn(0.3),
    largestNorms: [0.5, 0.7],
    largestStates: [1, 4e32],
    notFinite: 0,
    lastNormsBeforeNotFinite: [],
  };
}

/** In all regimes that are tried in a quick study, with LayerNorm after the RNN, the norm grows but in the text's own. */
export function regimeRuns(ofText = 1.01, ofOthers = 30): RegimeRun[] {
  const names = regimes.filter(({ quick }) => quick).map(({ name }) => name);
  return names.flatMap((name) =>
    regimeSystems.map((system) => regimeRun(name, system, system === 'after' && name !== 'text' ? ofOthers : ofText)),
  );
}

export function clipTrial(optimizer: string, rule: string, last: number, target: ClipTrial['target'] = 'noise'): ClipTrial {
  const lnLast = Number.isFinite(last) ? drawn(Math.log(last)) : { mean: last, interval: [last, last] as [number, number], draws: 10 };
  return {
    design: 'exploding',
    target,
    optimizer,
    rule,
    lnFirst: drawn(Math.log(2)),
    lnLast,
    lnFirstNorm: drawn(10),
    lnLargestNorm: drawn(12),
    lasts: Array.from({ length: 10 }, () => last),
    diverged: last > 2 ? 10 : 0,
    clippedShare: rule === 'no clip' ? 0 : 1,
  };
}

/** SGD is saved by the clip, Adam needs none. */
export function clipTrials(): ClipTrial[] {
  return [
    clipTrial('SGD 0.1', 'no clip', 6e4),
    clipTrial('SGD 0.1', 'norm 1', 1.8),
    clipTrial('Adam 0.001', 'no clip', 1.99),
    clipTrial('Adam 0.001', 'norm 1', 1.99),
  ];
}

export function clippingRun(rule: ClippingRun['rule'], lastLoss: number): ClippingRun {
  const { gradNorms: _, system, trend, trendRatio, ...run } = referenceRun('after-clipped', 1e10, 1e9);
  const threshold = run.gradNorm.map(() => (rule === 'none' ? Number.POSITIVE_INFINITY : 1));
  const clipped = run.clipped.map(() => rule !== 'none');
  return { ...run, rule, threshold, clipped, clippedSteps: countTrue(clipped), lastLoss };
}

/** A whole study in which nothing grew over training and the clip of Example 3 never acted. */
export function studyResults(overrides: Partial<StudyResults> = {}): StudyResults {
  const reference = { ...referenceSetUp, systems: systems.map(({ name }) => referenceRun(name, 0.5, 0.5)) };
  const grid: GridPart = { plan: 'quick', cell: 'rnn', ...gridSetUp, draws: 10, timeSteps: 200, cells: gridOf() };
  const regimesPart: RegimesPart = { plan: 'quick', ...regimesSetUp, draws: 10, runs: regimeRuns() };
  const trials: ClipTrialsPart = { plan: 'quick', ...clipTrialsSetUp, draws: 10, trials: clipTrials() };
  const depth = { cell: 'rnn' as const, ...depthSetUp, seeds: 3, timeSteps: 200, designs: depthDesigns() };
  const clipping = { ...clippingSetUp, rules: clipRules.map(({ name }) => clippingRun(name, 2)) };
  return {
    schema: 'evenkeel/study',
    schemaVersion,
    interrupted: false,
    date: '2026-01-02T03:04:05.678Z',
    seconds: 9,
    options: { seed: 1, cell: 'rnn', draws: 10, length: 200, epochs: 2, window: 5 },
    environment: { evenkeel: '1.2.3', node: 'v20', platform: 'linux x64', cpu: 'a CPU', threads: 2, simdTarget: 'avx2', blas: 'a BLAS' },
    reference,
    grid,
    regimes: regimesPart,
    depth,
    clipTrials: trials,
    clipping,
    findings: findingsOf({ reference, grid, regimes: regimesPart, clipTrials: trials }),
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

/** The experiment of which cell state to carry, at its smallest. */
export const smallCellState: CellStateSetUp = {
  ...quickCellState,
  draws: 2,
  gammas: [0.5, 3],
  growths: [
    { hiddenSize: 6, timeSteps: 60, sequences: 3 },
    { hiddenSize: 4, timeSteps: 120, sequences: 2 },
  ],
  exponents: { hiddenSize: 3, timeSteps: 50, sequences: 2 },
  training: {
    ...quickCellState.training,
    hiddenSize: 8,
    tasks: [
      { task: 'adding', steps: 6, batches: 30 },
      { task: 'copy', steps: 3, batches: 25 },
      { task: 'series', steps: 4, batches: 1 },
    ],
  },
};
