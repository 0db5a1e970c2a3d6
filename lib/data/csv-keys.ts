import { EvenkeelError } from '../errors';
import { fileFault, quote } from '../io/file';
import { TimeReader, type TimeStyle } from './times';

/** Names a place in a file, as errors do. */
export function cellLabel(path: string, line: number, column: string): string {
  return `${path}, line ${line}, column ${column}`;
}

/** When each row is, and which of several series it belongs to. */
export interface RowKeys {
  /** of each row, from 1 */
  lines: number[];
  times?: number[];
  timeStyle?: TimeStyle;
  /** of each row, an index in `ids` */
  sequences?: number[];
  ids: string[];
}

/** Reads, row by row, when each is and which series it belongs to. */
export class KeyReader {
  readonly #path: string;
  readonly #time: { name: string; index: number; reader: TimeReader; texts: string[] } | undefined;
  readonly #id: { name: string; index: number } | undefined;
  readonly #lines: number[] = [];
  readonly #sequences: number[] = [];
  readonly #ids = new Map<string, number>();

  constructor(path: string, names: readonly string[], time: string | undefined, sequenceId: string | undefined) {
    this.#path = path;
    // A name that the header lacks is refused by whoever asked for it, once all names are known.
    const indexOf = (name: string | undefined) => (name === undefined ? -1 : names.indexOf(name));
    if (indexOf(time) !== -1) this.#time = { name: time as string, index: indexOf(time), reader: new TimeReader(), texts: [] };
    if (indexOf(sequenceId) !== -1) this.#id = { name: sequenceId as string, index: indexOf(sequenceId) };
  }

  add(cells: readonly string[], line: number): void {
    this.#lines.push(line);
    if (this.#time !== undefined) {
      const text = cells[this.#time.index] as string;
      this.#time.reader.add(text);
      // Of the first ones, for an error; a file may have millions.
      if (this.#time.texts.length < 3) this.#time.texts.push(text);
    }
    if (this.#id === undefined) return;
    const id = cells[this.#id.index] as string;
    if (id === '') fileFault(cellLabel(this.#path, line, quote(this.#id.name)), 'the name of a series', 'an empty cell');
    const known = this.#ids.get(id) ?? this.#ids.size;
    this.#ids.set(id, known);
    this.#sequences.push(known);
  }

  finish(): RowKeys {
    return {
      lines: this.#lines,
      ...(this.#time !== undefined && { times: this.#finishTimes(this.#time), timeStyle: this.#time.reader.style }),
      ...(this.#id !== undefined && { sequences: this.#sequences }),
      ids: [...this.#ids.keys()],
    };
  }

  #finishTimes({ name, reader, texts }: { name: string; reader: TimeReader; texts: string[] }): number[] {
    const times = reader.finish();
    if (times === 'ambiguous') {
      throw new EvenkeelError(
        'ERR_FILE',
        `${this.#path}, column ${quote(name)}: expected dates that can be read in one way, got ${texts.map((text) => quote(text)).join(', ')}, where day and month may be meant either way round. Write them as 2025-01-31.`,
      );
    }
    if (Array.isArray(times)) return times;
    return fileFault(
      cellLabel(this.#path, this.#lines[times.fault] as number, quote(name)),
      'a date or time such as 2025-01-31, 31.01.2025 13:30 or 2025-01-31T13:30:00+01:00',
      quote(times.text),
    );
  }
}
