import { allocate, type DType, type TensorData } from '../tensor';

/** Steps [begin, end) of a sequence. */
export interface Piece {
  readonly begin: number;
  readonly end: number;
}

/** Cuts T steps into windows, and each window into segments; `Infinity` cuts nothing. */
export function cutTime(steps: number, window: number, segment: number): Piece[] {
  const pieces: Piece[] = [];
  for (let start = 0; start < steps; start += window) {
    const stop = Math.min(steps, start + window);
    for (let begin = start; begin < stop; begin += segment) pieces.push({ begin, end: Math.min(stop, begin + segment) });
  }
  return pieces;
}

/** An array [N, T, width] seen piece by piece. */
export class SequenceArray {
  constructor(
    readonly data: TensorData,
    readonly n: number,
    readonly steps: number,
    readonly width: number,
  ) {}

  /** The steps of a piece [N, end − begin, width]: the array itself, a view of it or a copy. */
  take({ begin, end }: Piece, dtype: DType): TensorData {
    const { data, n, steps, width } = this;
    if (n === 1) return data.subarray(begin * width, end * width);
    if (end - begin === steps) return data;
    const taken = allocate(dtype, n * (end - begin) * width);
    for (let row = 0; row < n; row++) {
      taken.set(data.subarray((row * steps + begin) * width, (row * steps + end) * width), row * (end - begin) * width);
    }
    return taken;
  }

  /** Writes back what {@link take} gave. */
  put({ begin, end }: Piece, taken: TensorData): void {
    const { data, n, steps, width } = this;
    if (taken.buffer === data.buffer) return;
    const rowLength = (end - begin) * width;
    for (let row = 0; row < n; row++) {
      data.set(taken.subarray(row * rowLength, (row + 1) * rowLength), (row * steps + begin) * width);
    }
  }

  /** A copy of one step [N, width]. */
  step(index: number, dtype: DType, copy = allocate(dtype, this.n * this.width)): TensorData {
    const { data, n, steps, width } = this;
    for (let row = 0; row < n; row++) {
      const start = (row * steps + index) * width;
      for (let j = 0; j < width; j++) copy[row * width + j] = data[start + j] as number;
    }
    return copy;
  }
}

/** Memory that the pieces of one pass use one after the other: the arrays of each are those of the piece before, in the order of their taking. */
export class PieceMemory {
  readonly #arrays: TensorData[] = [];
  #taken = 0;

  /** What was taken before may be taken again. */
  restart(): void {
    this.#taken = 0;
  }

  /** An array with whatever it held. */
  readonly take = (dtype: DType, length: number): TensorData => {
    const index = this.#taken++;
    const kept = this.#arrays[index];
    if (kept !== undefined && kept.length >= length) return kept.subarray(0, length);
    const made = allocate(dtype, length);
    this.#arrays[index] = made;
    return made;
  };
}
