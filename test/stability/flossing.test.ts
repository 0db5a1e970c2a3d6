// Gradients against central differences of the loss; exponents against those of the addon.
import { Adam, flossing, Generator, GRU, Linear, LSTM, lyapunovSpectrum, type Nonlinearity, RNN, SGD, Tensor } from '../../lib/index';
import { fillOrthogonal } from '../../lib/initializers';
import type { RecurrentLayer } from '../../lib/layers/recurrent/recurrent-layer';
import { CellTangents } from '../../lib/stability/cell-tangents';
import { orthonormalize, orthonormalizeBackward } from '../../lib/stability/qr';
import { expectRefused } from '../helpers/errors';

const dtype = 'float64';
const [I, H] = [2, 6];

function makeRnn(nonlinearity: Nonlinearity = 'tanh', seed = 1): RNN {
  const generator = new Generator(seed);
  return new RNN({ inputSize: I, hiddenSize: H, nonlinearity, recurrentInitializer: { name: 'orthogonal', gain: 1.2 }, generator, dtype });
}

const sizes = (hiddenSize = 4) => ({ inputSize: I, hiddenSize, generator: new Generator(1), dtype }) as const;
const makeInput = (n: number, t: number, seed = 2) => Tensor.randn([n, t, I], { dtype, generator: new Generator(seed) });
const normals = (count: number, generator: Generator) => Float64Array.from({ length: count }, () => generator.normal());

/** The largest |difference| from central differences of the fourth order over all elements, relative to the largest gradient. */
function worstGradient(rnn: RecurrentLayer<unknown>, loss: () => number): number {
  const step = 1e-4;
  let [worst, largest] = [0, 0];
  for (const { value, grad } of rnn.parameters()) {
    for (let i = 0; i < value.size; i++) {
      const before = value.data[i] as number;
      const [a1, b1, a2, b2] = [step, -step, 2 * step, -2 * step].map((by) => {
        value.data[i] = before + by;
        return loss();
      }) as [number, number, number, number];
      value.data[i] = before;
      worst = Math.max(worst, Math.abs((8 * (a1 - b1) - (a2 - b2)) / (12 * step) - (grad.data[i] as number)));
      largest = Math.max(largest, Math.abs(grad.data[i] as number));
    }
  }
  return worst / largest;
}

describe('the QR decomposition', () => {
  test('is one: V = Q R, Q orthonormal, also of rows that hardly differ', () => {
    const [k, size] = [4, 7];
    const generator = new Generator(1);
    const rows = normals(k * size, generator);
    for (let a = 0; a < size; a++) rows[size + a] = (rows[a] as number) + 1e-9 * (rows[size + a] as number);
    const [q, r] = [rows.slice(), new Float64Array(k * k)];
    orthonormalize(q, r, k, size);
    for (let i = 0; i < k; i++) {
      expect(r[i * k + i]).toBeGreaterThan(0);
      for (let j = 0; j < k; j++) {
        const cosine = Array.from({ length: size }, (_, a) => (q[i * size + a] as number) * (q[j * size + a] as number)).reduce(
          (x, y) => x + y,
        );
        expect(Math.abs(cosine - (i === j ? 1 : 0))).toBeLessThan(1e-15);
      }
      for (let a = 0; a < size; a++) {
        const product = Array.from({ length: i + 1 }, (_, j) => (r[j * k + i] as number) * (q[j * size + a] as number)).reduce(
          (x, y) => x + y,
        );
        expect(Math.abs(product - (rows[i * size + a] as number))).toBeLessThan(1e-14);
      }
    }
  });

  test.each([1, 3, 5])('goes back through %i vectors of 5', (k) => {
    const size = 5;
    const generator = new Generator(3);
    const [rows, ofQ, ofLog] = [normals(k * size, generator), normals(k * size, generator), normals(k, generator)];
    const decompose = (given: Float64Array) => {
      const [q, r] = [given.slice(), new Float64Array(k * k)];
      orthonormalize(q, r, k, size);
      return { q, r };
    };
    const loss = (given: Float64Array) => {
      const { q, r } = decompose(given);
      return (
        ofQ.reduce((sum, g, i) => sum + g * (q[i] as number), 0) +
        ofLog.reduce((sum, g, i) => sum + g * Math.log(r[i * k + i] as number), 0)
      );
    };
    const { q, r } = decompose(rows);
    const gradient = ofQ.slice();
    orthonormalizeBackward(q, r, gradient, ofLog, k, size);
    const scale = Math.max(...gradient.map(Math.abs));
    for (let i = 0; i < rows.length; i++) {
      const [above, below] = [1e-6, -1e-6].map((by) => loss(rows.with(i, (rows[i] as number) + by))) as [number, number];
      expect(Math.abs((above - below) / 2e-6 - (gradient[i] as number)) / scale).toBeLessThan(1e-8);
    }
  });
});

describe('flossing', () => {
  test.each([
    ['tanh', 1],
    ['tanh', 3],
    ['tanh', H],
    ['relu', 1],
    ['relu', 2],
  ] as const)('of %s units and %i exponents has the exact gradient', (nonlinearity, count) => {
    const rnn = makeRnn(nonlinearity);
    const input = makeInput(2, 12);
    const options = { count, target: -0.2, weight: 3, burnIn: 2 };
    const { value } = flossing(rnn, input, options);
    expect(value).toBeGreaterThan(0);
    // The differences' own calls add to the gradients: only the first is compared.
    const grads = rnn.parameters().map(({ grad }) => grad.data.slice());
    const restore = () => rnn.parameters().forEach(({ grad }, i) => void grad.data.set(grads[i] as Float64Array));
    const loss = () => {
      const result = flossing(rnn, input, options).value;
      restore();
      return result;
    };
    expect(worstGradient(rnn, loss)).toBeLessThan(1e-7);
  });

  const others: [string, () => RecurrentLayer<unknown>, number][] = [
    ['an LSTM', () => new LSTM({ ...sizes(), forgetBias: 1 }), 3],
    ['an LSTM’s h and c', () => new LSTM(sizes(2)), 3],
    [
      'an LSTM with a projection and a normalised cell state',
      () =>
        new LSTM({ ...sizes(), projSize: 2, normalization: { placement: 'split-preactivation', eps: 0.01 }, cellNormalization: 'carried' }),
      3,
    ],
    ['a GRU', () => new GRU(sizes()), 3],
    ['a GRU that resets before its product', () => new GRU({ ...sizes(), resetAfter: false }), 2],
    [
      'an RNN with LayerNorm before the activation',
      () => new RNN({ ...sizes(), normalization: { placement: 'preactivation', eps: 0.01 } }),
      2,
    ],
    ['an RNN with LayerNorm on the state', () => new RNN({ ...sizes(), normalization: { placement: 'hidden', eps: 0.01 } }), 3],
  ];

  test.each(others)('of %s has its gradient to 1e-7 too', (_, make, count) => {
    const layer = make();
    const input = makeInput(1, 6);
    const options = { count, target: 0.1, burnIn: 2 };
    flossing(layer, input, options);
    const grads = layer.parameters().map(({ grad }) => grad.data.slice());
    const restore = () => layer.parameters().forEach(({ grad }, i) => void grad.data.set(grads[i] as Float64Array));
    const loss = () => {
      const result = flossing(layer, input, options).value;
      restore();
      return result;
    };
    expect(worstGradient(layer, loss)).toBeLessThan(1e-7);
    const { exponents } = flossing(layer, input, options);
    const expected = lyapunovSpectrum(layer, input, { count, burnIn: 2 }).exponents;
    const sorted = exponents.toSorted((x, y) => y - x);
    expected.forEach((value, i) => void expect(Math.abs(value - (sorted[i] as number))).toBeLessThan(1e-9));
  });

  test('by differences is what it is exactly', () => {
    const rnn = makeRnn();
    const input = makeInput(1, 12);
    flossing(rnn, input, { count: 4 });
    const directions = Tensor.zeros([4, H], { dtype });
    fillOrthogonal(directions, 1, new Generator(0));
    const tangents = new CellTangents(rnn.scanInFloat64(), rnn.scanInFloat64(), Float64Array.from(directions.data), 12);
    const logGrowths = tangents.forward(Float64Array.from(input.data));
    const exponents = Array.from({ length: 4 }, (_, i) => {
      const own = logGrowths.filter((__, at) => at % 4 === i && at >= 4);
      return own.reduce((sum, growth) => sum + growth, 0) / 11;
    });
    tangents.backward(
      Float64Array.from(input.data),
      Float64Array.from(exponents, (exponent) => (2 * exponent) / 4 / 11),
      1,
    );
    const scale = Math.max(...rnn.parameters().flatMap(({ grad }) => [...grad.data.map(Math.abs)]));
    rnn.parameters().forEach(({ grad }, p) => {
      grad.data.forEach((value, i) => void expect(Math.abs(value - (tangents.gradients[p]?.[i] as number)) / scale).toBeLessThan(1e-9));
    });
  });

  test.each(['tanh', 'relu'] as const)('knows the exponents of lyapunovSpectrum: %s', (nonlinearity) => {
    const rnn = makeRnn(nonlinearity);
    const input = makeInput(3, 40);
    const options = { count: 2, burnIn: 7 };
    const exponents = flossing(rnn, input, options).exponents.toSorted((a, b) => b - a);
    const expected = lyapunovSpectrum(rnn, input, options).exponents;
    expected.forEach((value, i) => void expect(Math.abs(value - (exponents[i] as number))).toBeLessThan(1e-12));
  });

  test('weighs, and adds to the gradients that are there', () => {
    const rnn = makeRnn();
    const input = makeInput(1, 10);
    const first = flossing(rnn, input);
    expect(first.value).toBeCloseTo(first.exponents.reduce((sum, exponent) => sum + exponent ** 2, 0) / H, 14);
    const once = rnn.parameters().map(({ grad }) => grad.data.slice());
    expect(flossing(rnn, input, { weight: 2 }).value).toBeCloseTo(2 * first.value, 14);
    rnn.parameters().forEach(({ grad }, p) => {
      grad.data.forEach((value, i) => void expect(value).toBeCloseTo(3 * (once[p]?.[i] as number), 12));
    });
  });

  test('pushes the exponents of new input to 0', () => {
    const rnn = makeRnn('tanh', 4);
    const generator = new Generator(5);
    const optimizer = new Adam(rnn.parameters(), { learningRate: 0.01 });
    const spread = () =>
      lyapunovSpectrum(rnn, makeInput(2, 200, 6), { count: 3 }).exponents.reduce((sum, exponent) => sum + exponent ** 2, 0);
    const before = spread();
    for (let step = 0; step < 150; step++) {
      optimizer.zeroGrad();
      flossing(rnn, Tensor.randn([1, 30, I], { dtype, generator }), { count: 3 });
      optimizer.step();
    }
    expect(spread()).toBeLessThan(0.15 * before);
  });

  test('takes float32, no bias, and leaves the state alone', () => {
    const generator = new Generator(1);
    const rnn = new RNN({ inputSize: I, hiddenSize: 3, bias: false, stateful: true, generator });
    const input = Tensor.randn([1, 8, I], { generator });
    rnn.forward(input);
    const state = rnn.finalState;
    expect(flossing(rnn, input).value).toBeGreaterThan(0);
    expect(rnn.finalState.data).toEqual(state.data);
    expect(rnn.parameters().every(({ grad }) => grad.data.some((value) => value !== 0))).toBe(true);
    new SGD(rnn.parameters(), { learningRate: 0.1 }).step();
  });

  test('refuses what has no such gradient, and adds nothing then', () => {
    const relu = makeRnn('relu');
    // No unit is on: every direction ends.
    for (const { name, value } of relu.parameters()) if (name.startsWith('bias')) value.data.fill(-100);
    expectRefused(() => flossing(relu, makeInput(1, 5)), 'ERR_NON_FINITE', 'exponent 1 is not finite');
    expect(relu.parameters().every(({ grad }) => grad.data.every((value) => value === 0))).toBe(true);
    const input = makeInput(1, 5);
    expectRefused(
      () => flossing(new Linear({ inputSize: I, outputSize: H, dtype }) as unknown as RNN, input),
      'ERR_OPTION',
      'a recurrent layer',
    );
    // A LayerNorm takes the mean away.
    expectRefused(() => flossing(new RNN({ ...sizes(), normalization: 'hidden' }), input), 'ERR_NON_FINITE', 'exponent 4 is not finite');
    expectRefused(() => flossing(new RNN({ ...sizes(), numLayers: 2 }), input), 'ERR_OPTION', '2 layers');
    expectRefused(() => flossing(new RNN({ ...sizes(), zoneout: 0.1 }), input), 'ERR_OPTION', 'zoneout');
    expectRefused(() => flossing(makeRnn(), input, { count: H + 1 }), 'ERR_OPTION', 'count');
    expectRefused(() => flossing(makeRnn(), input, { burnIn: 5 }), 'ERR_OPTION', 'burnIn');
  });
});
