import { type DType, type Layer, Tensor } from '../../lib/index';

/** `count` unsigned 32-bit numbers that depend on `name` alone; the twin of `bits` in fixtures/generate.py. */
export function bits(name: string, count: number): Uint32Array {
  let seed = 0x811c9dc5; // FNV-1a
  for (let i = 0; i < name.length; i++) seed = Math.imul(seed ^ name.charCodeAt(i), 0x01000193);
  return Uint32Array.from({ length: count }, (_, i) => hash32(seed + Math.imul(i, 0x9e3779b9)));
}

function hash32(value: number): number {
  let x = value;
  x ^= x >>> 16;
  x = Math.imul(x, 0x21f0aaad);
  x ^= x >>> 15;
  x = Math.imul(x, 0x735a2d97);
  return x ^ (x >>> 15);
}

export interface FillOptions {
  offset?: number;
  scale?: number;
  dtype?: DType;
}

/**
 * offset + scale · u with u in (−1, 1) never 0, rounded to float32 so that both element types hold the same numbers.
 * The same name gives the same numbers as `fill` in fixtures/generate.py. Defaults: 0, 1, float64.
 */
export function fill(name: string, shape: readonly number[], { offset = 0, scale = 1, dtype = 'float64' }: FillOptions = {}): Tensor {
  const tensor = Tensor.zeros(shape, { dtype });
  const random = bits(name, tensor.size);
  for (let i = 0; i < tensor.size; i++) {
    const u = (2 * ((random[i] ?? 0) >>> 8) + 1 - 2 ** 24) * 2 ** -24;
    tensor.data[i] = Math.fround(offset + scale * u);
  }
  return tensor;
}

/** The scale of a weight matrix whose rows have this many elements, as the goldens were made. */
export function fanInScale(columns: number): number {
  return 1.5 / Math.sqrt(columns);
}

/** Fills a recurrent layer's parameters as the goldens of `placements` were made, from names that start with `prefix`. */
export function fillRecurrent(layer: Layer, prefix = ''): void {
  for (const { name, value } of layer.parameters()) {
    const [, columns] = value.shape;
    const vector = name.endsWith('.weight') ? { offset: 1, scale: 0.5 } : { offset: 0.25, scale: 0.5 };
    value.data.set(fill(`${prefix}${name}`, value.shape, columns === undefined ? vector : { scale: fanInScale(columns) }).data);
  }
}
