import { checkNumber, fail } from '../check';
import { EvenkeelError } from '../errors';
import { native } from '../native/load';
import { checkParameters, checkParametersAttached, type Parameter } from '../parameter';
import { copyState, matchState, type StateDict } from '../state-dict';
import { Tensor, type TensorData } from '../tensor';

/** What an optimiser works on: lists with one array for each parameter, in one order. */
export interface OptimizerArrays {
  readonly values: readonly TensorData[];
  readonly grads: readonly TensorData[];
  /** a list for each name of the optimiser's state */
  readonly state: readonly (readonly TensorData[])[];
}

/** What every optimiser shares: its parameters, the learning rate, the count of steps, and state tensors for each parameter. */
export abstract class Optimizer {
  readonly #parameters: readonly Parameter[];
  /** For each parameter, one tensor of its shape and dtype for each of the names. */
  readonly #state: readonly (readonly Tensor[])[];
  readonly #stateNames: readonly string[];
  readonly #arrays: OptimizerArrays;
  #zeroPass: (() => void) | undefined;
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
    this.#arrays = {
      values: this.#parameters.map(({ value }) => value.data),
      grads: this.#parameters.map(({ grad }) => grad.data),
      state: stateNames.map((_, slot) => this.#state.map((tensors) => (tensors[slot] as Tensor).data)),
    };
  }

  /** Whether `value` is an Optimizer in truth: no proxy of one, and not just something with its prototype. */
  static isOptimizer(value: unknown): value is Optimizer {
    return typeof value === 'object' && value !== null && #parameters in value;
  }

  /** Updates all parameters. `arrays` are the same at every step, which counts from 1. */
  protected abstract update(arrays: OptimizerArrays, learningRate: number, step: number): void;

  /** What it trains, in a new list. */
  parameters(): Parameter[] {
    return [...this.#parameters];
  }

  /** How many steps it has made. */
  get steps(): number {
    return this.#steps.data[0] as number;
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
    this.#zeroPass ??= native().zeroPass(this.#arrays.grads);
    this.#zeroPass();
  }

  /**
   * Updates all parameters in place from their gradients, which stay as they are. Gradients are not scanned: a NaN goes into the weights,
   * unless clipping or fit has stopped it.
   * @throws EvenkeelError ERR_STATE when a parameter's buffer is gone; then none is updated
   */
  step(): void {
    checkParametersAttached(this.#parameters);
    const step = this.steps + 1;
    this.update(this.#arrays, this.learningRate, step);
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
