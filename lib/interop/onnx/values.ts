import { formatShape } from '../../errors';
import { fileFault } from '../../io/file';
import { FILE_DTYPES } from '../../io/safetensors-dtypes';
import { allocate, type DType, elementCount, Tensor, type TensorData } from '../../tensor';
import { ELEMENT, type TensorProto } from './messages';

/**
 * What an edge of a graph carries. Constants have their numbers. What layers compute is traced: each element is the number of its source, which is
 * an element of the input or of a layer's output, so that transposing, slicing and the like can be done, and seen, before there is any data.
 */
export interface Value {
  readonly dims: readonly number[];
  readonly data: TensorData;
  /** of {@link ELEMENT} */
  readonly type: number;
  readonly traced: boolean;
}

/** Of a value in memory: more than the plumbing of any model needs, and less than what a hostile shape would ask for. */
export const MAX_ELEMENTS = 2 ** 25;

/** The bytes of a tensor that stand in another file: see from-onnx. */
export type ReadExternal = (where: string, tensor: TensorProto, bytes: number) => Uint8Array;

interface ElementKind {
  readonly bytes: number;
  readonly dtype: DType;
  /** of the packed field that may hold the numbers in place of raw data */
  readonly field: 'float_data' | 'double_data' | 'int32_data' | 'int64_data' | 'uint64_data';
  read(bytes: Uint8Array, to: TensorData): void;
}

const halves = (name: 'F16' | 'BF16'): ElementKind => ({
  bytes: 2,
  dtype: 'float32',
  field: 'int32_data',
  read: (bytes, to) => FILE_DTYPES.get(name)?.reading?.convert?.(bytes, to, name),
});

const integers = (
  bytes: number,
  field: ElementKind['field'],
  view: (buffer: ArrayBufferLike) => ArrayLike<number | bigint>,
): ElementKind => ({
  bytes,
  dtype: 'float64',
  field,
  read: ({ buffer }, to) => {
    const numbers = view(buffer);
    for (let i = 0; i < to.length; i++) to[i] = Number(numbers[i]);
  },
});

const KINDS: Readonly<Record<number, ElementKind>> = {
  [ELEMENT.float]: { bytes: 4, dtype: 'float32', field: 'float_data', read: ({ buffer }, to) => to.set(new Float32Array(buffer)) },
  [ELEMENT.double]: { bytes: 8, dtype: 'float64', field: 'double_data', read: ({ buffer }, to) => to.set(new Float64Array(buffer)) },
  [ELEMENT.float16]: halves('F16'),
  [ELEMENT.bfloat16]: halves('BF16'),
  [ELEMENT.int64]: integers(8, 'int64_data', (buffer) => new BigInt64Array(buffer)),
  [ELEMENT.int32]: integers(4, 'int32_data', (buffer) => new Int32Array(buffer)),
  [ELEMENT.int16]: integers(2, 'int32_data', (buffer) => new Int16Array(buffer)),
  [ELEMENT.int8]: integers(1, 'int32_data', (buffer) => new Int8Array(buffer)),
  [ELEMENT.uint8]: integers(1, 'int32_data', (buffer) => new Uint8Array(buffer)),
  [ELEMENT.uint16]: integers(2, 'int32_data', (buffer) => new Uint16Array(buffer)),
  [ELEMENT.uint32]: integers(4, 'uint64_data', (buffer) => new Uint32Array(buffer)),
  [ELEMENT.uint64]: integers(8, 'uint64_data', (buffer) => new BigUint64Array(buffer)),
  [ELEMENT.bool]: integers(1, 'int32_data', (buffer) => new Uint8Array(buffer)),
};

const FLOATS: readonly number[] = [ELEMENT.float, ELEMENT.double, ELEMENT.float16, ELEMENT.bfloat16];

/** Whether an element type is one of numbers with a fraction. */
export function isFloat(type: number | undefined): boolean {
  return FLOATS.includes(type ?? 0);
}

/** A name of an element type, for messages. */
export function elementName(type: number | undefined): string {
  return Object.entries(ELEMENT).find(([, number]) => number === type)?.[0] ?? `type ${type}`;
}

/** @throws EvenkeelError ERR_FILE for a tensor that is not understood, or whose shape and numbers do not agree */
export function readTensorProto(where: string, tensor: TensorProto, readExternal: ReadExternal): Value {
  const { dims = [], data_type: type = 0 } = tensor;
  const kind = KINDS[type];
  if (kind === undefined) fileFault(where, 'numbers', elementName(type));
  const count = countElements(where, dims);
  const bytes = bytesOf(where, tensor, count * kind.bytes, readExternal);
  const numbers = tensor[kind.field] ?? [];
  const length = bytes === undefined ? numbers.length : bytes.length / kind.bytes;
  if (length !== count) fileFault(where, `${count} numbers for ${formatShape(dims)}`, `${length}`);
  const data = allocate(kind.dtype, count);
  // A copy, which is aligned.
  if (bytes !== undefined) kind.read(Uint8Array.from(bytes), data);
  else if (type === ELEMENT.float16 || type === ELEMENT.bfloat16) kind.read(new Uint8Array(Uint16Array.from(numbers).buffer), data);
  else data.set(numbers);
  return { dims, data, type, traced: false };
}

function bytesOf(where: string, tensor: TensorProto, bytes: number, readExternal: ReadExternal): Uint8Array | undefined {
  if ((tensor.data_location ?? 0) === 0) return tensor.raw_data;
  return readExternal(where, tensor, bytes);
}

/** @throws EvenkeelError ERR_FILE for sizes that are none, or too many elements */
export function countElements(where: string, dims: readonly number[]): number {
  if (dims.length > 16 || !dims.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    fileFault(where, 'at most 16 sizes of at least 0', formatShape(dims.slice(0, 20)));
  }
  let count = 1;
  for (const size of dims) count *= size;
  return Number.isSafeInteger(count) ? count : fileFault(where, 'at most 2^53 elements', formatShape(dims));
}

/** A constant of whole numbers, as shapes are. */
export function integersValue(numbers: readonly number[], dims: readonly number[] = [numbers.length]): Value {
  return { dims, data: Float64Array.from(numbers), type: ELEMENT.int64, traced: false };
}

/** A constant as a tensor of a layer's parameter. */
export function toTensor({ data, dims }: Value): Tensor {
  return new Tensor(data, dims);
}

/** For a message: the shape of a value and what it is of. */
export function describeValue({ dims, type, traced }: Value): string {
  return `${traced ? 'data' : 'a constant'} ${formatShape(dims)} of ${elementName(type)}`;
}

/** The number of elements of some sizes that are sound. */
export const sizeOf = (dims: readonly number[]): number => elementCount(dims);
