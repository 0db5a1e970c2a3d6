/** Operators that are layers, or parts of one. */
import { formatShape } from '../../errors';
import type { Tensor } from '../../tensor';
import { transposed } from '../arrange';
import { expand, gather } from './arrays';
import { type Node, UNROLLED } from './node';
import { isNormPart, normNode } from './norm-nodes';
import { ARITHMETIC, arithmetic, choose, type Operator } from './plumbing';
import { recurrentNode } from './recurrent-node';
import { scanNode } from './scan-node';
import { scopeOf } from './scope';
import type { FoundLayer } from './trace';
import { describeValue, toTensor, type Value } from './values';

export const LAYERS: Readonly<Record<string, Operator>> = {
  RNN: recurrentNode,
  GRU: recurrentNode,
  LSTM: recurrentNode,
  Scan: scanNode,
  Where: (node) => [where(node)],
  GatherND: (node) => [gatherLast(node)],
  MatMul: (node) => [linear(node, { transB: false, bias: undefined })],
  Gemm: (node) => [gemm(node)],
  LayerNormalization: (node) => [norm(node, 'LayerNorm')],
  RMSNormalization: (node) => [norm(node, 'RMSNorm')],
  Gather: (node) => [gatherNode(node)],
  Relu: activation('relu'),
  Tanh: activation('tanh'),
  Sigmoid: activation('sigmoid'),
  Softmax: activation('softmax'),
  ...Object.fromEntries([...Object.keys(ARITHMETIC), 'Pow', 'Sqrt', 'Reciprocal', 'ReduceMean'].map((name) => [name, elementwise])),
};

export function foundLayer(
  node: Node,
  type: FoundLayer['type'],
  options: Record<string, unknown>,
  values: Record<string, Tensor>,
  open: readonly string[] = [],
): FoundLayer {
  return { type, options, values, scope: scopeOf(node.proto), open: new Set(open) };
}

function linear(node: Node, { transB, bias }: { transB: boolean; bias: Value | undefined }): Value {
  const [x, weight] = [node.input(0), node.constant(1)];
  if (weight.dims.length !== 2) node.fail('a matrix of weights', describeValue(weight));
  const matrix = toTensor(weight);
  const w = transB ? matrix : transposed(matrix);
  const [outputSize = 0, inputSize = 0] = w.shape;
  if (x.dims.at(-1) !== inputSize || outputSize === 0) node.fail(`rows of ${inputSize} numbers`, describeValue(x));
  const values = { weight: w, ...(bias === undefined ? {} : { bias: rowOf(node, bias, outputSize) }) };
  const layer = foundLayer(node, 'Linear', { inputSize, outputSize, bias: bias !== undefined }, values, bias === undefined ? ['bias'] : []);
  return node.trace.addRowLayer(node.proto, x, layer, outputSize);
}

function gemm(node: Node): Value {
  const [alpha, beta] = [node.float('alpha', 1), node.float('beta', 1)];
  if (alpha !== 1 || beta !== 1) node.fail('alpha 1 and beta 1', `${alpha} and ${beta}`);
  if (node.int('transA', 0) !== 0) node.fail('transA 0', '1');
  const bias = node.optional(2) === undefined ? undefined : node.constant(2);
  return linear(node, { transB: node.int('transB', 0) !== 0, bias });
}

/** A constant [size], or one that broadcasts to it. */
export function rowOf(node: Node, value: Value, size: number): Tensor {
  const isRow = value.data.length === size && (value.dims.at(-1) ?? 1) === size;
  if (!isRow) node.fail(`${formatShape([size])} numbers`, describeValue(value));
  return toTensor({ ...value, dims: [size] });
}

function norm(node: Node, type: 'LayerNorm' | 'RMSNorm'): Value {
  const x = node.input(0);
  const size = x.dims.at(-1) as number;
  const axis = node.int('axis', -1);
  if (axis !== -1 && axis !== x.dims.length - 1) node.fail('the last axis', `${axis}`);
  node.passOver('stash_type');
  if (node.outputNames.slice(1).some((name) => name !== '')) node.fail('the normalised rows alone as output', 'statistics too');
  const values: Record<string, Tensor> = { weight: rowOf(node, node.constant(1), size) };
  if (type === 'LayerNorm')
    values.bias = node.optional(2) === undefined ? zerosLike(values.weight as Tensor) : rowOf(node, node.constant(2), size);
  const layer = foundLayer(node, type, { size, eps: node.float('epsilon', Math.fround(1e-5)), affine: true }, values);
  return node.trace.addRowLayer(node.proto, x, layer, size);
}

function zerosLike(tensor: Tensor): Tensor {
  return toTensor({ dims: tensor.shape, data: tensor.data.map(() => 0), type: 0, traced: false });
}

/** Of a constant table by traced symbols an embedding, else plumbing. */
function gatherNode(node: Node): Value {
  const [table, indices] = [node.input(0), node.input(1)];
  const axis = node.int('axis', 0);
  if (!indices.traced) return gather(table, indices, axis);
  if (table.traced || table.dims.length !== 2 || axis !== 0)
    node.fail('a table [V, D] for rows by symbol, on axis 0', `${describeValue(table)}, axis ${axis}`);
  const [vocabularySize = 0, embeddingSize = 0] = table.dims;
  const layer = foundLayer(node, 'Embedding', { vocabularySize, embeddingSize }, { weight: toTensor(table) });
  return node.trace.addEmbedding(node.proto, indices, layer, embeddingSize, table.type);
}

function activation(kind: string): Operator {
  return (node) => {
    const x = node.input(0);
    const axis = kind === 'softmax' ? node.int('axis', node.opset < 13 ? 1 : -1) : -1;
    if (axis !== -1 && axis !== x.dims.length - 1) node.fail('the last axis', `${axis}`);
    return [node.trace.addRowLayer(node.proto, x, foundLayer(node, 'Activation', { kind }, {}), node.trace.last.width)];
  };
}

/** Of constants arithmetic; of data a part of a norm, or the parameter that a layer still misses. */
function elementwise(node: Node): Value[] {
  const values = Array.from({ length: node.inputCount }, (_, index) => node.input(index));
  if (isNormPart(node)) return [normNode(node)];
  if (values.length === 2 && node.type in ARITHMETIC && values.every(({ traced }) => !traced)) return [arithmetic(node)];
  const data = values.find(({ traced }) => traced);
  const constant = values.find(({ traced }) => !traced);
  const parameter = node.type === 'Add' ? 'bias' : node.type === 'Mul' ? 'weight' : undefined;
  const { layer, width } = node.trace.last;
  if (data === undefined || constant === undefined || parameter === undefined || !layer?.open.has(parameter) || !node.isOnlyReader(data)) {
    return node.fail(
      'an operator that is a layer, or a part of one',
      `${node.type} of ${values.map(describeValue).join(' and ')}`.slice(0, 200),
      UNROLLED,
    );
  }
  node.trace.rowsOf(node.proto, data);
  layer.open.delete(parameter);
  layer.values[parameter] = rowOf(node, constant, width);
  if (layer.type === 'Linear') layer.options.bias = true;
  else layer.options.affine = true;
  return [data];
}

/** Of constants; or of data that lengths mask. */
function where(node: Node): Value {
  const [condition, yes, no] = [node.constant(0), node.input(1), node.constant(2)];
  if (!yes.traced) return choose(node);
  if (no.data.some((number) => number !== 0)) node.fail('0 where nothing counts', 'another number');
  return node.trace.masked(node.proto, yes, expand(condition, yes.dims));
}

/** Of each sequence the row at one place. */
function gatherLast(node: Node): Value {
  const [data, indices] = [node.input(0), node.constant(1)];
  const [n = 0, t = 0, width = 0] = data.dims;
  if (node.int('batch_dims', 0) !== 1 || data.dims.length !== 3 || formatShape(indices.dims) !== formatShape([n, 1])) {
    node.fail('a step of each sequence', `${describeValue(data)} by ${describeValue(indices)}`);
  }
  const flat = { ...data, dims: [n * t, width] };
  const rows = indices.data.map((step, sequence) => sequence * t + (step < 0 ? step + t : step));
  if (indices.data.some((step) => step < -t || step >= t)) node.fail(`steps below ${t}`, 'others');
  return gather(flat, { ...indices, dims: [n], data: rows }, 0);
}
