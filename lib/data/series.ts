import { checkInteger, copyList, fail, readSafely } from '../check';
import { plainArray, typedArrayKind, typedArrayLength } from '../typed-arrays';

/** Columns of numbers over time, the earliest row first. */
export interface Series {
  /** names of the C columns */
  columns: string[];
  /** number of rows R */
  rows: number;
  /** [R, C], row-major, every one finite */
  values: Float64Array;
  /** index in `columns` of the column to forecast */
  target: number;
  /** where each of several series lies, one after another from row 0 to row R; without it all rows are one series */
  sequences?: SequenceRange[];
  /** [R], milliseconds since 1970-01-01 UTC, rising within each series */
  times?: Float64Array;
  /** [R, C], 1 where a cell was missing and has been filled in: no window has such a target */
  filled?: Uint8Array;
}

/** The rows from `begin` up to, but not including, `end`. */
export interface RowRange {
  begin: number;
  end: number;
}

/** The rows of one of several series. */
export interface SequenceRange extends RowRange {
  /** what the file calls it */
  id: string;
}

/** More than any table has. */
const MAX_COLUMNS = 1e5;
const MAX_SEQUENCES = 1e7;

/** The series as it is now, read once; its values are not copied. */
export function checkSeries(series: Series): Series {
  if (typeof series !== 'object' || series === null) fail('ERR_OPTION', 'series', 'a series of columns, rows, values and target', series);
  const { columns, rows, values, target, sequences, times, filled } = readSafely('series', () => ({
    columns: Array.isArray(series.columns) && series.columns.length <= MAX_COLUMNS ? copyList(series.columns) : series.columns,
    rows: series.rows,
    values: series.values,
    target: series.target,
    sequences: series.sequences,
    times: series.times,
    filled: series.filled,
  }));
  if (!readSafely('series.columns', () => Array.isArray(columns) && columns.length > 0 && columns.length <= MAX_COLUMNS)) {
    fail('ERR_OPTION', 'series.columns', `an array of 1 to ${MAX_COLUMNS} column names`, columns);
  }
  columns.forEach((name, i) => {
    if (typeof name !== 'string') fail('ERR_OPTION', `series.columns[${i}]`, 'a name', name);
  });
  checkInteger('series.rows', rows, 1);
  checkInteger('series.target', target, 0, columns.length - 1);
  checkArray('series.values', values, 'Float64Array', rows * columns.length, `${rows} x ${columns.length} numbers`);
  if (times !== undefined) checkArray('series.times', times, 'Float64Array', rows, `${rows} numbers`);
  if (filled !== undefined) {
    checkArray('series.filled', filled, 'Uint8Array', rows * columns.length, `${rows} x ${columns.length} numbers`);
  }
  return {
    columns,
    rows,
    values: plainArray(values) as Float64Array,
    target,
    ...(sequences !== undefined && { sequences: checkSequences(sequences, rows) }),
    ...(times !== undefined && { times: plainArray(times) as Float64Array }),
    ...(filled !== undefined && { filled }),
  };
}

function checkArray(argument: string, array: ArrayBufferView, kind: string, length: number, expected: string): void {
  if (typedArrayKind(array) !== kind) fail('ERR_DTYPE', argument, `a ${kind}`, array);
  if (typedArrayLength(array) !== length) fail('ERR_SHAPE', argument, expected, array);
}

function checkSequences(sequences: unknown, rows: number): SequenceRange[] {
  const isList = () => Array.isArray(sequences) && sequences.length > 0 && sequences.length <= MAX_SEQUENCES;
  const list = readSafely('series.sequences', () =>
    isList() ? copyList(sequences as SequenceRange[]).map((sequence) => ({ ...sequence })) : undefined,
  );
  if (list === undefined) fail('ERR_OPTION', 'series.sequences', 'an array of at least one { id, begin, end }', sequences);
  let end = 0;
  for (const [i, sequence] of list.entries()) {
    const where = `series.sequences[${i}]`;
    if (typeof sequence.id !== 'string') fail('ERR_OPTION', `${where}.id`, 'a text', sequence.id);
    checkInteger(`${where}.begin`, sequence.begin, end, end);
    end = checkInteger(`${where}.end`, sequence.end, end + 1, rows);
  }
  if (end !== rows) fail('ERR_OPTION', `series.sequences[${list.length - 1}].end`, `${rows}, the number of rows`, end);
  return list;
}

/** The series in it: one of all rows where there are not several. */
export function sequencesOf({ sequences, rows }: Series): readonly SequenceRange[] {
  return sequences ?? [{ id: '', begin: 0, end: rows }];
}
