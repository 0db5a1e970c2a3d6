import { checkDType, checkString, copyList, fail, readOptions, readSafely } from './check';
import { EvenkeelError, formatShape } from './errors';
import { checkAllocation, checkHeap } from './memory';
import { checkGenerator, type Generator } from './random';
import { type DType, isGone, plainArray, type TensorData, typedArrayKind, typedArrayLength } from './typed-arrays';

export type { DType, TensorData } from './typed-arrays';

/** Numbers nested to any depth, as `Tensor.from` takes and `toArray` gives. */
export type NestedNumbers = number | readonly NestedNumbers[];

/**
 * A dense, row-major, n-dimensional array over a typed array that the caller may share: nothing is copied.
 * Its fields never change; its elements may.
 *
 * @example
 * const a = Tensor.from([[1, 2, 3], [4, 5, 6]]); // [2, 3], float32
 * const b = new Tensor(new Float64Array(6), [2, 3]); // over memory of yours, nothing copied
 * b.data.set(a.data);
 * console.log(a.shape, b.dtype, b.toArray());
 */
export class Tensor {
  /** The elements, last dimension fastest. */
  readonly data: TensorData;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** The number of elements. */
  readonly size: number;
  readonly #brand = true;
  static #freezes = true;

  /**
   * Wraps `data` without copying.
   * @param data as many elements as the product of `shape`; may view a SharedArrayBuffer
   * @param shape sizes of the dimensions, outermost first; `[]` is a scalar
   * @throws EvenkeelError ERR_DTYPE for another kind of array, ERR_SHAPE when the product of `shape` is not `data.length`
   */
  constructor(data: TensorData, shape: readonly number[]) {
    this.dtype = dtypeOf(data);
    this.data = plainArray(data);
    this.shape = Object.freeze(readShape(shape));
    this.size = elementCount(this.shape);
    const length = typedArrayLength(data);
    if (this.size !== length) {
      throw new EvenkeelError('ERR_SHAPE', `shape: ${formatShape(this.shape)} needs ${this.size} elements, but data has ${length}.`);
    }
    // Frozen, so that what was checked once stays true.
    if (Tensor.#freezes) Object.freeze(this);
  }

  /**
   * A tensor that {@link Tensor.expire} can end.
   * @internal
   */
  static expirable(data: TensorData, shape: readonly number[]): Tensor {
    Tensor.#freezes = false;
    try {
      return new Tensor(data, shape);
    } finally {
      Tensor.#freezes = true;
    }
  }

  /**
   * Takes the elements away from a tensor of a workspace, which will use their memory for others: whoever still holds it gets an error.
   * @returns false for a tensor that somebody froze, which keeps them
   * @internal
   */
  static expire(tensor: Tensor, dtype: DType): boolean {
    try {
      (tensor as { data: TensorData }).data = EXPIRED[dtype];
    } catch {
      return false;
    }
    Object.freeze(tensor);
    return true;
  }

  /** Whether `value` is a Tensor in truth: no proxy of one, and not just something with its prototype. */
  static isTensor(value: unknown): value is Tensor {
    return typeof value === 'object' && value !== null && #brand in value;
  }

  /**
   * Copies nested arrays of numbers, such as `[[1, 2], [3, 4]]`.
   * @param options.dtype defaults to `'float32'`
   * @throws EvenkeelError ERR_SHAPE when the nesting is uneven, ERR_OPTION for anything that is not a number
   */
  static from(numbers: NestedNumbers, options: { dtype?: DType } = {}): Tensor {
    const { dtype = 'float32' } = readOptions('Tensor.from options', options, ['dtype']);
    return readSafely('numbers', () => {
      const shape = nestedShape(numbers);
      const data = allocate(checkDType('dtype', dtype), elementCount(shape));
      copyNested(numbers, shape, data);
      return new Tensor(data, shape);
    });
  }

  /** A tensor of zeros; `dtype` defaults to `'float32'`. */
  static zeros(shape: readonly number[], options: { dtype?: DType } = {}): Tensor {
    const { dtype = 'float32' } = readOptions('Tensor.zeros options', options, ['dtype']);
    const sizes = readShape(shape);
    return new Tensor(allocate(checkDType('dtype', dtype), elementCount(sizes)), sizes);
  }

  /**
   * Independent draws from the standard normal distribution.
   * @param options.generator where the numbers come from: the same seed gives the same numbers everywhere; without one, from a random seed
   * @param options.dtype defaults to `'float32'`; the float32 numbers are the rounded float64 ones
   */
  static randn(shape: readonly number[], options: { generator?: Generator; dtype?: DType } = {}): Tensor {
    const given = readOptions('Tensor.randn options', options, ['generator', 'dtype'], { dtype: 'float32' });
    const generator = checkGenerator('generator', given.generator);
    const tensor = Tensor.zeros(shape, { dtype: checkDType('dtype', given.dtype) });
    for (let i = 0; i < tensor.size; i++) tensor.data[i] = generator.normal();
    return tensor;
  }

  /**
   * A copy as nested arrays; a scalar gives a number.
   * @throws EvenkeelError ERR_MEMORY for more numbers and arrays than JavaScript's heap holds, ERR_STATE for a detached buffer
   */
  toArray(): NestedNumbers {
    this.checkAttached('toArray');
    const arrays = nestedArrays(this.shape);
    checkHeap(`toArray of shape ${formatShape(this.shape)}`, this.size, arrays, 'Read data instead.');
    let next = 0;
    const build = (axis: number): NestedNumbers =>
      axis === this.shape.length ? (this.data[next++] ?? Number.NaN) : Array.from({ length: this.shape[axis] ?? 0 }, () => build(axis + 1));
    return build(0);
  }

  /**
   * Checks that the elements are still there: the buffer has been neither transferred to another thread nor resized.
   * @param argument how an error names this tensor
   * @throws EvenkeelError ERR_STATE
   */
  checkAttached(argument: string): void {
    const length = typedArrayKind(this.data) === undefined ? 0 : typedArrayLength(this.data);
    // Of no elements, none are missing: such an array does not tell by its length that its buffer went away.
    if (length !== this.size || (length === 0 && isGone(this.data))) {
      checkString('argument', argument);
      this.#checkCurrent(argument);
      throw new EvenkeelError(
        'ERR_STATE',
        `${argument}: expected the ${this.size} elements of its shape ${formatShape(this.shape)}, but its buffer now holds ${length}. ` +
          'Was it transferred to a worker? Give each thread its own copy, or use a SharedArrayBuffer.',
      );
    }
  }

  #checkCurrent(argument: string): void {
    if (this.data === EXPIRED[this.dtype]) {
      throw new EvenkeelError(
        'ERR_STATE',
        `${argument}: expected a tensor of this run of its Workspace, got one of an earlier run, whose memory is in use again. ` +
          'Copy what you keep: new Tensor(tensor.data.slice(), tensor.shape).',
      );
    }
  }
}

/** What stands for the elements of a tensor that expired. */
const EXPIRED: Readonly<Record<DType, TensorData>> = { float32: new Float32Array(0), float64: new Float64Array(0) };

/**
 * Zero-filled storage of one dtype.
 * @throws EvenkeelError ERR_MEMORY when memory does not hold it, before the system ends the process for it
 */
export function allocate(dtype: DType, length: number): TensorData {
  return dtype === 'float64' ? allocateArray(Float64Array, length, dtype) : allocateArray(Float32Array, length, dtype);
}

/** The same for class numbers. */
export function allocateLabels(length: number): Int32Array {
  return allocateArray(Int32Array, length, 'int32');
}

function allocateArray<A>(Kind: { new (length: number): A; BYTES_PER_ELEMENT: number }, length: number, type: string): A {
  const bytes = length * Kind.BYTES_PER_ELEMENT;
  checkAllocation(`${length} ${type} elements`, bytes);
  try {
    return new Kind(length);
  } catch (cause) {
    throw new EvenkeelError('ERR_MEMORY', `Could not allocate ${bytes} bytes for ${length} ${type} elements.`, { cause });
  }
}

/** The product of a shape's sizes, each of which must be a whole number of at least 0. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (let axis = 0; axis < shape.length; axis++) {
    const size = shape[axis];
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
      fail('ERR_SHAPE', `shape[${axis}]`, 'a whole number of at least 0', size);
    }
    count *= size;
  }
  if (!Number.isSafeInteger(count)) fail('ERR_SHAPE', 'shape', 'at most 2^53 - 1 elements', formatShape(shape));
  return count;
}

const MAX_RANK = 32;

/** How many arrays `toArray` nests. */
function nestedArrays(shape: readonly number[]): number {
  let rows = 1;
  let arrays = 0;
  for (let axis = 0; axis < shape.length && rows > 0; axis++) {
    arrays += rows;
    rows *= shape[axis] ?? 0;
  }
  return arrays;
}

/** A copy of the caller's shape: an array whose sizes are still to be checked. */
function readShape(shape: unknown): number[] {
  const sizes = readSafely('shape', () => (Array.isArray(shape) && shape.length <= MAX_RANK ? copyList<number>(shape) : undefined));
  if (sizes === undefined) fail('ERR_SHAPE', 'shape', `an array of at most ${MAX_RANK} sizes`, shape);
  return sizes;
}

function dtypeOf(data: unknown): DType {
  const kind = typedArrayKind(data);
  if (kind === 'Float32Array') return 'float32';
  if (kind === 'Float64Array') return 'float64';
  return fail('ERR_DTYPE', 'data', 'a Float32Array or Float64Array', data, 'For nested arrays use Tensor.from.');
}

function nestedShape(numbers: NestedNumbers): number[] {
  const shape: number[] = [];
  for (let level: unknown = numbers; Array.isArray(level); level = level[0]) {
    if (shape.length === MAX_RANK) fail('ERR_SHAPE', 'numbers', `at most ${MAX_RANK} dimensions`, numbers);
    shape.push(level.length);
  }
  return shape;
}

function copyNested(numbers: NestedNumbers, shape: readonly number[], data: TensorData): void {
  let next = 0;
  const copy = (value: NestedNumbers, axis: number): void => {
    if (axis === shape.length) {
      if (typeof value !== 'number') fail('ERR_OPTION', `numbers, element ${next}`, 'a number', value);
      data[next++] = value;
    } else if (!Array.isArray(value) || value.length !== shape[axis]) {
      fail('ERR_SHAPE', `numbers, dimension ${axis}`, `arrays of length ${shape[axis]} throughout`, value);
    } else {
      for (let i = 0; i < value.length; i++) copy(value[i], axis + 1);
    }
  };
  copy(numbers, 0);
}

/** Checks for a {@link Tensor}, optionally of one dtype and shape. In `shape`, a string stands for any size and is printed as its name. */
export function checkTensor(argument: string, value: unknown, dtype?: DType, shape?: readonly (number | string)[]): Tensor {
  if (!Tensor.isTensor(value)) fail('ERR_OPTION', argument, 'a Tensor', value, 'Wrap a typed array with new Tensor(data, shape).');
  Tensor.prototype.checkAttached.call(value, argument);
  if (dtype !== undefined && value.dtype !== dtype) {
    throw new EvenkeelError(
      'ERR_DTYPE',
      `${argument}: expected a ${dtype} tensor, got ${value.dtype}. Give the layer and its data one dtype.`,
    );
  }
  if (shape !== undefined && !matches(value.shape, shape)) {
    throw new EvenkeelError('ERR_SHAPE', `${argument}: expected shape ${formatShape(shape)}, got ${formatShape(value.shape)}.`);
  }
  return value;
}

function matches(actual: readonly number[], wanted: readonly (number | string)[]): boolean {
  if (actual.length !== wanted.length) return false;
  for (let axis = 0; axis < wanted.length; axis++) {
    const size = wanted[axis];
    // A named dimension takes any size but zero: no layer computes on nothing.
    if (typeof size === 'string' ? actual[axis] === 0 : size !== actual[axis]) return false;
  }
  return true;
}
