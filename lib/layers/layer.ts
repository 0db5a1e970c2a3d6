import { checkSeparate, type Written } from '../aliasing';
import { checkBoolean, fail, readOptions, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import type { Lengths } from '../lengths';
import { checkParametersAttached, Parameter } from '../parameter';
import { copyState, matchState, type StateDict } from '../state-dict';
import { checkTensor, type Tensor, type TensorData } from '../tensor';
import { allocateOutput } from '../workspace';
import { type Summary, type SummaryOptions, summarize } from './summary';

/** Options of {@link Layer.forward}. */
export interface ForwardOptions {
  /**
   * How many steps of each sequence of an input [N, T, F] count, where not all do: sequences are padded at the end. What stands in the other
   * steps does not matter, NaN included: the output there is 0, and so is the gradient.
   */
  lengths?: Lengths;
  /** whether a backward call may follow: true unless given, which keeps what that needs. A layer of your own may ignore it. */
  training?: boolean;
}

/** Options of {@link Layer.predict}. */
export type PredictOptions = Omit<ForwardOptions, 'training'>;

/** Options of {@link Layer.backward}. */
export interface BackwardOptions {
  /**
   * Whether ∂L/∂input is wanted; true unless given. A first layer's input is data, whose gradient has no use: not to compute it saves a
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
  forward(input: Tensor, options?: ForwardOptions): Tensor;
  /**
   * The output of forward outside training, in a new tensor. It keeps nothing, and may come between a forward call and its backward call. A
   * layer of your own may do without: a Sequential then calls its forward with `training: false`.
   */
  predict?(input: Tensor, options?: PredictOptions): Tensor;
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
  /**
   * What the layer's constructor takes to make one of the same kind and sizes: numbers, texts, booleans, other layers, and arrays and records of
   * these. {@link saveModel} writes it; a layer that is never saved leaves it out.
   */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** What a layer makes of an input: its output, and what backward needs of the computation. */
export interface Computed<Kept> {
  output: Tensor;
  kept: Kept;
}

/** What a layer keeps from forward to backward. */
interface Pass<Checked, Kept> {
  readonly checked: Checked;
  readonly outputShape: readonly number[];
  readonly kept: Kept;
}

/** What every layer checks of a call: its input, as given. */
export interface CheckedInput {
  readonly input: Tensor;
}

/** Where no options are given there are none to read. */
const NONE = {};
export const FORWARD_DEFAULTS: Readonly<Record<string, unknown>> = { training: true };
export const BACKWARD_DEFAULTS: Readonly<Record<string, unknown>> = { inputGradient: true };

/**
 * What the layers of this package share: a fixed list of parameters, and the heads of forward, predict and backward. A layer checks first,
 * so that a call that is refused changes nothing, and computes then.
 */
export abstract class BaseLayer<
  Checked extends CheckedInput = CheckedInput,
  Kept = unknown,
  Forward extends ForwardOptions = ForwardOptions,
  Backward extends BackwardOptions = BackwardOptions,
> implements Layer
{
  readonly #parameters: readonly Parameter[];
  /** what backward adds to */
  readonly #gradients: readonly Written[];
  readonly #forwardNames: readonly string[];
  readonly #predictNames: readonly string[];
  readonly #backwardNames: readonly string[];
  readonly #options: Readonly<Record<string, unknown>> | undefined;
  #pass: Pass<Checked, Kept> | undefined;

  /** @param own what is the layer's own: names of further options of forward and predict, and of backward; and {@link Layer.options} */
  constructor(
    parameters: readonly Parameter[],
    own: { forward?: readonly string[]; backward?: readonly string[]; options?: Readonly<Record<string, unknown>> } = {},
  ) {
    const { forward = [], backward = [], options } = own;
    this.#options = options;
    this.#predictNames = ['lengths', ...forward];
    this.#forwardNames = [...this.#predictNames, 'training'];
    this.#backwardNames = ['inputGradient', ...backward];
    this.#parameters = parameters;
    this.#gradients = parameters.map((parameter) => ({
      name: `the gradient of ${parameter.name}`,
      memory: Parameter.memoryOf(parameter).grad,
    }));
  }

  /** Checks the input, and the options but `training`, as the caller gave them. */
  protected abstract checkForward(input: Tensor, options: Readonly<Record<string, unknown>>): Checked;
  /**
   * @param call what this call is for: `'training'` keeps what backward needs; `'forward'` keeps nothing, but goes on as a forward call does;
   *   `'predict'` leaves the layer as it is
   */
  protected abstract compute(checked: Checked, call: CallKind): Computed<Kept>;
  /**
   * Adds to the parameters' gradients.
   * @param gradInput to be written; undefined where it is not wanted
   * @param options what {@link checkBackwardOptions} returned
   */
  protected abstract differentiate(
    pass: Pass<Checked, Kept>,
    gradOutput: Tensor,
    gradInput: Tensor | undefined,
    options: Readonly<Record<string, unknown>>,
  ): void;

  /** Checks the options of backward that are the layer's own against the pass. */
  protected checkBackwardOptions(
    _pass: Pass<Checked, Kept>,
    options: Readonly<Record<string, unknown>>,
  ): Readonly<Record<string, unknown>> {
    return options;
  }
  /** Checks that what was kept is still there. */
  protected checkKept(_pass: Pass<Checked, Kept>): void {}

  /**
   * The output for an input, in a new tensor; the layer's own text says which shapes.
   * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_STATE for a detached buffer, ERR_MEMORY for what cannot fit; the layer stays as it was
   */
  forward(input: Tensor, options: Forward = NONE as Forward): Tensor {
    const given = options === NONE ? FORWARD_DEFAULTS : readOptions('forward options', options, this.#forwardNames, FORWARD_DEFAULTS);
    const training = checkBoolean('training', given.training);
    const checked = this.checkForward(input, given);
    this.checkParameters();
    this.#pass = undefined;
    countForward(this);
    const { output, kept } = this.compute(checked, training ? 'training' : 'forward');
    if (training) this.#pass = { checked, outputShape: output.shape, kept };
    return output;
  }

  /**
   * What forward gives outside training, with the least memory. It keeps nothing, and does not disturb a forward call that waits for its
   * backward call; a stateful layer starts from its state and does not go on.
   * @throws EvenkeelError as forward does
   */
  predict(input: Tensor, options: Omit<Forward, 'training'> = NONE as Forward): Tensor {
    const given = readOptions('predict options', options, this.#predictNames);
    const checked = this.checkForward(input, given);
    this.checkParameters();
    return this.compute(checked, 'predict').output;
  }

  /**
   * ∂L/∂input, in a new tensor; undefined with `inputGradient: false`. Adds to the parameters' gradients.
   * @param gradOutput ∂L/∂output, of the output's shape
   * @throws EvenkeelError ERR_STATE without a forward call since the last backward call or when a buffer is gone, ERR_SHAPE, ERR_DTYPE
   */
  backward(gradOutput: Tensor, options?: Backward & { inputGradient?: true }): Tensor;
  backward(gradOutput: Tensor, options?: Backward): Tensor | undefined;
  backward(gradOutput: Tensor, options: Backward = NONE as Backward): Tensor | undefined {
    const given = options === NONE ? BACKWARD_DEFAULTS : readOptions('backward options', options, this.#backwardNames, BACKWARD_DEFAULTS);
    const wanted = checkBoolean('inputGradient', given.inputGradient);
    const pass = this.#checkBackward(gradOutput);
    const checkedOptions = this.checkBackwardOptions(pass, given);
    const { dtype, shape } = pass.checked.input;
    const gradInput = wanted ? allocateOutput(dtype, shape) : undefined;
    this.#pass = undefined;
    this.differentiate(pass, gradOutput, gradInput, checkedOptions);
    return gradInput;
  }

  /** What can be trained, in a new list. */
  parameters(): Parameter[] {
    return [...this.#parameters];
  }

  /** What the constructor takes to make a layer of the same kind and sizes; undefined where a class of your own does not say. */
  get options(): Readonly<Record<string, unknown>> | undefined {
    return this.#options;
  }

  /**
   * The layer as a model of its own: shape, parameters, and what a training step costs. `String(summary)` is a table.
   * @throws EvenkeelError ERR_OPTION
   */
  summary(options: SummaryOptions): Summary {
    return summarize(this, options);
  }

  stateDict(): StateDict {
    return Object.fromEntries(this.#parameters.map(({ name, value }) => [name, value]));
  }

  loadStateDict(state: StateDict): void {
    copyState(matchState('state', this.stateDict(), state));
  }

  /** @throws EvenkeelError ERR_STATE when a parameter's buffer is gone */
  private checkParameters(): void {
    checkParametersAttached(this.#parameters);
  }

  /** Checks that backward may run, and returns the pass that it belongs to. */
  #checkBackward(gradOutput: Tensor): Pass<Checked, Kept> {
    const pass = this.#pass;
    if (pass === undefined) failNoForward();
    const { input } = pass.checked;
    checkTensor('gradOutput', gradOutput, input.dtype, pass.outputShape);
    input.checkAttached('input of the last forward call');
    this.checkKept(pass);
    this.checkParameters();
    this.checkSeparate('gradOutput', gradOutput.data);
    this.checkSeparate('input of the last forward call', input.data);
    return pass;
  }

  /** @throws EvenkeelError ERR_OPTION for what is read in the memory of a gradient that backward adds to */
  protected checkSeparate(argument: string, data: TensorData | undefined): void {
    checkSeparate(argument, data, this.#gradients);
  }
}

/** What a call of a layer's `compute` is for: training keeps what backward needs, forward goes on as a forward call does, predict leaves the layer as it is. */
export type CallKind = 'training' | 'forward' | 'predict';

export type { Pass };

/** How many forward calls each layer has had, so that a backward call can tell whether the last one was its own. */
const forwardCalls = new WeakMap<Layer, { count: number }>();

export function forwardCallsOf(layer: Layer): number {
  return forwardCalls.get(layer)?.count ?? 0;
}

/** @returns the number of the call that is counted */
export function countForward(layer: Layer): number {
  let calls = forwardCalls.get(layer);
  if (calls === undefined) {
    calls = { count: 0 };
    forwardCalls.set(layer, calls);
  }
  return ++calls.count;
}

export function failNoForward(): never {
  throw new EvenkeelError(
    'ERR_STATE',
    'backward: expected one forward call before each backward call, got none since the last backward call.',
  );
}

/** The eps of a normalisation: float32 holds it and 1/√eps. */
export const EPS_RANGE = { min: 1e-37, max: (2 - 2 ** -23) * 2 ** 127 };

const METHODS = ['forward', 'backward', 'parameters', 'stateDict', 'loadStateDict'] as const;

/** Checks for anything that does what a {@link Layer} does. */
export function checkLayer(argument: string, value: unknown): Layer {
  const layer = value as Partial<Layer> | null | undefined;
  const missing = readSafely(argument, () => METHODS.find((method) => typeof layer?.[method] !== 'function'));
  if (missing !== undefined) fail('ERR_OPTION', argument, `a layer (it has no method ${missing})`, value);
  return value as Layer;
}
