import type { CsvError } from 'csv-parse/sync';
import { EvenkeelError } from '../errors';
import { fileFault, quote } from '../io/file';
import { type DecimalMark, isDateInDigits, isMeantAsNumber, isMissing, readNumber } from './csv-cells';
import { cellLabel, KeyReader, type RowKeys } from './csv-keys';

/** One column of a file. */
export interface Column {
  name: string;
  /** where in a row */
  index: number;
  /** one per row, NaN where the cell is no number */
  numbers: number[];
  /** whether every number is a date in digits */
  isDates: boolean;
  /** whether any cell is a number, or plainly meant as one */
  isNumeric: boolean;
  /** the first cell that is neither a number nor, where such are filled in, missing */
  fault?: Cell;
  /** the first missing cell, where such are filled in */
  missing?: Cell;
}

interface Cell {
  line: number;
  text: string;
}

export interface Table {
  /** of all columns, in the file's order */
  names: string[];
  /** those that matter */
  columns: Column[];
  rows: number;
  /** what tells rows apart, where a column for it was named */
  keys?: RowKeys;
}

/** What a table is read as. */
export interface TableOptions {
  decimal: DecimalMark;
  /** whether cells may be missing */
  fills: boolean;
  /** the columns that matter; all without it */
  wanted?: ReadonlySet<string>;
  /** the column of dates or times */
  time?: string;
  /** the column that names each row's series */
  sequenceId?: string;
}

/** Takes records one by one, the header first, and keeps count of the lines they stand on. */
export class TableBuilder {
  #names: string[] = [];
  #columns: Column[] | undefined;
  #rows = 0;
  /** the line on which the next record begins */
  #line = 1;
  #blankLine: number | undefined;
  #keys: KeyReader | undefined;

  constructor(
    private readonly path: string,
    private readonly options: TableOptions,
  ) {}

  add(cells: string[], lines: number): void {
    if (cells.length === 1 && cells[0] === '') this.#blankLine ??= this.#line;
    else if (this.#columns === undefined) this.#columns = this.#readHeader(cells);
    else this.#addRow(this.#columns, cells);
    this.#line += lines;
  }

  finish(): Table {
    if (this.#columns === undefined) return fileFault(this.path, 'a header line with column names', 'an empty file');
    if (this.#rows === 0) fileFault(this.path, 'rows of numbers under the header', 'only a header');
    return { names: this.#names, columns: this.#columns, rows: this.#rows, ...(this.#keys && { keys: this.#keys.finish() }) };
  }

  /** What the parser threw, in our words: it has only three complaints, all about double quotes. */
  quoteFault(error: CsvError): EvenkeelError {
    const index = typeof error.column === 'number' ? error.column : 0;
    const name = this.#names[index];
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
    if (names.every((name) => !Number.isNaN(readNumber(name, this.options.decimal)))) {
      fileFault(`${this.path}, line 1`, 'a header with column names', 'only numbers', 'Put a line with one name per column first.');
    }
    this.#names = names;
    const { time, sequenceId } = this.options;
    if (time !== undefined || sequenceId !== undefined) this.#keys = new KeyReader(this.path, names, time, sequenceId);
    const seen = new Set<string>();
    const columns: Column[] = [];
    for (const [index, name] of names.entries()) {
      if (this.options.wanted?.has(name) === false || name === time || name === sequenceId) continue;
      const where = `${this.path}, line 1, column number ${index + 1}`;
      if (name === '') {
        fileFault(where, 'a column name', 'none', 'Name it, remove it (pandas: to_csv(index=False)), or choose others with columns.');
      }
      if (seen.has(name)) fileFault(where, 'a name that no other column has', quote(name));
      seen.add(name);
      columns.push({ name, index, numbers: [], isDates: true, isNumeric: false });
    }
    return columns;
  }

  #addRow(columns: Column[], cells: string[]): void {
    if (this.#blankLine !== undefined) fileFault(`${this.path}, line ${this.#blankLine}`, 'a row', 'an empty line', 'Remove it.');
    if (cells.length !== this.#names.length) {
      fileFault(`${this.path}, line ${this.#line}`, `${this.#names.length} cells as in the header`, `${cells.length}`);
    }
    this.#keys?.add(cells, this.#line);
    for (const column of columns) {
      const text = cells[column.index] as string;
      const number = readNumber(text, this.options.decimal);
      column.numbers.push(number);
      if (!Number.isNaN(number)) {
        column.isNumeric = true;
        column.isDates &&= isDateInDigits(text);
      } else if (this.options.fills && isMissing(text)) column.missing ??= { line: this.#line, text };
      else {
        column.fault ??= { line: this.#line, text };
        if (!column.isNumeric && isMeantAsNumber(text)) {
          column.isNumeric = true;
          column.isDates = false;
        }
      }
    }
    this.#rows++;
  }
}
