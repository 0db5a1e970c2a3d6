/**
 * Gradients of which only some rows are ever written. They stand in a whole tensor like any other, of which all other rows are zero; what goes
 * over gradients (norms, clipping, optimisers) goes over the rows that were written alone, so that its cost follows these.
 */
import { native } from './native/load';
import { allocate, allocateLabels, type Tensor, type TensorData } from './tensor';

/** Which rows of a gradient [rows, width] have been written since it was last cleared. */
export class SparseRows {
  readonly #rows: number;
  readonly #width: number;
  /** each once, in the order in which they came; the first `#count` of it */
  #touched: Int32Array = new Int32Array(64);
  #count = 0;
  /** 1 for each row that was touched */
  readonly #isTouched: Uint8Array;

  constructor(rows: number, width: number) {
    this.#rows = rows;
    this.#width = width;
    this.#isTouched = new Uint8Array(rows);
  }

  /** How many rows were written. */
  get count(): number {
    return this.#count;
  }

  /** Their numbers, a view. */
  get touched(): Int32Array {
    return this.#touched.subarray(0, this.#count);
  }

  /** Notes rows that are written. */
  add(rows: Int32Array): void {
    const needed = this.#count + rows.length;
    if (needed > this.#touched.length) {
      const larger = allocateLabels(Math.min(this.#rows, 2 * needed) + rows.length);
      larger.set(this.touched);
      this.#touched = larger;
    }
    for (const row of rows) {
      if (this.#isTouched[row] === 1) continue;
      this.#isTouched[row] = 1;
      this.#touched[this.#count++] = row;
    }
  }

  /** The rows that were written, of an array [rows, width]: a copy [count, width]. */
  gather(array: TensorData): TensorData {
    const rows = allocate(array instanceof Float64Array ? 'float64' : 'float32', this.#count * this.#width);
    if (this.#count > 0) native().gatherRows(this.#count, this.#rows, this.#width, this.touched, array, rows);
    return rows;
  }

  /** Writes what {@link gather} gave back into an array. */
  scatter(rows: TensorData, array: TensorData): void {
    if (this.#count > 0) native().scatterRows(this.#count, this.#rows, this.#width, this.touched, rows, array);
  }

  /** Sets the rows that were written to zero, and forgets them. */
  clear(gradient: TensorData): void {
    this.scatter(allocate(gradient instanceof Float64Array ? 'float64' : 'float32', this.#count * this.#width), gradient);
    for (const row of this.touched) this.#isTouched[row] = 0;
    this.#count = 0;
  }
}

/** By the gradient's tensor: parameters are named anew by the models that hold them, their tensors are not. */
const sparseRows = new WeakMap<Tensor, SparseRows>();
/** Where there is none, nobody looks for one. */
let isUsed = false;

/** Makes the gradient of a parameter sparse. */
export function makeSparse(grad: Tensor): SparseRows {
  const [rows, width] = grad.shape as [number, number];
  const sparse = new SparseRows(rows, width);
  sparseRows.set(grad, sparse);
  isUsed = true;
  return sparse;
}

/** Which rows of a gradient were written; undefined for one that is not sparse. */
export function sparseRowsOf(grad: Tensor): SparseRows | undefined {
  return isUsed ? sparseRows.get(grad) : undefined;
}

/** What of a gradient can be other than zero: the array itself, or a copy of the rows that were written. */
export function writtenPart(grad: Tensor): TensorData {
  return sparseRowsOf(grad)?.gather(grad.data) ?? grad.data;
}

/** Sets a gradient to zero. */
export function clearGradient(grad: Tensor): void {
  const sparse = sparseRowsOf(grad);
  if (sparse === undefined) grad.data.fill(0);
  else sparse.clear(grad.data);
}

/** Runs `body` on what {@link writtenPart} gives of each gradient, and takes over what it writes. */
export function withWrittenParts(grads: readonly Tensor[], body: (arrays: TensorData[]) => void): void {
  const parts = grads.map(writtenPart);
  body(parts);
  if (isUsed) for (const [index, grad] of grads.entries()) sparseRows.get(grad)?.scatter(parts[index] as TensorData, grad.data);
}
