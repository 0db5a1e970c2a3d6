/** A series in units of its standard deviation, the rows that are forecast in each part, and the way back to the unit of the target. */
import type { SeriesFile } from '../data/csv';
import { Scaler } from '../data/scaler';
import { type RowRange, type Series, sequencesOf } from '../data/series';
import { splitSeries } from '../data/split';
import { gatherWindows, windowRows } from '../data/windows';
import { EvenkeelError } from '../errors';
import { allocate, Tensor } from '../tensor';

export interface WindowSize {
  window: number;
  horizon: number;
}

/** Forecasts or what came, one row per window. */
export interface StepValues {
  count: number;
  horizon: number;
  /** [count, horizon], in units of the standard deviation of the series that each row is of */
  values: Float64Array;
}

/**
 * Of each column, the unit in which its distance from a window's last row is counted, where it drifts: where it goes beyond the range that it had,
 * a model that learned from its levels would meet levels that it has never seen. Null for a column that is given by its level.
 */
export type Drift = readonly (number | null)[];

export class ScaledSeries {
  /** as read, in the columns' own units */
  readonly original: SeriesFile;
  readonly scaled: Series;
  readonly scaler: Scaler;
  readonly size: WindowSize;
  readonly drift: Drift;
  /** [R], the standard deviation and the mean of the target by row */
  readonly #std: Float64Array;
  readonly #mean: Float64Array;

  /** @param fillsMean whether missing cells get the scaler's mean */
  constructor(series: SeriesFile, scaler: Scaler, { size, drift, fillsMean }: { size: WindowSize; drift: Drift; fillsMean: boolean }) {
    this.original = fillsMean ? { ...series, ...scaler.fillMissing(series) } : series;
    this.scaler = scaler;
    this.scaled = scaler.transform(this.original);
    this.size = size;
    this.drift = drift;
    this.#std = new Float64Array(series.rows);
    this.#mean = new Float64Array(series.rows);
    for (const { id, begin, end } of sequencesOf(series)) {
      const { mean, std } = scaler.momentsOf(this.targetName, id);
      this.#mean.fill(mean, begin, end);
      this.#std.fill(std, begin, end);
    }
  }

  get targetName(): string {
    return this.original.columns[this.original.target] as string;
  }

  /** The row of the first target of each window whose targets lie in these rows. */
  rowsIn(ranges: readonly RowRange[]): Uint32Array {
    return windowRows(this.scaled, ranges, this.size.window, this.size.horizon);
  }

  /** Of all windows, the row of the first target. @throws EvenkeelError ERR_SHAPE where there is none */
  allRows(): Uint32Array {
    const rows = this.rowsIn([{ begin: 0, end: this.scaled.rows }]);
    if (rows.length > 0) return rows;
    const { window, horizon } = this.size;
    throw new EvenkeelError(
      'ERR_SHAPE',
      `series: expected at least ${window + horizon} rows in a series, a window of ${window} and what came after it, got ${this.scaled.rows} rows in all.`,
    );
  }

  /** The target's last value before each window's targets, which the forecast changes from. */
  lastValue(row: number): number {
    return this.value(row - 1);
  }

  /** The target in a row, in units of its standard deviation. */
  value(row: number): number {
    const { values, columns, target } = this.scaled;
    return values[row * columns.length + target] as number;
  }

  truth(rows: Uint32Array): StepValues {
    return this.forecastEach(rows, (row, step) => this.value(row + step));
  }

  /** What a rule says of each window and step. */
  forecastEach(rows: Uint32Array, rule: (row: number, step: number) => number): StepValues {
    const { horizon } = this.size;
    const values = new Float64Array(rows.length * horizon);
    for (const [i, row] of rows.entries()) for (let step = 0; step < horizon; step++) values[i * horizon + step] = rule(row, step);
    return { count: rows.length, horizon, values };
  }

  /** [rows.length, window, C]: what a model sees. Columns that drift stand relative to the window's last row. */
  inputs(rows: Uint32Array): Tensor {
    const { inputs } = gatherWindows(this.scaled, rows, { window: this.size.window, horizon: 0, dtype: 'float32' });
    const { values, columns } = this.scaled;
    for (const [c, scale] of this.drift.entries()) {
      if (scale === null) continue;
      for (const [i, row] of rows.entries()) {
        const last = values[(row - 1) * columns.length + c] as number;
        // From the numbers in double: a difference of two that were rounded would have lost its digits.
        for (let t = 0; t < this.size.window; t++) {
          const value = values[(row - this.size.window + t) * columns.length + c] as number;
          inputs.data[(i * this.size.window + t) * columns.length + c] = (value - last) / scale;
        }
      }
    }
    return inputs;
  }

  /** [rows.length, horizon], how far the target goes from its last value, in units of `scale`. */
  changes(rows: Uint32Array, scale: number): Tensor {
    const { horizon } = this.size;
    const changes = allocate('float32', rows.length * horizon);
    for (const [i, row] of rows.entries()) {
      const last = this.lastValue(row);
      for (let step = 0; step < horizon; step++) changes[i * horizon + step] = (this.value(row + step) - last) / scale;
    }
    return new Tensor(changes, [rows.length, horizon]);
  }

  /** The standard deviation by which the targets from this row on were divided. */
  stdAt(row: number): number {
    return this.#std[row] as number;
  }

  /** In the target's own unit. */
  inUnit(row: number, value: number): number {
    return value * (this.#std[row] as number) + (this.#mean[row] as number);
  }
}

export interface PreparedSeries {
  series: ScaledSeries;
  rows: { train: Uint32Array; validation: Uint32Array; test: Uint32Array };
  /** the training part's rows */
  trainRanges: readonly RowRange[];
  /** root mean square of the target's changes over the training windows, in standard deviations: the unit of the model's output */
  changeScale: number;
}

/** The latest part of the training rows, as large as the parts that validate and test are beside it. */
const LATEST = 0.2;
/** Part of its values that are beyond all earlier ones, from which on a column drifts. */
const BEYOND = 0.1;

/** By the training part alone: whether its latest fifth leaves the range of the rest. */
function findDrift(scaled: Series, ranges: readonly RowRange[], window: number): Drift {
  const { values, columns } = scaled;
  return columns.map((_, c) => {
    const at = (row: number) => values[row * columns.length + c] as number;
    let beyond = 0;
    let count = 0;
    for (const { begin, end } of ranges) {
      const cut = Math.round(end - LATEST * (end - begin));
      let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (let row = begin; row < cut; row++) {
        low = Math.min(low, at(row));
        high = Math.max(high, at(row));
      }
      for (let row = cut; row < end; row++) beyond += Number(at(row) < low || at(row) > high);
      count += end - cut;
    }
    return beyond > BEYOND * count ? distanceScale(ranges, window, at) : null;
  });
}

/** Root mean square distance of the rows of a window from its last one. */
function distanceScale(ranges: readonly RowRange[], window: number, at: (row: number) => number): number {
  let squares = 0;
  let count = 0;
  for (const { begin, end } of ranges) {
    for (let row = begin + window; row < end; row++) {
      for (let back = 2; back <= window; back++) squares += (at(row - back) - at(row - 1)) ** 2;
      count += window - 1;
    }
  }
  return squares > 0 ? Math.sqrt(squares / count) : 1;
}

/**
 * Splits a series in time, scales it by its training part alone and finds the windows of each part.
 * @throws EvenkeelError ERR_SHAPE when the rows are too few, ERR_NON_FINITE, ERR_OPTION where the target never changes in training
 */
export function prepareSeries(file: SeriesFile, size: WindowSize, fillsMean: boolean): PreparedSeries {
  const split = splitSeries(file, size);
  const scaler = Scaler.fit(file, split.train);
  const plain = fillsMean ? scaler.fillMissing(file) : file;
  const drift = findDrift(scaler.transform(plain), split.train, size.window);
  const series = new ScaledSeries(file, scaler, { size, drift, fillsMean });
  const rows = { train: series.rowsIn(split.train), validation: series.rowsIn(split.validation), test: series.rowsIn(split.test) };
  for (const [name, own] of Object.entries(rows)) {
    if (own.length > 0) continue;
    throw new EvenkeelError('ERR_SHAPE', `series: expected windows with targets that were not missing in its ${name} part, got none.`);
  }
  return { series, rows, trainRanges: split.train, changeScale: scaleOfChanges(series, rows.train) };
}

function scaleOfChanges(series: ScaledSeries, rows: Uint32Array): number {
  const { horizon } = series.size;
  let squares = 0;
  for (const row of rows) {
    const last = series.lastValue(row);
    for (let step = 0; step < horizon; step++) squares += (series.value(row + step) - last) ** 2;
  }
  const scale = Math.sqrt(squares / (rows.length * horizon));
  if (scale > 0) return scale;
  throw new EvenkeelError(
    'ERR_OPTION',
    `target: expected a column that changes, but ${JSON.stringify(series.targetName)} stays the same in all of the training part.`,
  );
}
