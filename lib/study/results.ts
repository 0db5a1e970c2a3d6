/** The shape of results.json. A field that changes its name or meaning raises {@link schemaVersion}. */
import type { Finding } from './findings';
import type { SystemName } from './systems';
import type { Trend } from './verdicts';

export const schemaVersion = 1;

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
  findings: Finding[];
  series: SeriesPart;
}

export interface StudyOptions {
  seed: number;
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
