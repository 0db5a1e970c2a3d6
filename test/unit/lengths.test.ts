import {
  Activation,
  Adam,
  type Checkpointing,
  crossEntropyLoss,
  type ErrorCode,
  fit,
  Generator,
  GRU,
  LastStep,
  type Layer,
  LayerNorm,
  Linear,
  LSTM,
  mseLoss,
  type Placement,
  RMSNorm,
  RNN,
  type RNNOptions,
  Sequential,
  Tensor,
} from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';
import { checkGradients, dot } from '../helpers/gradient-check';

const dtype = 'float64';
const [N, T, I, H] = [5, 23, 3, 6];
const lengths = [7, 23, 0, 16, 7];
const random = (shape: number[], seed = 1) => Tensor.randn(shape, { dtype, generator: new Generator(seed) });

/** A tensor [N, T, width] with NaN in every step that does not count. */
function padded(width: number, seed: number, counts: readonly number[] = lengths): Tensor {
  const tensor = random([counts.length, T, width], seed);
  for (const [row, length] of counts.entries()) tensor.data.fill(Number.NaN, (row * T + length) * width, (row + 1) * T * width);
  return tensor;
}

/** The first steps of one sequence of [N, T, width], or a row of [N, width]. */
function part({ data, shape }: Tensor, row: number, length = T): Tensor {
  const width = shape.at(-1) as number;
  if (shape.length === 2) return new Tensor(data.slice(row * width, (row + 1) * width), [1, width]);
  return new Tensor(data.slice(row * T * width, (row * T + length) * width), [1, length, width]);
}

const gradientsOf = (layer: Layer) => layer.parameters().map(({ grad }) => grad.data);

describe.each<Placement>(['none', 'preactivation', 'recurrent-input', 'hidden'])('an RNN with lengths, %s', (normalization) => {
  test.each<[string, Partial<RNNOptions>]>([
    ['all states', {}],
    ['last states', { returnSequences: false }],
    ['segments', { checkpointing: { every: 4 } }],
    ['segments, last states', { checkpointing: { every: 4 }, returnSequences: false }],
    ['windows', { truncateAfter: 5 }],
    ['windows and segments', { truncateAfter: 9, checkpointing: { every: 4 } }],
    ['a limited state gradient', { stateGradientLimit: 0.3 }],
  ])('gives what each sequence gives by itself: %s', (_, options) => {
    const make = () => new RNN({ inputSize: I, hiddenSize: H, normalization, dtype, generator: new Generator(3), ...options });
    const [rnn, alone] = [make(), make()];
    const x = padded(I, 1);
    const h0 = random([N, H], 2);
    const dy = options.returnSequences === false ? random([N, H], 3) : padded(H, 3);
    const fromBeyond = random([N, H], 4);
    rnn.recordStateGradients = true;
    alone.recordStateGradients = true;
    const output = rnn.forward(x, { lengths, initialState: h0 });
    const { finalState } = rnn;
    const gradInput = rnn.backward(dy, { gradFinalState: fromBeyond });
    let limited = 0;
    for (const [row, length] of lengths.entries()) {
      const beyond = (tensor: Tensor) =>
        tensor.data.subarray((row * T + length) * (tensor.shape[2] ?? 0), (row + 1) * T * (tensor.shape[2] ?? 0));
      expect(beyond(gradInput).every((value) => value === 0)).toBe(true);
      if (output.shape.length === 3) expect(beyond(output).every((value) => value === 0)).toBe(true);
      const logNorms = rnn.stateGradientLogNorms.data.subarray(row * T, (row + 1) * T);
      expect(logNorms.subarray(length).every((value) => value === -Infinity)).toBe(true);
      if (length === 0) {
        expect(part(finalState, row).data).toEqual(part(h0, row).data);
        const direct = part(fromBeyond, row).data.map(
          (value, j) => value + (options.returnSequences === false ? (dy.data[row * H + j] as number) : 0),
        );
        expect(part(rnn.gradInitialState, row).data).toEqual(direct);
        continue;
      }
      const own = alone.forward(part(x, row, length), { initialState: part(h0, row) });
      expectClose(part(output, row, length).data, own.data, { within: 1e-13 });
      expectClose(part(finalState, row).data, alone.finalState.data, { within: 1e-13 });
      const ownGradInput = alone.backward(part(dy, row, length), { gradFinalState: part(fromBeyond, row) });
      expectClose(part(gradInput, row, length).data, ownGradInput.data, { within: 1e-12 });
      expectClose(part(rnn.gradInitialState, row).data, alone.gradInitialState.data, { within: 1e-12 });
      expectClose(logNorms.subarray(0, length), alone.stateGradientLogNorms.data, { within: 1e-10 });
      limited += alone.limitedStateGradients;
    }
    for (const [index, gradient] of gradientsOf(rnn).entries())
      expectClose(gradient, gradientsOf(alone)[index] as Float64Array, { within: 1e-11 });
    expect(rnn.limitedStateGradients).toBe(limited);
  });

  test('the order of the sequences does not matter, and lengths of T are none', () => {
    const make = () => new RNN({ inputSize: I, hiddenSize: H, normalization, dtype, generator: new Generator(3) });
    const x = padded(I, 1);
    const order = [3, 0, 4, 1, 2];
    const turned = new Tensor(Float64Array.from(order.flatMap((row) => [...part(x, row).data])), x.shape);
    const output = make().forward(x, { lengths });
    const other = make().forward(turned, { lengths: Int32Array.from(order, (row) => lengths[row] as number) });
    for (const [to, from] of order.entries())
      expectClose(part(other, to).data, part(output, from).data, { within: 1e-13, zero: lengths[from] === 0 });
    const whole = random([N, T, I]);
    expect(make().forward(whole, { lengths: Array(N).fill(T) }).data).toEqual(make().forward(whole).data);
  });
});

const options = () => ({ inputSize: I, hiddenSize: H, dtype, generator: new Generator(3) }) as const;
test.each<[string, () => Layer]>([
  ['LSTM', () => new LSTM(options())],
  ['GRU', () => new GRU(options())],
])('%s: the bits of a batch do not depend on its order, as long as those of one length keep theirs', (_, make) => {
  const [x, dy] = [padded(I, 1), padded(H, 2)];
  const order = [1, 3, 0, 4, 2]; // from the longest to the shortest, in which nothing is copied
  const turned = (tensor: Tensor) => new Tensor(Float64Array.from(order.flatMap((row) => [...part(tensor, row).data])), tensor.shape);
  const [given, sorted] = [make(), make()];
  const output = given.forward(x, { lengths });
  const other = sorted.forward(turned(x), { lengths: order.map((row) => lengths[row] as number) });
  expect(turned(output).data).toEqual(other.data);
  const [gradInput, gradOther] = [given.backward(dy), sorted.backward(turned(dy))];
  expect(turned(gradInput).data).toEqual(gradOther.data);
  expect(gradientsOf(given)).toEqual(gradientsOf(sorted));
});

test('a stateful RNN goes on from where each sequence ended', () => {
  const make = (stateful: boolean) => new RNN({ inputSize: I, hiddenSize: H, stateful, dtype, generator: new Generator(3) });
  const rnn = make(true);
  rnn.forward(padded(I, 1), { lengths });
  const state = rnn.finalState;
  const [x, other] = [random([N, T, I], 5), make(false)];
  expect(rnn.forward(x).data).toEqual(other.forward(x, { initialState: state }).data);
});

test('a batch of nothing but sequences of length 0', () => {
  const rnn = new RNN({ inputSize: I, hiddenSize: H, dtype });
  const [x, h0] = [padded(I, 1, [0, 0]), random([2, H], 2)];
  expect(rnn.forward(x, { lengths: [0, 0], initialState: h0 }).data.every((value) => value === 0)).toBe(true);
  expect(rnn.finalState.data).toEqual(h0.data);
  expect(rnn.backward(padded(H, 3, [0, 0])).data.every((value) => value === 0)).toBe(true);
  expect(gradientsOf(rnn).every((gradient) => gradient.every((value) => value === 0))).toBe(true);
});

describe('layers of rows: padding is 0 on the way out and on the way back', () => {
  test.each<[string, Layer]>([
    ['Linear', new Linear({ inputSize: I, outputSize: 4, dtype, generator: new Generator(1) })],
    ['LayerNorm', new LayerNorm({ size: I, dtype })],
    ['RMSNorm', new RMSNorm({ size: I, dtype })],
    ['LastStep', new LastStep()],
    ['Activation', new Activation({ kind: 'softmax' })],
    ['Activation of each element', new Activation({ kind: 'sigmoid' })],
  ])('%s', (_, layer) => {
    const x = padded(I, 1);
    const output = layer.forward(x, { lengths });
    const dy = output.shape.length === 2 ? random([...output.shape]) : padded(output.shape[2] as number, 2);
    const gradInput = layer.backward(dy);
    const gradients = gradientsOf(layer).map((gradient) => gradient.slice());
    for (const gradient of gradientsOf(layer)) gradient.fill(0);
    for (const [row, length] of lengths.entries()) {
      expect(
        part(gradInput, row)
          .data.subarray(length * I)
          .every((value) => value === 0),
      ).toBe(true);
      if (length === 0) {
        expect(part(output, row).data.every((value) => value === 0)).toBe(true);
        continue;
      }
      expectClose(part(output, row, length).data, layer.forward(part(x, row, length)).data, { within: 1e-14 });
      expectClose(part(gradInput, row, length).data, layer.backward(part(dy, row, length)).data, { within: 1e-13 });
    }
    for (const [index, gradient] of gradients.entries())
      expectClose(gradient, gradientsOf(layer)[index] as Float64Array, { within: 1e-12 });
  });
});

test.each(['states', 'last'])('central differences through a model with lengths: %s', (kind) => {
  const generator = new Generator(2);
  const options = { dtype, generator } as const;
  const model = new Sequential({
    first: new Linear({ inputSize: I, outputSize: 4, ...options }),
    ln: new LayerNorm({ size: 4, dtype }),
    rnn: new RNN({ inputSize: 4, hiddenSize: H, normalization: 'split-preactivation', ...options }),
    ...(kind === 'last' ? { last: new LastStep() } : {}),
    head: new Linear({ inputSize: H, outputSize: 2, ...options }),
  });
  const counts = [4, 0, 9, 2];
  const x = random([4, 9, I]);
  const output = model.forward(x, { lengths: counts });
  const dy = random([...output.shape], 5);
  const gradInput = model.backward(dy);
  const parameters = Object.fromEntries(model.parameters().map((parameter) => [parameter.name, parameter]));
  checkGradients(() => dot(model.forward(x, { lengths: counts }), dy), { ...parameters, x: { value: x, grad: gradInput } });
});

describe('losses', () => {
  const count = lengths.reduce((sum, length) => sum + length, 0);
  const counted = (tensor: Tensor) => Float64Array.from(lengths.flatMap((length, row) => [...part(tensor, row, length).data]));

  test('the mean squared error is the mean over what counts', () => {
    const [output, target] = [padded(4, 1), padded(4, 2)];
    const { value, grad } = mseLoss(output, target, { lengths });
    const packed = mseLoss(new Tensor(counted(output), [count, 4]), new Tensor(counted(target), [count, 4]));
    expect(value).toBe(packed.value);
    expect(counted(grad)).toEqual(packed.grad.data);
    expect(grad.data.filter((element) => element !== 0)).toHaveLength(count * 4);
  });

  test('the cross-entropy too, whatever the labels of the padding', () => {
    const logits = padded(4, 1);
    const labels = lengths.flatMap((length, row) => Array.from({ length: T }, (_, t) => (t < length ? (row + t) % 4 : -1)));
    const { value, grad } = crossEntropyLoss(logits, labels, { lengths });
    const packed = crossEntropyLoss(
      new Tensor(counted(logits), [count, 4]),
      labels.filter((label) => label >= 0),
    );
    expect(value).toBe(packed.value);
    expect(counted(grad)).toEqual(packed.grad.data);
    expectRefused(() => crossEntropyLoss(logits, labels), 'ERR_OPTION', `labels[7]: expected a class from 0 to 3, got -1`);
  });

  test('there is no mean of nothing', () => {
    expectRefused(() => mseLoss(padded(2, 1), padded(2, 1), { lengths: Array(N).fill(0) }), 'ERR_SHAPE', 'at least one step that counts');
  });
});

test('fit gives a batch its lengths, to model and loss', async () => {
  const make = () => new RNN({ inputSize: I, hiddenSize: H, dtype, generator: new Generator(3) });
  const [model, own] = [make(), make()];
  const batch = { input: padded(I, 1), target: padded(H, 2), lengths };
  const { loss } = await fit(model, [batch], { loss: mseLoss, optimizer: new Adam(model.parameters()), epochs: 2 });
  const optimizer = new Adam(own.parameters());
  const expected = [1, 2].map(() => {
    optimizer.zeroGrad();
    const { value, grad } = mseLoss(own.forward(batch.input, { lengths }), batch.target, { lengths });
    own.backward(grad);
    optimizer.step();
    return value;
  });
  expect([...loss]).toEqual(expected);

  const classifier = new Sequential([make(), new LastStep(), new Linear({ inputSize: H, outputSize: 2, dtype })]);
  const labelled = { input: padded(I, 1), target: [0, 1, 1, 0, 1], lengths };
  await fit(classifier, [labelled], { loss: crossEntropyLoss, optimizer: new Adam(classifier.parameters()) });
});

test.each<[unknown, ErrorCode, string]>([
  [[1, 2], 'ERR_SHAPE', `lengths: expected one for each of the ${N} sequences, got 2`],
  [[1, 2, 3, 4, 24], 'ERR_OPTION', 'lengths[4]: expected a whole number from 0 to 23, got 24'],
  [[1, 2, 3, 4, -1], 'ERR_OPTION', 'lengths[4]'],
  [[1, 2, 3, 4, 1.5], 'ERR_OPTION', 'lengths[4]'],
  [[1, 2, 3, 4, '5'], 'ERR_OPTION', 'lengths[4]'],
  [Float64Array.of(1, 2, 3, 4, 5), 'ERR_OPTION', 'lengths: expected an Int32Array or an array of whole numbers'],
  [3, 'ERR_OPTION', 'lengths'],
])('lengths %j are refused, and nothing changes', (given, code, text) => {
  const rnn = new RNN({ inputSize: I, hiddenSize: H, dtype });
  const output = rnn.forward(random([N, T, I]));
  for (const layer of [rnn, new Sequential([new LayerNorm({ size: I, dtype })]), new LastStep()]) {
    expectRefused(() => layer.forward(random([N, T, I]), { lengths: given as number[] }), code, text);
  }
  expect(() => rnn.backward(output)).not.toThrow();
});

test('lengths need sequences', () => {
  const linear = new Linear({ inputSize: I, outputSize: 2, dtype });
  expectRefused(() => linear.forward(random([N, I]), { lengths: [1, 1, 1, 1, 1] }), 'ERR_SHAPE', 'lengths: expected an input [N, T, F]');
});

test('what is kept is the same with segments: gradients to the last bits that sums of another order leave', () => {
  const run = (checkpointing: Checkpointing) => {
    const rnn = new RNN({ inputSize: I, hiddenSize: H, dtype, checkpointing, generator: new Generator(3) });
    rnn.forward(padded(I, 1), { lengths });
    rnn.backward(padded(H, 2));
    return gradientsOf(rnn);
  };
  const [all, segments] = [run('none'), run({ every: 8 })];
  for (const [index, gradient] of all.entries()) expectClose(gradient, segments[index] as Float64Array, { within: 1e-12 });
});

// What is recorded is recorded part by part of the time; else one call of the addon goes through all parts.
const recurrentLayers = { RNN, GRU, LSTM } as unknown as Record<string, typeof RNN>;
describe.each(Object.entries(recurrentLayers))('one pass through all parts, %s', (_, Recurrent) => {
  const make = (options: Partial<RNNOptions>) =>
    new Recurrent({ inputSize: I, hiddenSize: H, dtype, generator: new Generator(3), ...options });
  test.each<[string, Partial<RNNOptions>]>([
    ['plain', {}],
    ['float32', { dtype: 'float32' }],
    ['last states', { returnSequences: false }],
    ['a normalisation', { normalization: 'split-preactivation' }],
    ['both directions of two layers', { bidirectional: true, numLayers: 2, dropout: 0.3 }],
    ['masks', { recurrentDropout: 0.4, zoneout: 0.2 }],
    ['a limit', { stateGradientLimit: 1e-3 }],
    ['a stateful layer', { stateful: true }],
  ])('gives the bits of part by part: %s', (_name, options) => {
    const cast = ({ data, shape }: Tensor) =>
      options.dtype === 'float32' ? new Tensor(Float32Array.from(data), shape) : new Tensor(data, shape);
    const [first, second] = [make(options), make(options)];
    second.recordStateGradients = true;
    for (const counts of [lengths, [23, 1, 1, 0, 22], [3, 3, 3, 3, 3]]) {
      const results = [first, second].map((layer) => {
        const output = layer.forward(cast(padded(I, 1, counts)), { lengths: counts });
        const gradInput = layer.backward(cast(random([...output.shape], 2)));
        const { limitedStateGradients } = layer;
        return [
          output.data,
          gradInput.data,
          ...Object.values(layer.carriedState()).map(({ data }) => data),
          limitedStateGradients,
          gradientsOf(layer),
        ];
      });
      expect(results[0]).toEqual(results[1]);
    }
  });
});
