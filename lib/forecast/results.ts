/** What a training, or an evaluation of one, has found: results.json. */
import type { RuntimeInfo } from '../runtime';
import type { BaselineName } from './baselines';
import type { ForecastErrors } from './errors';
import type { Coverage } from './intervals';
import type { ForecastOptions } from './options';
import type { TrainingOutcome } from './training';

/** How well each way of forecasting did on the same windows. */
export interface Comparison {
  /** windows that were forecast */
  count: number;
  /** undefined where no epoch of training had ended */
  model?: ForecastErrors;
  baselines: Partial<Record<BaselineName, ForecastErrors>>;
  /** windows in which the seasonal baseline takes the last value, as no season is before; it is left out where these are all */
  withoutSeason?: number;
  /** of the model's prediction intervals */
  coverage: Coverage[];
}

/** The last windows, as a chart shows them: forecasts of one step, against what came. */
export interface Excerpt {
  /** how many steps ahead, from 1 */
  step: number;
  /** which of several series */
  sequence?: string;
  /** of each forecast value: its row in the order of the series, and its time where there are times */
  rows: number[];
  times?: string[];
  truth: number[];
  forecast: number[];
  /** of the widest interval */
  low: number[];
  high: number[];
}

/** What is said of the data. */
export interface DataPart {
  source: string;
  rows: number;
  sequences: number;
  columns: string[];
  ignored: string[];
  constantColumns: string[];
  /** columns that leave their range, which the model sees relative to a window's last row */
  drifting: string[];
  target: string;
  /** cells that were filled in, or whose rows were dropped */
  missing: number;
  /** from and to, where there are times */
  times?: [string, string];
  /** steps between rows that are longer than the usual one */
  gaps: number;
}

export interface ForecastResults {
  schema: 'evenkeel/forecast';
  schemaVersion: 1;
  interrupted: boolean;
  date: string;
  /** of this run */
  seconds: number;
  options: ForecastOptions;
  environment: Pick<RuntimeInfo, 'version' | 'node' | 'platform' | 'arch' | 'threads' | 'simdTarget' | 'blas'>;
  data: DataPart;
  windows: { train: number; validation: number; test: number };
  parameters: number;
  /** rows of one season that the baseline goes by; null where none was found */
  season: number | null;
  training: TrainingOutcome;
  test: Comparison;
  excerpts: Excerpt[];
}

/** What `evaluate` has found. */
export interface EvaluationResults {
  schema: 'evenkeel/forecast-evaluation';
  schemaVersion: 1;
  date: string;
  data: DataPart;
  horizon: number;
  season: number | null;
  evaluation: Comparison;
}
