/** Whether the binary computes right on this machine: a recurrent and a linear layer beside plain loops, in both element types. */
import { Linear } from '../layers/linear';
import { RNN } from '../layers/rnn';
import type { Parameter } from '../parameter';
import { Generator } from '../random';
import { type DType, Tensor } from '../tensor';

export interface SelfTest {
  passed: boolean;
  /** the largest difference over what rounding explains: 1 or less has passed */
  error: number;
  milliseconds: number;
}

// Sizes that leave a rest beside whole vectors of any width, and a product large enough for the BLAS.
const [N, T, I, H, O] = [3, 6, 19, 37, 41];

export function selfTest(): SelfTest {
  const start = performance.now();
  // Not Math.max, which a NaN may leave unnoticed in a comparison below.
  const errors = [errorOf('float64', 1e-12), errorOf('float32', 1e-4)].flat();
  const passed = errors.every((error) => error <= 1);
  return { passed, error: Math.max(...errors), milliseconds: performance.now() - start };
}

/** The differences of outputs and of gradients from the loops', in units of the tolerance. */
function errorOf(dtype: DType, tolerance: number): number[] {
  const generator = new Generator(1);
  const rnn = new RNN({ inputSize: I, hiddenSize: H, dtype, generator });
  const head = new Linear({ inputSize: H, outputSize: O, dtype, generator });
  const input = Tensor.randn([N, T, I], { dtype, generator });
  const seed = Tensor.randn([N, T, O], { dtype, generator });
  const output = head.forward(rnn.forward(input));
  const gradInput = rnn.backward(head.backward(seed));
  const expected = byLoops(valuesOf(rnn.parameters()), valuesOf(head.parameters()), input.data, seed.data);
  const gradWeight = rnn.parameters()[1] as Parameter;
  return [
    distance(output.data, expected.output),
    distance(gradInput?.data ?? [], expected.gradInput),
    distance(gradWeight.grad.data, expected.gradRecurrent),
  ].map((difference) => difference / tolerance);
}

function valuesOf(parameters: readonly Parameter[]): ArrayLike<number>[] {
  return parameters.map(({ value }) => value.data);
}

type Numbers = ArrayLike<number>;

/** h_t = tanh(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh), y_t = W h_t + b, and backward from ∂L/∂y. */
function byLoops([wih, whh, bih, bhh]: Numbers[], [w, b]: Numbers[], x: Numbers, dy: Numbers) {
  const at = (array: Numbers | undefined, i: number) => array?.[i] as number;
  const output = new Float64Array(N * T * O);
  const gradInput = new Float64Array(N * T * I);
  const gradRecurrent = new Float64Array(H * H);
  for (let n = 0; n < N; n++) {
    const states = [new Float64Array(H)];
    for (let t = 0; t < T; t++) {
      const row = n * T + t;
      const before = states[t] as Float64Array;
      const state = before.map((_, i) => {
        let sum = at(bih, i) + at(bhh, i);
        for (let k = 0; k < I; k++) sum += at(wih, i * I + k) * at(x, row * I + k);
        for (let k = 0; k < H; k++) sum += at(whh, i * H + k) * at(before, k);
        return Math.tanh(sum);
      });
      states.push(state);
      for (let o = 0; o < O; o++) output[row * O + o] = state.reduce((sum, h, k) => sum + at(w, o * H + k) * h, at(b, o));
    }
    let carried = new Float64Array(H);
    for (let t = T - 1; t >= 0; t--) {
      const row = n * T + t;
      const before = states[t] as Float64Array;
      const gates = carried.map((later, i) => {
        let sum = later;
        for (let o = 0; o < O; o++) sum += at(w, o * H + i) * at(dy, row * O + o);
        return sum * (1 - at(states[t + 1], i) ** 2);
      });
      for (let k = 0; k < I; k++) gradInput[row * I + k] = gates.reduce((sum, gate, i) => sum + gate * at(wih, i * I + k), 0);
      for (let i = 0; i < H * H; i++) gradRecurrent[i] = at(gradRecurrent, i) + at(gates, Math.floor(i / H)) * at(before, i % H);
      carried = before.map((_, k) => gates.reduce((sum, gate, i) => sum + gate * at(whh, i * H + k), 0));
    }
  }
  return { output, gradInput, gradRecurrent };
}

/** The largest difference, relative where numbers are large; NaN where one is. */
function distance(got: Numbers, expected: Float64Array): number {
  if (got.length !== expected.length) return Number.NaN;
  return expected.reduce((worst, value, i) => Math.max(worst, Math.abs((got[i] as number) - value) / Math.max(1, Math.abs(value))), 0);
}
