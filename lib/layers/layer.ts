import { checkSeparate, type Written } from '../aliasing';
import { checkBoolean, checkRowCount, fail, readOptions, readSafely } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { checkParametersAttached, Parameter } from '../parameter';
import { copyState, matchState, type StateDict } from '../state-dict';
import { checkTensor, type DType, type Tensor } from '../tensor';

/** Options of {@link Layer.backward}. */
export interface BackwardOptions {
  /**
   * Whether ∂L/∂input is wanted; true unless given. A first layer's input is data, whose gradient nobody needs: not to compute it saves a
   * sixth of an RNN's work where I = H. {@link fit} leaves it out.
   */
  inputGradient?: boolean;
}

/**
 * What every layer does; anything that does this can stand in a Sequential and be trained by fit.
 *
 * `forward` keeps references to its input and to the output it returns, for `backward` to use without a copy: change neither, nor the
 * parameters, between the two calls.
 */
export interface Layer {
  /** The output, in a new tensor. Elements are not scanned: NaN and infinity go in and come out (fit stops at them). */
  forward(input: Tensor): Tensor;
  /**
   * ∂L/∂input of the last forward call, in a new tensor; adds to the parameters' gradients. Once per forward call.
   * @param gradOutput ∂L/∂output, of the output's shape and dtype
   * @throws EvenkeelError ERR_STATE when there was no forward call since the last backward call
   */
  backward(gradOutput: Tensor, options?: { inputGradient?: true }): Tensor;
  /**
   * The same, but undefined where ∂L/∂input is not wanted. A layer of your own may ignore the options.
   * @param gradOutput ∂L/∂output, of the output's shape and dtype
   * @throws EvenkeelError ERR_STATE when there was no forward call since the last backward call
   */
  backward(gradOutput: Tensor, options?: BackwardOptions): Tensor | undefined;
  /** What can be trained, in a new list. */
  parameters(): Parameter[];
  /** The live tensors by name, not copies. */
  stateDict(): Record<string, Tensor>;
  /**
   * Copies values into the layer's tensors; strict about names, shapes and dtype, and nothing is changed when it throws.
   * @throws EvenkeelError ERR_STATE for missing or unexpected names, ERR_SHAPE, ERR_DTYPE
   */
  loadStateDict(state: Record<string, Tensor>): void;
  /**
   * What the next forward call goes on from besides the parameters, by name, such as the state of a stateful RNN or of a random generator:
   * tensors that the layer does not write to any more. Empty before the first call and after a reset. {@link fit} takes a refused step back
   * with it, and checkpoints hold it. A layer that carries nothing from call to call leaves it out.
   */
  carriedState?(): Record<string, Tensor>;
  /**
   * Goes on from what carriedState gave; nothing is changed when it throws.
   * @throws EvenkeelError ERR_STATE for missing or unexpected names, ERR_SHAPE, ERR_DTYPE
   */
  loadCarriedState?(state: Record<string, Tensor>): void;
}

/** What the layers of this package share: a fixed list of parameters, which is all of their state. */
export abstract class BaseLayer implements Layer {
  readonly #parameters: readonly Parameter[];
  /** what backward adds to */
  readonly #gradients: readonly Written[];

  constructor(parameters: readonly Parameter[]) {
    this.#parameters = parameters;
    this.#gradients = parameters.map((parameter) => ({
      name: `the gradient of ${parameter.name}`,
      memory: Parameter.memoryOf(parameter).grad,
    }));
  }

  abstract forward(input: Tensor): Tensor;
  abstract backward(gradOutput: Tensor, options?: { inputGradient?: true }): Tensor;
  abstract backward(gradOutput: Tensor, options?: BackwardOptions): Tensor | undefined;

  /** What can be trained, in a new list. */
  parameters(): Parameter[] {
    return [...this.#parameters];
  }

  stateDict(): StateDict {
    return Object.fromEntries(this.#parameters.map(({ name, value }) => [name, value]));
  }

  loadStateDict(state: StateDict): void {
    copyState(matchState('state', this.stateDict(), state));
  }

  /**
   * @throws EvenkeelError ERR_STATE when a parameter's buffer is gone
   * @internal
   */
  protected checkParameters(): void {
    checkParametersAttached(this.#parameters);
  }

  /**
   * Checks that backward may run, and returns the pass that it belongs to.
   * @throws EvenkeelError ERR_STATE without a pass or when a buffer is gone, ERR_SHAPE or ERR_DTYPE for a gradient unlike the output,
   *   ERR_OPTION for what is read in the memory of a gradient that is added to
   * @internal
   */
  protected checkBackward<P extends Pass>(pass: P | undefined, gradOutput: Tensor): P {
    if (pass === undefined) failNoForward();
    checkTensor('gradOutput', gradOutput, pass.input.dtype, pass.outputShape);
    pass.input.checkAttached('input of the last forward call');
    this.checkParameters();
    checkSeparate('gradOutput', gradOutput.data, this.#gradients);
    checkSeparate('input of the last forward call', pass.input.data, this.#gradients);
    checkSeparate('initialState of the last forward call', pass.initialState?.data, this.#gradients);
    return pass;
  }
}

/** What a layer keeps from forward to backward. */
export interface Pass {
  readonly input: Tensor;
  readonly initialState?: Tensor | undefined;
  readonly outputShape: readonly number[];
}

/** Reads the options of a backward call that has no others. */
export function wantsInputGradient(options: BackwardOptions): boolean {
  return checkBoolean('inputGradient', readOptions('backward options', options, ['inputGradient'], { inputGradient: true }).inputGradient);
}

export function failNoForward(): never {
  throw new EvenkeelError(
    'ERR_STATE',
    'backward: expected one forward call before each backward call, got none since the last backward call.',
  );
}

/** Checks for a tensor [..., size] with at least one row, and returns the number of its rows. */
export function checkRows(argument: string, value: unknown, dtype: DType, size: number): number {
  const { shape, size: count } = checkTensor(argument, value, dtype);
  if (shape.at(-1) !== size || count === 0) {
    throw new EvenkeelError('ERR_SHAPE', `${argument}: expected shape ${formatShape(['...', size])}, got ${formatShape(shape)}.`);
  }
  return checkRowCount(argument, count / size);
}

/** The smallest eps of a normalisation that keeps 1/√eps finite in float32. */
export const MIN_EPS = 1e-37;

const METHODS = ['forward', 'backward', 'parameters', 'stateDict', 'loadStateDict'] as const;

/** Checks for anything that does what a {@link Layer} does. */
export function checkLayer(argument: string, value: unknown): Layer {
  const layer = value as Partial<Layer> | null | undefined;
  const missing = readSafely(argument, () => METHODS.find((method) => typeof layer?.[method] !== 'function'));
  if (missing !== undefined) fail('ERR_OPTION', argument, `a layer (it has no method ${missing})`, value);
  return value as Layer;
}
