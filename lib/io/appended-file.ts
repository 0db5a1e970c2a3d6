import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { rethrow } from './file';

/** Bytes, and milliseconds, that may wait before they are written. */
const MOST_WAITING = 64 * 1024;
const LONGEST_WAIT = 1000;

/** Those in which records wait; what they hold is written when the process ends by itself. */
const waitingFiles = new Set<AppendedFile>();
let hasExitListener = false;

/**
 * A file that grows at its end by whole records, for those who read it meanwhile: what is written ends with a record. Records that could not be
 * written wait for the next try.
 */
export class AppendedFile {
  readonly path: string;
  /** undefined while the file is to be opened */
  #descriptor: number | undefined;
  #isClosed = false;
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  /** when the first that waits came */
  #since = 0;
  #timer: NodeJS.Timeout | undefined;
  /** why the file's last record may not be whole: nothing more is written after it */
  #fault: unknown;

  /**
   * @param flags of open(2): `'ax'` for a new file, `'a'` for one that may be there
   * @throws EvenkeelError ERR_FILE when it cannot be opened
   */
  constructor(path: string, flags: 'ax' | 'a' | 'w') {
    this.path = path;
    this.#descriptor = open(path, flags);
  }

  /** @throws EvenkeelError ERR_FILE when it cannot be written */
  append(record: Uint8Array): void {
    if (this.#isClosed) return;
    if (this.#bytes === 0) this.#startWaiting();
    this.#waiting.push(record);
    this.#bytes += record.length;
    // The timer alone would not do: it does not come while the caller computes without a pause.
    if (this.#bytes >= MOST_WAITING || performance.now() - this.#since >= LONGEST_WAIT) this.flush();
  }

  /**
   * Writes what waits.
   * @throws EvenkeelError ERR_FILE when it cannot be written
   */
  flush(): void {
    if (this.#isClosed || this.#bytes === 0) return;
    if (this.#fault !== undefined) rethrow('write', this.path, this.#fault);
    this.#descriptor ??= open(this.path, 'a');
    const all = Buffer.concat(this.#waiting);
    this.#waiting = [all];
    let written = 0;
    try {
      while (written < all.length) written += writeSync(this.#descriptor, all, written);
    } catch (cause) {
      if (written > 0) this.#takeBack(this.#descriptor, written);
      rethrow('write', this.path, cause);
    }
    this.#stopWaiting();
  }

  /** As flush, where there is nobody to tell: what cannot be written waits for the next who flushes. */
  flushQuietly(): void {
    try {
      this.flush();
    } catch {}
  }

  /** Takes the last bytes off the file again, among which is a part of a record. */
  #takeBack(descriptor: number, bytes: number): void {
    try {
      ftruncateSync(descriptor, fstatSync(descriptor).size - bytes);
    } catch (cause) {
      this.#fault = cause;
    }
  }

  #startWaiting(): void {
    this.#since = performance.now();
    this.#timer = setTimeout(() => this.flushQuietly(), LONGEST_WAIT).unref();
    waitingFiles.add(this);
    if (hasExitListener) return;
    hasExitListener = true;
    process.once('exit', () => {
      for (const file of waitingFiles) file.flushQuietly();
    });
  }

  #stopWaiting(): void {
    this.#waiting = [];
    this.#bytes = 0;
    clearTimeout(this.#timer);
    waitingFiles.delete(this);
  }

  /** Lets the file go, whose place another takes: that is opened when the next record is written. */
  reopen(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  /** Writes what waits, and lets the file go; later records are passed over. */
  close(): void {
    if (this.#isClosed) return;
    try {
      this.flush();
    } finally {
      this.#stopWaiting();
      this.#isClosed = true;
      if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    }
  }
}

function open(path: string, flags: string): number {
  try {
    return openSync(path, flags);
  } catch (cause) {
    rethrow('write', path, cause);
  }
}
