import { type DType, Generator, GRU, LSTM, RNN, type RNNOptions, setNumThreads, Tensor } from '../../lib/index';
import { getNumThreads } from '../../lib/runtime';
import { expectRefused } from '../helpers/errors';
import { fill, fillRecurrent } from '../helpers/fill';
import { CASES } from '../helpers/fixtures';
import { checkGradients, dot } from '../helpers/gradient-check';

const [inputSize, hiddenSize] = [3, 7];
const { placements } = CASES.stateGradients;
const nonlinearity = 'tanh';

function makeRnn(options: Partial<RNNOptions> = {}): RNN {
  const layer = new RNN({ inputSize, hiddenSize, nonlinearity, dtype: 'float64', ...options });
  fillRecurrent(layer);
  return layer;
}

/** The bits of all gradients of one step. */
function gradients(layer: RNN, x: Tensor, gradOutput: Tensor, records: boolean): string[] {
  layer.recordStateGradients = records;
  for (const { grad } of layer.parameters()) grad.data.fill(0);
  layer.forward(x);
  const gradInput = layer.backward(gradOutput);
  const all = [gradInput, ...statesOf(layer), ...layer.parameters().map(({ grad }) => grad)];
  return all.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'));
}

/** ∂L/∂ the initial state, of an LSTM both its parts. */
function statesOf({ gradInitialState }: { gradInitialState: Tensor | Record<string, Tensor> }): Tensor[] {
  return gradInitialState instanceof Tensor ? [gradInitialState] : Object.values(gradInitialState);
}

/** Of one step only, the others zero. */
function gradAt(step: number, n: number, t: number, dtype: DType, scale = 1): Tensor {
  const gradOutput = Tensor.zeros([n, t, hiddenSize], { dtype });
  const values = fill('dy', [n, hiddenSize], { scale, dtype }).data;
  for (let row = 0; row < n; row++) {
    gradOutput.data.set(values.subarray(row * hiddenSize, (row + 1) * hiddenSize), (row * t + step) * hiddenSize);
  }
  return gradOutput;
}

/** The last rows of W_hh times this: gradients grow or shrink by about so much in a step. */
function scaleRecurrent(layer: RNN, by: number): RNN {
  const weight = layer.stateDict().weight_hh_l0 as Tensor;
  weight.data.forEach((value, index) => {
    weight.data[index] = value * by;
  });
  return layer;
}

describe.each<DType>(['float32', 'float64'])('recording leaves every bit of the gradients as it is (%s)', (dtype) => {
  const [n, t] = [19, 60];
  const x = fill('x', [n, t, inputSize], { dtype });

  describe.each(placements)('%s', (normalization) => {
    test.each([
      ['of ordinary size', () => fill('dy', [n, t, hiddenSize], { dtype })],
      // Beyond 2^±48, where float32 carries a power of two: the other steps then meet a gradient that is scaled.
      ['so large that they are scaled', () => fill('dy', [n, t, hiddenSize], { dtype, scale: 2 ** 60 })],
      [
        'large at the last step and ordinary before',
        () => addTo(fill('dy', [n, t, hiddenSize], { dtype }), gradAt(t - 1, n, t, dtype, 2 ** 70)),
      ],
      ['small at the last step and ordinary at the first', () => addTo(gradAt(0, n, t, dtype), gradAt(t - 1, n, t, dtype, 2 ** -60))],
    ])('gradients %s', (_, makeGradOutput) => {
      const gradOutput = makeGradOutput();
      const layer = makeRnn({ dtype, normalization });
      expect(gradients(layer, x, gradOutput, true)).toEqual(gradients(layer, x, gradOutput, false));
      const limited = makeRnn({ dtype, normalization, stateGradientLimit: 0.5 });
      expect(gradients(limited, x, gradOutput, true)).toEqual(gradients(limited, x, gradOutput, false));
      expect(limited.limitedStateGradients).toBeGreaterThan(0);
    });
  });

  test('and what it records does not depend on the number of threads or on checkpointing', () => {
    const threads = getNumThreads();
    const gradOutput = gradAt(t - 1, n, t, dtype, 2 ** 60);
    const record = (count: number, options: Partial<RNNOptions> = {}) => {
      setNumThreads(count);
      const layer = scaleRecurrent(makeRnn({ dtype, normalization: 'hidden', ...options }), 3);
      return [...gradients(layer, x, gradOutput, true), ...layer.stateGradientLogNorms.data];
    };
    const first = record(1);
    for (const count of [2, 3, 7]) expect(record(count)).toEqual(first);
    expect(record(2, { checkpointing: { every: 1 } })).toEqual(first);
    setNumThreads(threads);
  });
});

function addTo(target: Tensor, source: Tensor): Tensor {
  source.data.forEach((value, index) => {
    target.data[index] = (target.data[index] as number) + value;
  });
  return target;
}

// A state of zeros stays zero, where φ' is 1: then g_{t-1} = g_t W_hh, and a product that is scaled after each factor tells ln‖g_t‖.
describe.each<DType>(['float32', 'float64'])('a million steps (%s)', (dtype) => {
  const steps = 1_000_000;

  test.each([
    ['grow beyond the largest float32 ten thousand times', 2.5],
    ['shrink below the smallest', 0.3],
  ])('in which gradients %s', (_, gain) => {
    const layer = new RNN({ inputSize: 1, hiddenSize: 4, dtype, recurrentInitializer: { name: 'orthogonal', gain } });
    for (const bias of ['bias_ih_l0', 'bias_hh_l0']) layer.stateDict()[bias]?.data.fill(0);
    const weight = layer.stateDict().weight_hh_l0 as Tensor;
    // No longer orthogonal: the rate is not just ln gain.
    weight.data.set(weight.data.map((value, index) => value * (1 + 0.1 * (index % 4))));
    layer.recordStateGradients = true;
    layer.forward(Tensor.zeros([1, steps, 1], { dtype }));
    const gradOutput = Tensor.zeros([1, steps, 4], { dtype });
    gradOutput.data.set([1, -2, 3, 0.5], (steps - 1) * 4);
    layer.backward(gradOutput);

    const logNorms = layer.stateGradientLogNorms.data;
    expect(logNorms.every(Number.isFinite)).toBe(true);
    const expected = scaledProduct([1, -2, 3, 0.5], weight.toArray() as number[][], steps);
    const total = (logNorms[0] as number) - (logNorms[steps - 1] as number);
    expect(Math.abs(expected)).toBeGreaterThan(dtype === 'float32' && gain > 1 ? 1e4 * Math.log(3.4e38) : 1e5);
    expect(Math.abs(total / expected - 1)).toBeLessThan(dtype === 'float64' ? 1e-10 : 1e-6);
    // Out of range in truth, and said so.
    expect([...layer.gradInitialState.data].every((value) => (gain > 1 ? Math.abs(value) === Infinity : value === 0))).toBe(true);
  });
});

/** ln of how much g grows when it is multiplied by W that many times less one; without an allocation, for a million of them. */
function scaledProduct(start: number[], weight: number[][], steps: number): number {
  const size = start.length;
  let [g, next] = [Float64Array.from(start), new Float64Array(size)];
  const flat = Float64Array.from(weight.flat());
  let log = -Math.log(Math.hypot(...g));
  for (let step = 1; step < steps; step++) {
    let squares = 0;
    for (let j = 0; j < size; j++) {
      let sum = 0;
      for (let k = 0; k < size; k++) sum += (g[k] as number) * (flat[k * size + j] as number);
      next[j] = sum;
      squares += sum * sum;
    }
    const norm = Math.sqrt(squares);
    log += Math.log(norm);
    for (let j = 0; j < size; j++) next[j] = (next[j] as number) / norm;
    [g, next] = [next, g];
  }
  return log + Math.log(Math.hypot(...g));
}

test('the limit is the derivative of a network whose states are held back by as much', () => {
  // Where g_t became s g_t, each state counts s times as much: h_t = c + s (φ(a_t) − c) with the constant c its value, unmoved.
  const [n, t, limit] = [2, 6, 0.8];
  const [x, initialState, dy] = [fill('x', [n, t, inputSize]), fill('h0', [n, hiddenSize]), fill('dy', [n, t, hiddenSize])];
  const layer = makeRnn({ stateGradientLimit: limit });
  layer.recordStateGradients = true;
  const states = layer.forward(x, { initialState });
  const gradInput = layer.backward(dy);
  const factors = layer.stateGradientLogNorms.data.map((logNorm) => Math.min(1, limit / Math.exp(logNorm)));
  const acted = factors.filter((factor) => factor < 1).length;
  expect(layer.limitedStateGradients).toBe(acted);
  expect(acted).toBeGreaterThan(2);
  expect(acted).toBeLessThan(n * t);
  const constants = states.data.slice();

  const heldBack = (): number => {
    const weights = Object.fromEntries(
      Object.entries(layer.stateDict()).map(([name, value]) => [name, value.toArray()]),
    ) as unknown as Weights;
    const output = Tensor.zeros([n, t, hiddenSize], { dtype: 'float64' });
    for (let row = 0; row < n; row++) {
      let h = (initialState.toArray() as number[][])[row] as number[];
      for (let step = 0; step < t; step++) {
        const [place, factor] = [(row * t + step) * hiddenSize, factors[row * t + step] as number];
        const input = [...x.data.subarray((row * t + step) * inputSize, (row * t + step + 1) * inputSize)];
        h = elmanStep(weights, input, h).map((value, unit) => {
          const constant = constants[place + unit] as number;
          return constant + factor * (value - constant);
        });
        output.data.set(h, place);
      }
    }
    return dot(output, dy);
  };
  const parameters = Object.fromEntries(layer.parameters().map((parameter) => [parameter.name, parameter]));
  checkGradients(heldBack, {
    ...parameters,
    x: { value: x, grad: gradInput },
    h0: { value: initialState, grad: layer.gradInitialState },
  });
});

interface Weights {
  weight_ih_l0: number[][];
  weight_hh_l0: number[][];
  bias_ih_l0: number[];
  bias_hh_l0: number[];
}

function elmanStep(w: Weights, x: number[], h: number[]): number[] {
  const product = (row: number[] | undefined, values: number[]) =>
    values.reduce((sum, value, i) => sum + value * (row?.[i] ?? Number.NaN), 0);
  return h.map((_, unit) =>
    Math.tanh(
      product(w.weight_ih_l0[unit], x) + product(w.weight_hh_l0[unit], h) + (w.bias_ih_l0[unit] as number) + (w.bias_hh_l0[unit] as number),
    ),
  );
}

test('norms beyond the range of their squares are measured and limited', () => {
  for (const [dtype, size] of [
    ['float32', 3e38],
    ['float64', 1e300],
    ['float64', 1e-300],
  ] as const) {
    const layer = makeRnn({ dtype, stateGradientLimit: 1e-3 });
    layer.recordStateGradients = true;
    layer.forward(Tensor.zeros([1, 1, inputSize], { dtype }));
    const gradOutput = Tensor.zeros([1, 1, hiddenSize], { dtype });
    gradOutput.data.fill(size);
    layer.backward(gradOutput);
    expect(layer.stateGradientLogNorms.data[0]).toBeCloseTo(Math.log(size) + Math.log(hiddenSize) / 2, 5);
    expect(layer.limitedStateGradients).toBe(size > 1 ? 1 : 0);
    const bias = layer.parameters().find(({ name }) => name === 'bias_ih_l0');
    expect(Math.hypot(...(bias?.grad.data ?? [])) > 0).toBe(size > 1 || dtype === 'float64');
    expect([...(bias?.grad.data ?? [])].every(Number.isFinite)).toBe(true);
  }
});

test('zero is −Infinity, and NaN and infinity stay what they are', () => {
  const layer = makeRnn({ stateGradientLimit: 1 });
  layer.recordStateGradients = true;
  for (const [value, expected] of [
    [0, Number.NEGATIVE_INFINITY],
    [Number.NaN, Number.NaN],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
  ] as const) {
    layer.forward(fill('x', [1, 3, inputSize]));
    const gradOutput = Tensor.zeros([1, 3, hiddenSize], { dtype: 'float64' });
    gradOutput.data[2 * hiddenSize] = value;
    const gradInput = layer.backward(gradOutput);
    expect(layer.stateGradientLogNorms.data[2]).toBe(expected);
    expect(gradInput.data.every(Number.isFinite)).toBe(value === 0);
  }
});

describe('what cannot be read yet', () => {
  test('before a backward call, and without recording', () => {
    const layer = makeRnn();
    const x = fill('x', [1, 2, inputSize]);
    const refusedBoth = () => {
      expectRefused(() => layer.stateGradientLogNorms, 'ERR_STATE', 'stateGradientLogNorms: expected a backward call before it is read');
      expectRefused(() => layer.limitedStateGradients, 'ERR_STATE', 'limitedStateGradients: expected a backward call before it is read');
    };
    refusedBoth();
    layer.backward(layer.forward(x));
    expectRefused(() => layer.stateGradientLogNorms, 'ERR_STATE', 'Set recordStateGradients = true before it');
    expect(layer.limitedStateGradients).toBe(0);
    layer.forward(x);
    refusedBoth();
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '1', null])('stateGradientLimit %p is refused', (stateGradientLimit) => {
    expectRefused(
      () => makeRnn({ stateGradientLimit } as Partial<RNNOptions>),
      'ERR_OPTION',
      'stateGradientLimit: expected a finite number above 0',
    );
  });
});

// Of one sequence the scan has ways of its own, which recording takes another one instead of.
const recurrentLayers = { RNN, GRU, LSTM } as unknown as Record<string, typeof RNN>;
test.each(Object.entries(recurrentLayers).flatMap(([name, Recurrent]) => [6, 64, 128].map((units) => [name, units, Recurrent] as const)))(
  'recording changes no bit of one sequence: %s of %i units',
  (_, units, Recurrent) => {
    for (const dtype of ['float32', 'float64'] as const) {
      for (const normalization of ['none', 'preactivation', 'recurrent-input'] as const) {
        const generator = new Generator(5);
        const layer = new Recurrent({ inputSize: 3, hiddenSize: units, dtype, normalization, generator });
        const [x, gradOutput] = [Tensor.randn([1, 9, 3], { dtype, generator }), Tensor.randn([1, 9, units], { dtype, generator })];
        expect(gradients(layer, x, gradOutput, true)).toEqual(gradients(layer, x, gradOutput, false));
      }
    }
  },
);
