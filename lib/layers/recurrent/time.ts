import { allocate, type DType, type TensorData } from '../../tensor';

/**
 * Steps [begin, end) of the first `rows` sequences. Time is cut into windows, at whose starts the state is detached (truncation); a window
 * into segments, whose inner states backward computes again (checkpointing); the native scan cuts a segment into chunks of steps.
 */
export interface Segment {
  readonly begin: number;
  readonly end: number;
  readonly rows: number;
}

/** All of T steps of N sequences; with lengths, longest first, a segment for every number of sequences that go on. */
export function segmentsByLength(n: number, steps: number, sorted: Int32Array | undefined): Segment[] {
  if (sorted === undefined) return [{ begin: 0, end: steps, rows: n }];
  const segments: Segment[] = [];
  let begin = 0;
  for (let rows = n; rows > 0; rows--) {
    const end = sorted[rows - 1] as number;
    if (end > begin) segments.push({ begin, end, rows });
    begin = Math.max(begin, end);
  }
  return segments;
}

/** Cuts at every whole multiple of a window's steps, and each window into segments; `Infinity` cuts nothing. */
export function cutTime(segments: readonly Segment[], window: number, steps: number): Segment[] {
  const cut: Segment[] = [];
  for (const { begin: first, end: last, rows } of segments) {
    for (let start = first; start < last; ) {
      const stop = Math.min(last, window === Infinity ? last : (Math.floor(start / window) + 1) * window);
      for (let begin = start; begin < stop; begin += steps) cut.push({ begin, end: Math.min(stop, begin + steps), rows });
      start = stop;
    }
  }
  return cut;
}

/** An array [N, T, width] seen segment by segment, its sequences in an order of its own where one is given. */
export class SequenceArray {
  constructor(
    readonly data: TensorData,
    readonly n: number,
    readonly steps: number,
    readonly width: number,
    readonly order?: Int32Array,
  ) {}

  /** The steps of a segment [rows, end − begin, width]: the array itself, a view of it or a copy. */
  take({ begin, end, rows }: Segment, dtype: DType): TensorData {
    const { data, n, steps, width } = this;
    if (this.order === undefined && rows === n && end - begin === steps) return data;
    if (n === 1) return data.subarray(begin * width, end * width);
    const rowLength = (end - begin) * width;
    const taken = allocate(dtype, rows * rowLength);
    for (let row = 0; row < rows; row++) {
      const start = (this.#rowOf(row) * steps + begin) * width;
      taken.set(data.subarray(start, start + rowLength), row * rowLength);
    }
    return taken;
  }

  /** The steps of a segment where they are, their sequences {@link steps} apart. */
  view({ begin, end, rows }: Segment): TensorData {
    return this.data.subarray(begin * this.width, ((rows - 1) * this.steps + end) * this.width);
  }

  /** Writes back what {@link take} gave, or what has its shape. */
  put({ begin, end, rows }: Segment, taken: TensorData): void {
    const { data, steps, width } = this;
    if (taken.buffer === data.buffer) return;
    const rowLength = (end - begin) * width;
    for (let row = 0; row < rows; row++) {
      data.set(taken.subarray(row * rowLength, (row + 1) * rowLength), (this.#rowOf(row) * steps + begin) * width);
    }
  }

  /** Fills what lies beyond each sequence's length. */
  fillBeyond(lengths: Int32Array, value: number): void {
    const { data, steps, width } = this;
    for (const [row, length] of lengths.entries()) data.fill(value, (row * steps + length) * width, (row + 1) * steps * width);
  }

  #rowOf(row: number): number {
    return this.order?.[row] ?? row;
  }
}

/** Memory that the segments of one pass use one after the other: the arrays of each are those of the one before, in the order of their taking. */
export class SegmentMemory {
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

/** Rows [N, width] in an order, or with `inverse` out of it. */
export function reorderRows(rows: TensorData, width: number, order: Int32Array, target: TensorData, inverse = false): TensorData {
  for (const [to, from] of order.entries()) {
    const [source, place] = inverse ? [to, from] : [from, to];
    target.set(rows.subarray(source * width, (source + 1) * width), place * width);
  }
  return target;
}

/** Rows [N, width] in an order, copied; themselves where there is none. */
export function inOrder(rows: TensorData, width: number, order: Int32Array | undefined, dtype: DType): TensorData {
  return order === undefined ? rows : reorderRows(rows, width, order, allocate(dtype, rows.length));
}
