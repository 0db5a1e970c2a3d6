import { closeSync, openSync, writeSync } from 'node:fs';
import { rethrow } from './file';

/** Bytes, and milliseconds, that may wait before they are written. */
const MOST_WAITING = 64 * 1024;
const LONGEST_WAIT = 1000;

/** A file that grows at its end by whole records, for those who read it meanwhile: what is written ends with a record. */
export class AppendedFile {
  readonly path: string;
  #descriptor: number | undefined;
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #lastWrite = performance.now();

  /**
   * @param flags of open(2): `'ax'` for a new file, `'a'` for one that may be there
   * @throws EvenkeelError ERR_FILE when it cannot be opened
   */
  constructor(path: string, flags: 'ax' | 'a' | 'w') {
    this.path = path;
    try {
      this.#descriptor = openSync(path, flags);
    } catch (cause) {
      rethrow('write', path, cause);
    }
  }

  /** @throws EvenkeelError ERR_FILE when it cannot be written */
  append(record: Uint8Array): void {
    if (this.#descriptor === undefined) return;
    this.#waiting.push(record);
    this.#bytes += record.length;
    if (this.#bytes >= MOST_WAITING || performance.now() - this.#lastWrite >= LONGEST_WAIT) this.flush();
  }

  /** Writes what waits. */
  flush(): void {
    if (this.#descriptor === undefined || this.#bytes === 0) return;
    const all = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#bytes = 0;
    this.#lastWrite = performance.now();
    try {
      for (let written = 0; written < all.length; ) written += writeSync(this.#descriptor, all, written);
    } catch (cause) {
      rethrow('write', this.path, cause);
    }
  }

  /** Writes what waits, and lets the file go; later records are passed over. */
  close(): void {
    if (this.#descriptor === undefined) return;
    try {
      this.flush();
    } finally {
      closeSync(this.#descriptor);
      this.#descriptor = undefined;
    }
  }
}
