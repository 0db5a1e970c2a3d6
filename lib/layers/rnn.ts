import { checkDType, checkNumber, checkOneOf, checkRowCount, checkSize, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { checkInitializer, fillUniform, type Initializer, type InitializerOptions, initializeRecurrent } from '../initializers';
import { native } from '../native/load';
import { Parameter } from '../parameter';
import { checkGenerator, type Generator } from '../random';
import { checkTensor, type DType, Tensor } from '../tensor';
import { lastStep } from './last-step';
import { BaseLayer, MIN_EPS, type Pass } from './layer';

/** The function φ between the steps of an {@link RNN}. */
export type Nonlinearity = 'tanh' | 'relu';
/** Where a normalisation stands in the recurrence. This version has `'none'` only. */
export type Placement = 'none' | 'preactivation' | 'split-preactivation' | 'recurrent-input' | 'hidden';

/** A placement with its details, which count for placements other than `'none'`. */
export interface NormalizationOptions {
  placement: Placement;
  kind?: 'layer' | 'rms';
  eps?: number;
}

/** Options of {@link RNN}. */
export interface RNNOptions {
  inputSize: number;
  hiddenSize: number;
  /** `'tanh'` unless given */
  nonlinearity?: Nonlinearity;
  /** `'none'`, the default, is the only placement in this version */
  normalization?: Placement | NormalizationOptions;
  /** how W_hh starts; `'uniform'` unless given. W_ih and the biases are always uniform in ±1/√H. */
  initializer?: Initializer | InitializerOptions;
  /** `'float32'` unless given */
  dtype?: DType;
  /** where the initial weights come from; without one, from a random seed */
  generator?: Generator;
}

/** The numbers by which the addon knows the nonlinearities. */
const NONLINEARITIES: Record<Nonlinearity, number> = { tanh: 0, relu: 1 };

const OPTIONS = [
  'inputSize',
  'hiddenSize',
  'nonlinearity',
  'normalization',
  'initializer',
  'dtype',
  'generator',
  'stateGradientLimit',
  'checkpointing',
] as const;

const DEFAULTS = { nonlinearity: 'tanh', normalization: 'none', initializer: 'uniform', dtype: 'float32' };

interface RNNPass extends Pass {
  initialState: Tensor | undefined;
  output: Tensor;
}

/**
 * Elman's recurrent network (Elman 1990), as torch.nn.RNN with one layer:
 * h_t = φ(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh), batch first.
 *
 * Parameters: weight_ih_l0 [H, I], weight_hh_l0 [H, H], bias_ih_l0 [H], bias_hh_l0 [H].
 */
export class RNN extends BaseLayer {
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly nonlinearity: Nonlinearity;
  readonly dtype: DType;
  readonly #weightIh: Parameter;
  readonly #weightHh: Parameter;
  readonly #biasIh: Parameter;
  readonly #biasHh: Parameter;
  readonly #inputShape: readonly (number | string)[];
  #pass: RNNPass | undefined;
  #finalState: Tensor | undefined;
  #gradInitialState: Tensor | undefined;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range, ERR_MEMORY for too large a size */
  constructor(options: RNNOptions) {
    const given = readOptions('RNN options', options, OPTIONS, DEFAULTS);
    const inputSize = checkSize('inputSize', given.inputSize);
    const hiddenSize = checkSize('hiddenSize', given.hiddenSize);
    const nonlinearity = checkOneOf('nonlinearity', given.nonlinearity, Object.keys(NONLINEARITIES) as Nonlinearity[]);
    checkNormalization(given.normalization);
    const initializer = checkInitializer('initializer', given.initializer);
    const dtype = checkDType('dtype', given.dtype);
    const generator = checkGenerator('generator', given.generator);
    refuseReserved('stateGradientLimit', given.stateGradientLimit);
    refuseReserved('checkpointing', given.checkpointing);

    const parameter = (name: string, shape: number[]) => new Parameter(name, Tensor.zeros(shape, { dtype }));
    const weightIh = parameter('weight_ih_l0', [hiddenSize, inputSize]);
    const weightHh = parameter('weight_hh_l0', [hiddenSize, hiddenSize]);
    const biasIh = parameter('bias_ih_l0', [hiddenSize]);
    const biasHh = parameter('bias_hh_l0', [hiddenSize]);
    super([weightIh, weightHh, biasIh, biasHh]);
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.nonlinearity = nonlinearity;
    this.dtype = dtype;
    this.#weightIh = weightIh;
    this.#weightHh = weightHh;
    this.#biasIh = biasIh;
    this.#biasHh = biasHh;
    this.#inputShape = ['N', 'T', inputSize];

    const bound = 1 / Math.sqrt(hiddenSize);
    fillUniform(weightIh.value, bound, generator);
    initializeRecurrent(weightHh.value, initializer, generator);
    fillUniform(biasIh.value, bound, generator);
    fillUniform(biasHh.value, bound, generator);
  }

  /**
   * @param input x [N, T, I]
   * @param options.initialState h_0 [N, H]; zeros when left out
   * @returns all states h_1 … h_T [N, T, H]
   * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_STATE for a detached buffer; the layer stays as it was
   */
  forward(input: Tensor, options: { initialState?: Tensor } = {}): Tensor {
    const given = readOptions('RNN.forward options', options, ['initialState']);
    const [n, t] = checkTensor('input', input, this.dtype, this.#inputShape).shape as [number, number, number];
    checkRowCount('input', n * t);
    const hidden = this.hiddenSize;
    const initialState =
      given.initialState === undefined ? undefined : checkTensor('initialState', given.initialState, this.dtype, [n, hidden]);
    this.checkParameters();
    const output = Tensor.zeros([n, t, hidden], { dtype: this.dtype });

    this.#pass = undefined;
    native().rnnForward(
      n,
      t,
      this.inputSize,
      hidden,
      NONLINEARITIES[this.nonlinearity],
      input.data,
      initialState?.data ?? null,
      this.#weightIh.value.data,
      this.#weightHh.value.data,
      this.#biasIh.value.data,
      this.#biasHh.value.data,
      output.data,
    );
    this.#finalState = lastStep(output);
    this.#gradInitialState = undefined;
    this.#pass = { input, initialState, output, outputShape: output.shape };
    return output;
  }

  /**
   * @param gradOutput ∂L/∂h_t of every step, without what flows back from later steps [N, T, H]
   * @returns ∂L/∂x [N, T, I]
   */
  backward(gradOutput: Tensor): Tensor {
    const { input, initialState, output } = this.checkBackward(this.#pass, gradOutput);
    output.checkAttached('output of the last forward call');
    initialState?.checkAttached('initialState of the last forward call');
    const [n, t] = input.shape as [number, number, number];
    const gradInput = Tensor.zeros(input.shape, { dtype: this.dtype });
    const gradInitialState = Tensor.zeros([n, this.hiddenSize], { dtype: this.dtype });

    this.#pass = undefined;
    native().rnnBackward(
      n,
      t,
      this.inputSize,
      this.hiddenSize,
      NONLINEARITIES[this.nonlinearity],
      input.data,
      initialState?.data ?? null,
      this.#weightIh.value.data,
      this.#weightHh.value.data,
      this.#biasIh.value.data,
      this.#biasHh.value.data,
      output.data,
      gradOutput.data,
      gradInput.data,
      gradInitialState.data,
      this.#weightIh.grad.data,
      this.#weightHh.grad.data,
      this.#biasIh.grad.data,
      this.#biasHh.grad.data,
    );
    this.#gradInitialState = gradInitialState;
    return gradInput;
  }

  /** h_T [N, H] of the last forward call: a copy, ready to be the next call's initialState. */
  get finalState(): Tensor {
    if (this.#finalState === undefined) {
      throw new EvenkeelError('ERR_STATE', 'finalState: expected a forward call before it is read, got none.');
    }
    return this.#finalState;
  }

  /** ∂L/∂h_0 [N, H] of the last backward call. */
  get gradInitialState(): Tensor {
    if (this.#gradInitialState === undefined) {
      throw new EvenkeelError(
        'ERR_STATE',
        'gradInitialState: expected a backward call before it is read, got none since the last forward call.',
      );
    }
    return this.#gradInitialState;
  }
}

const PLACEMENTS: readonly Placement[] = ['none', 'preactivation', 'split-preactivation', 'recurrent-input', 'hidden'];

function checkNormalization(value: unknown): void {
  const options = typeof value === 'string' ? { placement: value } : value;
  const given = readOptions('normalization', options, ['placement', 'kind', 'eps'], { kind: 'layer', eps: 1e-5 });
  const placement = checkOneOf('normalization', given.placement, PLACEMENTS);
  checkOneOf('normalization.kind', given.kind, ['layer', 'rms']);
  checkNumber('normalization.eps', given.eps, { min: MIN_EPS });
  if (placement === 'none') return;
  throw new EvenkeelError(
    'ERR_OPTION',
    `normalization: the placement "${placement}" is not available in this version. Use "none", or put a LayerNorm before or after the RNN in a Sequential.`,
  );
}

function refuseReserved(option: string, value: unknown): void {
  if (value !== undefined) throw new EvenkeelError('ERR_OPTION', `${option}: this option is not available in this version. Leave it out.`);
}
