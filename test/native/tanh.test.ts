// tanh over all floats in steps, and over doubles, on the SIMD target in use, through an RNN that does nothing else:
// T = 1, W_ih = 1, zero state and biases.
import { RNN } from '../../lib/layers/rnn';
import { type DType, Tensor, type TensorData } from '../../lib/tensor';

/** tanh of each element. With one unit every value stands alone; with 16, multiplied by the identity, whole vectors are computed. */
function tanh(values: TensorData, units: 1 | 16): TensorData {
  const dtype: DType = values instanceof Float64Array ? 'float64' : 'float32';
  const rnn = new RNN({ inputSize: units, hiddenSize: units, dtype });
  for (const { name, value } of rnn.parameters()) {
    value.data.fill(0);
    if (name === 'weight_ih_l0') for (let i = 0; i < units; i++) value.data[i * units + i] = 1;
  }
  return rnn.forward(new Tensor(values, [values.length / units, 1, units])).data;
}

/** The error in units of the last place that a float of the reference's size has; below the smallest normal number all is zero. */
function ulps(result: number, reference: number): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(reference))));
  return Math.abs(reference) < 2 ** -126 ? Math.abs(result) / 2 ** -126 : Math.abs(result - reference) / 2 ** (exponent - 23);
}

const STEP = 2503;
const INFINITY_BITS = 0x7f800000;

/** Every 2503rd positive float from zero to infinity, and the floats around where the kernel changes its ways; then their negatives. */
function floats(): Float32Array {
  const patterns: number[] = [];
  for (let bits = 0; bits < INFINITY_BITS; bits += STEP) patterns.push(bits);
  const edges = [0.2006, 0.55, 0.6019, 1.0032, 1.8058, 2.6083, 4.2135, 5.8186, 9.0109, 9.02, 2 ** -126, 3.4028234663852886e38];
  for (const edge of new Uint32Array(Float32Array.from(edges).buffer)) {
    for (let bits = edge - 2000; bits <= Math.min(edge + 2000, INFINITY_BITS - 1); bits++) if (bits >= 0) patterns.push(bits);
  }
  while (patterns.length % 16 !== 0) patterns.push(0);
  const positive = new Float32Array(Uint32Array.from(patterns).buffer);
  const all = new Float32Array(2 * positive.length);
  all.set(positive);
  all.set(
    positive.map((value) => -value),
    positive.length,
  );
  return all;
}

test('float32: at most 2 ulp from the true value, odd, and never beyond 1', () => {
  const values = floats();
  const results = tanh(values, 16);
  const half = values.length / 2;
  let worst = { error: 0, at: 0 };
  let largest = 0;
  let odd = true;
  for (let i = 0; i < half; i++) {
    const result = results[i] as number;
    const error = ulps(result, Math.tanh(values[i] as number));
    // "not at most": NaN is the worst.
    if (!(error <= worst.error)) worst = { error, at: values[i] as number };
    if (!(result <= largest)) largest = result;
    if (results[half + i] !== -result) odd = false;
  }
  expect(values.length).toBeGreaterThan(1_700_000);
  expect(worst.error).toBeLessThanOrEqual(2);
  expect(largest).toBe(1);
  expect(odd).toBe(true);
});

test('float32: a value alone gives the bits that it gives among others', () => {
  const values = floats().filter((_, index) => index % 101 === 0);
  const whole = values.subarray(0, values.length - (values.length % 16));
  expect(tanh(whole, 1)).toEqual(tanh(whole, 16));
});

/** round(2^scale · tanh(x)), from exp(2x) by its Taylor series in integers: nothing in common with the kernel. */
function exactTanh(x: number): bigint {
  const one = 1n << SCALE;
  // Halved 8 times, for the series to be short; squared as often afterwards.
  const reduced = fixed(x) >> 7n;
  let power = one;
  let term = one;
  for (let k = 1n; term !== 0n && term !== -1n; k++) {
    term = (term * reduced) / (k << SCALE);
    power += term;
  }
  for (let i = 0; i < 8; i++) power = (power * power) >> SCALE;
  return ((power - one) << SCALE) / (power + one);
}

const SCALE = 400n;

/** 2^scale · x, exact for 2^-300 < |x| < 2^53 */
function fixed(x: number): bigint {
  const exponent = Math.floor(Math.log2(Math.abs(x))) - 52;
  const mantissa = BigInt(x / 2 ** exponent);
  return exponent >= 0 ? mantissa << (SCALE + BigInt(exponent)) : (mantissa << SCALE) >> BigInt(-exponent);
}

test('float64: at most 2 ulp from the true value', () => {
  const values: number[] = [];
  // Dense where the kernel changes its ways, and in even steps of the logarithm.
  for (let i = 0; i < 600; i++) values.push(0.55 + (i - 300) * 1e-4, 19.06 + (i - 300) * 1e-3);
  for (let i = 0; i < 4000; i++) values.push(1e-6 * 3e7 ** (i / 4000));
  const results = tanh(Float64Array.from(values), 16);
  let worst = 0;
  for (const [index, x] of values.entries()) {
    const reference = exactTanh(x);
    const distance = fixed(results[index] as number) - reference;
    const exponent = Math.floor(Math.log2(Number(reference >> (SCALE - 200n)))) - 200;
    const error = Math.abs(Number(distance >> (SCALE - 200n))) / 2 ** (200 + exponent - 52);
    if (!(error <= worst)) worst = error;
  }
  expect(worst).toBeLessThanOrEqual(2);
});

test.each<DType>(['float32', 'float64'])('%s: zero, infinities and NaN', (dtype) => {
  const values = [0, Infinity, -Infinity, Number.NaN, 1e300, -1e300];
  const given = dtype === 'float32' ? Float32Array.from(values) : Float64Array.from(values);
  expect([...tanh(given, 1)]).toEqual([0, 1, -1, Number.NaN, 1, -1]);
});
