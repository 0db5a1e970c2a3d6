import { checkDType, checkInteger, MAX_DIMENSION, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { allocate, type DType, Tensor } from '../tensor';
import { checkRanges } from './ranges';
import { Scaler } from './scaler';
import { checkSeries, type RowRange, type SequenceRange, type Series, sequencesOf } from './series';

/** A series in units of its standard deviation, and what it takes to go back. */
export interface StandardizedSeries {
  /** the series with (value − mean) / std in place of each value */
  series: Series;
  /** [C], in the unit of each column */
  mean: Float64Array;
  /** [C], the population standard deviation; 1 for a column that is constant over the fitted rows */
  std: Float64Array;
  /** names of the columns that are constant over the fitted rows, which are shifted only */
  constantColumns: string[];
}

/**
 * Brings every column to mean 0 and standard deviation 1 over the rows of `fit` alone, usually the training part: the other parts must
 * not have a say in it. {@link Scaler} does the same, can be saved, and goes back.
 * @throws EvenkeelError ERR_NON_FINITE for a column whose mean or standard deviation is out of the range of float64, or not a number
 */
export function standardize(series: Series, fit: RowRange): StandardizedSeries {
  const checked = checkSeries(series);
  const scaler = Scaler.fit(checked, checkRanges('fit', fit ?? null, checked.rows));
  const { mean, std } = scaler.toJSON();
  return {
    series: scaler.transform(checked),
    mean: Float64Array.from(mean),
    std: Float64Array.from(std),
    constantColumns: [...scaler.constantColumns],
  };
}

/** Windows of the past and the target's next values. */
export interface Windows {
  /** [count, window, C] */
  inputs: Tensor;
  /** [count, horizon] */
  targets: Tensor;
  /** the row of the first target of the first window */
  firstRow: number;
  /** [count], the row of each window's first target */
  rows: Uint32Array;
}

/** Options of makeWindows. */
export interface WindowOptions {
  /** time steps per window */
  window: number;
  /** how many values after a window are its targets, 1 unless given */
  horizon?: number;
  /** the rows to be forecast, one range or several, by default all that have a whole window before them */
  range?: RowRange | readonly RowRange[];
  /** by default `'float32'` */
  dtype?: DType;
}

/**
 * For each row of `range`, the window of all columns just before it and the target column's value in it and, with a `horizon`, in the rows after
 * it. A window may reach back beyond `range`, since the past is known when a forecast is made; a target never lies outside. No window spans two
 * series, and none has a target that was missing and filled in.
 * @throws EvenkeelError ERR_SHAPE when no row of `range` has a whole window before it and its targets after it; ERR_MEMORY
 */
export function makeWindows(series: Series, options: WindowOptions): Windows {
  const checked = checkSeries(series);
  const known = ['window', 'horizon', 'range', 'dtype'] as const;
  const given = readOptions('makeWindows options', options, known, { horizon: 1, dtype: 'float32' });
  const window = checkInteger('window', given.window, 1);
  const horizon = checkInteger('horizon', given.horizon, 1);
  const dtype = checkDType('dtype', given.dtype);
  const ranges = checkRanges('range', given.range, checked.rows);
  const rows = windowRows(checked, ranges, window, horizon);
  if (rows.length === 0) failNoWindow(checked, ranges, window, horizon);
  return { ...gatherWindows(checked, rows, { window, horizon, dtype }), firstRow: rows[0] as number, rows };
}

/** The row of the first target of each window whose targets lie in `ranges`. */
export function windowRows(series: Series, ranges: readonly RowRange[], window: number, horizon: number): Uint32Array {
  const rows: number[] = [];
  for (const sequence of sequencesOf(series)) {
    for (const range of ranges) {
      const end = Math.min(range.end, sequence.end) - horizon + 1;
      for (let row = Math.max(range.begin, sequence.begin + window); row < end; row++) if (hasTargets(series, row, horizon)) rows.push(row);
    }
  }
  return Uint32Array.from(rows);
}

function hasTargets({ filled, columns, target }: Series, row: number, horizon: number): boolean {
  if (filled === undefined) return true;
  for (let i = row; i < row + horizon; i++) if (filled[i * columns.length + target] === 1) return false;
  return true;
}

function failNoWindow(series: Series, ranges: readonly RowRange[], window: number, horizon: number): never {
  const [range] = ranges;
  if (ranges.length === 1 && range !== undefined && series.sequences === undefined && series.filled === undefined) {
    const needed = Math.max(range.begin, window) + horizon;
    throw new EvenkeelError(
      'ERR_SHAPE',
      `range: expected an end of at least ${needed} for windows of ${window}, got ${range.end}. Give more rows or a smaller window.`,
    );
  }
  throw new EvenkeelError(
    'ERR_SHAPE',
    `range: expected rows that hold ${horizon} targets of one series after a window of ${window}, none of them missing, got none. Give more rows or a smaller window.`,
  );
}

/** Inputs [rows.length, window, C] and targets [rows.length, horizon], for the rows of {@link windowRows}. */
export function gatherWindows(
  { values, columns, target }: Series,
  rows: Uint32Array,
  { window, horizon, dtype }: { window: number; horizon: number; dtype: DType },
): { inputs: Tensor; targets: Tensor } {
  const width = columns.length;
  const count = rows.length;
  const inputs = allocate(dtype, count * window * width);
  const targets = allocate(dtype, count * horizon);
  for (const [i, row] of rows.entries()) {
    inputs.set(values.subarray((row - window) * width, row * width), i * window * width);
    for (let step = 0; step < horizon; step++) targets[i * horizon + step] = values[(row + step) * width + target] as number;
  }
  return { inputs: new Tensor(inputs, [count, window, width]), targets: new Tensor(targets, [count, horizon]) };
}

/** The latest windows, after which nothing is known yet. */
export interface LatestWindows {
  /** [S, window, C] */
  inputs: Tensor;
  /** which of several series each is of */
  sequences: SequenceRange[];
}

/**
 * The last window of a series, or of each of several: what the next values are forecast from. Series with fewer rows have none.
 * @throws EvenkeelError ERR_SHAPE where none has enough rows; ERR_OPTION
 */
export function latestWindows(series: Series, options: { window: number; dtype?: DType }): LatestWindows {
  const checked = checkSeries(series);
  const given = readOptions('latestWindows options', options, ['window', 'dtype'], { dtype: 'float32' });
  const window = checkInteger('window', given.window, 1, MAX_DIMENSION);
  const dtype = checkDType('dtype', given.dtype);
  const sequences = sequencesOf(checked).filter(({ begin, end }) => end - begin >= window);
  if (sequences.length === 0) {
    const longest = Math.max(...sequencesOf(checked).map(({ begin, end }) => end - begin));
    throw new EvenkeelError(
      'ERR_SHAPE',
      `series: expected at least ${window} rows, a whole window, got ${longest}. Give the rows that the forecast goes on from, and those before them.`,
    );
  }
  const rows = Uint32Array.from(sequences, ({ end }) => end);
  return {
    inputs: gatherWindows(checked, rows, { window, horizon: 0, dtype }).inputs,
    sequences: sequences.map((range) => ({ ...range })),
  };
}
