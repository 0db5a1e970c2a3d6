/**
 * What a typed array really is and holds, whatever a subclass or an own property claims, and from whichever realm it comes:
 * the accessors of %TypedArray%.prototype read its internal slots.
 */

/** The element type of a tensor; one layer and its data have one. */
export type DType = 'float32' | 'float64';
/** What a tensor keeps its elements in. */
export type TensorData = Float32Array | Float64Array;

const typedArrayPrototype: object = Object.getPrototypeOf(Float64Array.prototype);
const getterOf = (key: string | symbol): (() => unknown) => Object.getOwnPropertyDescriptor(typedArrayPrototype, key)?.get as () => unknown;
const tagGetter = getterOf(Symbol.toStringTag) as () => string | undefined;
const lengthGetter = getterOf('length') as () => number;
const bufferGetter = getterOf('buffer') as () => ArrayBufferLike;
const offsetGetter = getterOf('byteOffset') as () => number;

/** `'Float32Array'` and so on; undefined for anything that is not a typed array. */
export function typedArrayKind(value: unknown): string | undefined {
  return tagGetter.call(value);
}

/** The number of elements a typed array holds now: 0 once its buffer is detached. */
export function typedArrayLength(array: ArrayBufferView): number {
  return lengthGetter.call(array);
}

/** Whether an array without elements has lost its place: its buffer was transferred, or shrunk to before it. Methods of such an array throw. */
export function isGone(array: TensorData): boolean {
  try {
    copyOfArray(array);
    return false;
  } catch {
    return true;
  }
}

/** The buffer that a typed array views, and how many bytes after its begin. */
export function bufferOf(array: ArrayBufferView): { buffer: ArrayBufferLike; offset: number } {
  return { buffer: bufferGetter.call(array), offset: offsetGetter.call(array) };
}

/** The array itself; of a subclass, whose methods may do anything, a plain one over the same memory. */
export function plainArray(array: TensorData): TensorData {
  const isDouble = typedArrayKind(array) === 'Float64Array';
  if (Object.getPrototypeOf(array) === (isDouble ? Float64Array : Float32Array).prototype) return array;
  const { buffer, offset } = bufferOf(array);
  const length = typedArrayLength(array);
  return isDouble ? new Float64Array(buffer, offset, length) : new Float32Array(buffer, offset, length);
}

/** A copy of the elements, by no method of the array's own. */
export function copyOfArray(array: TensorData): TensorData {
  return typedArrayKind(array) === 'Float64Array' ? new Float64Array(array) : new Float32Array(array);
}
