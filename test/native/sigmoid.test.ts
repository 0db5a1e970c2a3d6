// σ over all floats in steps, and over doubles, on the SIMD target in use, through a GRU that does nothing else: T = 1, W_ih of z = 1, all
// else zero, and a state of ones, so that h_1 = z.
import { GRU } from '../../lib/layers/gru';
import { type DType, Tensor, type TensorData } from '../../lib/tensor';

/** σ of each element. With one unit every value stands alone; with 17, multiplied by the identity, vectors and a part of one are computed. */
function sigmoid(values: TensorData, units: 1 | 17): TensorData {
  const dtype: DType = values instanceof Float64Array ? 'float64' : 'float32';
  const gru = new GRU({ inputSize: units, hiddenSize: units, dtype });
  for (const { name, value } of gru.parameters()) {
    value.data.fill(0);
    if (name === 'weight_ih_l0') for (let i = 0; i < units; i++) value.data[(units + i) * units + i] = 1;
  }
  const rows = values.length / units;
  const ones = Tensor.zeros([rows, units], { dtype });
  ones.data.fill(1);
  return gru.predict(new Tensor(values, [rows, 1, units]), { initialState: ones }).data;
}

/** By two formulas, so that neither cancels. */
function reference(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/** Every 5003rd float of both signs, in rows of 17. */
function floats(): Float32Array {
  const patterns: number[] = [];
  for (let bits = 0; bits < 0x7f800000; bits += 5003) patterns.push(bits, bits + 0x80000000);
  while (patterns.length % 17 !== 0) patterns.push(0);
  return new Float32Array(Uint32Array.from(patterns).buffer);
}

test('float32: within 2^-23 of the true value, and from 0 to 1', () => {
  const values = floats();
  const results = sigmoid(values, 17);
  let worst = { error: 0, at: 0 };
  for (let i = 0; i < values.length; i++) {
    const error = Math.abs((results[i] as number) - reference(values[i] as number));
    // "not at most": NaN is the worst.
    if (!(error <= worst.error)) worst = { error, at: values[i] as number };
  }
  expect(values.length).toBeGreaterThan(800_000);
  expect(worst.error).toBeLessThanOrEqual(2 ** -23);
  expect(results.every((value) => value >= 0 && value <= 1)).toBe(true);
});

test('float64: within 4 ulp of the true value, far below 0 too', () => {
  const values = Float64Array.from({ length: 17 * 1000 }, (_, i) => -690 + i * 0.0431);
  const results = sigmoid(values, 17);
  let worst = 0;
  for (let i = 0; i < values.length; i++) {
    const exact = reference(values[i] as number);
    const error = Math.abs((results[i] as number) - exact) / exact;
    if (!(error <= worst)) worst = error;
  }
  expect(worst).toBeLessThanOrEqual(4 * 2 ** -52);
});

test.each<DType>(['float32', 'float64'])('%s: a value alone gives the bits that it gives among others', (dtype) => {
  const some = Float64Array.from({ length: 17 * 60 }, (_, i) => Math.tan(i / 700) * (i % 2 === 0 ? 3 : -3));
  const values = dtype === 'float32' ? Float32Array.from(some) : some;
  expect(sigmoid(values, 1)).toEqual(sigmoid(values, 17));
});

test.each<DType>(['float32', 'float64'])('%s: zero, NaN, and the largest numbers', (dtype) => {
  // Not infinities: times the zeros in the other gates' weights they are NaN.
  const values = [0, Number.NaN, 1e38, -1e38];
  const given = dtype === 'float32' ? Float32Array.from(values) : Float64Array.from(values);
  const [zero, lost, large, small] = sigmoid(given, 1);
  expect([zero, lost, large]).toEqual([0.5, Number.NaN, 1]);
  // In float64 no result is smaller than σ(−700).
  expect(small).toBeLessThan(1e-300);
});
