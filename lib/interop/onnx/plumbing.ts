/** Operators that move elements, or compute shapes. */
import * as arrays from './arrays';
import { ELEMENT } from './messages';
import type { Node } from './node';
import { describeValue, integersValue, isFloat, type Value } from './values';

/** The outputs of a node. */
export type Operator = (node: Node) => readonly (Value | undefined)[];

const first =
  (operate: (node: Node) => Value): Operator =>
  (node) => [operate(node)];

export const PLUMBING: Readonly<Record<string, Operator>> = {
  Identity: first((node) => node.input(0)),
  // Outside training it hands its input on.
  Dropout: first((node) => {
    node.passOver('ratio', 'seed', 'training_mode');
    if (node.optional(2) !== undefined && node.constant(2).data[0] !== 0) node.fail('training_mode false', 'true');
    return node.input(0);
  }),
  Cast: first(cast),
  Constant: first(constant),
  ConstantOfShape: first((node) => {
    const value = node.tensor('value') ?? { ...integersValue([0], [1]), type: ELEMENT.float };
    return arrays.expand({ ...value, dims: [] }, node.integers(0) ?? []);
  }),
  Shape: first((node) => {
    const { dims } = node.input(0);
    const [start, end] = [node.int('start', 0), node.int('end', dims.length)];
    return integersValue(dims.slice(start, end));
  }),
  Size: first((node) => integersValue([node.input(0).data.length], [])),
  Transpose: first((node) => arrays.transpose(node.input(0), node.ints('perm'))),
  Reshape: first((node) => arrays.reshape(node.input(0), node.integers(1) ?? [], node.int('allowzero', 0) === 1)),
  Flatten: first((node) => {
    const value = node.input(0);
    const axis = node.int('axis', 1);
    const at = axis === value.dims.length ? axis : arrays.normalAxis(axis, value.dims.length);
    const outer = value.dims.slice(0, at).reduce((a, b) => a * b, 1);
    return arrays.reshape(value, [outer, -1], true);
  }),
  Squeeze: first((node) => arrays.squeeze(node.input(0), node.axes(13))),
  Unsqueeze: first((node) => arrays.unsqueeze(node.input(0), node.axes(13) ?? node.fail('axes', 'none'))),
  Concat: first((node) => {
    const values = Array.from({ length: node.inputCount }, (_, index) => node.input(index));
    return values.length === 0 ? node.fail('inputs', 'none') : arrays.concat(values, node.int('axis', 0));
  }),
  Slice: first(slice),
  Split: split,
  Expand: first((node) => arrays.expand(node.input(0), node.integers(1) ?? [])),
  Tile: first((node) => {
    const value = node.input(0);
    const repeats = node.integers(1) ?? [];
    if (repeats.length !== value.dims.length || repeats.some((count) => count !== 1 && count !== 0 && count > 64))
      node.fail('a repeat for each axis', `${repeats}`);
    return repeats.reduce(
      (tiled, count, axis) =>
        arrays.concat(
          Array.from({ length: count }, () => tiled),
          axis,
        ),
      value,
    );
  }),
  Range: first((node) => {
    const [start = 0, limit = 0, delta = 0] = [0, 1, 2].map((index) => node.constant(index).data[0] as number);
    const count = Math.max(0, Math.ceil((limit - start) / delta));
    if (!(count <= 2 ** 20)) node.fail('at most 2^20 numbers', `${count}`);
    return { ...integersValue(Array.from({ length: count }, (_, i) => start + i * delta)), type: node.constant(0).type };
  }),
  ReduceProd: first((node) => {
    node.passOver('axes', 'keepdims', 'noop_with_empty_axes');
    const { data, dims, type } = node.constant(0);
    if (dims.length > 1) node.fail('a list of sizes', describeValue(node.input(0)));
    return { ...integersValue([Array.from(data).reduce((a, b) => a * b, 1)], []), type };
  }),
  TopK: sortDescending,
  ScatterElements: first(scatter),
};

/** Arithmetic of constants, as shapes are computed. */
export const ARITHMETIC: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Equal: (a, b) => (a === b ? 1 : 0),
  Less: (a, b) => (a < b ? 1 : 0),
  Greater: (a, b) => (a > b ? 1 : 0),
  Max: Math.max,
  Min: Math.min,
};

/** Of two constants. */
export function arithmetic(node: Node): Value {
  const [a, b] = [node.constant(0), node.constant(1)];
  const dims = arrays.broadcastDims(a.dims, b.dims);
  arrays.checkCount(dims);
  const [x, y] = [arrays.expand(a, dims).data, arrays.expand(b, dims).data];
  const operate = ARITHMETIC[node.type] as (a: number, b: number) => number;
  const round = node.type === 'Div' && !isFloat(a.type) ? Math.trunc : (value: number) => value;
  return { ...a, dims, data: x.map((value, i) => round(operate(value, y[i] as number))) };
}

/** Where, of constants. */
export function choose(node: Node): Value {
  const [condition, yes, no] = [node.constant(0), node.constant(1), node.constant(2)];
  const dims = arrays.broadcastDims(arrays.broadcastDims(condition.dims, yes.dims), no.dims);
  arrays.checkCount(dims);
  const [c, a, b] = [condition, yes, no].map((value) => arrays.expand(value, dims).data) as [Value['data'], Value['data'], Value['data']];
  return { ...yes, dims, data: a.map((x, i) => (c[i] ? x : (b[i] as number))) };
}

function cast(node: Node): Value {
  const value = node.input(0);
  const to = node.int('to', 0);
  node.passOver('saturate', 'round_mode');
  if (value.traced) return { ...value, type: to };
  const toInteger = isFloat(value.type) && !isFloat(to);
  return { ...value, type: to, data: toInteger ? value.data.map(Math.trunc) : value.data };
}

function constant(node: Node): Value {
  const tensor = node.tensor('value');
  if (tensor !== undefined) return tensor;
  const int = node.int('value_int', undefined);
  if (int !== undefined) return integersValue([int], []);
  const ints = node.ints('value_ints');
  if (ints !== undefined) return integersValue(ints);
  const float = node.float('value_float', undefined);
  if (float !== undefined) return { ...integersValue([float], []), type: ELEMENT.float };
  const floats = node.floats('value_floats') ?? node.fail('a constant of numbers', 'another');
  return { ...integersValue(floats), type: ELEMENT.float };
}

function slice(node: Node): Value {
  const value = node.input(0);
  const isOld = node.opset < 10;
  const starts = (isOld ? node.ints('starts') : node.integers(1)) ?? node.fail('starts', 'none');
  const ends = (isOld ? node.ints('ends') : node.integers(2)) ?? node.fail('ends', 'none');
  const axes = (isOld ? node.ints('axes') : node.integers(3)) ?? starts.map((_, axis) => axis);
  const steps = (isOld ? undefined : node.integers(4)) ?? starts.map(() => 1);
  if ([ends, axes, steps].some(({ length }) => length !== starts.length)) node.fail('as many ends, axes and steps as starts', 'others');
  const ranges = starts.map((start, i) => ({ start, end: ends[i] as number, axis: axes[i] as number, step: steps[i] as number }));
  return arrays.slice(value, ranges);
}

function split(node: Node): Value[] {
  const value = node.input(0);
  const axis = arrays.normalAxis(node.int('axis', 0), value.dims.length);
  const count = node.outputNames.length;
  node.passOver('num_outputs');
  const size = value.dims[axis] as number;
  const each = Math.ceil(size / count);
  const sizes =
    (node.opset < 13 ? node.ints('split') : node.integers(1)) ?? Array.from({ length: count }, (_, i) => Math.min(each, size - i * each));
  if (sizes.length !== count || sizes.reduce((a, b) => a + b, 0) !== size) node.fail(`${count} sizes of ${size} in all`, `${sizes}`);
  let start = 0;
  return sizes.map((length) => {
    const part = arrays.slice(value, [{ axis, start, end: start + length, step: 1 }]);
    start += length;
    return part;
  });
}

/** TopK of a whole list, by which PyTorch's exporter sorts lengths. */
function sortDescending(node: Node): Value[] {
  const { data, dims, type } = node.constant(0);
  const k = node.constant(1).data[0];
  node.passOver('axis', 'sorted');
  if (dims.length !== 1 || k !== data.length || node.int('largest', 1) !== 1)
    node.fail('a whole list, sorted', `${k} of ${describeValue(node.input(0))}`);
  const order = Array.from(data.keys()).sort((a, b) => (data[b] as number) - (data[a] as number) || a - b);
  return [{ ...integersValue(order.map((i) => data[i] as number)), type }, integersValue(order)];
}

/** Into a list: the inverse of an order. */
function scatter(node: Node): Value {
  const [into, indices, updates] = [node.constant(0), node.constant(1), node.constant(2)];
  node.passOver('axis');
  if (into.dims.length !== 1 || indices.data.length !== updates.data.length) node.fail('lists', describeValue(into));
  const data = into.data.slice();
  indices.data.forEach((index, i) => {
    if (!(index >= 0 && index < data.length)) node.fail(`indices below ${data.length}`, `${index}`);
    data[index] = updates.data[i] as number;
  });
  return { ...into, data };
}
