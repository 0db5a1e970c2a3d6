/** A trained forecast in its folder: the model, and all that it takes to use it on other data. */
import { join } from 'node:path';
import { checkInteger, checkNumber, checkString, copyList, fail, readOptions } from '../check';
import type { SeriesFile } from '../data/csv';
import { Scaler, type ScalerState } from '../data/scaler';
import { EvenkeelError } from '../errors';
import { writeFileAtomic } from '../io/atomic-file';
import { fileFault, isThere, readWhole } from '../io/file';
import type { Sequential } from '../layers/sequential';
import { loadModel } from '../model/model-file';
import { readBy } from '../schema';
import { checkIntervals, type Intervals } from './intervals';
import { LinearForecast, type LinearState } from './linear-forecast';
import { type ForecastOptions, forecastSchema } from './options';
import { type Drift, ScaledSeries } from './scaled-series';
import { modelFile } from './training';

export const forecasterFile = 'forecaster.json';
const SCHEMA = 'evenkeel/forecaster 1';
const MAX_BYTES = 2 ** 28;

/** What stands in the file beside the model's. */
export interface ForecasterState {
  options: ForecastOptions;
  /** those used, in the order of the model's inputs */
  columns: string[];
  target: string;
  scaler: ScalerState;
  drift: Drift;
  changeScale: number;
  season: number | undefined;
  linear: LinearState;
  intervals: Intervals;
}

export interface Forecaster extends Omit<ForecasterState, 'scaler' | 'linear'> {
  model: Sequential;
  scaler: Scaler;
  linear: LinearForecast;
}

export function writeForecaster(folder: string, state: ForecasterState): void {
  writeFileAtomic(join(folder, forecasterFile), `${JSON.stringify({ schema: SCHEMA, ...state })}\n`, 'replace');
}

/**
 * Reads what `evenkeel train` has written into a folder.
 * @throws EvenkeelError ERR_FILE with the reason
 */
export function readForecaster(folder: string): Forecaster {
  const path = join(folder, forecasterFile);
  if (!isThere(path)) {
    fileFault(
      folder,
      `a folder that evenkeel train has written, with ${forecasterFile}`,
      'none',
      'A training writes it at its end, or at Ctrl-C once an epoch has ended: the same command goes on.',
    );
  }
  const state = parse(path, readWhole(path, MAX_BYTES).toString('utf8'));
  const model = loadModel<Sequential>(join(folder, modelFile));
  return { ...state, model, scaler: Scaler.from(state.scaler), linear: new LinearForecast(state.linear) };
}

function parse(path: string, text: string): ForecasterState {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fileFault(path, 'JSON', 'something else', 'Train again.');
  }
  const names = ['schema', 'options', 'columns', 'target', 'scaler', 'drift', 'changeScale', 'season', 'linear', 'intervals'] as const;
  try {
    const given = readOptions('forecaster', value, names);
    if (given.schema !== SCHEMA) fail('ERR_OPTION', 'schema', SCHEMA, given.schema, 'Another version of evenkeel wrote it: train again.');
    return checkState(given);
  } catch (cause) {
    if (!(cause instanceof EvenkeelError)) throw cause;
    throw new EvenkeelError('ERR_FILE', `${path}: ${cause.message}`, { cause });
  }
}

function checkState(given: Partial<Record<keyof ForecasterState, unknown>>): ForecasterState {
  const options = readBy('options', given.options, forecastSchema);
  const scaler = Scaler.from(given.scaler as ScalerState);
  const target = checkString('target', given.target);
  if (!scaler.columns.includes(target)) fail('ERR_OPTION', 'target', 'one of the columns', target);
  return {
    options,
    columns: [...scaler.columns],
    target,
    scaler: scaler.toJSON(),
    drift: checkDrift(given.drift, scaler.columns.length),
    changeScale: checkNumber('changeScale', given.changeScale, { above: 0 }),
    season: given.season === undefined ? undefined : checkInteger('season', given.season, 2),
    linear: checkLinear(given.linear, options, scaler.columns.length),
    intervals: checkIntervals('intervals', given.intervals, options.horizon),
  };
}

function checkLinear(value: unknown, { window, horizon }: ForecastOptions, width: number): LinearState {
  const { steps, penalty, weights } = readOptions('linear', value, ['steps', 'penalty', 'weights']);
  const used = checkInteger('linear.steps', steps, 1, window);
  const isRow = (row: unknown) =>
    Array.isArray(row) && row.length === used * width + 1 && copyList(row as unknown[]).every((weight) => Number.isFinite(weight));
  if (!Array.isArray(weights) || weights.length !== horizon || !weights.every(isRow))
    fail('ERR_OPTION', 'linear.weights', `${horizon} x ${used * width + 1} finite numbers`, weights);
  // JSON has no infinity.
  return { steps: used, penalty: typeof penalty === 'number' ? penalty : Number.POSITIVE_INFINITY, weights: weights as number[][] };
}

function checkDrift(value: unknown, width: number): Drift {
  const isScale = (scale: unknown) => scale === null || (typeof scale === 'number' && Number.isFinite(scale) && scale > 0);
  const list = Array.isArray(value) && value.length === width ? copyList(value as unknown[]) : undefined;
  if (list === undefined || !list.every(isScale)) fail('ERR_OPTION', 'drift', `${width} times a number above 0 or null`, value);
  return list as Drift;
}

/** Another series through the scaler of a forecaster. @param missing what has become of its missing cells */
export function scaleFor({ scaler, drift, options }: Forecaster, series: SeriesFile, missing: ForecastOptions['missing']): ScaledSeries {
  const { window, horizon } = options;
  return new ScaledSeries(series, scaler, { size: { window, horizon }, drift, fillsMean: missing === 'mean' });
}
