/** The operators of ONNX that move elements and compute none: of constants and of traced values alike. */
import { allocate } from '../../tensor';
import { MAX_ELEMENTS, sizeOf, type Value } from './values';

/** What keeps a caller's error apart from ours: the reason, for the node's own message. */
export class PlumbingFault extends Error {
  constructor(
    readonly expected: string,
    readonly got: string,
  ) {
    super();
  }
}

function demand(condition: boolean, expected: string, got: string): asserts condition {
  if (!condition) throw new PlumbingFault(expected, got);
}

const format = (sizes: readonly number[]): string => `[${sizes.slice(0, 20).join(', ')}]`;

/** An axis from 0 on; negative ones count from the end. */
export function normalAxis(axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  demand(Number.isInteger(normal) && normal >= 0 && normal < Math.max(rank, 1), `an axis of ${rank}`, `${axis}`);
  return normal;
}

function stridesOf(dims: readonly number[]): number[] {
  const strides = dims.map(() => 1);
  for (let axis = dims.length - 2; axis >= 0; axis--) strides[axis] = (strides[axis + 1] as number) * (dims[axis + 1] as number);
  return strides;
}

/** A value of other dims, whose element at some place comes from `start` plus, for each axis, the place times a stride in the source. */
function strided(value: Value, dims: readonly number[], strides: readonly number[], start = 0): Value {
  const count = checkCount(dims);
  const data = allocate(value.data instanceof Float32Array ? 'float32' : 'float64', count);
  const place = dims.map(() => 0);
  let from = start;
  for (let i = 0; i < count; i++) {
    data[i] = value.data[from] as number;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      from += strides[axis] as number;
      if (++(place[axis] as number) < (dims[axis] as number)) break;
      from -= (strides[axis] as number) * (dims[axis] as number);
      place[axis] = 0;
    }
  }
  return { ...value, dims, data };
}

export function checkCount(dims: readonly number[]): number {
  demand(dims.every((size) => Number.isSafeInteger(size) && size >= 0) && dims.length <= 16, 'sizes of at least 0', format(dims));
  let count = 1;
  for (const size of dims) count *= size;
  demand(count <= MAX_ELEMENTS, `at most ${MAX_ELEMENTS} elements: export with variable batch and length`, format(dims));
  return count;
}

export function transpose(value: Value, perm: readonly number[] | undefined): Value {
  const { dims } = value;
  const order = perm ?? dims.map((_, axis) => dims.length - 1 - axis);
  demand(
    order.length === dims.length && [...order].sort((a, b) => a - b).every((axis, index) => axis === index),
    `an order of ${dims.length} axes`,
    format(order),
  );
  const strides = stridesOf(dims);
  return strided(
    value,
    order.map((axis) => dims[axis] as number),
    order.map((axis) => strides[axis] as number),
  );
}

/** @param sizes with one −1 for what is left, and zeros for the size that is there unless `allowZero` */
export function reshape(value: Value, sizes: readonly number[], allowZero = false): Value {
  const dims = sizes.map((size, axis) => (size === 0 && !allowZero ? (value.dims[axis] ?? 0) : size));
  const rest = dims.indexOf(-1);
  if (rest !== -1) {
    const others = dims.reduce((product, size, axis) => (axis === rest ? product : product * size), 1);
    dims[rest] = others === 0 ? 0 : value.data.length / others;
  }
  demand(checkCount(dims) === value.data.length, `sizes for ${value.data.length} elements`, format(sizes));
  return { ...value, dims };
}

export function squeeze(value: Value, axes: readonly number[] | undefined): Value {
  const { dims } = value;
  const out = axes?.map((axis) => normalAxis(axis, dims.length)) ?? dims.flatMap((size, axis) => (size === 1 ? [axis] : []));
  demand(
    out.every((axis) => dims[axis] === 1),
    'axes of size 1',
    `${format(out)} of ${format(dims)}`,
  );
  return { ...value, dims: dims.filter((_, axis) => !out.includes(axis)) };
}

export function unsqueeze(value: Value, axes: readonly number[]): Value {
  const rank = value.dims.length + axes.length;
  const added = new Set(axes.map((axis) => normalAxis(axis, rank)));
  demand(added.size === axes.length && rank <= 16, 'different axes', format(axes));
  const left = [...value.dims];
  return { ...value, dims: Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (left.shift() as number))) };
}

export function concat(values: readonly Value[], given: number): Value {
  const [first] = values as readonly [Value];
  const axis = normalAxis(given, first.dims.length);
  const same = values.every(
    ({ dims, traced }) =>
      traced === first.traced && dims.length === first.dims.length && dims.every((size, i) => i === axis || size === first.dims[i]),
  );
  demand(same, 'values of one kind and of the same sizes but along the axis', values.map(({ dims }) => format(dims)).join(' and '));
  const total = values.reduce((sum, { dims }) => sum + (dims[axis] as number), 0);
  const dims = first.dims.with(axis, total);
  const data = allocate(first.data instanceof Float32Array ? 'float32' : 'float64', checkCount(dims));
  const inner = sizeOf(dims.slice(axis + 1));
  const outer = sizeOf(dims.slice(0, axis));
  let at = 0;
  for (const value of values) {
    const row = (value.dims[axis] as number) * inner;
    for (let i = 0; i < outer; i++) data.set(value.data.subarray(i * row, (i + 1) * row), i * total * inner + at);
    at += row;
  }
  return { ...first, dims, data };
}

/** One part of a slice along an axis. */
export interface SliceRange {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

export function slice(value: Value, ranges: readonly SliceRange[]): Value {
  const dims = [...value.dims];
  const strides = stridesOf(value.dims);
  let start = 0;
  for (const range of ranges) {
    const axis = normalAxis(range.axis, dims.length);
    const size = value.dims[axis] as number;
    const { step } = range;
    demand(Number.isInteger(step) && step !== 0, 'a step other than 0', `${step}`);
    const clamp = (place: number, low: number, high: number) => Math.min(Math.max(place < 0 ? place + size : place, low), high);
    const [from, to] =
      step > 0
        ? [clamp(range.start, 0, size), clamp(range.end, 0, size)]
        : [clamp(range.start, 0, size - 1), clamp(range.end, -1, size - 1)];
    dims[axis] = Math.max(0, Math.ceil((to - from) / step));
    start += dims[axis] === 0 ? 0 : from * (strides[axis] as number);
    strides[axis] = (strides[axis] as number) * step;
  }
  return strided(value, dims, strides, start);
}

/** Elements along an axis by constant indices, whose dims take the axis' place. */
export function gather(value: Value, indices: Value, given: number): Value {
  const axis = normalAxis(given, value.dims.length);
  const size = value.dims[axis] as number;
  const inner = sizeOf(value.dims.slice(axis + 1));
  const dims = [...value.dims.slice(0, axis), ...indices.dims, ...value.dims.slice(axis + 1)];
  const data = allocate(value.data instanceof Float32Array ? 'float32' : 'float64', checkCount(dims));
  const outer = sizeOf(value.dims.slice(0, axis));
  const count = indices.data.length;
  for (let k = 0; k < count; k++) {
    const at = (indices.data[k] as number) < 0 ? (indices.data[k] as number) + size : (indices.data[k] as number);
    demand(Number.isInteger(at) && at >= 0 && at < size, `indices below ${size}`, `${indices.data[k]}`);
    for (let i = 0; i < outer; i++) {
      data.set(value.data.subarray((i * size + at) * inner, (i * size + at + 1) * inner), (i * count + k) * inner);
    }
  }
  return { ...value, dims, data };
}

/** Of sizes that broadcast with the value's. */
export function expand(value: Value, sizes: readonly number[]): Value {
  const dims = broadcastDims(value.dims, sizes);
  const lead = dims.length - value.dims.length;
  const own = stridesOf(value.dims);
  return strided(
    value,
    dims,
    dims.map((_, axis) => (axis < lead || value.dims[axis - lead] === 1 ? 0 : (own[axis - lead] as number))),
  );
}

/** The sizes of what is computed of values of two shapes, by NumPy's rules. */
export function broadcastDims(a: readonly number[], b: readonly number[]): number[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, back) => {
    const [x = 1, y = 1] = [a[a.length - 1 - back], b[b.length - 1 - back]];
    demand(x === y || x === 1 || y === 1, 'sizes that broadcast', `${format(a)} and ${format(b)}`);
    return x === 1 ? y : x;
  }).reverse();
}
