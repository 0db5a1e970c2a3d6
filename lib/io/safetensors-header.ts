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
/** As deep as Python's reader follows values that mean nothing to it, so that no stack overflows. */
const MAX_DEPTH = 125;

const DIGITS = /(?:0|[1-9]\d*)(?![\d.eE])/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

interface Fields {
  dtype?: string;
  shape?: number[];
  data_offsets?: number[];
}

/** What a header holds: tensors in its order, and text by name, a record without a prototype. */
export interface Header {
  entries: HeaderEntry[];
  metadata: Record<string, string>;
}

/**
 * Reads the header of a safetensors file: a JSON object of `{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}`, with text
 * pairs under `__metadata__`. It takes what Python's safetensors takes and nothing else: JSON.parse would swallow `__proto__` and take 1.0 or
 * -0 for a size. Of a name that comes twice the last counts; the tensors must cover the data without the others.
 * @throws EvenkeelError ERR_FILE with the path, the place and the reason
 */
export function parseHeader(path: string, text: string): Header {
  return new HeaderReader(path, text).read();
}

class HeaderReader {
  #at = 0;

  constructor(
    private readonly path: string,
    private readonly text: string,
  ) {}

  read(): Header {
    const entries = new Map<string, HeaderEntry>();
    let metadata: Record<string, string> | undefined;
    this.#readObject((name, nameAt) => {
      if (name !== METADATA_KEY) entries.set(name, this.#readEntry(name));
      else if (metadata !== undefined) this.#fail(`${METADATA_KEY} once`, nameAt);
      else metadata = this.#readMetadata();
    });
    this.#skipSpace();
    if (this.#at !== this.text.length) this.#fail('nothing but spaces after the closing "}"');
    return { entries: [...entries.values()], metadata: metadata ?? Object.create(null) };
  }

  #readMetadata(): Record<string, string> {
    const metadata: Record<string, string> = Object.create(null);
    if (!this.#acceptWord('null')) {
      this.#readObject((key) => {
        metadata[key] = this.#readString('a text');
      });
    }
    return metadata;
  }

  #readEntry(name: string): HeaderEntry {
    const start = this.#at;
    const fields = this.#accept('[') ? this.#readFieldsInOrder() : this.#readFieldsByName();
    const { dtype, shape, data_offsets: [begin, end] = [] } = fields;
    if (dtype === undefined || shape === undefined || begin === undefined || end === undefined) {
      return this.#fail(`dtype, shape and two data_offsets for tensor ${quote(name)}`, start);
    }
    return { name, dtype, shape, begin, end };
  }

  #readFieldsByName(): Fields {
    const fields: Fields = {};
    this.#readObject((key, keyAt) => {
      if (Object.hasOwn(fields, key)) this.#fail(`${key} once`, keyAt);
      if (key === 'dtype') fields.dtype = this.#readString('the name of an element type');
      else if (key === 'shape') fields.shape = this.#readIntegers(MAX_DIMENSIONS);
      else if (key === 'data_offsets') fields.data_offsets = this.#readIntegers(2);
      else this.#skipValue();
    });
    return fields;
  }

  /** `["F32", [2, 3], [0, 24]]` */
  #readFieldsInOrder(): Fields {
    const dtype = this.#readString('the name of an element type');
    this.#expect(',');
    const shape = this.#readIntegers(MAX_DIMENSIONS);
    this.#expect(',');
    const data_offsets = this.#readIntegers(2);
    this.#expect(']');
    return { dtype, shape, data_offsets };
  }

  #readObject(readValue: (key: string, keyAt: number) => void): void {
    this.#expect('{');
    if (this.#accept('}')) return;
    do {
      this.#skipSpace();
      const keyAt = this.#at;
      const key = this.#readString('a name in double quotes');
      this.#expect(':');
      readValue(key, keyAt);
    } while (this.#accept(','));
    this.#expect('}');
  }

  /** A value that means nothing to us, but must be JSON that Python could hold. */
  #skipValue(depth = 0): void {
    this.#skipSpace();
    const first = this.text[this.#at] ?? '';
    if ('[{'.includes(first) && depth === MAX_DEPTH) this.#fail(`values nested at most ${MAX_DEPTH} deep`);
    if (first === '{') this.#readObject(() => this.#skipValue(depth + 1));
    else if (first === '[') this.#readArray(() => this.#skipValue(depth + 1));
    else if (first === '"') this.#readString('a text');
    else if (!['null', 'true', 'false'].some((word) => this.#acceptWord(word))) this.#readNumber();
  }

  #readNumber(): void {
    const start = this.#at;
    if (!Number.isFinite(Number(this.#match(NUMBER) ?? Number.NaN))) this.#fail('a value', start);
  }

  #readArray(readItem: () => void): void {
    this.#expect('[');
    if (this.#accept(']')) return;
    do readItem();
    while (this.#accept(','));
    this.#expect(']');
  }

  #readIntegers(maxLength: number): number[] {
    const integers: number[] = [];
    this.#readArray(() => {
      if (integers.length === maxLength) this.#fail(`at most ${maxLength} numbers in a row`);
      integers.push(this.#readInteger());
    });
    return integers;
  }

  #readInteger(): number {
    this.#skipSpace();
    const start = this.#at;
    const value = Number(this.#match(DIGITS) ?? Number.NaN);
    if (!Number.isSafeInteger(value)) this.#fail('a whole number from 0 to 2^53 - 1', start);
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

  #acceptWord(word: string): boolean {
    this.#skipSpace();
    if (!this.text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  /** What stands here, if it matches the sticky pattern. */
  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
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
