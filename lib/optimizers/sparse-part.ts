import type { Parameter } from '../parameter';
import { type SparseRows, sparseRowsOf } from '../sparse-rows';
import type { Tensor, TensorData } from '../tensor';
import type { OptimizerArrays } from './groups';

/** What an optimiser changes of one parameter whose gradient is sparse: the rows that were written, of weights and state. */
export class SparsePart {
  readonly parameter: Parameter;
  /** weights and state */
  readonly tensors: readonly Tensor[];

  constructor(parameter: Parameter, state: readonly Tensor[]) {
    this.parameter = parameter;
    this.tensors = [parameter.value, ...state];
  }

  get #rows(): SparseRows {
    return sparseRowsOf(this.parameter.grad) as SparseRows;
  }

  /** Copies of the rows that a step will change, a list for each of the tensors. */
  gather(): TensorData[] {
    return this.tensors.map(({ data }) => this.#rows.gather(data));
  }

  /** Writes what {@link gather} gave back. */
  scatter(copies: readonly TensorData[]): void {
    for (const [index, { data }] of this.tensors.entries()) this.#rows.scatter(copies[index] as TensorData, data);
  }

  /** Runs `update` on copies of the rows, and writes them back. */
  withRows(update: (arrays: OptimizerArrays) => void): void {
    if (this.#rows.count === 0) return;
    const copies = this.gather();
    const [values, ...state] = copies as [TensorData, ...TensorData[]];
    update({ values: [values], grads: [this.#rows.gather(this.parameter.grad.data)], state: state.map((array) => [array]) });
    this.scatter(copies);
  }
}
