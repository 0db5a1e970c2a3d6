/**
 * What a typed array really is and holds, whatever a subclass or an own property claims, and from whichever realm it comes:
 * the accessors of %TypedArray%.prototype read its internal slots.
 */
const typedArrayPrototype: object = Object.getPrototypeOf(Float64Array.prototype);
const tagGetter = Object.getOwnPropertyDescriptor(typedArrayPrototype, Symbol.toStringTag)?.get as () => string | undefined;
const lengthGetter = Object.getOwnPropertyDescriptor(typedArrayPrototype, 'length')?.get as () => number;

/** `'Float32Array'` and so on; undefined for anything that is not a typed array. */
export function typedArrayKind(value: unknown): string | undefined {
  return tagGetter.call(value);
}

/** The number of elements a typed array holds now: 0 once its buffer is detached. */
export function typedArrayLength(array: ArrayBufferView): number {
  return lengthGetter.call(array);
}
