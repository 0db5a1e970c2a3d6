import { allocate, type DType, type TensorData } from '../../tensor';
import { inOrder, reorderRows } from './time';

/**
 * The states of all sequences [N, S], in the order in which they are gone through. With lengths a pass writes the first ones over, and those
 * of sequences that have ended stay.
 */
export class States {
  readonly #width: number;
  readonly #order: Int32Array | undefined;
  readonly #dtype: DType;
  readonly #initial: TensorData | null;
  #current: TensorData | null;

  constructor(n: number, width: number, order: Int32Array | undefined, initial: TensorData | null, dtype: DType) {
    this.#width = width;
    this.#order = order;
    this.#dtype = dtype;
    this.#initial = initial === null ? null : inOrder(initial, width, order, dtype);
    this.#current = order === undefined ? this.#initial : (this.#initial?.slice() ?? allocate(dtype, n * width));
  }

  /** Those of the first so many sequences, where a part begins; null for zeros. */
  before(rows: number, begin: number): TensorData | null {
    if (this.#order === undefined) return this.#current;
    return begin === 0 ? (this.#initial?.subarray(0, rows * this.#width) ?? null) : this.#rows(rows);
  }

  /** Where a pass may write those after it. */
  after(rows: number, last: TensorData | undefined): TensorData {
    if (this.#order !== undefined) return this.#rows(rows);
    return last ?? allocate(this.#dtype, rows * this.#width);
  }

  /** What backward needs of {@link before}; undefined for what it reads out of the part before. */
  keep(before: TensorData | null, isReadable: boolean): TensorData | null | undefined {
    if (before === null || before.buffer !== this.#current?.buffer || this.#order === undefined) return before;
    return isReadable ? undefined : before.slice();
  }

  advance(after: TensorData): void {
    if (this.#order === undefined) this.#current = after;
  }

  /** In the caller's order, of sequences with lengths. */
  copyTo(target: TensorData): void {
    reorderRows(this.#current as TensorData, this.#width, this.#order as Int32Array, target, true);
  }

  #rows(rows: number): TensorData {
    return (this.#current as TensorData).subarray(0, rows * this.#width);
  }
}
