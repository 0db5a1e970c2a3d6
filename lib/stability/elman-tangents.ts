import type { Nonlinearity } from '../layers/rnn';
import { Decompositions } from './decompositions';
import { addTimes, dot } from './qr';
import type { SequenceTangents } from './sequence-tangents';

/** W_ih [H, I], W_hh [H, H] and the sum of the biases [H]; or the gradients by them. */
export interface ElmanWeights {
  readonly ih: Float64Array;
  readonly hh: Float64Array;
  readonly bias: Float64Array;
}

/**
 * The states of an Elman RNN and k tangents along with them, one sequence at a time, forward and backward:
 * h_t = φ(W_ih x_t + W_hh h_{t−1} + b), V_t = diag(d_t) P_t with d_t = φ′(a_t) and P_t = W_hh Q_{t−1}, V_t = Q_t R_t. Tangents are rows [k, H].
 */
export class ElmanTangents implements SequenceTangents {
  readonly gradients: readonly Float64Array[];
  readonly #gradients: ElmanWeights;
  readonly #weights: ElmanWeights;
  readonly #isTanh: boolean;
  readonly #k: number;
  readonly #size: number;
  readonly #decompositions: Decompositions;
  /** h_0 … h_T [T + 1, H], P_1 … P_T [T, k, H] */
  readonly #h: Float64Array;
  readonly #p: Float64Array;

  /**
   * @param biases how many there are, which have the same gradient: 0 or 2
   * @param directions Q_0 [k, H]
   */
  constructor(weights: ElmanWeights, biases: number, nonlinearity: Nonlinearity, directions: Float64Array, steps: number) {
    const size = weights.bias.length;
    const k = directions.length / size;
    this.#weights = weights;
    this.#isTanh = nonlinearity === 'tanh';
    [this.#k, this.#size] = [k, size];
    this.#decompositions = new Decompositions(directions, size, steps);
    this.#h = new Float64Array((steps + 1) * size);
    this.#p = new Float64Array(steps * k * size);
    const { ih, hh, bias } = weights;
    const gradients = { ih: new Float64Array(ih.length), hh: new Float64Array(hh.length), bias: new Float64Array(bias.length) };
    this.#gradients = gradients;
    this.gradients = [gradients.ih, gradients.hh, ...Array.from({ length: biases }, () => gradients.bias)];
  }

  forward(input: Float64Array): Float64Array {
    return this.#decompositions.forward((t) => this.#advance(input, t));
  }

  backward(input: Float64Array, gradLogDiagonal: Float64Array, burnIn: number): void {
    this.#decompositions.backward(gradLogDiagonal, burnIn, (t, gradTangents, gradState) => {
      this.#backwardTangents(t, gradTangents, gradState);
      this.#backwardState(input, t, gradState);
    });
  }

  /** h_t, P_t and V_t from h_{t−1} and Q_{t−1}. */
  #advance(input: Float64Array, t: number): void {
    const { ih, hh, bias } = this.#weights;
    const [k, size] = [this.#k, this.#size];
    const inputSize = ih.length / size;
    const [before, after] = [(t - 1) * size, t * size];
    for (let a = 0; a < size; a++) {
      const sum =
        dot(ih, a * inputSize, input, (t - 1) * inputSize, inputSize) + dot(hh, a * size, this.#h, before, size) + (bias[a] as number);
      this.#h[after + a] = this.#isTanh ? Math.tanh(sum) : Math.max(0, sum);
    }
    const [from, p, v] = [this.#decompositions.q(t - 1), this.#pOf(t), this.#decompositions.q(t)];
    for (let a = 0; a < size; a++) {
      const slope = this.#slope(t, a);
      for (let i = 0; i < k; i++) {
        const product = dot(hh, a * size, from, i * size, size);
        p[i * size + a] = product;
        v[i * size + a] = slope * product;
      }
    }
  }

  /** ∂L/∂V_t becomes ∂L/∂Q_{t−1}; what d_t passes on is added to ∂L/∂h_t. */
  #backwardTangents(t: number, gradient: Float64Array, gradState: Float64Array): void {
    const { hh } = this.#weights;
    const [k, size] = [this.#k, this.#size];
    const [from, p] = [this.#decompositions.q(t - 1), this.#pOf(t)];
    const gradP = new Float64Array(k * size);
    for (let a = 0; a < size; a++) {
      const slope = this.#slope(t, a);
      let gradSlope = 0;
      for (let i = 0; i < k; i++) {
        const ofV = gradient[i * size + a] as number;
        gradSlope += ofV * (p[i * size + a] as number);
        gradP[i * size + a] = slope * ofV;
        addTimes(this.#gradients.hh, a * size, slope * ofV, from, i * size, size);
      }
      // φ′ = 1 − h² of tanh; of relu it is 0 or 1, and does not move.
      if (this.#isTanh) gradState[a] = (gradState[a] as number) - 2 * (this.#h[t * size + a] as number) * gradSlope;
    }
    gradient.fill(0);
    for (let i = 0; i < k; i++) {
      for (let a = 0; a < size; a++) addTimes(gradient, i * size, gradP[i * size + a] as number, hh, a * size, size);
    }
  }

  /** ∂L/∂h_t becomes ∂L/∂h_{t−1}. */
  #backwardState(input: Float64Array, t: number, gradState: Float64Array): void {
    const { hh } = this.#weights;
    const size = this.#size;
    const inputSize = this.#weights.ih.length / size;
    const { ih: gradIh, hh: gradHh, bias } = this.#gradients;
    const before = new Float64Array(size);
    for (let a = 0; a < size; a++) {
      const ofSum = this.#slope(t, a) * (gradState[a] as number);
      addTimes(gradIh, a * inputSize, ofSum, input, (t - 1) * inputSize, inputSize);
      addTimes(gradHh, a * size, ofSum, this.#h, (t - 1) * size, size);
      addTimes(before, 0, ofSum, hh, a * size, size);
      bias[a] = (bias[a] as number) + ofSum;
    }
    gradState.set(before);
  }

  /** φ′(a_t) of unit a, from h_t. */
  #slope(t: number, a: number): number {
    const h = this.#h[t * this.#size + a] as number;
    if (this.#isTanh) return 1 - h * h;
    return h > 0 ? 1 : 0;
  }

  #pOf(t: number): Float64Array {
    const length = this.#k * this.#size;
    return this.#p.subarray((t - 1) * length, t * length);
  }
}
