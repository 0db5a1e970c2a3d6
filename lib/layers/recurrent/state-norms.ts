import { allocate, type DType, Tensor, type TensorData } from '../../tensor';
import type { ForwardPass, Scan } from './scan';
import { type Segment, SequenceArray } from './time';

/** ln‖state_t‖ of each sequence, recorded segment by segment while their states are at hand; −Infinity beyond a sequence's length. */
export class StateNorms {
  readonly #logNorms: SequenceArray;

  /** @param order in which the sequences are gone through */
  constructor(n: number, t: number, order: Int32Array | undefined) {
    this.#logNorms = new SequenceArray(allocate('float64', n * t).fill(Number.NEGATIVE_INFINITY), n, t, 1, order);
  }

  /** [N, T] */
  get logNorms(): Tensor {
    const { data, n, steps } = this.#logNorms;
    return new Tensor(data, [n, steps]);
  }

  /** @param pass of the segment, after it has run */
  record(segment: Segment, scan: Scan, pass: ForwardPass, dtype: DType): void {
    const { n, t } = pass;
    const taken = this.#logNorms.take(segment, 'float64');
    const width = scan.stateSize;
    const state = allocate(dtype, n * width);
    for (let step = 0; step < t; step++) {
      scan.readState(pass, step, state);
      for (let row = 0; row < n; row++) taken[row * t + step] = logNorm(state, row * width, (row + 1) * width);
    }
    this.#logNorms.put(segment, taken);
  }
}

/** In units of the largest where a square leaves the range of numbers. */
function logNorm(values: TensorData, begin: number, end: number): number {
  let [squares, largest] = [0, 0];
  for (let i = begin; i < end; i++) {
    const value = Math.abs(values[i] as number);
    squares += value * value;
    if (!(value <= largest)) largest = value;
  }
  if (squares > 1e-290 && squares < 1e290) return 0.5 * Math.log(squares);
  if (largest === 0 || !Number.isFinite(largest)) return Math.log(largest);
  let scaled = 0;
  for (let i = begin; i < end; i++) scaled += ((values[i] as number) / largest) ** 2;
  return Math.log(largest) + 0.5 * Math.log(scaled);
}
