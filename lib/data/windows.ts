import { checkDType, checkInteger, copyList, fail, MAX_DIMENSION, readOptions, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import { allocate, type DType, Tensor } from '../tensor';
import { plainArray, typedArrayKind, typedArrayLength } from '../typed-arrays';
import type { Series } from './series';

/** The rows from `begin` up to, but not including, `end`. */
export interface RowRange {
  begin: number;
  end: number;
}

/** The rows of the three parts of a series, earliest first. */
export interface Split {
  train: RowRange;
  validation: RowRange;
  test: RowRange;
}

/**
 * Splits rows in time: the first 70 % train, the next 15 % validate, the last 15 % test.
 * @param window time steps per window, which the training part must hold besides one target
 * @throws EvenkeelError ERR_SHAPE when the rows are too few, saying how many are needed; ERR_OPTION
 */
export function splitInTime(rows: number, window: number): Split {
  const split = splitAt(checkInteger('rows', rows, 0));
  checkInteger('window', window, 1, MAX_DIMENSION);
  if (fits(split, window)) return split;
  let needed = Math.ceil(window / 0.7);
  while (!fits(splitAt(needed), window)) needed++;
  throw new EvenkeelError(
    'ERR_SHAPE',
    `rows: expected at least ${needed}, so that the training part holds a window of ${window} and its target and the other parts a target each, ` +
      `got ${rows}. Give more rows or a smaller window.`,
  );
}

function splitAt(rows: number): Split {
  const trainEnd = Math.round(rows * 0.7);
  const validationEnd = Math.round(rows * 0.85);
  return {
    train: { begin: 0, end: trainEnd },
    validation: { begin: trainEnd, end: validationEnd },
    test: { begin: validationEnd, end: rows },
  };
}

function fits({ train, validation, test }: Split, window: number): boolean {
  return train.end > window && validation.end > validation.begin && test.end > test.begin;
}

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
 * not have a say in it.
 * @throws EvenkeelError ERR_NON_FINITE for a column whose mean or standard deviation is out of the range of float64, or not a number
 */
export function standardize(series: Series, fit: RowRange): StandardizedSeries {
  const checked = checkSeries(series);
  return standardizeOver(checked, checkRange('fit', fit, checked.rows));
}

function standardizeOver(series: Series, fit: RowRange): StandardizedSeries {
  const width = series.columns.length;
  const mean = new Float64Array(width);
  const std = new Float64Array(width);
  const constantColumns: string[] = [];
  for (const [c, name] of series.columns.entries()) {
    const moments = columnMoments(series, c, fit);
    if (moments.isConstant) constantColumns.push(name);
    mean[c] = moments.mean;
    std[c] = moments.isConstant ? 1 : moments.std;
    if (!Number.isFinite(moments.mean) || !Number.isFinite(moments.std) || std[c] === 0) {
      throw new EvenkeelError(
        'ERR_NON_FINITE',
        `column ${JSON.stringify(name)}: expected values with a mean and standard deviation in the range of float64, got ` +
          `mean ${moments.mean} and standard deviation ${moments.std}. Give the column in another unit.`,
      );
    }
  }
  const values = series.values.map((value, i) => (value - (mean[i % width] as number)) / (std[i % width] as number));
  return { series: { columns: [...series.columns], rows: series.rows, values, target: series.target }, mean, std, constantColumns };
}

function columnMoments(
  { values, columns }: Series,
  column: number,
  { begin, end }: RowRange,
): { mean: number; std: number; isConstant: boolean } {
  const at = (row: number): number => values[row * columns.length + column] as number;
  const first = at(begin);
  let sum = 0;
  let isConstant = true;
  for (let row = begin; row < end; row++) {
    sum += at(row);
    isConstant &&= at(row) === first;
  }
  // The mean of equal numbers is that number; their sum need not say so to the last digit.
  if (isConstant) return { mean: first, std: 0, isConstant };
  const mean = sum / (end - begin);
  let squares = 0;
  for (let row = begin; row < end; row++) squares += (at(row) - mean) ** 2;
  return { mean, std: Math.sqrt(squares / (end - begin)), isConstant };
}

/** Windows of the past and the target's next value. */
export interface Windows {
  /** [count, window, C] */
  inputs: Tensor;
  /** [count, 1] */
  targets: Tensor;
  /** the row of the first target; the others follow one by one */
  firstRow: number;
}

/** Options of makeWindows. */
export interface WindowOptions {
  /** time steps per window */
  window: number;
  /** the rows to be forecast, by default all that have a whole window before them */
  range?: RowRange;
  /** by default `'float32'` */
  dtype?: DType;
}

/**
 * For each row of `range`, the window of all columns just before it and the target column's value in it. A window may reach back beyond
 * `range`, since the past is known when a forecast is made; a target never lies outside.
 * @throws EvenkeelError ERR_SHAPE when no row of `range` has a whole window before it; ERR_MEMORY
 */
export function makeWindows(series: Series, options: WindowOptions): Windows {
  const { columns, rows, values, target } = checkSeries(series);
  const defaults = { range: { begin: 0, end: rows }, dtype: 'float32' };
  const given = readOptions('makeWindows options', options, ['window', 'range', 'dtype'], defaults);
  const window = checkInteger('window', given.window, 1);
  const dtype = checkDType('dtype', given.dtype);
  const range = checkRange('range', given.range as RowRange, rows);

  const firstRow = Math.max(range.begin, window);
  const count = range.end - firstRow;
  if (count < 1) {
    throw new EvenkeelError(
      'ERR_SHAPE',
      `range: expected an end of at least ${firstRow + 1} for windows of ${window}, got ${range.end}. Give more rows or a smaller window.`,
    );
  }
  const width = columns.length;
  const inputs = allocate(dtype, count * window * width);
  const targets = allocate(dtype, count);
  for (let i = 0; i < count; i++) {
    const row = firstRow + i;
    inputs.set(values.subarray((row - window) * width, row * width), i * window * width);
    targets[i] = values[row * width + target] as number;
  }
  return { inputs: new Tensor(inputs, [count, window, width]), targets: new Tensor(targets, [count, 1]), firstRow };
}

/** The series as it is now, read once; its values are not copied. */
function checkSeries(series: Series): Series {
  if (typeof series !== 'object' || series === null) fail('ERR_OPTION', 'series', 'a series of columns, rows, values and target', series);
  const { columns, rows, values, target } = readSafely('series', () => ({
    columns: Array.isArray(series.columns) && series.columns.length <= MAX_COLUMNS ? copyList(series.columns) : series.columns,
    rows: series.rows,
    values: series.values,
    target: series.target,
  }));
  if (!readSafely('series.columns', () => Array.isArray(columns) && columns.length > 0 && columns.length <= MAX_COLUMNS)) {
    fail('ERR_OPTION', 'series.columns', `an array of 1 to ${MAX_COLUMNS} column names`, columns);
  }
  checkInteger('series.rows', rows, 1);
  checkInteger('series.target', target, 0, columns.length - 1);
  if (typedArrayKind(values) !== 'Float64Array') fail('ERR_DTYPE', 'series.values', 'a Float64Array', values);
  if (typedArrayLength(values) !== rows * columns.length) fail('ERR_SHAPE', 'series.values', `${rows} x ${columns.length} numbers`, values);
  return { columns, rows, values: plainArray(values) as Float64Array, target };
}

/** More than any table has. */
const MAX_COLUMNS = 1e5;

/** The range as it is now, read once. */
function checkRange(argument: string, range: RowRange, rows: number): RowRange {
  const given = readOptions(argument, range, ['begin', 'end']);
  const end = checkInteger(`${argument}.end`, given.end, 1, rows);
  return { begin: checkInteger(`${argument}.begin`, given.begin, 0, end - 1), end };
}
