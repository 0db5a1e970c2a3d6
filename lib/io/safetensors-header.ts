import { fileFault, quote } from './file';

/** One tensor as a safetensors header describes it; `begin` and `end` count bytes from the start of the data section. */
export interface HeaderEntry {
  name: string;
  dtype: string;
  shape: number[];
  begin: number;
  end: number;
}

/** The reserved name under which a header may carry text of its own. */
export const METADATA_KEY = '__metadata__';

/** The end of every message about a header that breaks the format. */
export const DAMAGED = 'The file is damaged or not a safetensors file.';

const SPACES: ReadonlySet<string> = new Set([' ', '\t', '\n', '\r']);

/** As many dimensions as a Tensor can have. */
const MAX_DIMENSIONS = 32;

/**
 * Reads the header of a safetensors file: a JSON object of `{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}`, with text
 * pairs under `__metadata__`, which are checked and dropped. It takes exactly this grammar and nothing else, because JSON.parse would
 * silently merge duplicate names, swallow `__proto__` and take 1.0 or -0 for a size.
 * @throws EvenkeelError ERR_FILE with the path, the place and the reason
 */
export function parseHeader(path: string, text: string): HeaderEntry[] {
  return new HeaderReader(path, text).read();
}

class HeaderReader {
  #at = 0;

  constructor(
    private readonly path: string,
    private readonly text: string,
  ) {}

  read(): HeaderEntry[] {
    const entries: HeaderEntry[] = [];
    // The format wants the brace first, so that no other kind of file can pass for this one.
    if (!this.text.startsWith('{')) this.#fail('"{" as the first character');
    this.#readObject('the header', (name, nameAt) => {
      if (name === '') this.#fail('a tensor name of at least one character', nameAt);
      if (name === METADATA_KEY) this.#readObject(METADATA_KEY, () => this.#readString('a text'));
      else entries.push(this.#readEntry(name));
    });
    this.#skipSpace();
    if (this.#at !== this.text.length) this.#fail('nothing but spaces after the closing "}"');
    return entries;
  }

  #readEntry(name: string): HeaderEntry {
    const start = this.#at;
    const fields: { dtype?: string; shape?: number[]; data_offsets?: number[] } = {};
    this.#readObject('the entry', (key, keyAt) => {
      if (key === 'dtype') fields.dtype = this.#readString('the name of an element type');
      else if (key === 'shape') fields.shape = this.#readIntegers(MAX_DIMENSIONS);
      else if (key === 'data_offsets') fields.data_offsets = this.#readIntegers(2);
      else this.#fail('dtype, shape or data_offsets', keyAt);
    });
    const { dtype, shape, data_offsets: [begin, end] = [] } = fields;
    if (dtype === undefined || shape === undefined || begin === undefined || end === undefined) {
      return this.#fail(`dtype, shape and two data_offsets for tensor ${quote(name)}`, start);
    }
    return { name, dtype, shape, begin, end };
  }

  #readObject(what: string, readValue: (key: string, keyAt: number) => void): void {
    const seen = new Set<string>();
    this.#expect('{');
    if (this.#accept('}')) return;
    do {
      this.#skipSpace();
      const keyAt = this.#at;
      const key = this.#readString('a name in double quotes');
      if (seen.has(key)) this.#fail(`a name that is not in ${what} already`, keyAt);
      seen.add(key);
      this.#expect(':');
      readValue(key, keyAt);
    } while (this.#accept(','));
    this.#expect('}');
  }

  #readIntegers(maxLength: number): number[] {
    const integers: number[] = [];
    this.#expect('[');
    if (this.#accept(']')) return integers;
    do {
      if (integers.length === maxLength) this.#fail(`at most ${maxLength} numbers in a row`);
      integers.push(this.#readInteger());
    } while (this.#accept(','));
    this.#expect(']');
    return integers;
  }

  #readInteger(): number {
    this.#skipSpace();
    const digits = /(?:0|[1-9]\d*)(?![\d.eE])/y;
    digits.lastIndex = this.#at;
    const value = Number(digits.exec(this.text)?.[0] ?? Number.NaN);
    if (!Number.isSafeInteger(value)) this.#fail('a whole number from 0 to 2^53 - 1');
    this.#at = digits.lastIndex;
    return value;
  }

  #readString(expected: string): string {
    this.#skipSpace();
    const start = this.#at;
    if (this.text[start] !== '"') this.#fail(expected);
    let end = start + 1;
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === '\\' ? 2 : 1;
    let value: string;
    try {
      value = JSON.parse(this.text.slice(start, end + 1));
    } catch {
      return this.#fail('a closed string without stray backslashes or control characters');
    }
    if (/\p{Surrogate}/u.test(value)) this.#fail('a string of whole Unicode characters');
    this.#at = end + 1;
    return value;
  }

  #accept(character: string): boolean {
    this.#skipSpace();
    if (this.text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #expect(character: string): void {
    if (!this.#accept(character)) this.#fail(`"${character}"`);
  }

  #skipSpace(): void {
    while (SPACES.has(this.text[this.#at] ?? '')) this.#at++;
  }

  #fail(expected: string, at = this.#at): never {
    const got = at < this.text.length ? quote(this.text.slice(at, at + 20)) : 'its end';
    fileFault(`${this.path}, header, character ${at + 1}`, expected, got, DAMAGED);
  }
}
