/**
 * A folder with everything about one sweep:
 * - `definition.json`: the grid, the version of this package and the sweep's id
 * - `trials.jsonl`: one line per finished trial, in the order in which they finished, each synced to disk before the next; the last line of
 *   a trial counts
 * - `lock`: held while a sweep runs
 */
import { randomUUID } from 'node:crypto';
import { closeSync, constants, fdatasyncSync, ftruncateSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isPlainObject } from '../check';
import { EvenkeelError } from '../errors';
import { syncFolder, writeFileAtomic } from '../io/atomic-file';
import { fileFault, isThere, openInPlace, readWhole, rethrow } from '../io/file';
import { prepareFolder } from '../io/folder';
import type { Outcome } from './executors/executor';
import { lockFile } from './file-lock';
import { type Grid, trialsOf } from './grid';
import { isGrid, isName, isStoredRecord, isSweepId, isTrial } from './schema';
import { canonicalJson, type Trial, trialHash } from './trial';

/** One line of a store: a trial and how it ended. */
export type TrialRecord = {
  hash: string;
  trial: Trial;
  /** ISO 8601 in UTC */
  finished: string;
} & Outcome;

/** One that ended well. */
export type DoneRecord = Extract<TrialRecord, { status: 'done' }>;

/** What a folder holds: `records` by the trial's hash, failed ones included. */
export interface StoredSweep {
  version: string;
  sweepId: string;
  grid: Grid;
  records: Map<string, TrialRecord>;
}

interface Header {
  schema: 'evenkeel/sweep';
  schemaVersion: 3;
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
      const before = isThere(header) ? readHeader(header) : undefined;
      if (before === undefined && isThere(journal)) {
        throw new EvenkeelError(
          'ERR_FILE',
          `${folder}: expected a sweep or an empty folder, got trials.jsonl without definition.json. Choose another folder.`,
        );
      }
      this.sweepId = before?.sweepId ?? randomUUID();
      const now: Header = { schema: 'evenkeel/sweep', schemaVersion: 3, version, sweepId: this.sweepId, grid };
      if (before === undefined || canonicalJson(before) !== canonicalJson(now)) writeFileAtomic(header, `${JSON.stringify(now)}\n`);
      this.#journal = new Journal(journal, version);
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
  return { version, sweepId, grid, records: isThere(journal) ? readClosedJournal(journal, version) : new Map() };
}

/** The records of the grid's trials, in its order; what an earlier grid or version left is not among them. */
export function recordsInOrder({ grid, version, records }: StoredSweep): TrialRecord[] {
  return [...trialsOf(grid)].flatMap((trial) => records.get(trialHash(trial, version)) ?? []);
}

function readHeader(path: string): Header {
  const header = parseObject(readInPlace(path, MAX_HEADER_BYTES).toString('utf8')) as Partial<Header> | undefined;
  const { schema, schemaVersion, version, sweepId, grid } = header ?? {};
  const isSound = schema === 'evenkeel/sweep' && schemaVersion === 3 && isName(version) && isSweepId(sweepId) && isGrid(grid);
  if (!isSound) {
    return fileFault(path, 'the definition of a sweep as this version of evenkeel writes it', 'something else', 'Choose another folder.');
  }
  return header as Header;
}

/** Of a grid of the most values, with room to spare; of a journal of the most trials. */
const MAX_HEADER_BYTES = 2 ** 26;
const MAX_JOURNAL_BYTES = 2 ** 31;

function readInPlace(path: string, most: number): Buffer {
  const descriptor = openInPlace(path, constants.O_RDONLY);
  try {
    return readWhole(path, most, descriptor);
  } catch (cause) {
    return rethrow('read', path, cause);
  } finally {
    closeSync(descriptor);
  }
}

class Journal {
  readonly records: Map<string, TrialRecord>;
  readonly #path: string;
  readonly #descriptor: number;
  /** in bytes: all before it are whole lines on the disk */
  #length: number;

  constructor(path: string, version: string) {
    this.#path = path;
    this.#descriptor = openInPlace(path, constants.O_RDWR | constants.O_CREAT);
    try {
      syncFolder(dirname(path));
      const bytes = readWhole(path, MAX_JOURNAL_BYTES, this.#descriptor);
      const { records, length } = parseJournal(path, bytes, version);
      checkTorn(path, bytes.subarray(length));
      this.records = records;
      this.#length = length;
      this.#cut();
    } catch (cause) {
      closeSync(this.#descriptor);
      rethrow('write', path, cause);
    }
  }

  append(record: TrialRecord): void {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    try {
      for (let written = 0; written < line.length; ) {
        written += writeSync(this.#descriptor, line, written, line.length - written, this.#length + written);
      }
      fdatasyncSync(this.#descriptor);
    } catch (cause) {
      try {
        this.#cut();
      } catch {
        // The next line is written over it; whoever opens the file next cuts it.
      }
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

/** How each line begins. */
const LINE_START = Buffer.from('{"hash":"');

/** What is cut off must be the beginning of a line, or the zeros that a crash left in its place: anything else is not the sweep's to drop. */
function checkTorn(path: string, rest: Buffer): void {
  const start = rest.subarray(0, LINE_START.length);
  if (start.every((byte) => byte === 0) || start.equals(LINE_START.subarray(0, start.length))) return;
  fileFault(path, 'the trials of a sweep', 'something else at its end', 'Choose another folder.');
}

function readClosedJournal(path: string, version: string): Map<string, TrialRecord> {
  return parseJournal(path, readInPlace(path, MAX_JOURNAL_BYTES), version).records;
}

/**
 * The records of the whole lines, and how many bytes these have. A line torn by a crash can only be the last one. Lines of another version are
 * passed over: their trials are none of this one's.
 */
function parseJournal(path: string, bytes: Buffer, version: string): { records: Map<string, TrialRecord>; length: number } {
  const records = new Map<string, TrialRecord>();
  let length = 0;
  for (const { line, number, end, isLast } of linesOf(bytes)) {
    const value = parseObject(line);
    const isOfVersion = isTrial(value?.trial) && value.hash === trialHash(value.trial, version);
    if (!(isOfVersion ? isStoredRecord(value) : isLine(value))) {
      if (isLast) break;
      return fileFault(
        `${path}, line ${number}`,
        'one trial as JSON',
        JSON.stringify(line.slice(0, 60)),
        'Delete the line: its trial is run again.',
      );
    }
    if (isOfVersion) records.set(value.hash as string, value as TrialRecord);
    length = end;
  }
  return { records, length };
}

/** A trial with its key, in whatever form another version gives it. */
function isLine(value: Record<string, unknown> | undefined): boolean {
  return typeof value?.hash === 'string' && isPlainObject(value.trial);
}

/** The lines that end in a newline; what follows the last newline is none. `end`: bytes up to and with it. */
function* linesOf(bytes: Buffer): Generator<{ line: string; number: number; end: number; isLast: boolean }> {
  const last = bytes.lastIndexOf(10) + 1;
  for (let start = 0, number = 1; start < last; number++) {
    const end = bytes.indexOf(10, start) + 1;
    yield { line: bytes.toString('utf8', start, end - 1), number, end, isLast: end === last };
    start = end;
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isPlainObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
