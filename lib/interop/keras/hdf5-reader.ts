/** What jsfive finds in an HDF5 file, as far as it is texts and numbers. */
export interface Hdf5Result {
  /** texts by group and name */
  readonly attributes: [group: string, texts: [name: string, value: string | string[]][]][];
  readonly tensors: [path: string, shape: number[], data: Float32Array | Float64Array][];
  /** paths that were skipped */
  readonly left: string[];
}

/** What is used of jsfive, which has no types. */
export interface Jsfive {
  File: new (contents: ArrayBuffer, name: string) => Group;
}
interface Item {
  readonly attrs: Record<string, unknown>;
}
interface Group extends Item {
  readonly keys: readonly string[];
  get(name: string): Item | undefined;
}
interface Dataset extends Item {
  readonly shape: readonly number[];
  readonly dtype: unknown;
  readonly value: ArrayLike<number>;
}

/** More of either than a recurrent model has. */
const MOST_DEPTH = 40;
const MOST_ITEMS = 200_000;

/** What becomes a tensor, with the bytes of an element. */
const NUMBERS: Readonly<Record<string, { bytes: number; isWide: boolean }>> = {
  '<f4': { bytes: 4, isWide: false },
  '<f8': { bytes: 8, isWide: true },
  '<f2': { bytes: 2, isWide: false },
};

/** What a file should have held. */
export class Fault extends Error {}

/** Goes through one file. */
export class Hdf5Reader {
  readonly #result: Hdf5Result = { attributes: [], tensors: [], left: [] };
  readonly #size: number;
  readonly #skip: RegExp;
  #items = 0;
  #bytes = 0;

  /** @param skip of paths that are not gone into */
  constructor(size: number, skip: RegExp) {
    this.#size = size;
    this.#skip = skip;
  }

  /** @throws Fault, or whatever jsfive throws at a file that is damaged */
  read(jsfive: Jsfive, contents: ArrayBuffer): Hdf5Result {
    this.#group('', new jsfive.File(contents, 'file'), 0);
    return this.#result;
  }

  #group(path: string, group: Group, depth: number): void {
    if (depth > MOST_DEPTH || ++this.#items > MOST_ITEMS)
      throw new Fault(`groups at most ${MOST_DEPTH} deep, and at most ${MOST_ITEMS} items`);
    this.#attributes(path, group);
    for (const key of group.keys) {
      const own = path === '' ? key : `${path}/${key}`;
      if (this.#skip.test(own)) {
        this.#result.left.push(own);
        continue;
      }
      const item = group.get(key);
      if (item === undefined) throw new Fault(`something at "${own.slice(0, 200)}"`);
      if (Array.isArray((item as Group).keys)) this.#group(own, item as Group, depth + 1);
      else this.#dataset(own, item as Dataset);
    }
  }

  /** Texts and lists of texts; nothing else is asked for. */
  #attributes(path: string, { attrs }: Item): void {
    const texts = Object.entries(attrs).flatMap(([name, value]): [string, string | string[]][] => {
      if (typeof value === 'string') return [[name, value]];
      return Array.isArray(value) && value.every((item) => typeof item === 'string') ? [[name, [...value]]] : [];
    });
    if (texts.length > 0) this.#result.attributes.push([path, texts]);
  }

  #dataset(path: string, dataset: Dataset): void {
    if (++this.#items > MOST_ITEMS) throw new Fault(`at most ${MOST_ITEMS} items`);
    const { shape, dtype } = dataset;
    const kind = typeof dtype === 'string' && Object.hasOwn(NUMBERS, dtype) ? NUMBERS[dtype] : undefined;
    if (!Array.isArray(shape) || kind === undefined) throw new Fault(`float16, float32 or float64 numbers at "${path.slice(0, 200)}"`);
    const count = shape.reduce((product, size) => product * size, 1);
    // Keras compresses nothing: a dataset that says it holds more than its file has would be made of nothing.
    this.#bytes += count * kind.bytes;
    if (!(this.#bytes <= this.#size)) throw new Fault(`numbers that the file's ${this.#size} bytes can hold at "${path.slice(0, 200)}"`);
    const { value } = dataset;
    if (value.length !== count) throw new Fault(`${count} numbers at "${path.slice(0, 200)}"`);
    this.#result.tensors.push([path, [...shape], kind.isWide ? Float64Array.from(value) : Float32Array.from(value)]);
  }
}
