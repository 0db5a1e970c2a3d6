import { checkBoolean, checkDType, checkNumber, checkOneOf, checkRowCount, checkSize, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { checkInitializer, fillUniform, type Initializer, type InitializerOptions, initializeRecurrent } from '../initializers';
import { native } from '../native/load';
import { Parameter } from '../parameter';
import { checkGenerator, type Generator } from '../random';
import { allocate, checkTensor, type DType, Tensor, type TensorData } from '../tensor';
import { typedArrayLength } from '../typed-arrays';
import { type Checkpointing, checkCheckpointing, segmentSteps } from './checkpointing';
import { BaseLayer, MIN_EPS, type Pass } from './layer';
import { cutTime, type Piece, SequenceArray } from './pieces';

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
  /** how W_hh starts; `'uniform'` unless given. W_ih and the biases are always uniform in ±1/√H, see {@link Initializer}. */
  initializer?: Initializer | InitializerOptions;
  /** whether forward gives all states [N, T, H], the default, or the last one alone [N, H] */
  returnSequences?: boolean;
  /** whether a call goes on from the state that the call before left; see {@link RNN.resetState}. `false` unless given */
  stateful?: boolean;
  /**
   * The state is detached after every so many steps, counted from each call's first: no gradient flows back past those points (truncated
   * backpropagation through time). Never unless given.
   */
  truncateAfter?: number;
  /** time against memory; `'auto'` unless given */
  checkpointing?: Checkpointing;
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
  'returnSequences',
  'stateful',
  'truncateAfter',
  'checkpointing',
] as const;

const DEFAULTS = {
  nonlinearity: 'tanh',
  normalization: 'none',
  initializer: 'uniform',
  dtype: 'float32',
  returnSequences: true,
  stateful: false,
  checkpointing: 'auto',
};

interface RNNPass extends Pass {
  readonly initialState: Tensor | undefined;
  /** how backward goes through time, a piece at a time */
  readonly pieces: readonly Piece[];
  /** all states [N, T, H]; where they are not kept, those before each piece but the first [N, H] */
  readonly states: SequenceArray | undefined;
  readonly starts: readonly TensorData[];
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
  readonly returnSequences: boolean;
  readonly stateful: boolean;
  readonly dtype: DType;
  readonly #truncateAfter: number;
  readonly #checkpointing: Checkpointing;
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
    const returnSequences = checkBoolean('returnSequences', given.returnSequences);
    const stateful = checkBoolean('stateful', given.stateful);
    const truncateAfter = given.truncateAfter === undefined ? Infinity : checkSize('truncateAfter', given.truncateAfter);
    const checkpointing = checkCheckpointing('checkpointing', given.checkpointing);

    const parameter = (name: string, shape: number[]) => new Parameter(name, Tensor.zeros(shape, { dtype }));
    const weightIh = parameter('weight_ih_l0', [hiddenSize, inputSize]);
    const weightHh = parameter('weight_hh_l0', [hiddenSize, hiddenSize]);
    const biasIh = parameter('bias_ih_l0', [hiddenSize]);
    const biasHh = parameter('bias_hh_l0', [hiddenSize]);
    super([weightIh, weightHh, biasIh, biasHh]);
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.nonlinearity = nonlinearity;
    this.returnSequences = returnSequences;
    this.stateful = stateful;
    this.dtype = dtype;
    this.#truncateAfter = truncateAfter;
    this.#checkpointing = checkpointing;
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
   * @param options.initialState h_0 [N, H]; left out, it is zero, or where a stateful layer's last call ended
   * @returns all states h_1 … h_T [N, T, H], or h_T [N, H] with `returnSequences: false`
   * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_STATE for a detached buffer, ERR_MEMORY for what cannot fit, before anything is
   *   allocated; the layer stays as it was
   */
  forward(input: Tensor, options: { initialState?: Tensor } = {}): Tensor {
    const given = readOptions('RNN.forward options', options, ['initialState']);
    const [n, t] = checkTensor('input', input, this.dtype, this.#inputShape).shape as [number, number, number];
    checkRowCount('input', n * t);
    const initialState = this.#initialState(given.initialState, n);
    this.checkParameters();
    const segment = this.#segmentSteps(n, t);
    const pieces = cutTime(t, this.#truncateAfter, segment);
    const keepsStates = this.returnSequences || segment >= t;

    this.#pass = undefined;
    const { states, starts, last } = keepsStates ? this.#scan(input, initialState) : this.#scanKeepingStarts(input, initialState, pieces);
    const finalState = new Tensor(last, [n, this.hiddenSize]);
    this.#finalState = finalState;
    this.#gradInitialState = undefined;
    const output = this.returnSequences && states !== undefined ? new Tensor(states.data, [n, t, this.hiddenSize]) : copyOf(finalState);
    this.#pass = { input, initialState, pieces, states, starts, outputShape: output.shape };
    return output;
  }

  /**
   * @param gradOutput ∂L/∂output: of every step, without what flows back from later steps [N, T, H], or of the last state [N, H]
   * @param options.gradFinalState ∂L/∂h_T [N, H] from beyond this call, such as the gradInitialState of a call on the steps after these
   * @returns ∂L/∂x [N, T, I]
   */
  backward(gradOutput: Tensor, options: { gradFinalState?: Tensor } = {}): Tensor {
    const given = readOptions('RNN.backward options', options, ['gradFinalState']);
    const pass = this.checkBackward(this.#pass, gradOutput);
    const [n, t] = pass.input.shape as [number, number, number];
    const fromBeyond =
      given.gradFinalState === undefined
        ? undefined
        : checkTensor('gradFinalState', given.gradFinalState, this.dtype, [n, this.hiddenSize]);
    checkKept(pass);

    this.#pass = undefined;
    const dstate = fromBeyond === undefined ? allocate(this.dtype, n * this.hiddenSize) : fromBeyond.data.slice();
    if (!this.returnSequences) add(gradOutput.data, dstate);
    const gradInput = Tensor.zeros(pass.input.shape, { dtype: this.dtype });
    const arrays = {
      input: new SequenceArray(pass.input.data, n, t, this.inputSize),
      gradOutput: this.returnSequences ? new SequenceArray(gradOutput.data, n, t, this.hiddenSize) : undefined,
      gradInput: new SequenceArray(gradInput.data, n, t, this.inputSize),
    };
    for (let index = pass.pieces.length - 1; index >= 0; index--) {
      this.#pieceBackward(pass, index, arrays, dstate);
      // A window's gradient stays within it.
      if (index > 0 && (pass.pieces[index] as Piece).begin % this.#truncateAfter === 0) dstate.fill(0);
    }
    this.#gradInitialState = new Tensor(dstate, [n, this.hiddenSize]);
    return gradInput;
  }

  /** h_T [N, H] of the last forward call: a copy, ready to be the next call's initialState. */
  get finalState(): Tensor {
    if (this.#finalState === undefined) {
      throw new EvenkeelError('ERR_STATE', 'finalState: expected a forward call before it is read, got none.');
    }
    return this.#finalState;
  }

  /** Forgets the state: a stateful layer's next call starts from zero again, and may have another number of sequences. */
  resetState(): void {
    this.#finalState = undefined;
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

  #initialState(given: unknown, n: number): Tensor | undefined {
    const shape = [n, this.hiddenSize];
    if (given !== undefined) return checkTensor('initialState', given, this.dtype, shape);
    if (!this.stateful || this.#finalState === undefined) return undefined;
    if (this.#finalState.shape[0] !== n) {
      throw new EvenkeelError(
        'ERR_SHAPE',
        `input: expected ${this.#finalState.shape[0]} sequences, as in the call before, whose state a stateful layer goes on from, got ${n}. ` +
          'Call resetState() where new sequences begin.',
      );
    }
    return this.#finalState;
  }

  #segmentSteps(n: number, t: number): number {
    const bytes = this.dtype === 'float64' ? 8 : 4;
    const stateBytes = n * this.hiddenSize * bytes;
    return segmentSteps(this.#checkpointing, {
      steps: t,
      chunkSteps: native().rnnChunkSteps(n, this.inputSize, this.hiddenSize),
      stateBytes,
      bytesPerStep: this.returnSequences ? 0 : stateBytes,
      scratchPerStep: 2 * stateBytes + 2 * n * this.inputSize * bytes,
    });
  }

  /** Forward through all of time, and every state kept. */
  #scan(input: Tensor, initialState: Tensor | undefined) {
    const [n, t] = input.shape as [number, number, number];
    const states = new SequenceArray(allocate(this.dtype, n * t * this.hiddenSize), n, t, this.hiddenSize);
    this.#nativeForward(n, t, input.data, initialState?.data ?? null, states.data);
    return { states, starts: [], last: states.step(t - 1, this.dtype) };
  }

  /** The same, and only the states between the pieces kept. */
  #scanKeepingStarts(input: Tensor, initialState: Tensor | undefined, pieces: readonly Piece[]) {
    const [n, t] = input.shape as [number, number, number];
    const inputs = new SequenceArray(input.data, n, t, this.inputSize);
    const starts: TensorData[] = [];
    let last = initialState?.data ?? null;
    for (const piece of pieces) {
      last = this.#pieceForward(n, inputs, piece, last).step(piece.end - piece.begin - 1, this.dtype);
      starts.push(last);
    }
    return { states: undefined, starts, last: starts.pop() as TensorData };
  }

  #pieceForward(n: number, inputs: SequenceArray, piece: Piece, initialState: TensorData | null): SequenceArray {
    const steps = piece.end - piece.begin;
    const states = new SequenceArray(allocate(this.dtype, n * steps * this.hiddenSize), n, steps, this.hiddenSize);
    this.#nativeForward(n, steps, inputs.take(piece, this.dtype), initialState, states.data);
    return states;
  }

  /** @param dstate ∂L/∂h after the piece from beyond it [N, H]; that before it when this returns */
  #pieceBackward(pass: RNNPass, index: number, arrays: BackwardArrays, dstate: TensorData): void {
    const { n } = arrays.input;
    const piece = pass.pieces[index] as Piece;
    const steps = piece.end - piece.begin;
    const before =
      index === 0
        ? (pass.initialState?.data ?? null)
        : (pass.states?.step(piece.begin - 1, this.dtype) ?? (pass.starts[index - 1] as TensorData));
    const states = pass.states?.take(piece, this.dtype) ?? this.#pieceForward(n, arrays.input, piece, before).data;
    const gradOutput = arrays.gradOutput?.take(piece, this.dtype) ?? allocate(this.dtype, states.length);
    const gradInput = arrays.gradInput.take(piece, this.dtype);
    native().rnnBackward(
      n,
      steps,
      this.inputSize,
      this.hiddenSize,
      NONLINEARITIES[this.nonlinearity],
      arrays.input.take(piece, this.dtype),
      before,
      this.#weightIh.value.data,
      this.#weightHh.value.data,
      this.#biasIh.value.data,
      this.#biasHh.value.data,
      states,
      gradOutput,
      gradInput,
      dstate,
      this.#weightIh.grad.data,
      this.#weightHh.grad.data,
      this.#biasIh.grad.data,
      this.#biasHh.grad.data,
    );
    arrays.gradInput.put(piece, gradInput);
  }

  #nativeForward(n: number, t: number, input: TensorData, initialState: TensorData | null, states: TensorData): void {
    native().rnnForward(
      n,
      t,
      this.inputSize,
      this.hiddenSize,
      NONLINEARITIES[this.nonlinearity],
      input,
      initialState,
      this.#weightIh.value.data,
      this.#weightHh.value.data,
      this.#biasIh.value.data,
      this.#biasHh.value.data,
      states,
    );
  }
}

/** What a backward pass goes through piece by piece; without gradOutput, nothing comes from the outputs on the way. */
interface BackwardArrays {
  readonly input: SequenceArray;
  readonly gradOutput: SequenceArray | undefined;
  readonly gradInput: SequenceArray;
}

function checkKept({ states, initialState }: RNNPass): void {
  initialState?.checkAttached('initialState of the last forward call');
  if (states !== undefined && typedArrayLength(states.data) !== states.n * states.steps * states.width) {
    throw new EvenkeelError(
      'ERR_STATE',
      'output of the last forward call: its buffer was transferred or resized before backward. Transfer a copy of it instead.',
    );
  }
}

function copyOf({ data, shape }: Tensor): Tensor {
  return new Tensor(data.slice(), shape);
}

function add(source: TensorData, target: TensorData): void {
  for (let i = 0; i < target.length; i++) target[i] = (target[i] as number) + (source[i] as number);
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
