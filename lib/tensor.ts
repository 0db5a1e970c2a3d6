import { checkDType, checkOptions, fail } from './check';
import { EvenkeelError, formatShape } from './errors';
import { Generator } from './random';

export type DType = 'float32' | 'float64';
export type TensorData = Float32Array | Float64Array;
/** Numbers nested to any depth, as `Tensor.from` takes and `toArray` gives. */
export type NestedNumbers = number | readonly NestedNumbers[];

/** A dense, row-major, n-dimensional array over a typed array that the caller may share: nothing is copied. */
export class Tensor {
  /** The elements, last dimension fastest. */
  readonly data: TensorData;
  readonly shape: readonly number[];
  readonly dtype: DType;

  /**
   * Wraps `data` without copying.
   * @param data as many elements as the product of `shape`; may view a SharedArrayBuffer
   * @param shape sizes of the dimensions, outermost first; `[]` is a scalar
   * @throws EvenkeelError ERR_DTYPE for another kind of array, ERR_SHAPE when the product of `shape` is not `data.length`
   */
  constructor(data: TensorData, shape: readonly number[]) {
    this.dtype = dtypeOf(data);
    const size = elementCount(shape);
    if (size !== data.length) {
      throw new EvenkeelError('ERR_SHAPE', `shape: ${formatShape(shape)} needs ${size} elements, but data has ${data.length}.`);
    }
    this.data = data;
    this.shape = Object.freeze([...shape]);
  }

  /**
   * Copies nested arrays of numbers, such as `[[1, 2], [3, 4]]`.
   * @param options.dtype defaults to `'float32'`
   * @throws EvenkeelError ERR_SHAPE when the nesting is uneven, ERR_OPTION for anything that is not a number
   */
  static from(numbers: NestedNumbers, options: { dtype?: DType } = {}): Tensor {
    checkOptions('Tensor.from options', options, ['dtype']);
    const shape = nestedShape(numbers);
    const data = allocate(checkDType('dtype', options.dtype ?? 'float32'), elementCount(shape));
    let next = 0;
    const copy = (value: NestedNumbers, axis: number): void => {
      if (axis === shape.length) {
        if (typeof value !== 'number') fail('ERR_OPTION', `numbers, element ${next}`, 'a number', value);
        data[next++] = value;
      } else if (!Array.isArray(value) || value.length !== shape[axis]) {
        fail('ERR_SHAPE', `numbers, dimension ${axis}`, `arrays of length ${shape[axis]} throughout`, value);
      } else {
        for (const child of value) copy(child, axis + 1);
      }
    };
    copy(numbers, 0);
    return new Tensor(data, shape);
  }

  /** A tensor of zeros; `dtype` defaults to `'float32'`. */
  static zeros(shape: readonly number[], options: { dtype?: DType } = {}): Tensor {
    checkOptions('Tensor.zeros options', options, ['dtype']);
    return new Tensor(allocate(checkDType('dtype', options.dtype ?? 'float32'), elementCount(shape)), shape);
  }

  /**
   * Independent draws from the standard normal distribution.
   * @param options.generator where the numbers come from: the same seed gives the same numbers everywhere
   * @param options.dtype defaults to `'float32'`; the float32 numbers are the rounded float64 ones
   */
  static randn(shape: readonly number[], options: { generator: Generator; dtype?: DType }): Tensor {
    checkOptions('Tensor.randn options', options, ['generator', 'dtype']);
    if (!(options.generator instanceof Generator)) {
      fail('ERR_OPTION', 'generator', 'a Generator', options.generator, 'Make one with new Generator(seed).');
    }
    const tensor = Tensor.zeros(shape, { dtype: options.dtype ?? 'float32' });
    for (let i = 0; i < tensor.data.length; i++) tensor.data[i] = options.generator.normal();
    return tensor;
  }

  /** The number of elements. */
  get size(): number {
    return this.data.length;
  }

  /** A copy as nested arrays; a scalar gives a number. */
  toArray(): NestedNumbers {
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
    if (this.data.length !== elementCount(this.shape)) {
      throw new EvenkeelError(
        'ERR_STATE',
        `${argument}: expected the ${elementCount(this.shape)} elements of its shape ${formatShape(this.shape)}, but its buffer now holds ${this.data.length}. ` +
          'Was it transferred to a worker? Give each thread its own copy, or use a SharedArrayBuffer.',
      );
    }
  }
}

/** Zero-filled storage of one dtype; an allocation that fails is an ERR_MEMORY. */
export function allocate(dtype: DType, length: number): TensorData {
  try {
    return dtype === 'float64' ? new Float64Array(length) : new Float32Array(length);
  } catch (cause) {
    const bytes = length * (dtype === 'float64' ? 8 : 4);
    throw new EvenkeelError('ERR_MEMORY', `Could not allocate ${bytes} bytes for ${length} ${dtype} elements.`, { cause });
  }
}

/** The product of a shape's sizes, each of which must be a whole number of at least 0. */
export function elementCount(shape: readonly number[]): number {
  if (!Array.isArray(shape)) fail('ERR_SHAPE', 'shape', 'an array of sizes', shape);
  let count = 1;
  for (const [axis, size] of shape.entries()) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) fail('ERR_SHAPE', `shape[${axis}]`, 'a whole number of at least 0', size);
    count *= size;
  }
  if (!Number.isSafeInteger(count)) fail('ERR_SHAPE', 'shape', 'at most 2^53 - 1 elements', `${formatShape(shape)}`);
  return count;
}

function dtypeOf(data: unknown): DType {
  // Compared by brand, not by instanceof: arrays from another realm (vm contexts, test runners) are as good.
  const brand = ArrayBuffer.isView(data) ? Object.prototype.toString.call(data) : '';
  if (brand === '[object Float32Array]') return 'float32';
  if (brand === '[object Float64Array]') return 'float64';
  return fail('ERR_DTYPE', 'data', 'a Float32Array or Float64Array', data, 'For nested arrays use Tensor.from.');
}

function nestedShape(numbers: NestedNumbers): number[] {
  const shape: number[] = [];
  for (let level: unknown = numbers; Array.isArray(level); level = level[0]) {
    if (shape.length === 32) fail('ERR_SHAPE', 'numbers', 'at most 32 dimensions', numbers);
    shape.push(level.length);
  }
  return shape;
}

/** Checks for a {@link Tensor}, optionally of one dtype and shape. In `shape`, a string stands for any size and is printed as its name. */
export function checkTensor(argument: string, value: unknown, dtype?: DType, shape?: readonly (number | string)[]): Tensor {
  if (!(value instanceof Tensor)) fail('ERR_OPTION', argument, 'a Tensor', value, 'Wrap a typed array with new Tensor(data, shape).');
  value.checkAttached(argument);
  if (dtype !== undefined && value.dtype !== dtype) {
    throw new EvenkeelError('ERR_DTYPE', `${argument}: expected a ${dtype} tensor, got ${value.dtype}. Give the layer and its data one dtype.`);
  }
  if (shape !== undefined && !matches(value.shape, shape)) {
    throw new EvenkeelError('ERR_SHAPE', `${argument}: expected shape ${formatShape(shape)}, got ${formatShape(value.shape)}.`);
  }
  return value;
}

function matches(actual: readonly number[], wanted: readonly (number | string)[]): boolean {
  // A named dimension takes any size but zero: no layer computes on nothing.
  return actual.length === wanted.length && wanted.every((size, axis) => (typeof size === 'string' ? (actual[axis] ?? 0) > 0 : size === actual[axis]));
}
