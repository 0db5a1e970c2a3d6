import { checkNumber, fail } from '../check';
import { EvenkeelError } from '../errors';
import { checkParameters, checkParametersAttached, type Parameter } from '../parameter';
import { copyState, matchState, type StateDict } from '../state-dict';
import { Tensor } from '../tensor';

/** What every optimiser shares: its parameters, the learning rate, the count of steps, and state tensors for each parameter. */
export abstract class Optimizer {
  readonly #parameters: readonly Parameter[];
  /** For each parameter, one tensor of its shape and dtype for each of the names. */
  readonly #state: readonly (readonly Tensor[])[];
  readonly #stateNames: readonly string[];
  // Scalars, and tensors all the same: so everything that a resumed run needs can stand in a safetensors file.
  readonly #steps = Tensor.zeros([], { dtype: 'float64' });
  readonly #learningRate = Tensor.zeros([], { dtype: 'float64' });

  /**
   * @param parameters what to train, of either dtype, each once
   * @param stateNames PyTorch's names of the tensors kept for each parameter, such as `exp_avg`; they start at zero
   */
  constructor(parameters: readonly Parameter[], learningRate: unknown, stateNames: readonly string[]) {
    this.#parameters = checkParameters('parameters', parameters);
    this.#learningRate.data[0] = checkLearningRate(learningRate);
    this.#stateNames = stateNames;
    this.#state = this.#parameters.map(({ value }) => stateNames.map(() => Tensor.zeros(value.shape, { dtype: value.dtype })));
  }

  /** Whether `value` is an Optimizer in truth: no proxy of one, and not just something with its prototype. */
  static isOptimizer(value: unknown): value is Optimizer {
    return typeof value === 'object' && value !== null && #parameters in value;
  }

  /** Updates one parameter. `step` counts from 1; `state` holds its tensors in the order of their names. */
  protected abstract update(parameter: Parameter, state: readonly Tensor[], learningRate: number, step: number): void;

  /** What it trains, in a new list. */
  parameters(): Parameter[] {
    return [...this.#parameters];
  }

  /** May be set at any time, to a finite number of at least 0. */
  get learningRate(): number {
    return this.#learningRate.data[0] as number;
  }

  set learningRate(value: number) {
    this.#learningRate.data[0] = checkLearningRate(value);
  }

  /** Sets all gradients to zero; backward passes add to them. */
  zeroGrad(): void {
    checkParametersAttached(this.#parameters);
    for (const { grad } of this.#parameters) grad.data.fill(0);
  }

  /**
   * Updates all parameters in place from their gradients, which stay as they are. Gradients are not scanned: a NaN goes into the weights,
   * unless clipping or fit has stopped it.
   * @throws EvenkeelError ERR_STATE when a parameter's buffer is gone; then none is updated
   */
  step(): void {
    checkParametersAttached(this.#parameters);
    const step = (this.#steps.data[0] as number) + 1;
    for (const [index, parameter] of this.#parameters.entries()) {
      this.update(parameter, this.#state[index] as readonly Tensor[], this.learningRate, step);
    }
    this.#steps.data[0] = step;
  }

  /**
   * The live tensors of the optimiser, not copies: `step`, `learning_rate`, and for each parameter its state by number, name and PyTorch's
   * name for it, such as `0.rnn.weight_ih_l0.exp_avg`.
   */
  stateDict(): StateDict {
    const entries = this.#parameters.flatMap(({ name }, index) =>
      this.#stateNames.map((stateName, slot): [string, Tensor] => [`${index}.${name}.${stateName}`, this.#state[index]?.[slot] as Tensor]),
    );
    return { step: this.#steps, learning_rate: this.#learningRate, ...Object.fromEntries(entries) };
  }

  /**
   * Copies values into the optimiser's tensors; strict about names, shapes and dtype, and nothing is changed when it throws.
   * @throws EvenkeelError ERR_STATE for missing or unexpected names, ERR_SHAPE, ERR_DTYPE, ERR_OPTION for an impossible step or learning rate
   */
  loadStateDict(state: StateDict): void {
    const pairs = matchState('state', this.stateDict(), state);
    for (const [own, given] of pairs) {
      if (own === this.#learningRate) checkNumber('state["learning_rate"]', given.data[0], { min: 0 });
      if (own === this.#steps && !(Number.isSafeInteger(given.data[0]) && (given.data[0] as number) >= 0)) {
        throw new EvenkeelError('ERR_OPTION', `state["step"]: expected a whole number of at least 0, got ${given.data[0]}.`);
      }
    }
    copyState(pairs);
  }
}

function checkLearningRate(value: unknown): number {
  return checkNumber('learningRate', value, { min: 0 });
}

/** Checks for an {@link Optimizer}. */
export function checkOptimizer(argument: string, value: unknown): Optimizer {
  if (!Optimizer.isOptimizer(value)) fail('ERR_OPTION', argument, 'an Optimizer', value, 'Make one with new Adam(model.parameters()).');
  return value;
}
