import { native } from '../native/load';
import type { Parameter } from '../parameter';
import { allocate, type Tensor, type TensorData } from '../tensor';
import type { Optimizer } from './optimizer';
import type { SparsePart } from './sparse-part';

/** What a step of an optimiser changes, so that it can be looked at and taken back: weights, and the optimiser's own state. */
export class OptimizerBackup {
  /** those whose gradients are not sparse */
  readonly #parameters: readonly Parameter[];
  readonly #sparseParts: readonly SparsePart[];
  readonly #keep: () => void;
  readonly #restore: () => void;
  readonly #findNonFinite: () => number;
  /** of the sparse parts, the rows that the step changes */
  #rows: TensorData[][] = [];
  #isKept = false;

  /** @throws EvenkeelError ERR_MEMORY: it holds a copy of everything but of what belongs to sparse gradients */
  constructor(optimizer: Optimizer) {
    this.#sparseParts = optimizer.sparseParts;
    const sparse = new Set<Tensor>(this.#sparseParts.flatMap(({ tensors }) => tensors));
    this.#parameters = optimizer.parameters().filter(({ value }) => !sparse.has(value));
    const weights = this.#parameters.map(({ value }) => value);
    const state = Object.values(optimizer.stateDict()).filter((tensor) => !sparse.has(tensor));
    const changed = [...weights, ...state];
    const live = changed.map(({ data }) => data);
    const copies = changed.map(({ dtype, size }) => allocate(dtype, size));
    this.#keep = native().copyPass(live, copies);
    this.#restore = native().copyPass(copies, live);
    this.#findNonFinite = weights.length === 0 ? () => -1 : native().finitePass(weights.map(({ data }) => data));
  }

  /** Before the optimiser's step. */
  keep(): void {
    this.#keep();
    this.#rows = this.#sparseParts.map((part) => part.gather());
    this.#isKept = true;
  }

  /** After a good one: there is nothing to take back any more. */
  forget(): void {
    this.#isKept = false;
  }

  /** Takes back what happened since {@link keep}; nothing, if it was not called. */
  takeBack(): void {
    if (this.#isKept) {
      this.#restore();
      for (const [index, part] of this.#sparseParts.entries()) part.scatter(this.#rows[index] as TensorData[]);
    }
    this.#isKept = false;
  }

  /** The first parameter with a value that is NaN or infinite. */
  findNonFinite(): Parameter | undefined {
    return this.#parameters[this.#findNonFinite()] ?? this.#sparseParts.find(isBroken)?.parameter;
  }
}

function isBroken(part: SparsePart): boolean {
  const [values] = part.gather() as [TensorData];
  return values.length > 0 && native().finitePass([values])() >= 0;
}
