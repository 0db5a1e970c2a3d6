import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DType, GRU, type Layer, LSTM, Tensor } from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { Goldens, PRECISIONS } from '../helpers/fixtures';

interface Case {
  name: string;
  op: 'LSTM' | 'GRU';
  attributes: { hidden_size: number; direction?: string; layout?: number; linear_before_reset?: number };
  inputs: string[];
  outputs: string[];
}

const { cases }: { cases: Case[] } = JSON.parse(readFileSync(join(__dirname, '../fixtures/onnx.json'), 'utf8'));
const goldens = new Goldens('onnx');

/** Of ONNX' own node tests, those that ask for what these layers do not compute. */
const NOT_EXPRESSED: Record<string, string> = {
  test_lstm_with_peepholes: 'peepholes: weights from c to the gates i, f and o',
};

/** ONNX' blocks of rows (i o f c; z r h) in the order of ours (i f g o; r z n). */
const ORDER = { LSTM: [0, 2, 3, 1], GRU: [1, 0, 2] };

/** The rows of one direction of an array [directions, blocks · H, ...] in our order; the blocks follow those before `first`. */
function reordered({ op, attributes }: Case, array: Tensor, direction: number, first = 0): Float64Array {
  const [directions = 1, ...rest] = array.shape;
  const rowLength = rest.slice(1).reduce((a, b) => a * b, 1);
  const block = attributes.hidden_size * rowLength;
  const start = (direction * array.size) / directions + first * block;
  return Float64Array.from(ORDER[op].flatMap((k) => Array.from(array.data.subarray(start + k * block, start + (k + 1) * block))));
}

/** [A, B, C] as [B, A, C]. */
function swapped({ shape, data, dtype }: Tensor): Tensor {
  const [a = 0, b = 0, c = 0] = shape;
  const out = Tensor.zeros([b, a, c], { dtype });
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++) out.data.set(data.subarray((i * b + j) * c, (i * b + j + 1) * c), (j * a + i) * c);
  }
  return out;
}

/** The steps [T, N, ·] from the last to the first. */
function reversed(steps: Tensor): Tensor {
  const out = Tensor.zeros(steps.shape, { dtype: steps.dtype });
  const size = steps.size / (steps.shape[0] ?? 1);
  for (let from = 0; from < steps.size; from += size) out.data.set(steps.data.subarray(from, from + size), steps.size - size - from);
  return out;
}

/** One direction of a case: Y [T, N, H] and the final states [N, H], by ONNX' names. A direction is a layer over the steps in its order. */
function run(content: Case, direction: number, dtype: DType): Record<string, Tensor> {
  const { name, op, attributes, inputs } = content;
  const input = (key: string) => goldens.get(`${name}/${key}`);
  const isReverse = attributes.direction === 'reverse' || direction === 1;
  const inOrder = (steps: Tensor) => (isReverse ? reversed(steps) : steps);
  const steps = inOrder(attributes.layout === 1 ? swapped(input('X')) : input('X'));
  const [, n = 0, inputSize = 0] = steps.shape;
  const hiddenSize = attributes.hidden_size;
  const x = Tensor.zeros([n, steps.shape[0] ?? 0, inputSize], { dtype });
  x.data.set(swapped(steps).data);
  const state = (key: string) => {
    const tensor = Tensor.zeros([n, hiddenSize], { dtype });
    if (inputs.includes(key)) tensor.data.set(input(key).data);
    return tensor;
  };
  const options = { inputSize, hiddenSize, bias: inputs.includes('B'), dtype };
  if (op === 'LSTM') {
    const lstm = new LSTM(options);
    setWeights(lstm, content, direction);
    const output = lstm.forward(x, { initialState: { h: state('initial_h'), c: state('initial_c') } });
    return { Y: inOrder(swapped(output)), Y_h: lstm.finalState.h, Y_c: lstm.finalState.c };
  }
  // Without the attribute the reset comes before the product.
  const gru = new GRU({ ...options, resetAfter: attributes.linear_before_reset === 1 });
  setWeights(gru, content, direction);
  const output = gru.forward(x, { initialState: state('initial_h') });
  return { Y: inOrder(swapped(output)), Y_h: gru.finalState };
}

function setWeights(layer: Layer, content: Case, direction: number): void {
  const { name, op, inputs } = content;
  const blocks = ORDER[op].length;
  const of = (key: string, first?: number) => reordered(content, goldens.get(`${name}/${key}`), direction, first);
  const values: Record<string, Float64Array> = { weight_ih_l0: of('W'), weight_hh_l0: of('R') };
  if (inputs.includes('B')) Object.assign(values, { bias_ih_l0: of('B'), bias_hh_l0: of('B', blocks) });
  for (const { name: parameter, value } of layer.parameters()) value.data.set(values[parameter] ?? []);
}

/** Of all directions as ONNX has it: Y [T, directions, N, H], or [N, T, 1, H] of layout 1; a final state [directions, N, H], or [N, 1, H]. */
function assembled({ attributes }: Case, output: string, directions: readonly Tensor[]): number[] {
  const [first] = directions as [Tensor];
  if (output !== 'Y') return directions.flatMap(({ data }) => Array.from(data));
  if (attributes.layout === 1) return Array.from(swapped(first).data);
  const [t = 0] = first.shape;
  const size = first.size / t;
  const steps = Array.from({ length: t }, (_, step) => step * size);
  return steps.flatMap((from) => directions.flatMap(({ data }) => Array.from(data.subarray(from, from + size))));
}

const expressed = cases.filter(({ name }) => NOT_EXPRESSED[name] === undefined);

describe.each(PRECISIONS)('$dtype', ({ dtype, within }) => {
  test.each(expressed.map((content): [string, Case] => [content.name, content]))("ONNX' %s", (name, content) => {
    const directions = content.attributes.direction === 'bidirectional' ? [0, 1] : [0];
    const results = directions.map((direction) => run(content, direction, dtype));
    // ONNX' own cases are of float32.
    const tolerance = name.startsWith('test_') ? 1e-5 : within;
    for (const output of content.outputs) {
      const parts = results.map((result) => result[output] as Tensor);
      expectClose(assembled(content, output, parts), goldens.get(`${name}/${output}`).data, { within: tolerance, label: output });
    }
  });
});

test("every one of ONNX' node tests is run, or asks for what is not expressed", () => {
  const own = cases.map(({ name }) => name).filter((name) => name.startsWith('test_'));
  expect(own).toEqual(expect.arrayContaining(Object.keys(NOT_EXPRESSED)));
  expect(own).toHaveLength(12);
  for (const { name, attributes, inputs } of expressed) {
    const understood = ['hidden_size', 'direction', 'layout', 'linear_before_reset'];
    expect({ name, unknown: Object.keys(attributes).filter((key) => !understood.includes(key)) }).toEqual({ name, unknown: [] });
    expect(inputs).not.toContain('P');
  }
});
