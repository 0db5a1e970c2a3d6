import { readOptions } from '../../check';
import type { StateDict } from '../../state-dict';
import { allocate, checkTensor, type DType, Tensor, type TensorData } from '../../tensor';
import { checkCarriedState } from '../carried-state';

/** A part of a cell's state, such as an LSTM's h. */
export interface StatePart {
  /** as the caller has it, of a state of several parts */
  readonly key: string;
  /** as carriedState has it */
  readonly name: string;
  readonly width: number;
}

/**
 * How callers see a layer's state: one of a single part as its tensor [N, S], one of several as a record of tensors, such as `{ h, c }`; of
 * several layers or directions [L·D, N, S]. The scans see rows of S numbers, the parts side by side.
 */
export class StateForm<State> {
  /** S */
  readonly width: number;
  readonly #parts: readonly StatePart[];
  readonly #places: number;

  /** @param places L·D */
  constructor(parts: readonly StatePart[], places = 1) {
    this.#parts = parts;
    this.#places = places;
    this.width = parts.reduce((sum, { width }) => sum + width, 0);
  }

  /** of each part, as the caller has it */
  get keys(): readonly string[] {
    return this.#parts.map(({ key }) => key);
  }

  /** of the rows of n sequences, or of a part of them */
  shape(n: number, width = this.width): number[] {
    return this.#places === 1 ? [n, width] : [this.#places, n, width];
  }

  /**
   * @returns the state as rows: the tensor itself, or a copy of the parts
   * @throws EvenkeelError ERR_OPTION, ERR_SHAPE, ERR_DTYPE, ERR_STATE
   */
  check(argument: string, given: unknown, n: number, dtype: DType): Tensor {
    if (this.#parts.length === 1) return checkTensor(argument, given, dtype, this.shape(n));
    const tensors = readOptions(argument, given, this.keys);
    return this.#join(this.#parts.map(({ key, width }) => checkTensor(`${argument}.${key}`, tensors[key], dtype, this.shape(n, width))));
  }

  /** The state as callers see it: the tensor itself, or copies. */
  make(rows: Tensor): State {
    if (this.#parts.length === 1) return rows as State;
    const tensors = this.#split(rows);
    return Object.fromEntries(this.#parts.map(({ key }, index) => [key, tensors[index]])) as State;
  }

  toCarried(rows: Tensor): StateDict {
    const tensors = this.#parts.length === 1 ? [rows] : this.#split(rows);
    return Object.fromEntries(this.#parts.map(({ name }, index) => [name, tensors[index] as Tensor]));
  }

  /** @returns a copy of the state as rows; undefined for none */
  fromCarried(given: unknown, dtype: DType): Tensor | undefined {
    const widths = Object.fromEntries(this.#parts.map(({ name, width }) => [name, width]));
    const state = checkCarriedState(given, widths, dtype, this.#places);
    if (state === undefined) return undefined;
    const tensors = this.#parts.map(({ name }) => state[name] as Tensor);
    return tensors.length === 1 ? tensors[0] : this.#join(tensors);
  }

  #join(tensors: readonly Tensor[]): Tensor {
    const { dtype, shape } = tensors[0] as Tensor;
    const n = shape.at(-2) as number;
    const count = this.#places * n;
    const rows = new Tensor(allocate(dtype, count * this.width), this.shape(n));
    this.#eachPart((width, begin, index) => {
      const { data } = tensors[index] as Tensor;
      for (let row = 0; row < count; row++) rows.data.set(data.subarray(row * width, (row + 1) * width), row * this.width + begin);
    });
    return rows;
  }

  #split(rows: Tensor): Tensor[] {
    rows.checkAttached('the state');
    const { data, dtype, shape } = rows;
    const n = shape.at(-2) as number;
    const count = this.#places * n;
    const tensors: Tensor[] = [];
    this.#eachPart((width, begin) => {
      const part: TensorData = allocate(dtype, count * width);
      for (let row = 0; row < count; row++) {
        part.set(data.subarray(row * this.width + begin, row * this.width + begin + width), row * width);
      }
      tensors.push(new Tensor(part, this.shape(n, width)));
    });
    return tensors;
  }

  #eachPart(use: (width: number, begin: number, index: number) => void): void {
    let begin = 0;
    for (const [index, { width }] of this.#parts.entries()) {
      use(width, begin, index);
      begin += width;
    }
  }
}
