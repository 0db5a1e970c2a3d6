import type { NativeAddon } from '../native/addon';
import { native } from '../native/load';
import type { TensorData } from '../tensor';
import type { OptimizerArrays } from './groups';

/** Bounds of magnitudes; of averages of squares also that none is below zero. */
export interface Sizes {
  values: number;
  gradients: number;
  states: number;
  squares: number;
}

/** How far a step reaches: every number that it meets, and what it leaves in the states. */
export interface Reach {
  met: number;
  states: number;
  squares: number;
}

// Where numbers are looked at, they are to be below these: far above those of a training that is alive, and far from where products of two
// of them leave float32, at 2¹²⁸.
const MEASURED: Sizes = { values: 2 ** 32, gradients: 2 ** 40, states: 2 ** 36, squares: 2 ** 72 };
/** How far states may go until they are looked at again. */
const KNOWN = { states: 2 ** 40, squares: 2 ** 80 };
const FAR_FROM_OVERFLOW = 2 ** 120;
/** More than an average of two numbers of a size can be above it by rounding. */
const ROUNDED_UP = 1 + 2 ** -18;
/** Averages of squares, among PyTorch's names. */
const SQUARES: readonly string[] = ['exp_avg_sq', 'max_exp_avg_sq', 'square_avg'];

type Pass = ReturnType<NativeAddon['withinPass']>;

/**
 * What is known of the size of a group's numbers before a step. Weights are looked at before each, since they are the caller's; states only
 * now and then, as long as nobody else has hold of them: how far they can have come since is known from the gradients.
 */
export class SafeRange {
  readonly #values: () => Pass;
  readonly #grads: () => Pass;
  readonly #signed: () => Pass;
  readonly #squares: () => Pass;
  /** undefined where they must be looked at; all are zero at first */
  #known: Pick<Sizes, 'states' | 'squares'> | undefined = { states: 0, squares: 0 };
  #next: Pick<Sizes, 'states' | 'squares'> | undefined;
  #isShared = false;

  constructor({ values, grads, state }: OptimizerArrays, stateNames: readonly string[]) {
    this.#values = once(values);
    this.#grads = once(grads);
    this.#signed = once(state.filter((_, slot) => !SQUARES.includes(stateNames[slot] as string)).flat());
    this.#squares = once(state.filter((_, slot) => SQUARES.includes(stateNames[slot] as string)).flat());
  }

  /** See {@link Optimizer.staysFinite}; right before the step, of which `reach` knows how far it goes. */
  staysFinite(gradients: number | undefined, reach: (from: Sizes) => Reach | undefined): boolean {
    this.#next = undefined;
    const known = this.#isShared ? undefined : this.#known;
    const from = { ...MEASURED, gradients: gradients ?? MEASURED.gradients, ...known };
    const to = reach(from);
    if (to === undefined || !(to.met <= FAR_FROM_OVERFLOW) || !this.#values()(MEASURED.values, false)) return false;
    if (gradients === undefined && !this.#grads()(MEASURED.gradients, false)) return false;
    if (known === undefined && !(this.#signed()(MEASURED.states, false) && this.#squares()(MEASURED.squares, true))) return false;
    this.#next = to.states <= KNOWN.states && to.squares <= KNOWN.squares ? to : undefined;
    return true;
  }

  stepBegins(): void {
    this.#known = undefined;
  }

  /** After a step: without a look right before it, nothing is known any more. */
  stepMade(): void {
    this.#known = this.#next;
    this.#next = undefined;
  }

  /** Where the states are written to, or `for ever` are in someone's hands. */
  forget(howLong?: 'for ever'): void {
    this.#known = undefined;
    this.#next = undefined;
    this.#isShared ||= howLong === 'for ever';
  }
}

/** A pass over arrays, made when it is first needed. */
function once(arrays: readonly TensorData[]): () => Pass {
  let pass: Pass | undefined;
  return () => {
    pass ??= native().withinPass(arrays);
    return pass;
  };
}

/** A bound of an average of numbers of two sizes. */
export const averageBound = (one: number, other: number) => ROUNDED_UP * Math.max(one, other);

/** A bound of numerator / (√v + ε) for any v of at least 0. What vectors would flush is no ε to rely on. */
export const quotientBound = (numerator: number, eps: number) => (eps < 2 ** -100 ? Number.POSITIVE_INFINITY : (2 * numerator) / eps);
