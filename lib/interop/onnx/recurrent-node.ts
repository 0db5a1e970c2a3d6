/** ONNX' RNN, GRU and LSTM (https://onnx.ai/onnx/operators/) as layers here. */
import { formatShape } from '../../errors';
import { partOf, reorderBlocks } from '../arrange';
import { transpose } from './arrays';
import type { Node } from './node';
import { scopeOf } from './scope';
import type { FoundLayer } from './trace';
import { describeValue, toTensor, type Value } from './values';

interface CellKind {
  /** ours by theirs: ONNX has i, o, f, c and z, r, h */
  readonly order: readonly number[];
  /** the functions of its gates that are the same here, and what they make the options */
  readonly activations: readonly (readonly [names: readonly string[], options: Record<string, unknown>])[];
}

export const CELLS: Readonly<Record<'RNN' | 'GRU' | 'LSTM', CellKind>> = {
  RNN: {
    order: [0],
    activations: [
      [['tanh'], { nonlinearity: 'tanh' }],
      [['relu'], { nonlinearity: 'relu' }],
    ],
  },
  GRU: { order: [1, 0, 2], activations: [[['sigmoid', 'tanh'], {}]] },
  LSTM: { order: [0, 2, 3, 1], activations: [[['sigmoid', 'tanh', 'tanh'], {}]] },
};

interface Sizes {
  readonly directions: number;
  readonly hiddenSize: number;
  readonly n: number;
  readonly t: number;
}

/** @returns Y, Y_h and Y_c */
export function recurrentNode(node: Node): Value[] {
  const type = node.type as keyof typeof CELLS;
  const isBatchFirst = node.int('layout', 0) === 1;
  const given = node.input(0);
  const x = isBatchFirst ? transpose(given, [1, 0, 2]) : given;
  if (x.dims.length !== 3) node.fail('an input of 3 axes', describeValue(x));
  const [t = 0, n = 0, inputSize = 0] = x.dims;
  const directions = directionsOf(node);
  const hiddenSize = node.constant(2).dims[2] as number;
  const sizes = { directions, hiddenSize, n, t };
  const options = { inputSize, hiddenSize, bidirectional: directions === 2, ...functionsOf(node, type, sizes) };
  const values = parametersOf(node, type, sizes, inputSize);
  checkInitialStates(node, type, sizes, isBatchFirst);
  const layer: FoundLayer = {
    type,
    options: { ...options, bias: 'bias_ih_l0' in values },
    values,
    scope: scopeOf(node.proto),
    open: new Set(),
  };
  const width = directions * hiddenSize;
  const { steps, ends } = node.trace.addRecurrent(node.proto, x, layer, width, node.optional(4));
  const y = { ...steps, dims: [t, n, directions, hiddenSize] };
  const yEnd = { ...ends, dims: [n, directions, hiddenSize] };
  const c = node.trace.foreign([n, directions, hiddenSize], x.type);
  return [
    isBatchFirst ? transpose(y, [1, 0, 2, 3]) : transpose(y, [0, 2, 1, 3]),
    ...[yEnd, c].map((state) => (isBatchFirst ? state : transpose(state, [1, 0, 2]))),
  ];
}

function directionsOf(node: Node): number {
  const direction = node.text('direction', 'forward');
  if (direction === 'reverse')
    node.fail('direction "forward" or "bidirectional"', '"reverse"', 'A layer here reads forward, or in both directions.');
  if (direction !== 'forward' && direction !== 'bidirectional')
    node.fail('direction "forward" or "bidirectional"', JSON.stringify(direction));
  return direction === 'forward' ? 1 : 2;
}

/** Options that the functions of the gates make, of which those that are none here are refused. */
function functionsOf(node: Node, type: keyof typeof CELLS, { directions, hiddenSize }: Sizes): Record<string, unknown> {
  if (node.float('clip', 0) !== 0) node.fail('no clip', 'one', 'What is clipped before its function is another cell.');
  if (type === 'LSTM' && node.int('input_forget', 0) !== 0) node.fail('input_forget 0', '1', 'A forget gate of 1 − i is another cell.');
  if (node.optional(7) !== undefined) node.fail('no peepholes P', 'some', 'An LSTM here has none.');
  const size = node.int('hidden_size', hiddenSize);
  if (size !== hiddenSize) node.fail(`hidden_size ${hiddenSize}, as R has it`, `${size}`);
  node.passOver('activation_alpha', 'activation_beta');
  const known = CELLS[type].activations;
  const names = node.texts('activations')?.map((name) => name.toLowerCase());
  const found = known.find(
    ([own]) =>
      names === undefined ||
      names.join() ===
        Array.from({ length: directions }, () => own)
          .flat()
          .join(),
  );
  if (found === undefined) {
    const expected = known.map(([own]) => own.join(', ')).join(', or ');
    return node.fail(`the activations ${expected} in each direction`, `${names}`.slice(0, 100), 'Other functions are other cells.');
  }
  return { ...found[1], ...(type === 'GRU' ? { resetAfter: node.int('linear_before_reset', 0) !== 0 } : {}) };
}

/** Weights in our order of gates, by our names; ONNX has the biases of both sides in one row. */
function parametersOf(node: Node, type: keyof typeof CELLS, { directions, hiddenSize }: Sizes, inputSize: number): FoundLayer['values'] {
  const { order } = CELLS[type];
  const rows = order.length * hiddenSize;
  const w = constantOf(node, 1, [directions, rows, inputSize]);
  const r = constantOf(node, 2, [directions, rows, hiddenSize]);
  const b = node.optional(3) === undefined ? undefined : constantOf(node, 3, [directions, 2 * rows]);
  const values: FoundLayer['values'] = {};
  for (let direction = 0; direction < directions; direction++) {
    const suffix = direction === 0 ? 'l0' : 'l0_reverse';
    const part = (value: Value, dims: readonly number[]) =>
      partOf(toTensor({ ...value, dims: [directions * (dims[0] as number), ...dims.slice(1)] }), direction, directions);
    values[`weight_ih_${suffix}`] = reorderBlocks(part(w, [rows, inputSize]), order);
    values[`weight_hh_${suffix}`] = reorderBlocks(part(r, [rows, hiddenSize]), order);
    if (b === undefined) continue;
    const both = part(b, [2 * rows]);
    values[`bias_ih_${suffix}`] = reorderBlocks(partOf(both, 0, 2), order);
    values[`bias_hh_${suffix}`] = reorderBlocks(partOf(both, 1, 2), order);
  }
  return values;
}

function constantOf(node: Node, index: number, dims: readonly number[]): Value {
  const value = node.constant(index);
  if (dims.includes(0) || formatShape(value.dims) !== formatShape(dims))
    node.fail(`${formatShape(dims)} for input ${index}`, describeValue(value));
  return value;
}

/** Initial states are zeros, or an input of the graph, which is the layer's initialState here. */
function checkInitialStates(node: Node, type: keyof typeof CELLS, { directions, hiddenSize, n }: Sizes, isBatchFirst: boolean): void {
  const dims = isBatchFirst ? [n, directions, hiddenSize] : [directions, n, hiddenSize];
  for (const index of type === 'LSTM' ? [5, 6] : [5]) {
    const state = node.optional(index);
    if (state === undefined) continue;
    if (formatShape(state.dims) !== formatShape(dims)) node.fail(`${formatShape(dims)} for the initial state`, describeValue(state));
    const isKnown = state.traced ? node.trace.takeState(state) : state.data.every((element) => element === 0);
    if (!isKnown)
      node.fail('zeros, or an input of the graph, as the initial state', 'others', 'A state that is learnt is no part of a layer here.');
  }
}
