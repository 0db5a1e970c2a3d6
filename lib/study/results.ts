/** The shape of results.json. A field that changes its name or meaning raises {@link schemaVersion}. */
import type { SeriesFormat } from '../data/csv';
import type { Nonlinearity } from '../layers/rnn';
import type { Growth } from '../stability/flow';
import type { DrawnMean } from './draws';
import type { DepthPlacement, StudyCell } from './placements';
import type { SystemName } from './systems';
import type { Trend } from './verdicts';

export const schemaVersion = 4;

export interface StudyResults {
  schema: 'evenkeel/study';
  schemaVersion: typeof schemaVersion;
  /** True when the study was stopped early: what had finished by then is here. */
  interrupted: boolean;
  /** When the study began, ISO 8601 in UTC. */
  date: string;
  seconds: number;
  options: StudyOptions;
  environment: Environment;
  reference: ReferencePart;
  grid: GridPart;
  regimes: RegimesPart;
  depth: DepthPart;
  clipTrials: ClipTrialsPart;
  clipping: ClippingPart;
  findings: Finding[];
  series: SeriesPart;
}

/** What a study consists of, in the order in which it runs. */
export const studyParts = ['reference', 'regimes', 'grid', 'depth', 'clipping', 'series'] as const;
export type StudyPart = (typeof studyParts)[number];

export interface StudyOptions extends SeriesFormat {
  seed: number;
  /** of the grid, the designs in detail, the reference set-up and the series */
  cell: StudyCell;
  /** whether the published figures are made, or what takes a minute */
  full?: true;
  /** what is run of it; all of it unless given */
  parts?: StudyPart[];
  /** draws of weights and data for each design */
  draws: number;
  /** time steps through which gradients are followed back before any training */
  length: number;
  epochs: number;
  /** past steps that a forecast sees */
  window: number;
  /** path of the CSV file as given; undefined for the default series */
  data?: string;
  columns?: string[];
  target?: string;
}

export interface Environment {
  evenkeel: string;
  node: string;
  platform: string;
  cpu: string;
  threads: number;
  simdTarget: string;
  blas: string;
}

/** One number or flag per training step. */
export interface StepSeries {
  loss: number[];
  /** 2-norm over all gradients, before clipping */
  gradNorm: number[];
  clipped: boolean[];
}

export interface ReferencePart {
  sequences: number;
  timeSteps: number;
  inputSize: number;
  hiddenSize: number;
  learningRate: number;
  trainingSteps: number;
  dtype: 'float32' | 'float64';
  systems: ReferenceRun[];
}

export interface ReferenceRun extends StepSeries {
  system: SystemName;
  /** the same norm of each parameter's gradient alone */
  gradNorms: Record<string, number[]>;
  trend: Trend;
  /** geometric mean of the gradient norm over the last ten steps, divided by that over the first ten; null in the file where that is zero */
  trendRatio: number;
  clippedSteps: number;
  seconds: number;
}

/** How much is measured: what a run from the command line does within a minute, or what the published figures are from. */
export type Plan = 'quick' | 'full';

/** Designs of many sizes before any training: the loss on the last step alone. Infinite and undefined numbers are null in the file. */
export interface GridPart {
  plan: Plan;
  cell: StudyCell;
  sequences: number;
  inputSize: number;
  /** of most cells; a full study has some of ten times as many */
  timeSteps: number;
  draws: number;
  dtype: 'float64';
  cells: GridCell[];
}

export interface GridCell {
  placement: DepthPlacement;
  /** how W_hh starts, in words, such as `orthogonal ×1.5` */
  initializer: string;
  nonlinearity: Nonlinearity;
  hiddenSize: number;
  /** standard deviation of the input */
  inputScale: number;
  timeSteps: number;
  /** of ln‖∂L/∂h_t‖ per step backwards, over the draws */
  growth: DrawnMean;
  /** how much more than without a normalisation, on the same weights and data */
  overNone: DrawnMean;
  /** ½ ln χ; null where W_hh is not random */
  meanField: number | null;
}

/** The text's Example 1, and its kin with and without a LayerNorm, in other settings. */
export interface RegimesPart {
  plan: Plan;
  sequences: number;
  timeSteps: number;
  inputSize: number;
  hiddenSize: number;
  trainingSteps: number;
  learningRate: number;
  draws: number;
  dtype: 'float32';
  runs: RegimeRun[];
}

export interface RegimeRun {
  regime: string;
  system: 'none' | 'before' | 'after';
  trainingSteps: number;
  /** ln of the gradient norm in the first step */
  lnFirst: DrawnMean;
  /** ln of the largest gradient norm of all steps, divided by that of the first */
  lnPeak: DrawnMean;
  /** ln of the geometric mean of the gradient norm over the last ten steps, divided by that over the first ten */
  lnRatio: DrawnMean;
  /** in which part of the steps the norm was larger than in the step before */
  rising: DrawnMean;
  /** of each draw, over all steps: the largest gradient norm and the largest |h_T| */
  largestNorms: number[];
  largestStates: number[];
  /** in how many draws a loss, gradient or weight was not finite */
  notFinite: number;
  /** the gradient norm in the last step before that */
  lastNormsBeforeNotFinite: number[];
}

/** Trainings with and without a clip. */
export interface ClipTrialsPart {
  plan: Plan;
  sequences: number;
  timeSteps: number;
  inputSize: number;
  hiddenSize: number;
  trainingSteps: number;
  draws: number;
  dtype: 'float64';
  trials: ClipTrial[];
}

export interface ClipTrial {
  design: 'exploding' | 'as-in-the-text';
  target: 'noise' | 'learnable';
  optimizer: string;
  rule: string;
  /** ln of the first loss, and of the mean of the last ten, infinite where the training left the range of numbers */
  lnFirst: DrawnMean;
  lnLast: DrawnMean;
  /** ln of the gradient norm before clipping, in the first step and at its largest */
  lnFirstNorm: DrawnMean;
  lnLargestNorm: DrawnMean;
  /** the last losses, a draw each */
  lasts: number[];
  /** how many draws end with a larger loss than they began with, or not finite */
  diverged: number;
  /** in which part of all steps the rule acted */
  clippedShare: number;
}

/** Designs of one size in detail. Infinite and undefined numbers are null in the file. */
export interface DepthPart {
  cell: StudyCell;
  sequences: number;
  timeSteps: number;
  inputSize: number;
  hiddenSize: number;
  seeds: number;
  dtype: 'float32' | 'float64';
  designs: DepthDesign[];
}

/** How gradients grow through time in one design: the loss on the last step. */
export interface DepthDesign {
  placement: DepthPlacement;
  /** how W_hh starts, in words, such as `orthogonal ×1.5` */
  initializer: string;
  /** one per seed */
  growths: readonly Growth[];
  course: CoursePoint[];
  /** one per seed */
  spectra: Spectrum[];
  seconds: number;
}

/**
 * All Lyapunov exponents of the recurrence per step, largest first, each with its standard error. −Infinity, null in the file, is the exponent
 * of a direction that a LayerNorm takes to nothing.
 */
export interface Spectrum {
  exponents: number[];
  standardErrors: number[];
}

/** ln‖∂L/∂h_t‖ at a distance T − t from the loss: the mean over seeds, the smallest and the largest. */
export interface CoursePoint {
  distance: number;
  mean: number;
  low: number;
  high: number;
}

/** A design that explodes, trained under several rules of clipping. */
export interface ClippingPart {
  placement: DepthPlacement;
  initializer: 'orthogonal';
  gain: number;
  sequences: number;
  timeSteps: number;
  inputSize: number;
  hiddenSize: number;
  learningRate: number;
  trainingSteps: number;
  dtype: 'float32' | 'float64';
  rules: ClippingRun[];
}

export interface ClippingRun extends StepSeries {
  rule: 'none' | 'norm' | 'autoclip' | 'zclip';
  /** the norm above which the rule clipped; null in the file while it has none */
  threshold: number[];
  clippedSteps: number;
  /** mean of the last ten losses */
  lastLoss: number;
  seconds: number;
}

export interface Judgement {
  verdict: 'holds' | 'does not hold' | 'holds where' | 'not tested by';
  /** for `'holds where'` and `'not tested by'`: to follow these words */
  where?: string;
  /** what was measured, in a sentence or two */
  measured: string;
  /** the numbers that it rests on */
  evidence: Evidence[];
}

export interface Evidence extends DrawnMean {
  what: string;
}

/** A claim in the text's own words, beside what this run measured of it. */
export interface Finding extends Judgement {
  /** the text's own sentence */
  words: string;
  /** what it comes to, to be measured */
  meaning: string;
}

export interface SeriesPart {
  /** the path of the file, or what the default data are and where they come from */
  source: string;
  columns: string[];
  /** columns of the file that hold no numbers */
  ignored: string[];
  /** columns that never change over the training part */
  constantColumns: string[];
  target: string;
  window: number;
  hiddenSize: number;
  batchSize: number;
  learningRate: number;
  rows: { train: number; validation: number; test: number };
  /** test error (root mean square, in the target's unit) of forecasts anyone could make */
  baselines: { lastValue: number; trainingMean: number };
  /** the target in the test part, one value per forecast */
  truth: number[];
  systems: SeriesRun[];
}

export interface SeriesRun extends StepSeries {
  system: SystemName;
  /** root mean square error on the validation part after each epoch, in the target's unit */
  validationError: number[];
  /** from 1: the epoch with the smallest validation error, whose weights make the forecast */
  bestEpoch: number;
  testError: number;
  /** one value per entry of truth */
  forecast: number[];
  trend: Trend;
  /** geometric mean of the gradient norm over the last epoch, divided by that over the first */
  trendRatio: number;
  clippedSteps: number;
  seconds: number;
}
