import { createHash } from 'node:crypto';
import { type DType, Generator, type Initializer, Linear, RNN, type RNNOptions, Tensor } from '../../lib/index';
import { fillOrthogonal } from '../../lib/initializers';
import { expectRefused } from '../helpers/errors';

function weights(
  initializer: RNNOptions['recurrentInitializer'],
  hiddenSize: number,
  { seed = 1, dtype = 'float64' as DType, inputSize = 3 } = {},
) {
  const rnn = new RNN({ inputSize, hiddenSize, recurrentInitializer: initializer, dtype, generator: new Generator(seed) });
  return rnn.stateDict() as Record<'weight_ih_l0' | 'weight_hh_l0' | 'bias_ih_l0' | 'bias_hh_l0', Tensor>;
}

const recurrent = (initializer: RNNOptions['recurrentInitializer'], hiddenSize: number, seed = 1) =>
  weights(initializer, hiddenSize, { seed }).weight_hh_l0.data;
const largest = (values: ArrayLike<number>) => Math.max(...Array.from(values, Math.abs));

describe.each([1, 2, 3, 16, 61])('orthogonal, H = %i', (size) => {
  test('rows are orthogonal and have the gain as their norm', () => {
    const gain = 1.5;
    const w = recurrent({ name: 'orthogonal', gain }, size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        let product = 0;
        for (let k = 0; k < size; k++) product += (w[i * size + k] as number) * (w[j * size + k] as number);
        expect(Math.abs(product - (i === j ? gain ** 2 : 0))).toBeLessThan(1e-14 * Math.sqrt(size) * gain ** 2);
      }
    }
  });
});

test.each([2, 5, 40])('an orthogonal matrix is the factor W of G = L W, H = %i: G Wᵀ is lower triangular, its diagonal above 0', (size) => {
  const inputSize = 3;
  const w = weights('orthogonal', size, { seed: 9, inputSize }).weight_hh_l0.data;
  const generator = new Generator(9);
  for (let i = 0; i < size * inputSize; i++) generator.uniform(); // W_ih is drawn first
  const gaussian = Array.from({ length: size }, () => Array.from({ length: size }, () => generator.normal()));
  for (const [i, row] of gaussian.entries()) {
    const products = Array.from({ length: size }, (_, j) => row.reduce((sum, x, k) => sum + x * (w[j * size + k] as number), 0));
    expect(products[i]).toBeGreaterThan(0);
    expect(largest([0, ...products.slice(i + 1)])).toBeLessThan(1e-12);
  }
});

test.each([1, 3, 16])('the first %i rows alone are those of the whole matrix, to the bit', (rows) => {
  const fill = (count: number) => {
    const weight = Tensor.zeros([count, 16], { dtype: 'float64' });
    fillOrthogonal(weight, 1.5, new Generator(4));
    return weight.toArray() as number[][];
  };
  expect(fill(rows)).toEqual(fill(16).slice(0, rows));
});

test('orthogonal matrices are uniformly distributed: over seeds, entries have mean 0, variance 1/H, and the determinant both signs', () => {
  const size = 3;
  const matrices = Array.from({ length: 3000 }, (_, seed) => recurrent('orthogonal', size, seed));
  for (let entry = 0; entry < size * size; entry++) {
    const values = matrices.map((w) => w[entry] as number);
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const square = values.reduce((sum, x) => sum + x * x, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(4 * Math.sqrt(1 / size / values.length));
    expect(Math.abs(square - 1 / size)).toBeLessThan(0.03);
  }
  const positive = matrices.filter((w) => determinant3([...w]) > 0).length;
  expect(Math.abs(positive / matrices.length - 0.5)).toBeLessThan(0.04);
});

function determinant3(m: number[]): number {
  const [a, b, c, d, e, f, g, h, i] = m as [number, number, number, number, number, number, number, number, number];
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
}

test('identity times gain', () => {
  expect([...recurrent({ name: 'identity', gain: 0.5 }, 3)]).toEqual([0.5, 0, 0, 0, 0.5, 0, 0, 0, 0.5]);
  expect([...recurrent('identity', 2)]).toEqual([1, 0, 0, 1]);
});

test.each<[RNNOptions['recurrentInitializer'], number]>([
  ['uniform', 1 / Math.sqrt(50)],
  [undefined, 1 / Math.sqrt(50)],
  [{ name: 'uniform', gain: 3 }, 3 / Math.sqrt(50)],
  ['glorot', Math.sqrt(6 / 100)],
  [{ name: 'glorot', gain: 2 }, 2 * Math.sqrt(6 / 100)],
  ['kaiming', Math.sqrt(2) * Math.sqrt(3 / 50)],
  [{ name: 'kaiming', gain: 1 }, Math.sqrt(3 / 50)],
])('%j fills its range and no more', (initializer, bound) => {
  const values: number[] = [...recurrent(initializer, 50)];
  expect(largest(values)).toBeLessThanOrEqual(bound);
  expect(largest(values)).toBeGreaterThan(0.99 * bound);
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  expect(Math.abs(mean)).toBeLessThan(4 * (bound / Math.sqrt(3) / 50));
  // The square of a number uniform in ±b has mean b²/3 and standard deviation b²·√(4/45).
  const square = values.reduce((sum, x) => sum + x * x, 0) / values.length;
  expect(Math.abs(square / bound ** 2 - 1 / 3)).toBeLessThan((4 * Math.sqrt(4 / 45)) / 50);
});

test.each<Initializer>(['uniform', 'glorot', 'kaiming', 'orthogonal', 'identity'])(
  'with %s, all other parameters are uniform in ±1/√H',
  (initializer) => {
    const state = weights(initializer, 100, { inputSize: 40 });
    for (const name of ['weight_ih_l0', 'bias_ih_l0', 'bias_hh_l0'] as const) {
      expect(largest(state[name].data)).toBeLessThanOrEqual(0.1);
      expect(largest(state[name].data)).toBeGreaterThan(0.09);
    }
  },
);

test.each([
  [3, 7],
  [7, 3],
])('the input weights start by their own initialiser: H = %i, I = %i', (hiddenSize, inputSize) => {
  const make = (inputInitializer: RNNOptions['inputInitializer']) =>
    new RNN({ inputSize, hiddenSize, inputInitializer, dtype: 'float64', generator: new Generator(3) }).stateDict() as ReturnType<
      typeof weights
    >;
  const rows = make({ name: 'orthogonal', gain: 2 }).weight_ih_l0.toArray() as number[][];
  const vectors = hiddenSize < inputSize ? rows : (rows[0] ?? []).map((_, j) => rows.map((row) => row[j] as number));
  for (const [i, a] of vectors.entries()) {
    for (const [j, b] of vectors.entries()) {
      const product = a.reduce((sum, x, k) => sum + x * (b[k] as number), 0);
      expect(Math.abs(product - (i === j ? 4 : 0))).toBeLessThan(1e-14 * 16);
    }
  }
  const identity = make('identity').weight_ih_l0.toArray() as number[][];
  expect(identity.flatMap((row, i) => row.map((x, j) => x - (i === j ? 1 : 0)))).toEqual(Array(21).fill(0));
  const bounds = { uniform: 1 / Math.sqrt(hiddenSize), glorot: Math.sqrt(6 / 10), kaiming: Math.SQRT2 * Math.sqrt(3 / inputSize) };
  for (const [name, bound] of Object.entries(bounds)) {
    const { data } = make(name as Initializer).weight_ih_l0;
    expect(largest(data)).toBeLessThanOrEqual(bound);
    expect(largest(data)).toBeGreaterThan(0.7 * bound);
  }
  // The recurrent weights' own draws are not those of the input weights, but their rule is their own.
  expect(largest(make('identity').weight_hh_l0.data)).toBeLessThanOrEqual(1 / Math.sqrt(hiddenSize));
});

test('Linear starts uniform in ±1/√inputSize', () => {
  for (const { value } of new Linear({ inputSize: 25, outputSize: 100, generator: new Generator(1) }).parameters()) {
    expect(largest(value.data)).toBeLessThanOrEqual(Math.fround(0.2));
    expect(largest(value.data)).toBeGreaterThan(0.18);
  }
});

test.each<Initializer>(['uniform', 'glorot', 'kaiming', 'orthogonal', 'identity'])(
  '%s: the same seed gives the same weights, in float32 the rounded ones',
  (initializer) => {
    const first = weights(initializer, 7, { seed: 11 });
    expect(weights(initializer, 7, { seed: 11 })).toEqual(first);
    expect(weights(initializer, 7, { seed: 12 }).weight_ih_l0).not.toEqual(first.weight_ih_l0);
    const single = weights(initializer, 7, { seed: 11, dtype: 'float32' });
    for (const name of Object.keys(first) as (keyof typeof first)[])
      expect([...single[name].data]).toEqual([...first[name].data].map(Math.fround));
  },
);

test('without a generator every layer starts differently', () => {
  const make = () => new RNN({ inputSize: 2, hiddenSize: 3 }).stateDict();
  expect(make()).not.toEqual(make());
});

test.each<[Initializer, number[], string]>([
  [
    'uniform',
    [0.49560712695204245, -0.2781138751294446, -0.108912552382366, 0.2054252870391126],
    '3f059dffb757f5c60937565be4dd0fea4c727e1baf5ee19c3d7a84a7ff7345cc',
  ],
  [
    'glorot',
    [0.8584167244741762, -0.4817073620140644, -0.18864207430826466, 0.35580703431116334],
    'c139b3575b8e7be07d0a1f8411b66e8041e2d8e8a753b51ccf38af33708d59d9',
  ],
  [
    'kaiming',
    [1.2139845739192683, -0.6812370844552561, -0.2667801799209411, 0.5031871335105964],
    'adfea55df72fe6254a0c2955798584ec0db8379f6487c0f5a402157d0c116f26',
  ],
  [
    'orthogonal',
    [0.8720751849665085, -0.48937191558734766, 0.48937191558734744, 0.872075184966508],
    '261c5d484904732a29bb2bf5ef6b4d8b5f21c2c1bd8e41d5e3549e055ab77689',
  ],
])('%s weights never change', (initializer, small, sha256) => {
  expect([...recurrent(initializer, 2, 42)]).toEqual(small);
  expect(
    createHash('sha256')
      .update(recurrent(initializer, 33, 42))
      .digest('hex'),
  ).toBe(sha256);
});

test.each<[unknown, string]>([
  ['ortogonal', 'Did you mean "orthogonal"?'],
  [{ name: 'orthogonal', gian: 2 }, 'Did you mean "gain"?'],
  [{ gain: 2 }, 'recurrentInitializer: expected one of'],
  [{ name: 'orthogonal', gain: 0 }, 'recurrentInitializer.gain: expected a finite number above 0, got 0'],
  [{ name: 'orthogonal', gain: Number.NaN }, 'recurrentInitializer.gain'],
  [5, 'recurrentInitializer: expected an options object with name, gain, got 5'],
])('refuses %j', (initializer, text) => {
  expectRefused(() => new RNN({ inputSize: 1, hiddenSize: 1, recurrentInitializer: initializer as Initializer }), 'ERR_OPTION', text);
});
