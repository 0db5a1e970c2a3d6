import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { CsvError, parse } from 'csv-parse/sync';
import { checkNames, checkString, fail, nearestName, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { checkPath, fileFault, quote, withFile } from '../io/file';

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
}

/** A {@link Series} from a file. */
export interface SeriesFile extends Series {
  /** the file's other columns that were left out because they hold no number at all, such as dates */
  ignored: string[];
}

/** Options of readSeries. */
export interface ReadSeriesOptions {
  /** which columns to use, in this order; without it all columns of numbers, in the file's order */
  columns?: readonly string[];
  /** the column to forecast, one of those used; by default the first */
  target?: string;
}

/**
 * Reads a CSV file with a header line as a time series, the earliest row first. UTF-8, with or without byte order mark; any line ending;
 * delimiter comma, semicolon or tab, whichever the header has. Numbers have a decimal point and no thousands separators.
 *
 * A column without any number (dates, words, nothing) is left out unless it is asked for by name; in a column that is used every cell
 * must be a number.
 * @throws EvenkeelError ERR_FILE with path, line and column for what is wrong in the file (the header is line 1), or with the reason why it
 * cannot be read; ERR_OPTION for an unknown option or column
 */
export function readSeries(path: string, options: ReadSeriesOptions = {}): SeriesFile {
  checkPath('path', path);
  const given = readOptions('readSeries options', options, ['columns', 'target']);
  const wanted = given.columns === undefined ? undefined : checkNames('columns', given.columns, 'column name');
  const target = given.target === undefined ? undefined : checkString('target', given.target);

  const table = readTable(path);
  const used = wanted?.map((name) => findColumn(path, table, 'columns', name)) ?? numericColumns(path, table, target);
  const targetIndex = target === undefined ? 0 : used.indexOf(findColumn(path, table, 'target', target));
  if (targetIndex < 0)
    fail('ERR_OPTION', 'target', `one of the columns ${listNames(used)}`, target, 'Add it to columns: its past is an input.');
  for (const column of used) checkNumeric(path, column);
  return {
    columns: used.map(({ name }) => name),
    rows: table.rows,
    values: interleave(used, table.rows),
    target: targetIndex,
    ignored: wanted === undefined ? table.columns.filter((column) => !used.includes(column)).map(({ name }) => name) : [],
  };
}

interface Column {
  name: string;
  /** one per row, NaN where the cell is no number */
  numbers: number[];
  /** whether any cell is a number, or plainly meant as one */
  isNumeric: boolean;
  /** the first cell that is no number */
  fault?: { line: number; cell: string };
}

interface Table {
  columns: Column[];
  rows: number;
}

function readTable(path: string): Table {
  const bytes = withFile(path, (descriptor) => readFileSync(descriptor));
  if (!isUtf8(bytes)) fileFault(path, 'text in UTF-8', 'other bytes', 'Save the file as "CSV UTF-8".');
  const builder = new TableBuilder(path);
  try {
    parse(bytes, {
      bom: true,
      delimiter: findDelimiter(path, bytes),
      record_delimiter: ['\r\n', '\n', '\r'],
      relax_column_count: true,
      trim: true,
      on_record: (cells: string[]) => {
        builder.add(cells);
        return null;
      },
    });
  } catch (error) {
    throw error instanceof CsvError ? builder.quoteFault(error) : error;
  }
  return builder.finish();
}

const DELIMITERS = { ',': 'comma', ';': 'semicolon', '\t': 'tab' } as const;
type Delimiter = keyof typeof DELIMITERS;

/** The one delimiter that stands in the header line outside quotes. */
function findDelimiter(path: string, bytes: Uint8Array): Delimiter {
  const found = new Set<Delimiter>();
  let quoted = false;
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    if (character === '"') quoted = !quoted;
    else if (!quoted && (character === '\n' || character === '\r')) break;
    else if (!quoted && character in DELIMITERS) found.add(character as Delimiter);
  }
  const [delimiter = ',', second] = found;
  if (second !== undefined) {
    fileFault(
      `${path}, line 1`,
      'one kind of delimiter',
      `${DELIMITERS[delimiter]} and ${DELIMITERS[second]}`,
      'Put column names that contain one of them in double quotes.',
    );
  }
  return delimiter;
}

/** Takes records one by one, the header first, and keeps count of the lines they stand on. */
class TableBuilder {
  #columns: Column[] | undefined;
  #rows = 0;
  /** the line on which the next record begins */
  #line = 1;
  #blankLine: number | undefined;

  constructor(private readonly path: string) {}

  add(cells: string[]): void {
    if (cells.length === 1 && cells[0] === '') this.#blankLine ??= this.#line;
    else if (this.#columns === undefined) this.#columns = this.#readHeader(cells);
    else this.#addRow(this.#columns, cells);
    // A quoted cell may run over several lines.
    for (const cell of cells) this.#line += cell.match(/\r\n|\n|\r/g)?.length ?? 0;
    this.#line++;
  }

  finish(): Table {
    if (this.#columns === undefined) return fileFault(this.path, 'a header line with column names', 'an empty file');
    if (this.#rows === 0) fileFault(this.path, 'rows of numbers under the header', 'only a header');
    return { columns: this.#columns, rows: this.#rows };
  }

  /** What the parser threw, in our words: it has only three complaints, all about double quotes. */
  quoteFault(error: CsvError): EvenkeelError {
    const index = typeof error.column === 'number' ? error.column : 0;
    const name = this.#columns?.[index]?.name;
    const column = name === undefined ? `number ${index + 1}` : quote(name);
    const reason =
      error.code === 'CSV_QUOTE_NOT_CLOSED' ? 'a double quote is opened and never closed' : 'a double quote stands inside a cell';
    return new EvenkeelError(
      'ERR_FILE',
      `${cellLabel(this.path, this.#line, column)}: ${reason}. Quote the whole cell and double the quotes in it.`,
      { cause: error },
    );
  }

  #readHeader(names: string[]): Column[] {
    if (this.#blankLine !== undefined) fileFault(`${this.path}, line 1`, 'a header with column names', 'an empty line');
    if (names.every((name) => readNumber(name) !== undefined)) {
      fileFault(`${this.path}, line 1`, 'a header with column names', 'only numbers', 'Put a line with one name per column first.');
    }
    for (const [i, name] of names.entries()) {
      const where = `${this.path}, line 1, column number ${i + 1}`;
      if (name === '') fileFault(where, 'a column name', 'none', 'Give the column a name, or remove it (pandas: to_csv(index=False)).');
      if (names.indexOf(name) !== i) fileFault(where, 'a name that no other column has', quote(name));
    }
    return names.map((name) => ({ name, numbers: [], isNumeric: false }));
  }

  #addRow(columns: Column[], cells: string[]): void {
    if (this.#blankLine !== undefined) fileFault(`${this.path}, line ${this.#blankLine}`, 'a row', 'an empty line', 'Remove it.');
    if (cells.length !== columns.length) {
      fileFault(`${this.path}, line ${this.#line}`, `${columns.length} cells as in the header`, `${cells.length}`);
    }
    for (const [i, column] of columns.entries()) {
      const cell = cells[i] as string;
      const number = readNumber(cell);
      column.numbers.push(number ?? Number.NaN);
      if (number === undefined) column.fault ??= { line: this.#line, cell };
      column.isNumeric ||= number !== undefined || SEPARATED.test(cell);
    }
    this.#rows++;
  }
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
/** 1,234.5 or 1 234 or 3,5: meant as a number, but not to be guessed. */
const SEPARATED = /^[+-]?\d[\d.]*(?:[,' _\u00a0\u202f][\d.]+)+$/;

/** The finite number a cell holds, if it does. Not Number(cell), which takes '', '0x10' and 'Infinity'. */
function readNumber(cell: string): number | undefined {
  if (!NUMBER.test(cell)) return undefined;
  const number = Number(cell);
  return Number.isFinite(number) ? number : undefined;
}

function numericColumns(path: string, { columns }: Table, target: string | undefined): Column[] {
  // A target that holds no number is kept here, so that the error names its first cell.
  const used = columns.filter((column) => column.isNumeric || column.name === target);
  if (used.length === 0) {
    fileFault(
      path,
      'at least one column of numbers',
      `columns of text: ${listNames(columns)}`,
      'Check the delimiter, and that numbers have a decimal point.',
    );
  }
  return used;
}

function findColumn(path: string, { columns }: Table, option: string, name: string): Column {
  const column = columns.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  const nearest = nearestName(
    name,
    columns.map((candidate) => candidate.name),
  );
  const hint = nearest === undefined ? '' : ` Did you mean ${quote(nearest)}?`;
  throw new EvenkeelError(
    'ERR_OPTION',
    `${option}: there is no column ${quote(name)} in ${path}.${hint} Its columns: ${listNames(columns)}.`,
  );
}

function checkNumeric(path: string, { name, fault }: Column): void {
  if (fault === undefined) return;
  const where = cellLabel(path, fault.line, quote(name));
  if (fault.cell === '') fileFault(where, 'a number', 'an empty cell', 'Fill it in, remove the row, or choose other columns.');
  const hint = SEPARATED.test(fault.cell)
    ? 'Write numbers with a decimal point and without thousands separators.'
    : 'Correct it, remove the row, or choose other columns.';
  fileFault(where, 'a finite number', quote(fault.cell), hint);
}

/** [R, C] from the columns */
function interleave(columns: readonly Column[], rows: number): Float64Array {
  const values = new Float64Array(rows * columns.length);
  for (const [c, { numbers }] of columns.entries()) {
    for (let r = 0; r < rows; r++) values[r * columns.length + c] = numbers[r] as number;
  }
  return values;
}

function cellLabel(path: string, line: number, column: string): string {
  return `${path}, line ${line}, column ${column}`;
}

function listNames(columns: readonly Column[]): string {
  const names = columns.slice(0, 20).map(({ name }) => quote(name));
  return `${names.join(', ')}${columns.length > 20 ? `, and ${columns.length - 20} more` : ''}`;
}
