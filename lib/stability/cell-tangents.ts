import type { Scan } from '../layers/recurrent/scan';
import { allocate } from '../tensor';
import { Decompositions } from './decompositions';
import type { SequenceTangents } from './sequence-tangents';

/** Where derivatives of a derivative are looked at, in units of a tangent, and what each counts: a central difference of the fourth order. */
const DIFFERENCES = [
  { at: 1, weight: 2 / 3 },
  { at: -1, weight: -2 / 3 },
  { at: 2, weight: -1 / 12 },
  { at: -2, weight: 1 / 12 },
] as const;
/** Small beside √eps, the scale on which a LayerNorm of a state of zeros bends. */
const STEP = 1e-5;

/**
 * The states of any cell and k tangents along with them, one sequence at a time: s_t = F(s_{t−1}, x_t), V_t = J_t Q_{t−1} = Q_t R_t with
 * J_t = ∂F/∂s. The products with J_t and J_tᵀ are the layer's own. What Σ V̄_i · J_t q_i gives by s_{t−1} and by the parameters is
 * d/dε of what Σ V̄_i · F(s_{t−1} + ε q_i) gives, which is the layer's own backward pass: a difference of such passes, of the fourth order, with an error of some 1e-11
 * that grows where directions are close to lost.
 */
export class CellTangents implements SequenceTangents {
  readonly gradients: readonly Float64Array[];
  readonly #scan: Scan;
  /** for products with J_tᵀ alone: the gradients of its parameters are dropped */
  readonly #scratch: Scan;
  readonly #decompositions: Decompositions;
  readonly #k: number;
  readonly #size: number;
  readonly #steps: number;
  /** s_0 … s_T [T + 1, S], s_0 = 0 */
  readonly #states: Float64Array;

  /** @param directions Q_0 [k, S] */
  constructor(scan: Scan, scratch: Scan, directions: Float64Array, steps: number) {
    this.gradients = scan.gradients as readonly Float64Array[];
    for (const gradient of this.gradients) gradient.fill(0);
    this.#scan = scan;
    this.#scratch = scratch;
    const size = scan.stateSize;
    [this.#k, this.#size, this.#steps] = [directions.length / size, size, steps];
    this.#decompositions = new Decompositions(directions, size, steps);
    this.#states = new Float64Array((steps + 1) * size);
  }

  forward(input: Float64Array): Float64Array {
    return this.#decompositions.forward((t) => {
      const rows = this.#decompositions.q(t);
      rows.set(this.#decompositions.q(t - 1));
      this.#multiply(this.#inputOf(input, t), t, rows);
    });
  }

  backward(input: Float64Array, gradLogDiagonal: Float64Array, burnIn: number): void {
    this.#decompositions.backward(gradLogDiagonal, burnIn, (t, gradTangents, gradState) => {
      const x = this.#inputOf(input, t);
      gradState.set(this.#secondDerivatives(x, t, gradTangents, gradState));
      gradTangents.set(this.#transposed(x, t, gradTangents));
    });
  }

  /**
   * Rows q_i become J_t q_i, and s_t is kept: k sequences of one step and one tangent each, whose growth is their length. The addon's QR decomposition
   * leaves open which way they point, which is how a state moves.
   */
  #multiply(x: Float64Array, t: number, rows: Float64Array): void {
    const [k, size] = [this.#k, this.#size];
    const states = repeat(this.#stateOf(t - 1), k);
    const moved = states.map((value, j) => value + STEP * (rows[j] as number));
    const logLengths = new Float64Array(k);
    const next = new Float64Array(k * size);
    const pass = { n: k, t: 1, input: repeat(x, k), output: new Float64Array(k * this.#scan.outputSize) };
    this.#scan.tangents({ ...pass, initialState: states }, next, 1, rows, logLengths);
    this.#stateOf(t).set(next.subarray(0, size));
    this.#scratch.forward({
      pass: { ...pass, initialState: moved, tape: null, masks: null, stride: null, lengths: null },
      finalState: moved,
    });
    for (let i = 0; i < k; i++) {
      let along = 0;
      for (let j = i * size; j < (i + 1) * size; j++) along += ((moved[j] as number) - (next[j] as number)) * (rows[j] as number);
      const length = Math.sign(along) * Math.exp(logLengths[i] as number);
      for (let j = i * size; j < (i + 1) * size; j++) rows[j] = length === 0 ? 0 : length * (rows[j] as number);
    }
  }

  /**
   * Adds what Σ V̄_i · J_t q_i and s̄_t · s_t give by the parameters to the gradients.
   * @returns what they give by s_{t−1}
   */
  #secondDerivatives(x: Float64Array, t: number, gradTangents: Float64Array, gradState: Float64Array): Float64Array {
    const [k, size] = [this.#k, this.#size];
    const [state, from] = [this.#stateOf(t - 1), this.#decompositions.q(t - 1)];
    const rows = DIFFERENCES.length * k + 1;
    const states = repeat(state, rows);
    const gradients = new Float64Array(rows * size);
    for (const [d, { at, weight }] of DIFFERENCES.entries()) {
      for (let j = 0; j < k * size; j++) {
        states[d * k * size + j] = (states[d * k * size + j] as number) + at * STEP * (from[j] as number);
        gradients[d * k * size + j] = (weight / STEP) * (gradTangents[j] as number);
      }
    }
    gradients.set(gradState, (rows - 1) * size);
    stepBack(this.#scan, repeat(x, rows), states, gradients);
    const sum = new Float64Array(size);
    for (let j = 0; j < gradients.length; j++) sum[j % size] = (sum[j % size] as number) + (gradients[j] as number);
    return sum;
  }

  /** J_tᵀ V̄_i */
  #transposed(x: Float64Array, t: number, gradTangents: Float64Array): Float64Array {
    const gradients = gradTangents.slice();
    stepBack(this.#scratch, repeat(x, this.#k), repeat(this.#stateOf(t - 1), this.#k), gradients);
    return gradients;
  }

  #inputOf(input: Float64Array, t: number): Float64Array {
    const width = input.length / this.#steps;
    return input.subarray((t - 1) * width, t * width);
  }

  #stateOf(t: number): Float64Array {
    return this.#states.subarray(t * this.#size, (t + 1) * this.#size);
  }
}

function repeat(row: Float64Array, times: number): Float64Array {
  const rows = new Float64Array(row.length * times);
  for (let i = 0; i < times; i++) rows.set(row, i * row.length);
  return rows;
}

/**
 * One step of many sequences and back: adds to the gradients of the scan's parameters.
 * @param states [n, S]
 * @param gradients [n, S]: by the state after the step as they come, by the one before as they go
 */
function stepBack(scan: Scan, input: Float64Array, states: Float64Array, gradients: Float64Array): void {
  const n = states.length / scan.stateSize;
  const output = new Float64Array(n * scan.outputSize);
  const pass = {
    n,
    t: 1,
    input,
    initialState: states,
    output,
    tape: scan.makeTape(n, 1, allocate),
    masks: null,
    stride: null,
    lengths: null,
  };
  scan.forward({ pass, finalState: new Float64Array(states.length) });
  const stateGradient = { limit: Number.POSITIVE_INFINITY, logNorms: null, exponents: null };
  scan.backward({ pass, gradients: { output: null, input: null, state: gradients }, stateGradient, concurrent: undefined });
}
