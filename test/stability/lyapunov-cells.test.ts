// The Lyapunov exponents of gated cells over their whole state, against a plain loop in float64 over Jacobians by central differences.
import { Generator, GRU, LSTM, lyapunovExponents, Tensor } from '../../lib/index';
import { fillOrthogonal } from '../../lib/initializers';
import { expectClose } from '../helpers/compare';
import { fill, fillRecurrent } from '../helpers/fill';

const [T, I, H] = [40, 2, 4];
const STEP = 1e-5;

type Cell = LSTM | GRU;

/** state_t [S] of state_{t−1} and x_t [I] */
function advance(layer: Cell, x: Float64Array, state: Float64Array): Float64Array {
  const input = new Tensor(x, [1, 1, I]);
  if (layer instanceof GRU) {
    layer.forward(input, { initialState: new Tensor(state, [1, H]) });
    return Float64Array.from(layer.finalState.data);
  }
  const p = layer.projSize ?? H;
  layer.forward(input, { initialState: { h: new Tensor(state.slice(0, p), [1, p]), c: new Tensor(state.slice(p), [1, H]) } });
  return Float64Array.from([...layer.finalState.h.data, ...layer.finalState.c.data]);
}

/** The columns of ∂state_t/∂state_{t−1}. */
function jacobian(layer: Cell, x: Float64Array, state: Float64Array): Float64Array[] {
  return Array.from(state, (_, j) => {
    const at = (by: number) =>
      advance(
        layer,
        x,
        state.map((value, i) => (i === j ? value + by : value)),
      );
    const [above, below] = [at(STEP), at(-STEP)];
    return above.map((value, i) => (value - (below[i] as number)) / (2 * STEP));
  });
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

/** Orthonormalises in place; returns ln of the lengths that were left. */
function orthonormalize(vectors: Float64Array[]): number[] {
  return vectors.map((vector, k) => {
    // Twice, for the rounding of the first.
    for (let pass = 0; pass < 2; pass++) {
      for (const before of vectors.slice(0, k)) {
        const along = dot(before, vector);
        for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] as number) - along * (before[i] as number);
      }
    }
    const length = Math.sqrt(dot(vector, vector));
    for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] as number) / length;
    return Math.log(length);
  });
}

function plainExponents(layer: Cell, input: Tensor): { exponents: number[]; logDeterminant: number } {
  const size = layer instanceof GRU ? H : (layer.projSize ?? H) + H;
  let state: Float64Array = new Float64Array(size);
  // The directions that the library starts from: over so few steps they matter.
  const start = Tensor.zeros([size, size], { dtype: 'float64' });
  fillOrthogonal(start, 1, new Generator(0));
  let vectors = Array.from({ length: size }, (_, k) => start.data.slice(k * size, (k + 1) * size) as Float64Array);
  const sums = new Float64Array(size);
  let logDeterminant = 0;
  for (let t = 0; t < T; t++) {
    const x = input.data.slice(t * I, (t + 1) * I) as Float64Array;
    const columns = jacobian(layer, x, state);
    vectors = vectors.map((vector) =>
      vector.map((_, i) => columns.reduce((sum, column, j) => sum + (column[i] as number) * (vector[j] as number), 0)),
    );
    for (const [k, growth] of orthonormalize(vectors).entries()) sums[k] = (sums[k] as number) + growth / T;
    logDeterminant += orthonormalize(columns).reduce((sum, value) => sum + value, 0) / T;
    state = advance(layer, x, state);
  }
  return { exponents: [...sums].sort((a, b) => b - a), logDeterminant };
}

const options = { inputSize: I, hiddenSize: H, dtype: 'float64' } as const;

test.each<[title: string, make: () => Cell]>([
  ['LSTM', () => new LSTM(options)],
  [
    'LSTM with rms norms of the gates and of the cell state',
    () =>
      new LSTM({
        ...options,
        normalization: { placement: 'split-preactivation', kind: 'rms' },
        cellNormalization: { placement: 'carried', kind: 'rms', eps: 0.1 },
      }),
  ],
  [
    'LSTM with rms norms, of the cell state for the output',
    () =>
      new LSTM({
        ...options,
        normalization: { placement: 'preactivation', scope: 'gate', kind: 'rms', eps: 0.1 },
        cellNormalization: { placement: 'output', kind: 'rms', eps: 0.1 },
      }),
  ],
  ['GRU', () => new GRU(options)],
  ['GRU with LayerNorms', () => new GRU({ ...options, normalization: 'split-preactivation' })],
  ['GRU with LayerNorms, pre-activation', () => new GRU({ ...options, normalization: 'preactivation' })],
  ['GRU, reset before', () => new GRU({ ...options, resetAfter: false })],
  [
    'GRU, reset before, rms norm of the operand',
    () => new GRU({ ...options, resetAfter: false, normalization: { placement: 'recurrent-input', kind: 'rms' } }),
  ],
])('%s', (_, make) => {
  const layer = make();
  fillRecurrent(layer);
  const input = fill('x', [1, T, I]);
  const { exponents, logDeterminant } = plainExponents(layer, input);
  const own = lyapunovExponents(layer, input, { burnIn: 0 });
  expectClose(own, exponents, { within: 1e-6 });
  expect(own.reduce((sum, value) => sum + value, 0)).toBeCloseTo(logDeterminant, 4);
});
