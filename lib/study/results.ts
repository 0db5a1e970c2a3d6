/** The shape of results.json. A field that changes its name or meaning raises {@link schemaVersion}. */
import type { SeriesFormat } from '../data/csv';
import type { Growth } from '../stability/flow';
import type { DepthCell, Finding } from './claims';
import type { DepthPlacement } from './placements';
import type { SystemName } from './systems';
import type { Trend } from './verdicts';

export const schemaVersion = 3;

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
  depth: DepthPart;
  clipping: ClippingPart;
  findings: Finding[];
  series: SeriesPart;
}

export interface StudyOptions extends SeriesFormat {
  seed: number;
  /** time steps of the depth part */
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

/** Designs before any training: the loss on the last step alone. Infinite and undefined numbers are null in the file. */
export interface DepthPart {
  sequences: number;
  timeSteps: number;
  inputSize: number;
  hiddenSize: number;
  seeds: number;
  dtype: 'float32' | 'float64';
  designs: DepthDesign[];
}

export interface DepthDesign extends DepthCell {
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
