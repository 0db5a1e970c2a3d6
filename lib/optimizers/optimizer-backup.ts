import { native } from '../native/load';
import type { Parameter } from '../parameter';
import { allocate, type Tensor, type TensorData } from '../tensor';
import { liveStateOf, type Optimizer } from './optimizer';
import type { SparsePart } from './sparse-part';

/**
 * What a step of an optimiser changes, so that it can be looked at and taken back: weights, and the optimiser's own state. They are copied
 * before a step that could make a weight infinite or NaN: of others it is known before that they need not be looked at.
 */
export class OptimizerBackup {
  readonly #optimizer: Optimizer;
  /** made when they are needed, as they seldom are: memory of the size of everything */
  #copies: Copies | undefined;
  #isKept = false;

  constructor(optimizer: Optimizer) {
    this.#optimizer = optimizer;
  }

  /**
   * Right before the optimiser's step.
   * @param gradients a bound of their magnitudes, where there is one
   * @throws EvenkeelError ERR_MEMORY
   */
  keep(gradients?: number): void {
    if (this.#optimizer.staysFinite(gradients)) return;
    this.#copies ??= new Copies(this.#optimizer);
    this.#copies.keep();
    this.#isKept = true;
  }

  /** After a good one: there is nothing to take back any more. */
  forget(): void {
    this.#isKept = false;
  }

  /** Takes back what happened since {@link keep}; nothing, if there was no need to keep anything. */
  takeBack(): void {
    if (this.#isKept) this.#copies?.restore();
    this.#isKept = false;
  }

  /** After the step, the first parameter with a value that is NaN or infinite. */
  findNonFinite(): Parameter | undefined {
    return this.#isKept ? this.#copies?.findNonFinite() : undefined;
  }
}

class Copies {
  /** those whose gradients are not sparse */
  readonly #parameters: readonly Parameter[];
  readonly #sparseParts: readonly SparsePart[];
  readonly #keepDense: () => void;
  readonly #restoreDense: () => void;
  readonly #findNonFinite: () => number;
  /** of the sparse parts, the rows that the step changes */
  #rows: TensorData[][] = [];

  /** @throws EvenkeelError ERR_MEMORY: it holds a copy of everything but of what belongs to sparse gradients */
  constructor(optimizer: Optimizer) {
    this.#sparseParts = optimizer.sparseParts;
    const sparse = new Set<Tensor>(this.#sparseParts.flatMap(({ tensors }) => tensors));
    this.#parameters = optimizer.parameters().filter(({ value }) => !sparse.has(value));
    const weights = this.#parameters.map(({ value }) => value);
    const state = Object.values(liveStateOf(optimizer)).filter((tensor) => !sparse.has(tensor));
    const changed = [...weights, ...state];
    const live = changed.map(({ data }) => data);
    const copies = changed.map(({ dtype, size }) => allocate(dtype, size));
    this.#keepDense = native().copyPass(live, copies);
    this.#restoreDense = native().copyPass(copies, live);
    this.#findNonFinite = weights.length === 0 ? () => -1 : native().finitePass(weights.map(({ data }) => data));
  }

  keep(): void {
    this.#keepDense();
    this.#rows = this.#sparseParts.map((part) => part.gather());
  }

  restore(): void {
    this.#restoreDense();
    for (const [index, part] of this.#sparseParts.entries()) part.scatter(this.#rows[index] as TensorData[]);
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
