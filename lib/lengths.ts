import { copyList, fail, readSafely } from './check';
import { EvenkeelError, formatShape } from './errors';
import { allocate, type TensorData } from './tensor';
import { typedArrayKind, typedArrayLength } from './typed-arrays';

/** How many of each sequence's steps count, the first ones: whole numbers from 0 to T [N], in any order. */
export type Lengths = Int32Array | readonly number[];

/** Shapes of what has lengths: sequences of rows of numbers, and of symbols. */
const SEQUENCES: readonly string[] = ['N', 'T', 'F'];
const SYMBOLS: readonly string[] = ['N', 'T'];

/**
 * Checks the lengths of the sequences of a tensor [N, T, …].
 * @param axes of the tensor; `'either'` for one that may hold symbols [N, T] or numbers [N, T, F]
 * @returns a copy; undefined for none, and where all are T, which is the same
 * @throws EvenkeelError ERR_SHAPE for a tensor of another rank or another number of lengths, ERR_OPTION for something else
 */
export function checkLengths(
  value: unknown,
  shape: readonly number[],
  axes: readonly string[] | 'either' = SEQUENCES,
): Int32Array | undefined {
  if (value === undefined) return undefined;
  const [n = 0, t = 0] = shape;
  const known = axes === 'either' ? [SYMBOLS, SEQUENCES] : [axes];
  if (!known.some(({ length }) => length === shape.length)) {
    const expected = known.map((names) => formatShape(names)).join(' or ');
    throw new EvenkeelError('ERR_SHAPE', `lengths: expected an input ${expected} where there are lengths, got ${formatShape(shape)}.`);
  }
  const given = readSafely('lengths', () => copyLengths(value, n));
  const lengths = new Int32Array(n);
  for (const [row, length] of given.entries()) {
    if (typeof length !== 'number' || !Number.isInteger(length) || length < 0 || length > t) {
      fail('ERR_OPTION', `lengths[${row}]`, `a whole number from 0 to ${t}`, length);
    }
    lengths[row] = length;
  }
  return lengths.every((length) => length === t) ? undefined : lengths;
}

/** A copy of n lengths, whatever they are. */
function copyLengths(value: unknown, n: number): readonly unknown[] {
  const isTyped = typedArrayKind(value) === 'Int32Array';
  if (!isTyped && !Array.isArray(value)) fail('ERR_OPTION', 'lengths', 'an Int32Array or an array of whole numbers', value);
  const list = value as unknown as readonly unknown[];
  // Before a copy is made: an array may claim any length.
  const count = isTyped ? typedArrayLength(value as Int32Array) : list.length;
  if (count !== n) throw new EvenkeelError('ERR_SHAPE', `lengths: expected one for each of the ${n} sequences, got ${count}.`);
  return copyList(list);
}

/** The lengths that concern an input, or an array made of it: none once it no longer has the input's steps. */
export function lengthsOf(
  made: { shape: readonly number[] },
  input: { shape: readonly number[] },
  lengths: Int32Array | undefined,
): Int32Array | undefined {
  return made === input || (made.shape.length === 3 && made.shape[1] === input.shape[1]) ? lengths : undefined;
}

/** The sequences from the longest to the shortest; those of one length as they come. */
export function longestFirst(lengths: Int32Array): Int32Array {
  return Int32Array.from(lengths.keys()).sort((a, b) => (lengths[b] as number) - (lengths[a] as number) || a - b);
}

/** How many steps count in all. */
export function countSteps(lengths: Int32Array): number {
  return lengths.reduce((sum, length) => sum + length, 0);
}

/** The steps that count of an array [N, T, width], one after the other [count, width]. */
export function packSteps(data: TensorData, lengths: Int32Array, steps: number, width: number): TensorData {
  const packed = allocate(data instanceof Float64Array ? 'float64' : 'float32', countSteps(lengths) * width);
  let next = 0;
  for (const [row, length] of lengths.entries()) {
    packed.set(data.subarray(row * steps * width, (row * steps + length) * width), next);
    next += length * width;
  }
  return packed;
}

/** Writes what {@link packSteps} gives into an array [N, T, width], and zeros into the steps that do not count. */
export function unpackSteps(packed: TensorData, lengths: Int32Array, steps: number, width: number, data: TensorData): void {
  let next = 0;
  for (const [row, length] of lengths.entries()) {
    const begin = row * steps * width;
    data.set(packed.subarray(next, next + length * width), begin);
    data.fill(0, begin + length * width, begin + steps * width);
    next += length * width;
  }
}
