import { allocate, Tensor, type TensorData } from '../../tensor';
import type { StateGradientArrays } from './scan';
import { type Segment, SequenceArray } from './time';

/** What one backward pass does about g_t = ∂L/∂h_t as it comes by: limits it, and on request records ln‖g_t‖. */
export class StateGradientPass {
  readonly #limit: number;
  readonly #logNorms: SequenceArray | undefined;
  /** of each sequence: the carried gradient is 2^−exponent of the true one */
  readonly #exponents: Int32Array | undefined;
  #limited = 0;

  /**
   * @param order in which the sequences are gone through
   * @param records how many norms of a step are recorded: that of all of g_t and, of a state of several parts, of each; 0 for none
   */
  constructor(n: number, t: number, order: Int32Array | undefined, limit: number, records: number) {
    this.#limit = limit;
    const length = n * t * records;
    this.#logNorms = records > 0 ? new SequenceArray(allocate('float64', length).fill(-Infinity), n, t, records, order) : undefined;
    this.#exponents = records > 0 ? new Int32Array(n) : undefined;
  }

  /** How many gradients were limited so far. */
  get limited(): number {
    return this.#limited;
  }

  /**
   * ln‖g_t‖ of each sequence before the limit [N, T], if they are recorded.
   * @param column 0 for all of g_t, k for the k-th part of the state
   */
  logNorms(column: number): Tensor | undefined {
    if (this.#logNorms === undefined) return undefined;
    const { data, n, steps, width } = this.#logNorms;
    if (width === 1) return new Tensor(data, [n, steps]);
    const ofColumn = allocate('float64', n * steps);
    for (let index = 0; index < ofColumn.length; index++) ofColumn[index] = data[index * width + column] as number;
    return new Tensor(ofColumn, [n, steps]);
  }

  /** For a segment's backward pass. */
  take(segment: Segment): StateGradientArrays {
    const logNorms = this.#logNorms?.take(segment, 'float64') as Float64Array | undefined;
    return { limit: this.#limit, logNorms: logNorms ?? null, exponents: this.#exponents?.subarray(0, segment.rows) ?? null };
  }

  /** After it. */
  put(segment: Segment, { logNorms }: StateGradientArrays, limited: number): void {
    this.#limited += limited;
    if (logNorms !== null) this.#logNorms?.put(segment, logNorms);
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
