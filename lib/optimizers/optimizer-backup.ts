import { native } from '../native/load';
import type { Parameter } from '../parameter';
import { allocate } from '../tensor';
import type { Optimizer } from './optimizer';

/** What a step of an optimiser changes, so that it can be looked at and taken back: weights, and the optimiser's own state. */
export class OptimizerBackup {
  readonly #parameters: readonly Parameter[];
  readonly #keep: () => void;
  readonly #restore: () => void;
  readonly #findNonFinite: () => number;
  #isKept = false;

  /** @throws EvenkeelError ERR_MEMORY: it holds a copy of everything */
  constructor(optimizer: Optimizer) {
    this.#parameters = optimizer.parameters();
    const weights = this.#parameters.map(({ value }) => value);
    const changed = [...weights, ...Object.values(optimizer.stateDict())];
    const live = changed.map(({ data }) => data);
    const copies = changed.map(({ dtype, size }) => allocate(dtype, size));
    this.#keep = native().copyPass(live, copies);
    this.#restore = native().copyPass(copies, live);
    this.#findNonFinite = native().finitePass(weights.map(({ data }) => data));
  }

  /** Before the optimiser's step. */
  keep(): void {
    this.#keep();
    this.#isKept = true;
  }

  /** After a good one: there is nothing to take back any more. */
  forget(): void {
    this.#isKept = false;
  }

  /** Takes back what happened since {@link keep}; nothing, if it was not called. */
  takeBack(): void {
    if (this.#isKept) this.#restore();
    this.#isKept = false;
  }

  /** The first parameter with a value that is NaN or infinite. */
  findNonFinite(): Parameter | undefined {
    return this.#parameters[this.#findNonFinite()];
  }
}
