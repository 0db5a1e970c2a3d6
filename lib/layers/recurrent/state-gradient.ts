import { allocate, Tensor, type TensorData } from '../../tensor';
import { type Segment, SequenceArray } from './time';

/** What one backward pass does about g_t = ∂L/∂h_t as it comes by: limits it, and on request records ln‖g_t‖. */
export class StateGradientPass {
  readonly #limit: number;
  readonly #logNorms: SequenceArray | undefined;
  /** of each sequence: the carried gradient is 2^−exponent of the true one */
  readonly #exponents: Int32Array | undefined;
  #limited = 0;

  /** @param order in which the sequences are gone through */
  constructor(n: number, t: number, order: Int32Array | undefined, limit: number, records: boolean) {
    this.#limit = limit;
    this.#logNorms = records ? new SequenceArray(allocate('float64', n * t).fill(-Infinity), n, t, 1, order) : undefined;
    this.#exponents = records ? new Int32Array(n) : undefined;
  }

  /** How many gradients were limited so far. */
  get limited(): number {
    return this.#limited;
  }

  /** ln‖g_t‖ of each sequence before the limit [N, T], if they are recorded. */
  get logNorms(): Tensor | undefined {
    return this.#logNorms && new Tensor(this.#logNorms.data, [this.#logNorms.n, this.#logNorms.steps]);
  }

  /** @param backward the addon's backward call for a segment, which takes these and returns how many it limited */
  pass(segment: Segment, backward: (limit: number, logNorms: Float64Array | null, exponents: Int32Array | null) => number): void {
    const logNorms = this.#logNorms?.take(segment, 'float64') as Float64Array | undefined;
    this.#limited += backward(this.#limit, logNorms ?? null, this.#exponents?.subarray(0, segment.rows) ?? null);
    if (logNorms !== undefined) this.#logNorms?.put(segment, logNorms);
  }

  /** From here on another gradient goes back in the first so many sequences, which starts at zero. */
  restart(rows: number): void {
    this.#exponents?.fill(0, 0, rows);
  }

  /** Makes true gradients [N, H] of the carried ones: infinite or zero where they are out of range. */
  unscale(gradient: TensorData): void {
    const width = gradient.length / (this.#exponents?.length ?? 1);
    this.#exponents?.forEach((exponent, row) => {
      for (let i = row * width; i < (row + 1) * width; i++) gradient[i] = timesPowerOfTwo(gradient[i] as number, exponent);
    });
  }
}

/** value · 2^exponent, in steps that a number holds. */
function timesPowerOfTwo(value: number, exponent: number): number {
  let result = value;
  for (let left = Math.max(-3000, Math.min(3000, exponent)); left !== 0; ) {
    const now = Math.max(-1000, Math.min(1000, left));
    result *= 2 ** now;
    left -= now;
  }
  return result;
}
