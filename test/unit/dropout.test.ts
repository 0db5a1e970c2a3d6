// Dropout: what its masks are like, that forward and backward use the same one, and that they depend on nothing but the draw and the place.
import {
  Dropout,
  fit,
  Generator,
  GRU,
  getNumThreads,
  LastStep,
  Linear,
  mseLoss,
  Sequential,
  SGD,
  setNumThreads,
  Tensor,
} from '../../lib/index';
import { expectRefused } from '../helpers/errors';
import { checkGradients, dot } from '../helpers/gradient-check';

const dtype = 'float64';
const threads = getNumThreads();
afterAll(() => setNumThreads(threads));
const ones = (shape: number[]) => {
  const tensor = Tensor.zeros(shape, { dtype });
  tensor.data.fill(1);
  return tensor;
};
const random = (shape: number[], seed = 1) => Tensor.randn(shape, { dtype, generator: new Generator(seed) });
const layerOf = (p: number, seed = 3) => new Dropout({ p, generator: new Generator(seed) });

test.each([0.1, 0.25, 0.5, 0.9])('p = %d: elements are 0 so often, else 1/(1 − p), whatever stands beside them', (p) => {
  const [n, t, f] = [40, 50, 64];
  const { data } = layerOf(p).forward(ones([n, t, f]));
  const kept = 1 / (1 - p);
  const dropped: number[] = Array.from(data, (value) => (value === 0 ? 1 : 0));
  expect(data.every((value) => value === 0 || value === kept)).toBe(true);
  const deviation = Math.sqrt((p * (1 - p)) / data.length);
  expect(Math.abs(dropped.reduce((sum, value) => sum + value, 0) / data.length - p)).toBeLessThan(5 * deviation);
  // Of elements that are so far apart, in units, steps and sequences, both are dropped in p² of the cases.
  for (const distance of [1, 2, 3, 4, f, t * f, t * f + f + 1]) {
    const pairs = dropped.length - distance;
    let both = 0;
    for (let i = 0; i < pairs; i++) both += (dropped[i] as number) * (dropped[i + distance] as number);
    expect(Math.abs(both / pairs - p * p)).toBeLessThan(6 * Math.sqrt((p * p * (1 - p * p)) / pairs));
  }
});

test('each forward call draws a mask of its own, and none outside training', () => {
  const layer = layerOf(0.5);
  const x = ones([3, 5, 7]);
  const [first, second] = [layer.forward(x), layer.forward(x)];
  expect(first.data).not.toEqual(second.data);
  const state = layer.carriedState();
  expect(layer.predict(x).data).toEqual(x.data);
  expect(layer.forward(x, { training: false }).data).toEqual(x.data);
  expect(layer.carriedState()).toEqual(state);
});

test('p = 0 keeps all, p = 1 nothing, and NaN stays NaN', () => {
  const x = random([2, 3, 5]);
  x.data[7] = Number.NaN;
  expect(layerOf(0).forward(x).data).toEqual(x.data);
  const layer = layerOf(1);
  const nothing = layer.forward(x);
  expect(nothing.data.every((value, i) => (i === 7 ? Number.isNaN(value) : value === 0))).toBe(true);
  expect(layer.backward(ones([2, 3, 5])).data.every((value) => value === 0)).toBe(true);
});

test('float32 and float64 have the same mask', () => {
  const [wide, narrow] = [layerOf(0.3), layerOf(0.3)];
  const zeros = (tensor: Tensor) => Array.from(tensor.data, (value) => value === 0);
  const x = Tensor.from([Array.from({ length: 37 }, () => 1)]);
  expect(zeros(narrow.forward(x))).toEqual(zeros(wide.forward(ones([1, 37]))));
});

test.each([[[7, 3]], [[5, 9, 3]], [[1, 30_011]], [[3, 200, 50]]])('any number of threads gives the same bits: %j', (shape) => {
  const run = (count: number) => {
    setNumThreads(count);
    const layer = layerOf(0.5);
    const output = layer.forward(random(shape));
    return [output.data, layer.backward(random(shape, 2)).data];
  };
  const expected = run(1);
  for (const count of [2, 3, 7]) expect(run(count)).toEqual(expected);
});

test('a sequence has the masks of its steps however far it is padded, and nothing comes from padding', () => {
  const [t, f, lengths] = [9, 5, [9, 0, 4]];
  const x = random([3, t, f]);
  const dy = random([3, t, f], 2);
  for (const [row, length] of lengths.entries()) {
    x.data.fill(Number.NaN, (row * t + length) * f, (row + 1) * t * f);
    dy.data.fill(Number.NaN, (row * t + length) * f, (row + 1) * t * f);
  }
  const [layer, shorter] = [layerOf(0.5), layerOf(0.5)];
  const output = layer.forward(x, { lengths });
  const gradInput = layer.backward(dy);
  const cut = new Tensor(Float64Array.from([0, 1, 2].flatMap((row) => [...x.data.subarray(row * t * f, (row * t + 4) * f)])), [3, 4, f]);
  const own = shorter.forward(cut, { lengths: [4, 0, 4] });
  for (const row of [1, 2])
    expect(own.data.slice(row * 4 * f, (row + 1) * 4 * f)).toEqual(output.data.slice(row * t * f, (row * t + 4) * f));
  for (const [row, length] of lengths.entries()) {
    for (const { data } of [output, gradInput]) {
      expect(data.subarray((row * t + length) * f, (row + 1) * t * f).every((value) => value === 0)).toBe(true);
    }
  }
  expect([...gradInput.data].every(Number.isFinite)).toBe(true);
});

test('its gradient is that of the mask that forward drew', () => {
  const layer = layerOf(0.4);
  const [x, dy] = [random([3, 4, 5]), random([3, 4, 5], 2)];
  const state = layer.carriedState();
  layer.forward(x);
  const grad = layer.backward(dy);
  const loss = () => {
    layer.loadCarriedState(state);
    return dot(layer.forward(x), dy);
  };
  checkGradients(loss, { x: { value: x, grad } });
});

test('the mean over many masks is what predict gives', () => {
  const layer = layerOf(0.5);
  const x = random([1, 1, 20]);
  const sums = new Float64Array(20);
  const draws = 4000;
  for (let draw = 0; draw < draws; draw++)
    for (const [i, value] of layer.forward(x).data.entries()) sums[i] = (sums[i] as number) + value / draws;
  for (const [i, value] of layer.predict(x).data.entries()) {
    expect(Math.abs((sums[i] as number) - value)).toBeLessThan((5 * Math.abs(value)) / Math.sqrt(draws));
  }
});

test('a step of fit that is refused draws nothing', async () => {
  const generator = new Generator(1);
  const model = new Sequential({
    rnn: new GRU({ inputSize: 2, hiddenSize: 3, dtype, generator }),
    dropout: new Dropout({ p: 0.5, generator: new Generator(5) }),
    last: new LastStep(),
    head: new Linear({ inputSize: 3, outputSize: 1, dtype, generator }),
  });
  const before = model.carriedState();
  const batch = { input: random([2, 4, 2]), target: random([2, 1]) };
  const options = { loss: mseLoss, optimizer: new SGD(model.parameters(), { learningRate: 0.1 }), nonFinite: 'skip' as const };
  await fit(model, [{ ...batch, target: new Tensor(Float64Array.of(Number.NaN, 0), [2, 1]) }], options);
  expect(model.carriedState()).toEqual(before);
  await fit(model, [batch], options);
  expect(model.carriedState()).not.toEqual(before);
});

test('refuses what it cannot drop', () => {
  for (const p of [-0.1, 1.1, Number.NaN]) expectRefused(() => new Dropout({ p }), 'ERR_OPTION', 'p: expected');
  expectRefused(() => layerOf(0.5).forward(Tensor.zeros([2, 0])), 'ERR_SHAPE', 'at least one element');
  expectRefused(() => layerOf(0.5).forward(Tensor.zeros([])), 'ERR_SHAPE', '[N, ...]');
  expectRefused(() => layerOf(0.5).loadCarriedState({}), 'ERR_STATE', 'generator');
});
