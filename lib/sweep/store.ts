/**
 * A folder with everything about one sweep:
 * - `definition.json`: the grid, the version of this package and the sweep's id
 * - `trials.jsonl`: one line per finished trial, in the order in which they finished, each synced to disk before the next; the last line of
 *   a trial counts
 * - `lock`: held while a sweep runs
 */
import { randomUUID } from 'node:crypto';
import { closeSync, constants, existsSync, fdatasyncSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isPlainObject } from '../check';
import { EvenkeelError } from '../errors';
import { syncFolder, writeFileAtomic } from '../io/atomic-file';
import { fileFault, rethrow, withFile } from '../io/file';
import { prepareFolder } from '../io/folder';
import type { Outcome } from './executors/executor';
import { lockFile } from './file-lock';
import { type Grid, isGrid, trialsOf } from './grid';
import { canonicalJson, type Trial, trialHash } from './trial';

/** One line of a store: a trial and how it ended. */
export type TrialRecord = {
  hash: string;
  trial: Trial;
  /** ISO 8601 in UTC */
  finished: string;
} & Outcome;

/** What a folder holds: `records` by the trial's hash, failed ones included. */
export interface StoredSweep {
  version: string;
  sweepId: string;
  grid: Grid;
  records: Map<string, TrialRecord>;
}

interface Header {
  schema: 'evenkeel/sweep';
  schemaVersion: 2;
  version: string;
  sweepId: string;
  grid: Grid;
}

const paths = (folder: string) => ({
  header: join(folder, 'definition.json'),
  journal: join(folder, 'trials.jsonl'),
  lock: join(folder, 'lock'),
});

/** A folder in which a sweep is running: this process alone writes to it. */
export class SweepStore {
  readonly sweepId: string;
  /** by hash */
  readonly records: Map<string, TrialRecord>;
  readonly #journal: Journal;
  readonly #unlock: () => void;

  /**
   * Opens a folder for a sweep, made if it is not there, and reads what it holds. A last line that was torn by a crash is cut off.
   * @throws EvenkeelError ERR_STATE when another process has it open, ERR_FILE for a folder or file that cannot be used
   */
  constructor(folder: string, grid: Grid, version: string) {
    prepareFolder(folder);
    const { header, journal, lock } = paths(folder);
    const unlock = lockFile(lock);
    if (unlock === undefined) {
      throw new EvenkeelError(
        'ERR_STATE',
        `${folder}: expected a folder in which no other sweep runs, got one that another process has open. Wait for its end, or choose another folder.`,
      );
    }
    try {
      const before = existsSync(header) ? readHeader(header) : undefined;
      if (before === undefined && existsSync(journal)) {
        throw new EvenkeelError(
          'ERR_FILE',
          `${folder}: expected a sweep or an empty folder, got trials.jsonl without definition.json. Choose another folder.`,
        );
      }
      this.sweepId = before?.sweepId ?? randomUUID();
      const now: Header = { schema: 'evenkeel/sweep', schemaVersion: 2, version, sweepId: this.sweepId, grid };
      if (before === undefined || canonicalJson(before) !== canonicalJson(now)) writeFileAtomic(header, `${JSON.stringify(now)}\n`);
      this.#journal = new Journal(journal);
      this.records = this.#journal.records;
      this.#unlock = unlock;
    } catch (error) {
      unlock();
      throw error;
    }
  }

  /** Adds a record and syncs it to disk; when that fails, the file is as it was before. */
  append(record: TrialRecord): void {
    this.#journal.append(record);
  }

  close(): void {
    this.#journal.close();
    this.#unlock();
  }
}

/**
 * Reads a store, also while its sweep runs.
 * @throws EvenkeelError ERR_FILE for a folder without a sweep, or with a damaged one
 */
export function readStore(folder: string): StoredSweep {
  const { header, journal } = paths(folder);
  const { version, sweepId, grid } = readHeader(header);
  return { version, sweepId, grid, records: existsSync(journal) ? readJournal(journal).records : new Map() };
}

/** The records of the grid's trials, in its order; what an earlier grid or version left is not among them. */
export function recordsInOrder({ grid, version, records }: StoredSweep): TrialRecord[] {
  return [...trialsOf(grid)].flatMap((trial) => records.get(trialHash(trial, version)) ?? []);
}

function readHeader(path: string): Header {
  const text = withFile(path, (descriptor) => readFileSync(descriptor, 'utf8'));
  const header = parseObject(text) as Partial<Header> | undefined;
  if (header?.schema !== 'evenkeel/sweep' || header.schemaVersion !== 2 || !isGrid(header.grid)) {
    return fileFault(path, 'the definition of a sweep as this version of evenkeel writes it', 'something else', 'Choose another folder.');
  }
  return header as Header;
}

class Journal {
  readonly records: Map<string, TrialRecord>;
  readonly #path: string;
  readonly #descriptor: number;
  /** in bytes: all before it are whole lines on the disk */
  #length: number;

  constructor(path: string) {
    this.#path = path;
    try {
      this.#descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o666);
      syncFolder(dirname(path));
    } catch (cause) {
      rethrow('write', path, cause);
    }
    const { records, length } = readJournal(path);
    this.records = records;
    this.#length = length;
    this.#cut();
  }

  append(record: TrialRecord): void {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    try {
      for (let written = 0; written < line.length; ) {
        written += writeSync(this.#descriptor, line, written, line.length - written, this.#length + written);
      }
      fdatasyncSync(this.#descriptor);
    } catch (cause) {
      this.#cut();
      rethrow('write', this.#path, cause);
    }
    this.#length += line.length;
    this.records.set(record.hash, record);
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** Drops what lies behind the last whole line. */
  #cut(): void {
    ftruncateSync(this.#descriptor, this.#length);
    fdatasyncSync(this.#descriptor);
  }
}

/** The records of the whole lines, and how many bytes these have. A line torn by a crash can only be the last one. */
function readJournal(path: string): { records: Map<string, TrialRecord>; length: number } {
  const records = new Map<string, TrialRecord>();
  let length = 0;
  for (const { line, number, end, isLast } of linesOf(path)) {
    const record = parseObject(line);
    if (!isRecord(record)) {
      if (isLast) break;
      return fileFault(
        `${path}, line ${number}`,
        'one trial as JSON',
        JSON.stringify(line.slice(0, 60)),
        'Delete the line: its trial is run again.',
      );
    }
    records.set(record.hash, record);
    length = end;
  }
  return { records, length };
}

function isRecord(given: object | undefined): given is TrialRecord {
  const value = given as Partial<Record<string, unknown>> | undefined;
  if (typeof value?.hash !== 'string' || !isPlainObject(value.trial)) return false;
  if (value.status === 'failed') return typeof value.reason === 'string';
  return value.status === 'done' && [value.measures, value.cost, value.cpuKind].every(isPlainObject);
}

/** The lines of a file that end in a newline; what follows the last newline is none. `end`: bytes up to and with it. */
function* linesOf(path: string): Generator<{ line: string; number: number; end: number; isLast: boolean }> {
  const bytes = withFile(path, (descriptor, size) => {
    const buffer = Buffer.alloc(size);
    let read = 0;
    for (let count = -1; count !== 0 && read < size; read += count)
      count = readSync(descriptor, buffer, read, Math.min(size - read, 2 ** 30), read);
    return buffer.subarray(0, read);
  });
  const last = bytes.lastIndexOf(10) + 1;
  for (let start = 0, number = 1; start < last; number++) {
    const end = bytes.indexOf(10, start) + 1;
    yield { line: bytes.toString('utf8', start, end - 1), number, end, isLast: end === last };
    start = end;
  }
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isPlainObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
