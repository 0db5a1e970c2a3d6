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
 * A log of a training as a CSV file: a row for each record that fit gives to `onStep` or `onEpoch`, a column for each of its numbers; which, the
 * first record says. Rows are whole; at most a second of them waits to be written.
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
  #file: AppendedFile | undefined;
  #columns: readonly string[] = [];
  #isClosed = false;

  /** @throws EvenkeelError ERR_FILE when the file cannot be written, ERR_OPTION */
  constructor(path: string, options: CsvLogOptions = {}) {
    const { append = false } = readOptions('CsvLog options', options, ['append']);
    this.#appends = checkBoolean('append', append);
    this.path = checkDestination('path', path);
  }

  /**
   * For `onStep`.
   * @throws EvenkeelError ERR_FILE when the file cannot be written, or goes on with other columns; ERR_OPTION for another record
   */
  readonly onStep = (record: object): void => this.#write(record);

  /**
   * For `onEpoch`, of a log of its own: its records have other columns.
   * @throws EvenkeelError as onStep
   */
  readonly onEpoch = (record: object): void => this.#write(record);

  /** Writes what waits. */
  flush(): void {
    this.#file?.flush();
  }

  /** Writes what waits, and ends the log: what comes later is passed over. */
  close(): void {
    this.#isClosed = true;
    this.#file?.close();
  }

  #write(record: unknown): void {
    if (this.#isClosed) return;
    const { step, numbers } = numbersOf('record', record);
    this.#file ??= this.#open(
      step,
      numbers.map(([name]) => name),
    );
    const values = new Map(numbers);
    this.#file.append(Buffer.from(`${this.#columns.map((name) => csvCell(values.get(name))).join(',')}\n`));
  }

  #open(step: number, columns: readonly string[]): AppendedFile {
    const header = columns.map((name) => csvCell(name)).join(',');
    this.#columns = columns;
    const kept = this.#appends && existsSync(this.path) ? rowsBefore(this.path, step, header, columns.indexOf('step')) : [];
    writeFileAtomic(this.path, [header, ...kept, ''].join('\n'));
    return new AppendedFile(this.path, 'a');
  }
}

/** The rows of steps before this one; a last row that was cut off counts for none. */
function rowsBefore(path: string, step: number, header: string, column: number): string[] {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    rethrow('read', path, cause);
  }
  const [first, ...rows] = text.split('\n').slice(0, -1);
  if (first === undefined) return [];
  if (first !== header) {
    throw new EvenkeelError('ERR_FILE', `${path}: expected a log with the columns ${header.slice(0, 200)}, got ${first.slice(0, 200)}.`);
  }
  return rows.filter((row) => Number(row.split(',')[column]) < step);
}
