import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { CsvError } from 'csv-parse/sync';
import { checkNames, checkOneOf, checkString, fail, nearestName, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { checkPath, fileFault, quote, withFile } from '../io/file';
import { atOnce, betweenEvents, type Slices } from '../slices';
import { type DecimalMark, isMeantAsNumber } from './csv-cells';
import { cellLabel } from './csv-keys';
import { orderRows, type RowOrder } from './csv-order';
import { findDelimiter, readRecords } from './csv-records';
import { type Column, type Table, TableBuilder } from './csv-table';
import { defaultTarget } from './default-target';
import { dropMissing, fillMissing, MISSING_WAYS, type Missing } from './missing';
import type { Series } from './series';
import type { TimeStyle } from './times';

/** A {@link Series} from a file. */
export interface SeriesFile extends Series {
  /** the file's other columns that were left out because they hold no number at all, such as dates */
  ignored: string[];
  /** how many cells of the columns used were missing and filled in or dropped; only where `missing` is not `'error'` */
  missing?: number;
  /** how the times of the file are written; only where `time` names their column */
  timeStyle?: TimeStyle;
}

/** How a file is written, and what becomes of its gaps. */
export interface SeriesFormat {
  /** the character before a fraction, `'.'` unless given */
  decimal?: DecimalMark;
  /** the character between cells; by default comma, semicolon or tab, whichever the header has */
  delimiter?: string;
  /**
   * What becomes of a missing cell: one that is empty, or NaN, NA, N/A, null, none, ?, - or a point. `'error'` unless given; `'forward'`, or
   * `'previous'`, repeats the value above; `'mean'` takes the mean of the whole column, later rows included ({@link Scaler} has one that leaves
   * them out); `'drop'` leaves out the row. Of several series each is filled in from its own rows.
   */
  missing?: Missing;
}

/** Options of readSeries. */
export interface ReadSeriesOptions extends SeriesFormat {
  /** which columns to use, in this order, and to check; without it all columns of numbers, in the file's order */
  columns?: readonly string[];
  /** the column to forecast, one of those used; by default the first that is neither constant nor a time nor a date */
  target?: string;
  /**
   * the column of dates or times, by which rows are then put in order: 2025-01-31, 31.01.2025, 1/31/2025, 31 Jan 2025, 20250131, with a time of day
   * and a zone (Z, +01:00) or without, or seconds or milliseconds since 1970. A time without a zone is taken for UTC.
   */
  time?: string;
  /** the column that says which of several series a row belongs to: each is then one of the result's `sequences` */
  sequenceId?: string;
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
  return atOnce(seriesInSlices(path, options));
}

/**
 * Reads a CSV file as {@link readSeries} does, in slices of some milliseconds between which the event loop goes on.
 * @throws (rejects with) EvenkeelError as readSeries throws
 */
export async function readSeriesAsync(path: string, options: ReadSeriesOptions = {}): Promise<SeriesFile> {
  return betweenEvents(seriesInSlices(path, options));
}

interface Wanted {
  columns?: string[];
  target?: string;
  time?: string;
  sequenceId?: string;
  decimal: DecimalMark;
  delimiter?: string;
  missing: Missing;
}

/** What {@link readSeries} does. */
export function* seriesInSlices(path: string, options: ReadSeriesOptions): Slices<SeriesFile> {
  checkPath('path', path);
  const wanted = checkReadOptions(options);
  const table = yield* readTable(path, wanted);
  const used = wanted.columns?.map((name) => findColumn(path, table, 'columns', name)) ?? numericColumns(path, table, wanted.target);
  const named = wanted.target === undefined ? undefined : used.indexOf(findColumn(path, table, 'target', wanted.target));
  if (named === -1)
    fail('ERR_OPTION', 'target', `one of the columns ${listNames(used)}`, wanted.target, 'Add it to columns: its past is an input.');
  for (const column of used) checkNumeric(path, column, wanted.decimal);
  const missing = wanted.missing === 'error' ? undefined : countMissing(used);
  const left = wanted.missing === 'drop' ? dropMissing(path, used, table.rows, table.keys) : table.rows;
  const order = orderRows(path, wanted.time ?? '', used, left, table.keys);
  const filled = missing === undefined || missing === 0 || wanted.missing === 'drop' ? undefined : markMissing(used, order);
  if (filled !== undefined) fillMissing(path, used, wanted.missing === 'mean' ? 'mean' : 'forward', order);
  const { rows, sequences, times } = order;
  return {
    columns: used.map(({ name }) => name),
    rows,
    values: interleave(used, rows),
    target: named ?? defaultTarget(path, used),
    ...(sequences && { sequences }),
    ...(times && { times, timeStyle: table.keys?.timeStyle }),
    ...(filled && { filled }),
    ignored: wanted.columns === undefined ? table.columns.filter((column) => !used.includes(column)).map(({ name }) => name) : [],
    ...(missing === undefined ? {} : { missing }),
  };
}

function checkReadOptions(options: unknown): Wanted {
  const known = ['columns', 'target', 'time', 'sequenceId', 'decimal', 'delimiter', 'missing'] as const;
  const given = readOptions('readSeries options', options, known, { decimal: '.', missing: 'error' });
  const nameOf = (option: 'target' | 'time' | 'sequenceId') =>
    given[option] === undefined ? undefined : checkString(option, given[option]);
  const columns = given.columns === undefined ? undefined : checkNames('columns', given.columns, 'column name');
  const [target, time, sequenceId] = [nameOf('target'), nameOf('time'), nameOf('sequenceId')];
  checkApart({ columns, target, time, sequenceId });
  return {
    columns,
    target,
    time,
    sequenceId,
    decimal: checkOneOf('decimal', given.decimal, ['.', ',']),
    delimiter: given.delimiter === undefined ? undefined : checkDelimiter(given.delimiter),
    missing: checkOneOf('missing', given.missing, MISSING_WAYS),
  };
}

/** What tells rows apart is no number to learn from. */
function checkApart({ columns, target, time, sequenceId }: Pick<Wanted, 'columns' | 'target' | 'time' | 'sequenceId'>): void {
  if (sequenceId !== undefined && sequenceId === time) fail('ERR_OPTION', 'sequenceId', 'another column than time', sequenceId);
  for (const name of [time, sequenceId]) {
    if (name === undefined) continue;
    if (name === target) fail('ERR_OPTION', 'target', 'another column than time and sequenceId', name);
    if (columns?.includes(name)) fail('ERR_OPTION', 'columns', 'none of time and sequenceId among them', name);
  }
}

function checkDelimiter(value: unknown): string {
  if (typeof value !== 'string' || value.length !== 1 || /[\p{L}\p{N}\p{Surrogate}"\r\n.+-]/u.test(value)) {
    fail('ERR_OPTION', 'delimiter', 'one character that no number, name or quote begins with, such as ";"', value);
  }
  return value;
}

function* readTable(path: string, wishes: Wanted): Slices<Table> {
  const { columns, decimal, delimiter, missing, time, sequenceId } = wishes;
  const bytes = withFile(path, (descriptor) => readFileSync(descriptor));
  if (!isUtf8(bytes)) fileFault(path, 'text in UTF-8', 'other bytes', 'Save the file as "CSV UTF-8".');
  const wanted = columns === undefined ? undefined : new Set(columns);
  const builder = new TableBuilder(path, { decimal, fills: missing !== 'error', wanted, time, sequenceId });
  const between = delimiter ?? findDelimiter(path, bytes, decimal === ',' ? ';' : ',');
  try {
    yield* readRecords(path, bytes, between, (cells, lines) => builder.add(cells, lines));
  } catch (error) {
    throw error instanceof CsvError ? builder.quoteFault(error) : error;
  }
  const table = builder.finish();
  for (const [option, name] of Object.entries({ time, sequenceId })) {
    if (name !== undefined && !table.names.includes(name)) failNoColumn(path, table.names, option, name);
  }
  return table;
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
  return failNoColumn(path, names, option, name);
}

function failNoColumn(path: string, names: readonly string[], option: string, name: string): never {
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
      "Fill it in, remove the row, choose other columns, or say what to do: missing: 'forward' (--missing forward).",
    );
  }
  const hint = isMeantAsNumber(fault.text)
    ? `Write numbers with a decimal ${decimal === '.' ? "point (or give decimal: ',', which is --decimal ,)" : 'comma'} and without thousands separators.`
    : 'Correct it, remove the row, or choose other columns.';
  fileFault(where, 'a finite number', quote(fault.text), hint);
}

function countMissing(columns: readonly Column[]): number {
  return columns.reduce((sum, { numbers, missing }) => sum + (missing === undefined ? 0 : numbers.filter(Number.isNaN).length), 0);
}

/** [R, C], 1 where a number is missing */
function markMissing(columns: readonly Column[], { rows }: RowOrder): Uint8Array {
  const marks = new Uint8Array(rows * columns.length);
  for (const [c, { numbers, missing }] of columns.entries()) {
    if (missing === undefined) continue;
    for (let r = 0; r < rows; r++) marks[r * columns.length + c] = Number(Number.isNaN(numbers[r]));
  }
  return marks;
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
