import { checkNumber, fail } from '../check';
import { EvenkeelError } from '../errors';
import { native } from '../native/load';
import { checkParameters, checkParametersAttached, type Parameter } from '../parameter';
import { clearGradient, sparseRowsOf } from '../sparse-rows';
import { copyState, matchState, type StateDict } from '../state-dict';
import { Tensor } from '../tensor';
import { type GroupOfParameters, largestOf, type OptimizerArrays } from './groups';
import { type Reach, SafeRange, type Sizes } from './safe-range';
import { SparsePart } from './sparse-part';

export type { OptimizerArrays } from './groups';

/** A group of an optimiser's parameters. */
export interface OptimizerGroup {
  readonly parameters: readonly Parameter[];
  /** May be set where the group was given a learning rate of its own; else it is the optimiser's. */
  learningRate: number;
}

/** What every optimiser shares: its parameters, the learning rates, the count of steps, and state tensors for each parameter. */
export abstract class Optimizer {
  readonly #parameters: readonly Parameter[];
  readonly #groups: readonly Group[];
  #zeroPass: (() => void) | undefined;
  // Scalars, and tensors all the same: so everything that a resumed run needs can stand in a safetensors file.
  readonly #steps = Tensor.zeros([], { dtype: 'float64' });
  readonly #learningRate = Tensor.zeros([], { dtype: 'float64' });

  /**
   * @param parameters what to train, of either dtype, each once; or groups of them
   * @param stateNames PyTorch's names of the tensors kept for each parameter, such as `exp_avg`; they start at zero. Groups have their own
   */
  constructor(parameters: readonly Parameter[] | readonly GroupOfParameters[], learningRate: unknown, stateNames: readonly string[] = []) {
    const groups = isGroups(parameters) ? parameters : [{ parameters: checkParameters('parameters', parameters), stateNames }];
    this.#parameters = groups.flatMap((group) => group.parameters);
    this.#checkSparse();
    this.#learningRate.data[0] = checkLearningRate('learningRate', learningRate, this.#parameters);
    this.#groups = groups.map((group, index) => new Group(group, index, this.#learningRate));
  }

  /** Whether `value` is an Optimizer in truth: no proxy of one, and not just something with its prototype. */
  static isOptimizer(value: unknown): value is Optimizer {
    return typeof value === 'object' && value !== null && #parameters in value;
  }

  /** Updates the parameters of one group, by number. Its `arrays` are the same at every step, which counts from 1. */
  protected abstract update(arrays: OptimizerArrays, learningRate: number, step: number, group: number): void;
  /**
   * The same for the rows of one sparse gradient that were written, in arrays [rows, width] of their own: left out by an optimiser whose step
   * changes weights that have no gradient.
   */
  protected updateRows?(arrays: OptimizerArrays, learningRate: number, step: number, group: number): void;

  /**
   * How far `update` can reach from numbers of a size; undefined where that is not known, as of an optimiser of your own.
   * @internal
   */
  protected reach(_from: Sizes, _learningRate: number, _step: number, _group: number): Reach | undefined {
    return undefined;
  }

  /**
   * Whether the next step cannot make a weight infinite or NaN, by what it would start from: true is certain, false is not.
   * @param gradients a bound of their magnitudes, where there is one: else they are looked at
   * @internal
   */
  staysFinite(gradients?: number): boolean {
    if (gradients !== undefined && typeof gradients !== 'number') fail('ERR_OPTION', 'gradients', 'a number', gradients);
    const step = this.steps + 1;
    let isSure = false;
    this.#callNative(() => {
      isSure =
        this.#isKnown() &&
        this.#groups.every((group, index) =>
          group.range.staysFinite(gradients, (from) => this.reach(from, group.learningRate, step, index)),
        );
    });
    // Such a step may be taken back.
    if (!isSure) for (const { range } of this.#groups) range.forget();
    return isSure;
  }

  /** Of a class, or an object, that changes one of ours nothing is known; rows of sparse gradients are few, and kept. */
  #isKnown(): boolean {
    const isOurs = Object.hasOwn(Object.getPrototypeOf(this), 'reach') && !Object.hasOwn(this, 'step') && !Object.hasOwn(this, 'update');
    return isOurs && this.sparseParts.length === 0;
  }

  /** What it trains, in a new list. */
  parameters(): Parameter[] {
    return [...this.#parameters];
  }

  /** How many steps it has made. */
  get steps(): number {
    return this.#steps.data[0] as number;
  }

  /** Its groups of parameters, one where none were given. */
  get groups(): readonly OptimizerGroup[] {
    return [...this.#groups];
  }

  /**
   * Of all groups without one of their own. May be set at any time, to a finite number of at least 0; below 1.2e-38, float32 parameters
   * stay as they are.
   */
  get learningRate(): number {
    return this.#learningRate.data[0] as number;
  }

  set learningRate(value: number) {
    this.#learningRate.data[0] = checkLearningRate('learningRate', value, this.#parameters);
  }

  /**
   * What has a learning rate of its own: the optimiser, and groups.
   * @internal
   */
  get rateHolders(): { learningRate: number }[] {
    return [this, ...this.#groups.filter(({ ownRate }) => ownRate !== undefined)];
  }

  /** Sets all gradients to zero; backward passes add to them. */
  zeroGrad(): void {
    this.#callNative(() => {
      this.#zeroPass ??= zeroPass(this.#parameters);
      this.#zeroPass();
    });
  }

  /**
   * Updates all parameters in place from their gradients, which stay as they are. Gradients are not scanned: a NaN goes into the weights,
   * unless clipping or fit has stopped it.
   * @throws EvenkeelError ERR_STATE when a parameter's buffer is gone; then none is updated
   */
  step(): void {
    if (this.#groups.length > 1 || this.#groups.some(({ sparseParts }) => sparseParts.length > 0)) {
      checkParametersAttached(this.#parameters);
      for (const group of this.#groups) group.checkAttached();
    }
    const step = this.steps + 1;
    for (const { range } of this.#groups) range.stepBegins();
    this.#callNative(() => {
      for (let index = 0; index < this.#groups.length; index++) {
        const { arrays, learningRate, sparseParts } = this.#groups[index] as Group;
        if (arrays.values.length > 0) this.update(arrays, learningRate, step, index);
        for (const part of sparseParts) part.withRows((rows) => this.updateRows?.(rows, learningRate, step, index));
      }
    });
    for (const { range } of this.#groups) range.stepMade();
    this.#steps.data[0] = step;
  }

  /** A native call looks at all its arrays before it changes one; where one is gone, the parameter's name is said. */
  #callNative(call: () => void): void {
    try {
      call();
    } catch (cause) {
      checkParametersAttached(this.#parameters);
      throw cause;
    }
  }

  /**
   * What belongs to each sparse gradient.
   * @internal
   */
  get sparseParts(): readonly SparsePart[] {
    return this.#groups.flatMap((group) => group.sparseParts);
  }

  #checkSparse(): void {
    const sparse = this.#parameters.find(({ grad }) => sparseRowsOf(grad) !== undefined);
    if (sparse === undefined || this.updateRows !== undefined) return;
    fail('ERR_OPTION', 'parameters', 'dense gradients', sparse.name, 'Of sparse ones take SGD or Adam, or give the layer sparse: false.');
  }

  /**
   * The live tensors of the optimiser, not copies: `step`, `learning_rate`, and for each parameter its state by number, name and PyTorch's
   * name for it, such as `0.rnn.weight_ih_l0.exp_avg`. A group's own learning rate is `groups.1.learning_rate`.
   */
  stateDict(): StateDict {
    for (const { range } of this.#groups) range.forget('for ever');
    return this.liveState();
  }

  /**
   * The same, for those who only read it.
   * @internal
   */
  liveState(): StateDict {
    let first = 0;
    const entries = this.#groups.flatMap((group) => {
      const own = group.stateEntries(first);
      first += group.parameters.length;
      return own;
    });
    return { step: this.#steps, learning_rate: this.#learningRate, ...Object.fromEntries(entries) };
  }

  /**
   * Copies values into the optimiser's tensors; strict about names, shapes and dtype, and nothing is changed when it throws.
   * @throws EvenkeelError ERR_STATE for missing or unexpected names, ERR_SHAPE, ERR_DTYPE, ERR_OPTION for an impossible step or learning rate
   */
  loadStateDict(state: StateDict): void {
    const pairs = matchState('state', this.liveState(), state);
    for (const [own, given] of pairs) {
      if (own === this.#learningRate) checkLearningRate('state["learning_rate"]', given.data[0], this.#parameters);
      const group = this.#groups.findIndex(({ ownRate }) => own === ownRate);
      if (group >= 0) checkLearningRate(`state["groups.${group}.learning_rate"]`, given.data[0], this.#groups[group]?.parameters ?? []);
      if (own === this.#steps && !(Number.isSafeInteger(given.data[0]) && (given.data[0] as number) >= 0)) {
        throw new EvenkeelError('ERR_OPTION', `state["step"]: expected a whole number of at least 0, got ${given.data[0]}.`);
      }
    }
    copyState(pairs);
    for (const { range } of this.#groups) range.forget();
  }
}

/** What an optimiser keeps of a group. */
class Group implements OptimizerGroup {
  readonly parameters: readonly Parameter[];
  /** of the parameters whose gradients are not sparse */
  readonly arrays: OptimizerArrays;
  readonly sparseParts: readonly SparsePart[];
  readonly range: SafeRange;
  /** undefined where the group follows the optimiser's */
  readonly ownRate: Tensor | undefined;
  readonly #sharedRate: Tensor;
  readonly #index: number;
  readonly #stateNames: readonly string[];
  /** For each parameter, one tensor of its shape and dtype for each of the names. */
  readonly #state: readonly (readonly Tensor[])[];

  constructor({ parameters, learningRate, stateNames }: GroupOfParameters, index: number, sharedRate: Tensor) {
    this.parameters = parameters;
    this.#sharedRate = sharedRate;
    this.#index = index;
    if (learningRate !== undefined) {
      const rate = checkLearningRate(`parameters[${index}].learningRate`, learningRate, parameters);
      this.ownRate = new Tensor(Float64Array.of(rate), []);
    }
    this.#stateNames = stateNames;
    this.#state = parameters.map(({ value }) => stateNames.map(() => Tensor.zeros(value.shape, { dtype: value.dtype })));
    const indices = [...parameters.keys()];
    const dense = indices.filter((i) => sparseRowsOf((parameters[i] as Parameter).grad) === undefined);
    this.arrays = {
      values: dense.map((i) => (parameters[i] as Parameter).value.data),
      grads: dense.map((i) => (parameters[i] as Parameter).grad.data),
      state: stateNames.map((_, slot) => dense.map((i) => ((this.#state[i] as readonly Tensor[])[slot] as Tensor).data)),
    };
    this.range = new SafeRange(this.arrays, stateNames);
    this.sparseParts = indices
      .filter((i) => !dense.includes(i))
      .map((i) => new SparsePart(parameters[i] as Parameter, this.#state[i] as readonly Tensor[]));
  }

  get learningRate(): number {
    return (this.ownRate ?? this.#sharedRate).data[0] as number;
  }

  set learningRate(value: number) {
    if (this.ownRate === undefined) {
      const hint = 'Set optimizer.learningRate, or give the group a learningRate when the optimizer is made.';
      throw new EvenkeelError('ERR_STATE', `groups[${this.#index}].learningRate: the group has none of its own. ${hint}`);
    }
    this.ownRate.data[0] = checkLearningRate(`groups[${this.#index}].learningRate`, value, this.parameters);
  }

  checkAttached(): void {
    for (const [name, tensor] of this.stateEntries(0)) tensor.checkAttached(name);
  }

  /** @param first the number of the group's first parameter among all */
  stateEntries(first: number): [string, Tensor][] {
    const rate: [string, Tensor][] = this.ownRate === undefined ? [] : [[`groups.${this.#index}.learning_rate`, this.ownRate]];
    const states = this.parameters.flatMap(({ name }, index) =>
      this.#stateNames.map((stateName, slot): [string, Tensor] => [
        `${first + index}.${name}.${stateName}`,
        this.#state[index]?.[slot] as Tensor,
      ]),
    );
    return [...rate, ...states];
  }
}

function zeroPass(parameters: readonly Parameter[]): () => void {
  const sparse = parameters.filter(({ grad }) => sparseRowsOf(grad) !== undefined);
  const dense = parameters.filter((parameter) => !sparse.includes(parameter));
  const pass = native().zeroPass(dense.map(({ grad }) => grad.data));
  if (sparse.length === 0) return pass;
  return () => {
    if (dense.length > 0) pass();
    for (const { grad } of sparse) clearGradient(grad);
  };
}

function isGroups(parameters: readonly Parameter[] | readonly GroupOfParameters[]): parameters is readonly GroupOfParameters[] {
  const first = Array.isArray(parameters) ? (parameters[0] as object | undefined) : undefined;
  return first !== undefined && first !== null && Object.hasOwn(first, 'stateNames');
}

function checkLearningRate(argument: string, value: unknown, parameters: readonly Parameter[]): number {
  return checkNumber(argument, value, { min: 0, max: largestOf(parameters) });
}

/**
 * The tensors of any optimiser's state, for those who only read them.
 * @internal
 */
export function liveStateOf(optimizer: Optimizer): StateDict {
  // Of one that has more of it than ours.
  return optimizer.stateDict === Optimizer.prototype.stateDict ? optimizer.liveState() : optimizer.stateDict();
}

/** Checks for an {@link Optimizer}. */
export function checkOptimizer(argument: string, value: unknown): Optimizer {
  if (!Optimizer.isOptimizer(value)) fail('ERR_OPTION', argument, 'an Optimizer', value, 'Make one with new Adam(model.parameters()).');
  return value;
}
