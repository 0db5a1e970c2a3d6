import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { CsvError } from 'csv-parse/sync';
import { checkNames, checkOneOf, checkString, fail, nearestName, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { checkPath, fileFault, quote, withFile } from '../io/file';
import { type DecimalMark, isMeantAsNumber } from './csv-cells';
import { findDelimiter, readRecords } from './csv-records';
import { type Column, cellLabel, type Table, TableBuilder } from './csv-table';
import { defaultTarget } from './default-target';
import { fillMissing, MISSING_WAYS, type Missing } from './missing';
import type { Series } from './series';

/** A {@link Series} from a file. */
export interface SeriesFile extends Series {
  /** the file's other columns that were left out because they hold no number at all, such as dates */
  ignored: string[];
  /** how many cells of the columns used were missing and filled in or dropped; only where `missing` is not `'error'` */
  missing?: number;
}

/** How a file is written, and what becomes of its gaps. */
export interface SeriesFormat {
  /** the character before a fraction, `'.'` unless given */
  decimal?: DecimalMark;
  /** the character between cells; by default comma, semicolon or tab, whichever the header has */
  delimiter?: string;
  /**
   * What becomes of a missing cell: one that is empty, or NaN, NA, N/A, null, none, ?, - or a point. `'error'` unless given; `'forward'`, or
   * `'previous'`, repeats the value above; `'mean'` takes the mean of the whole column, later rows included; `'drop'` leaves out the row.
   */
  missing?: Missing;
}

/** Options of readSeries. */
export interface ReadSeriesOptions extends SeriesFormat {
  /** which columns to use, in this order, and to check; without it all columns of numbers, in the file's order */
  columns?: readonly string[];
  /** the column to forecast, one of those used; by default the first that is neither constant nor a time nor a date */
  target?: string;
}

/**
 * Reads a CSV file with a header line as a time series, the earliest row first. UTF-8, with or without byte order mark; any line ending;
 * cells in double quotes or not. Numbers have no thousands separators.
 *
 * A column without any number is left out unless it is asked for by name: words, nothing, dates and times, also those in digits alone such as
 * 20250106. In a column that is used every cell must be a number.
 *
 * A million cells take about half a second. {@link readSeriesAsync} lets others have the event loop meanwhile.
 * @throws EvenkeelError ERR_FILE with path, line and column for what is wrong in the file (the header is line 1), or with the reason why it
 * cannot be read; ERR_OPTION for an unknown option or column, and where no column would do as a target unless it is named
 */
export function readSeries(path: string, options: ReadSeriesOptions = {}): SeriesFile {
  const reading = read(path, options);
  let slice = reading.next();
  while (!slice.done) slice = reading.next();
  return slice.value;
}

/**
 * Reads a CSV file as {@link readSeries} does, in slices of some milliseconds between which the event loop goes on.
 * @throws (rejects with) EvenkeelError as readSeries throws
 */
export async function readSeriesAsync(path: string, options: ReadSeriesOptions = {}): Promise<SeriesFile> {
  const reading = read(path, options);
  let slice = reading.next();
  while (!slice.done) {
    await setImmediate();
    slice = reading.next();
  }
  return slice.value;
}

interface Wanted {
  columns?: string[];
  target?: string;
  decimal: DecimalMark;
  delimiter?: string;
  missing: Missing;
}

/** Stops after each slice. */
function* read(path: string, options: ReadSeriesOptions): Generator<void, SeriesFile> {
  checkPath('path', path);
  const wanted = checkReadOptions(options);
  const table = yield* readTable(path, wanted);
  const used = wanted.columns?.map((name) => findColumn(path, table, 'columns', name)) ?? numericColumns(path, table, wanted.target);
  const named = wanted.target === undefined ? undefined : used.indexOf(findColumn(path, table, 'target', wanted.target));
  if (named === -1)
    fail('ERR_OPTION', 'target', `one of the columns ${listNames(used)}`, wanted.target, 'Add it to columns: its past is an input.');
  for (const column of used) checkNumeric(path, column, wanted.decimal);
  const missing = wanted.missing === 'error' ? undefined : countMissing(used);
  const rows = fillMissing(path, used, wanted.missing);
  return {
    columns: used.map(({ name }) => name),
    rows,
    values: interleave(used, rows),
    target: named ?? defaultTarget(path, used),
    ignored: wanted.columns === undefined ? table.columns.filter((column) => !used.includes(column)).map(({ name }) => name) : [],
    ...(missing === undefined ? {} : { missing }),
  };
}

function checkReadOptions(options: unknown): Wanted {
  const known = ['columns', 'target', 'decimal', 'delimiter', 'missing'] as const;
  const given = readOptions('readSeries options', options, known, { decimal: '.', missing: 'error' });
  return {
    columns: given.columns === undefined ? undefined : checkNames('columns', given.columns, 'column name'),
    target: given.target === undefined ? undefined : checkString('target', given.target),
    decimal: checkOneOf('decimal', given.decimal, ['.', ',']),
    delimiter: given.delimiter === undefined ? undefined : checkDelimiter(given.delimiter),
    missing: checkOneOf('missing', given.missing, MISSING_WAYS),
  };
}

function checkDelimiter(value: unknown): string {
  if (typeof value !== 'string' || value.length !== 1 || /[\p{L}\p{N}\p{Surrogate}"\r\n.+-]/u.test(value)) {
    fail('ERR_OPTION', 'delimiter', 'one character that no number, name or quote begins with, such as ";"', value);
  }
  return value;
}

function* readTable(path: string, { columns, decimal, delimiter, missing }: Wanted): Generator<void, Table> {
  const bytes = withFile(path, (descriptor) => readFileSync(descriptor));
  if (!isUtf8(bytes)) fileFault(path, 'text in UTF-8', 'other bytes', 'Save the file as "CSV UTF-8".');
  const wanted = columns === undefined ? undefined : new Set(columns);
  const builder = new TableBuilder(path, { decimal, fills: missing !== 'error', wanted });
  const between = delimiter ?? findDelimiter(path, bytes, decimal === ',' ? ';' : ',');
  try {
    yield* readRecords(path, bytes, between, (cells, lines) => builder.add(cells, lines));
  } catch (error) {
    throw error instanceof CsvError ? builder.quoteFault(error) : error;
  }
  return builder.finish();
}

function numericColumns(path: string, { columns }: Table, target: string | undefined): Column[] {
  // A target that holds no number is kept here, so that the error names its first cell.
  const used = columns.filter(({ name, isNumeric, isDates }) => name === target || (isNumeric && !isDates));
  if (used.length === 0) {
    const hint = 'Check the delimiter and the decimal mark. Dates in digits count as text unless columns names them.';
    fileFault(path, 'at least one column of numbers', `columns of text: ${listNames(columns)}`, hint);
  }
  return used;
}

function findColumn(path: string, { columns, names }: Table, option: string, name: string): Column {
  const column = columns.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  if (names.includes(name))
    fail('ERR_OPTION', option, `one of the columns ${listNames(columns)}`, name, 'Add it to columns: its past is an input.');
  const nearest = nearestName(name, names);
  const hint = nearest === undefined ? '' : ` Did you mean ${quote(nearest)}?`;
  const all = listNames(names.map((each) => ({ name: each })));
  throw new EvenkeelError('ERR_OPTION', `${option}: there is no column ${quote(name)} in ${path}.${hint} Its columns: ${all}.`);
}

function checkNumeric(path: string, { name, fault }: Column, decimal: DecimalMark): void {
  if (fault === undefined) return;
  const where = cellLabel(path, fault.line, quote(name));
  if (fault.text === '') {
    fileFault(
      where,
      'a number',
      'an empty cell',
      'Fill it in, remove the row, choose other columns, or say what to do with the option missing.',
    );
  }
  const hint = isMeantAsNumber(fault.text)
    ? `Write numbers with a decimal ${decimal === '.' ? "point (or give decimal: ',')" : 'comma'} and without thousands separators.`
    : 'Correct it, remove the row, or choose other columns.';
  fileFault(where, 'a finite number', quote(fault.text), hint);
}

function countMissing(columns: readonly Column[]): number {
  return columns.reduce((sum, { numbers, missing }) => sum + (missing === undefined ? 0 : numbers.filter(Number.isNaN).length), 0);
}

/** [R, C] from the columns */
function interleave(columns: readonly Column[], rows: number): Float64Array {
  const values = new Float64Array(rows * columns.length);
  for (const [c, { numbers }] of columns.entries()) {
    for (let r = 0; r < rows; r++) values[r * columns.length + c] = numbers[r] as number;
  }
  return values;
}

function listNames(columns: readonly { name: string }[]): string {
  const names = columns.slice(0, 20).map(({ name }) => quote(name));
  return `${names.join(', ')}${columns.length > 20 ? `, and ${columns.length - 20} more` : ''}`;
}
