import { existsSync, readFileSync } from 'node:fs';
import { checkBoolean, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { AppendedFile } from '../io/appended-file';
import { checkDestination, writeFileAtomic } from '../io/atomic-file';
import { csvCell } from '../io/csv-cell';
import { rethrow } from '../io/file';
import { numbersOf } from './record';

/** Options of {@link CsvLog}. */
export interface CsvLogOptions {
  /**
   * Whether a file that is there goes on, as a training does that is resumed: rows of steps that are made again are replaced. Else it is written
   * anew. false unless given
   */
  append?: boolean;
}

/**
 * A log of a training as a CSV file: a row for each record that fit gives to `onStep` or `onEpoch`, a column for each of its numbers.
 * Where a record has numbers that none before had, as with validation every second epoch, the file is written anew with their columns. Rows are
 * whole, and each is written when it comes.
 *
 * @example
 * const model = new Linear({ inputSize: 2, outputSize: 1 });
 * const log = new CsvLog('training.csv');
 * await fit(model, [{ input: Tensor.from([[1, 2]]), target: Tensor.from([[3]]) }], {
 *   loss: mseLoss,
 *   optimizer: new SGD(model.parameters(), { learningRate: 0.1 }),
 *   onStep: log.onStep,
 * });
 * log.close();
 */
export class CsvLog {
  readonly path: string;
  readonly #appends: boolean;
  /** what the file goes on from */
  #begin: Log | undefined;
  #file: AppendedFile | undefined;
  #columns: readonly string[] = [];
  /** cells by column, of records for which the file has no columns yet: it could not be written anew */
  #waiting: ReadonlyMap<string, string>[] = [];
  #isClosed = false;

  /** @throws EvenkeelError ERR_FILE when the file cannot be written, ERR_OPTION */
  constructor(path: string, options: CsvLogOptions = {}) {
    const { append = false } = readOptions('CsvLog options', options, ['append']);
    this.#appends = checkBoolean('append', append);
    this.path = checkDestination('path', path);
  }

  /**
   * For `onStep`.
   * @throws EvenkeelError ERR_FILE when the file cannot be written, or the one that goes on has other columns, those of a validation aside; ERR_OPTION for another record
   */
  readonly onStep = (record: object): void => this.#write(record);

  /**
   * For `onEpoch`, of a log of its own: its records have other columns.
   * @throws EvenkeelError as onStep
   */
  readonly onEpoch = (record: object): void => this.#write(record);

  /**
   * Writes what could not be written when it came.
   * @throws EvenkeelError ERR_FILE where it still cannot
   */
  flush(): void {
    for (let row = this.#waiting[0]; row !== undefined; row = this.#waiting[0]) {
      const cells = row;
      const file = this.#fileWith([...cells.keys()]);
      this.#waiting.shift();
      file.append(Buffer.from(`${this.#columns.map((column) => cells.get(column) ?? '').join(',')}\n`));
    }
    this.#file?.flush();
  }

  /** Writes what could not be written when it came, and ends the log: what comes later is passed over. */
  close(): void {
    this.#isClosed = true;
    try {
      this.flush();
    } finally {
      this.#waiting = [];
      this.#file?.close();
    }
  }

  #write(record: unknown): void {
    if (this.#isClosed) return;
    const { step, numbers } = numbersOf('record', record);
    const row = new Map(numbers.map(([name, value]) => [csvCell(name), csvCell(value)]));
    this.#begin ??= this.#logBefore(step, [...row.keys()]);
    this.#waiting.push(row);
    // Each by itself: a checkpoint that is written next goes on after it, so a row that waited would be missing for good.
    this.flush();
  }

  /** What is there already and stays. */
  #logBefore(step: number, columns: readonly string[]): Log {
    const log = this.#appends && existsSync(this.path) ? readLog(this.path) : { columns: [], rows: [] };
    if (log.columns.length > 0 && lasting(log.columns) !== lasting(columns)) {
      const [expected, got] = [columns, log.columns].map((all) => all.join(',').slice(0, 200));
      throw new EvenkeelError('ERR_FILE', `${this.path}: expected a log with the columns ${expected}, got ${got}.`);
    }
    const at = log.columns.indexOf('step');
    return { columns: log.columns, rows: log.rows.filter((row) => Number(row.split(',')[at]) < step) };
  }

  /** The file with these columns: where it lacks some it is written anew, with nothing there in the rows before. */
  #fileWith(wanted: readonly string[]): AppendedFile {
    if (this.#file !== undefined && wanted.every((column) => this.#columns.includes(column))) return this.#file;
    this.#file?.flush();
    const { columns, rows } = this.#file === undefined ? (this.#begin as Log) : { columns: this.#columns, rows: readLog(this.path).rows };
    const added = wanted.filter((column) => !columns.includes(column));
    const all = [...columns, ...added];
    // Before another file takes its place, since Windows replaces none that is open.
    this.#file?.reopen();
    // A log without columns has no rows.
    writeFileAtomic(this.path, [all.join(','), ...rows.map((row) => row + ','.repeat(added.length)), ''].join('\n'));
    this.#columns = all;
    this.#file ??= new AppendedFile(this.path, 'a');
    return this.#file;
  }
}

/** A log's columns, as the header writes their names, and its rows; a last row that was cut off counts for none. */
interface Log {
  columns: readonly string[];
  rows: readonly string[];
}

/** The columns but those of a validation, which not every record has. */
function lasting(columns: readonly string[]): string {
  return columns.filter((column) => !/^"?validation\./.test(column)).join(',');
}

function readLog(path: string): Log {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    rethrow('read', path, cause);
  }
  // A name may have commas and line ends, in quotes.
  const [header] = /^(?:"(?:[^"]|"")*"|[^"\n])*\n/.exec(text) ?? [];
  const cells = header?.slice(0, -1).match(/(?:"(?:[^"]|"")*"|[^,"])+/g);
  // No log: its first line is no header.
  if (header === undefined || !cells) return { columns: text.split('\n', 1).slice(0, text.includes('\n') ? 1 : 0), rows: [] };
  const rows = text.slice(header.length).split('\n').slice(0, -1);
  return { columns: cells, rows };
}
