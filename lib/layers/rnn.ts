import { checkBoolean, checkDType, checkNumber, checkOneOf, checkRowCount, checkSize, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { checkInitializer, fillUniform, type Initializer, type InitializerOptions, initializeWeight } from '../initializers';
import type { ConcurrentArguments, NativeRecurrentLayer, RecurrentLayerOptions } from '../native/addon';
import { native } from '../native/load';
import { Parameter } from '../parameter';
import { checkGenerator, type Generator } from '../random';
import type { StateDict } from '../state-dict';
import { checkTensor, type DType, Tensor, type TensorData } from '../tensor';
import { allocateOutput, allocateState, makeTensor, reusableBytes } from '../workspace';
import { checkCarriedState } from './carried-state';
import { type Checkpointing, checkCheckpointing, segmentSteps } from './checkpointing';
import { type BackwardOptions, BaseLayer, type Pass } from './layer';
import { cutTime, type Piece, PieceMemory, SequenceArray } from './pieces';
import { type NormalizationOptions, type Placement, RecurrentNormalization } from './placement';
import { StateGradientPass } from './state-gradient';

/** The function φ between the steps of an {@link RNN}. */
export type Nonlinearity = 'tanh' | 'relu';
/** Options of {@link RNN}. */
export interface RNNOptions {
  inputSize: number;
  hiddenSize: number;
  /** `'tanh'` unless given */
  nonlinearity?: Nonlinearity;
  /** where in the recurrence a normalisation stands; `'none'` unless given */
  normalization?: Placement | NormalizationOptions;
  /** whether there are the biases b_ih and b_hh; true unless given */
  bias?: boolean;
  /** how W_hh starts; `'uniform'` unless given */
  recurrentInitializer?: Initializer | InitializerOptions;
  /** how W_ih starts; `'uniform'` unless given */
  inputInitializer?: Initializer | InitializerOptions;
  /** whether forward gives all states [N, T, H], the default, or the last one alone [N, H] */
  returnSequences?: boolean;
  /** whether a call goes on from the state that the call before left; see {@link RNN.resetState}. `false` unless given */
  stateful?: boolean;
  /**
   * The state is detached after every so many steps, counted from each call's first: no gradient flows back past those points (truncated
   * backpropagation through time). Never unless given.
   */
  truncateAfter?: number;
  /**
   * Limits the norm of ∂L/∂h_t, the total derivative by the state that step t hands to step t + 1, to this in the backward pass, for each
   * sequence by itself (Graves 2013, arXiv:1308.0850): as soon as g_t has all that comes from the output at t and from step t + 1, it becomes
   * g_t · min(1, limit/‖g_t‖), and from that follow the gradients of the parameters and of x_t and g_{t-1}. ∂L/∂h_0 is not limited. A number
   * above 0; no limit unless given. See {@link RNN.limitedStateGradients}.
   */
  stateGradientLimit?: number;
  /** time against memory; `'auto'` unless given */
  checkpointing?: Checkpointing;
  /** `'float32'` unless given */
  dtype?: DType;
  /** where the initial weights come from; without one, from a random seed */
  generator?: Generator;
}

/** Options of {@link RNN.backward}. */
export interface RNNBackwardOptions extends BackwardOptions {
  /** ∂L/∂h_T [N, H] from beyond this call, such as the gradInitialState of a call on the steps after these */
  gradFinalState?: Tensor;
}

/**
 * The numbers by which the addon knows the nonlinearities.
 * @internal
 */
export const NONLINEARITIES: Record<Nonlinearity, number> = { tanh: 0, relu: 1 };

const OPTIONS = [
  'inputSize',
  'hiddenSize',
  'nonlinearity',
  'normalization',
  'bias',
  'recurrentInitializer',
  'inputInitializer',
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
  bias: true,
  recurrentInitializer: 'uniform',
  inputInitializer: 'uniform',
  dtype: 'float32',
  returnSequences: true,
  stateful: false,
  checkpointing: 'auto',
};

interface RNNPass extends Pass {
  /** how backward goes through time, a piece at a time */
  readonly pieces: readonly Piece[];
  /** all states [N, T, H]; where they are not kept, those before each piece but the first [N, H] */
  readonly states: SequenceArray | undefined;
  /** whose elements `states` are */
  readonly sequence: Tensor | undefined;
  /** what else forward keeps of all steps, null for nothing; undefined where it is computed again */
  readonly tape: TensorData | null | undefined;
  readonly starts: readonly TensorData[];
}

/**
 * Elman's recurrent network (Elman 1990), as torch.nn.RNN with one layer:
 * h_t = φ(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh), batch first, with a normalisation in the recurrence where one is asked for: see
 * {@link Placement}.
 *
 * Parameters: weight_ih_l0 [H, I], weight_hh_l0 [H, H], bias_ih_l0 [H], bias_hh_l0 [H], these two not with `bias: false`. A placement adds norm.weight [H], from ones, and
 * norm.bias [H], from zeros; `'split-preactivation'` norm_ih.weight and norm_hh.weight instead. Kind `'rms'` has no bias.
 */
export class RNN extends BaseLayer {
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly nonlinearity: Nonlinearity;
  readonly returnSequences: boolean;
  readonly stateful: boolean;
  readonly dtype: DType;
  /**
   * Whether backward calls record ln‖∂L/∂h_t‖, see {@link RNN.stateGradientLogNorms}; false at first. While they do, nothing overflows or
   * underflows on the way back, in however many steps, and the parameters' gradients stay the same bits.
   */
  recordStateGradients = false;
  readonly #stateGradientLimit: number;
  readonly #truncateAfter: number;
  readonly #checkpointing: Checkpointing;
  readonly #normalization: RecurrentNormalization;
  readonly #hasBias: boolean;
  #layer: NativeRecurrentLayer | undefined;
  readonly #inputShape: readonly (number | string)[];
  #pass: RNNPass | undefined;
  #finalState: Tensor | undefined;
  #gradInitialState: Tensor | undefined;
  #stateGradients: StateGradientPass | undefined;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range, ERR_MEMORY for too large a size */
  constructor(options: RNNOptions) {
    const given = readOptions('RNN options', options, OPTIONS, DEFAULTS);
    const inputSize = checkSize('inputSize', given.inputSize);
    const hiddenSize = checkSize('hiddenSize', given.hiddenSize);
    const nonlinearity = checkOneOf('nonlinearity', given.nonlinearity, Object.keys(NONLINEARITIES) as Nonlinearity[]);
    const hasBias = checkBoolean('bias', given.bias);
    const recurrentInitializer = checkInitializer('recurrentInitializer', given.recurrentInitializer);
    const inputInitializer = checkInitializer('inputInitializer', given.inputInitializer);
    const dtype = checkDType('dtype', given.dtype);
    const normalization = new RecurrentNormalization(given.normalization, hiddenSize, dtype);
    const generator = checkGenerator('generator', given.generator);
    const stateGradientLimit =
      given.stateGradientLimit === undefined ? Infinity : checkNumber('stateGradientLimit', given.stateGradientLimit, { above: 0 });
    const returnSequences = checkBoolean('returnSequences', given.returnSequences);
    const stateful = checkBoolean('stateful', given.stateful);
    const truncateAfter = given.truncateAfter === undefined ? Infinity : checkSize('truncateAfter', given.truncateAfter);
    const checkpointing = checkCheckpointing('checkpointing', given.checkpointing);

    const parameter = (name: string, shape: number[]) => new Parameter(name, Tensor.zeros(shape, { dtype }));
    const weightIh = parameter('weight_ih_l0', [hiddenSize, inputSize]);
    const weightHh = parameter('weight_hh_l0', [hiddenSize, hiddenSize]);
    const biases = hasBias ? [parameter('bias_ih_l0', [hiddenSize]), parameter('bias_hh_l0', [hiddenSize])] : [];
    super([weightIh, weightHh, ...biases, ...normalization.parameters()]);
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.nonlinearity = nonlinearity;
    this.returnSequences = returnSequences;
    this.stateful = stateful;
    this.dtype = dtype;
    this.#stateGradientLimit = stateGradientLimit;
    this.#truncateAfter = truncateAfter;
    this.#checkpointing = checkpointing;
    this.#normalization = normalization;
    this.#hasBias = hasBias;
    this.#inputShape = ['N', 'T', inputSize];

    const bound = 1 / Math.sqrt(hiddenSize);
    initializeWeight(weightIh.value, inputInitializer, generator);
    initializeWeight(weightHh.value, recurrentInitializer, generator);
    for (const { value } of biases) fillUniform(value, bound, generator);
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
    const keepsAll = segment >= t;

    this.#pass = undefined;
    const { output, finalState, ...kept } =
      this.returnSequences || keepsAll ? this.#scan(input, initialState, keepsAll) : this.#scanKeepingStarts(input, initialState, pieces);
    this.#finalState = finalState;
    this.#gradInitialState = undefined;
    this.#stateGradients = undefined;
    this.#pass = { input, initialState, pieces, ...kept, outputShape: output.shape };
    return output;
  }

  /**
   * @param gradOutput ∂L/∂output: of every step, without what flows back from later steps [N, T, H], or of the last state [N, H]
   * @returns ∂L/∂x [N, T, I], or undefined with `inputGradient: false`
   */
  backward(gradOutput: Tensor, options?: RNNBackwardOptions & { inputGradient?: true }): Tensor;
  backward(gradOutput: Tensor, options?: RNNBackwardOptions): Tensor | undefined;
  backward(gradOutput: Tensor, options: RNNBackwardOptions = {}): Tensor | undefined {
    const given = readOptions('RNN.backward options', options, ['gradFinalState', 'inputGradient'], { inputGradient: true });
    const wanted = checkBoolean('inputGradient', given.inputGradient);
    const pass = this.checkBackward(this.#pass, gradOutput);
    const [n, t] = pass.input.shape as [number, number, number];
    const fromBeyond =
      given.gradFinalState === undefined
        ? undefined
        : checkTensor('gradFinalState', given.gradFinalState, this.dtype, [n, this.hiddenSize]);
    checkKept(pass);

    this.#pass = undefined;
    const gradInitialState = allocateState(this.dtype, [n, this.hiddenSize]);
    const dstate = gradInitialState.data;
    if (fromBeyond === undefined) dstate.fill(0);
    else dstate.set(fromBeyond.data);
    if (!this.returnSequences) add(gradOutput.data, dstate);
    const gradInput = wanted ? allocateOutput(this.dtype, pass.input.shape) : undefined;
    const arrays = {
      input: new SequenceArray(pass.input.data, n, t, this.inputSize),
      gradOutput: this.returnSequences ? new SequenceArray(gradOutput.data, n, t, this.hiddenSize) : undefined,
      gradInput: gradInput && new SequenceArray(gradInput.data, n, t, this.inputSize),
      stateGradients: new StateGradientPass(n, t, this.#stateGradientLimit, this.recordStateGradients),
      memories: [new PieceMemory(), new PieceMemory()],
    };
    const last = pass.pieces.length - 1;
    let current: ForwardPiece | undefined = this.#pieceAt(pass, arrays, last);
    if (!current.isKept) this.#nativeForward(n, current.steps, current.input, current.before, current.tape, current.states);
    for (let index = last; current !== undefined; index--) {
      current = this.#pieceBackward(pass, index, current, arrays, dstate);
      // A window's gradient stays within it.
      if (index > 0 && (pass.pieces[index] as Piece).begin % this.#truncateAfter === 0) {
        dstate.fill(0);
        arrays.stateGradients.restart();
      }
    }
    arrays.stateGradients.unscale(dstate);
    this.#stateGradients = arrays.stateGradients;
    this.#gradInitialState = gradInitialState;
    return gradInput;
  }

  /** The normalisation in the recurrence, with its details; they count for placements other than `'none'`. */
  get normalization(): Required<NormalizationOptions> {
    const { placement, kind, eps } = this.#normalization;
    return { placement, kind, eps };
  }

  /**
   * What the addon takes for this layer.
   * @internal
   */
  nativeOptions(): RecurrentLayerOptions {
    return {
      cell: 'elman',
      inputSize: this.inputSize,
      hiddenSize: this.hiddenSize,
      nonlinearity: NONLINEARITIES[this.nonlinearity],
      bias: this.#hasBias,
      ...this.#normalization.nativeOptions(),
    };
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

  /** Where the next call of a stateful layer goes on: `state` h_T [N, H]. Empty before the first call, and for a layer that is not stateful. */
  carriedState(): StateDict {
    return this.stateful && this.#finalState !== undefined ? { state: this.#finalState } : {};
  }

  /** @throws EvenkeelError ERR_STATE for an unexpected name, ERR_SHAPE, ERR_DTYPE or ERR_OPTION; nothing is changed then */
  loadCarriedState(state: StateDict): void {
    const carried = checkCarriedState(state, this.stateful ? { state: this.hiddenSize } : {}, this.dtype);
    if (this.stateful) this.#finalState = carried?.state;
  }

  /** ∂L/∂h_0 [N, H] of the last backward call. */
  get gradInitialState(): Tensor {
    if (this.#gradInitialState === undefined) failNoBackward('gradInitialState');
    return this.#gradInitialState;
  }

  /** How many times the last backward call limited the gradient of a sequence at a step, of N·T: see `stateGradientLimit`. */
  get limitedStateGradients(): number {
    return this.#checkStateGradients('limitedStateGradients').limited;
  }

  /**
   * ln‖∂L/∂h_t‖ of each sequence for t = 1 … T [N, T], in float64, of the last backward call, if {@link RNN.recordStateGradients} was set:
   * of the total derivative by the state that step t hands to step t + 1, which is what comes from the output at t and from all later
   * steps, before `stateGradientLimit` acts. −Infinity where it is zero.
   */
  get stateGradientLogNorms(): Tensor {
    const { logNorms } = this.#checkStateGradients('stateGradientLogNorms');
    if (logNorms === undefined) {
      throw new EvenkeelError(
        'ERR_STATE',
        'stateGradientLogNorms: expected a backward call that records them, got one that does not. Set recordStateGradients = true before it.',
      );
    }
    return logNorms;
  }

  #checkStateGradients(property: string): StateGradientPass {
    if (this.#stateGradients === undefined) failNoBackward(property);
    return this.#stateGradients;
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

  /** The layer's native half, which keeps its parameters. */
  get #native(): NativeRecurrentLayer {
    this.#layer ??= native().recurrentLayer(
      this.parameters().map(({ value }) => value.data),
      this.parameters().map(({ grad }) => grad.data),
      this.nativeOptions(),
    );
    return this.#layer;
  }

  #segmentSteps(n: number, t: number): number {
    const bytes = this.dtype === 'float64' ? 8 : 4;
    const stateBytes = n * this.hiddenSize * bytes;
    const tapeBytes = (this.#native.tapeLength(n, 1) - this.#native.tapeLength(n, 0)) * bytes;
    return segmentSteps(this.#checkpointing, {
      steps: t,
      chunkSteps: this.#native.chunkSteps(n),
      stateBytes,
      bytesPerStep: (this.returnSequences ? 0 : stateBytes) + tapeBytes,
      scratchPerStep: (this.returnSequences ? 3 : 2) * stateBytes + 2 * tapeBytes + 2 * n * this.inputSize * bytes,
      outputBytes: (this.returnSequences ? t : 1) * stateBytes,
      reusableBytes: reusableBytes(),
    });
  }

  #makeTape(n: number, t: number, take: typeof takeArray): TensorData | null {
    const length = this.#native.tapeLength(n, t);
    return length === 0 ? null : take(this.dtype, length);
  }

  /** The part of a tape that holds a piece's steps. */
  #takeTape(tape: TensorData | null, n: number, { begin, end }: Piece): TensorData | null {
    if (tape === null) return null;
    const first = this.#native.tapeLength(n, begin) - this.#native.tapeLength(n, 0);
    return tape.subarray(first, first + this.#native.tapeLength(n, end - begin));
  }

  /** Forward through all of time, and every state kept; with a tape, if asked for. */
  #scan(input: Tensor, initialState: Tensor | undefined, keepsTape: boolean) {
    const [n, t] = input.shape as [number, number, number];
    const tape = keepsTape ? this.#makeTape(n, t, takeArray) : undefined;
    const sequence = allocateOutput(this.dtype, [n, t, this.hiddenSize]);
    const states = this.#nativeForward(n, t, input.data, initialState?.data ?? null, tape ?? null, sequence.data);
    // A stateful layer may need its state in a later run than the next.
    const finalState = (this.stateful ? makeTensor : allocateState)(this.dtype, [n, this.hiddenSize]);
    states.step(t - 1, this.dtype, finalState.data);
    return { output: this.returnSequences ? sequence : copyOf(finalState), finalState, states, sequence, tape, starts: [] };
  }

  /** The same, and only the states between the pieces kept. */
  #scanKeepingStarts(input: Tensor, initialState: Tensor | undefined, pieces: readonly Piece[]) {
    const [n, t] = input.shape as [number, number, number];
    const inputs = new SequenceArray(input.data, n, t, this.inputSize);
    const starts: TensorData[] = [];
    const memory = new PieceMemory();
    let last = initialState?.data ?? null;
    for (const piece of pieces) {
      const steps = piece.end - piece.begin;
      memory.restart();
      const data = memory.take(this.dtype, n * steps * this.hiddenSize);
      last = this.#nativeForward(n, steps, inputs.take(piece, this.dtype), last, null, data).step(steps - 1, this.dtype);
      starts.push(last);
    }
    const finalState = new Tensor(starts.pop() as TensorData, [n, this.hiddenSize]);
    return { output: copyOf(finalState), finalState, states: undefined, sequence: undefined, tape: undefined, starts };
  }

  /** The state before a piece. */
  #stateBefore(pass: RNNPass, index: number): TensorData | null {
    if (index === 0) return pass.initialState?.data ?? null;
    return pass.states?.step((pass.pieces[index] as Piece).begin - 1, this.dtype) ?? (pass.starts[index - 1] as TensorData);
  }

  /** A piece as forward had it, where that was kept, and else with memory for what is to be computed again. */
  #pieceAt(pass: RNNPass, { input, memories }: BackwardArrays, index: number): ForwardPiece {
    const { n } = input;
    const piece = pass.pieces[index] as Piece;
    const steps = piece.end - piece.begin;
    const isKept = pass.states !== undefined && pass.tape !== undefined;
    // Two pieces are at work at a time.
    const memory = memories[index % 2] as PieceMemory;
    memory.restart();
    return {
      steps,
      input: input.take(piece, this.dtype),
      before: this.#stateBefore(pass, index),
      isKept,
      states: isKept ? pass.states.take(piece, this.dtype) : memory.take(this.dtype, n * steps * this.hiddenSize),
      tape: isKept ? this.#takeTape(pass.tape, n, piece) : this.#makeTape(n, steps, memory.take),
    };
  }

  /**
   * @param current the piece, with all that forward had
   * @param dstate ∂L/∂h after the piece from beyond it [N, H]; that before it when this returns
   * @returns the piece before it likewise, which is computed again beside this one, on threads that would be idle
   */
  #pieceBackward(
    pass: RNNPass,
    index: number,
    current: ForwardPiece,
    arrays: BackwardArrays,
    dstate: TensorData,
  ): ForwardPiece | undefined {
    const { n } = arrays.input;
    const piece = pass.pieces[index] as Piece;
    const { steps, before, states, tape } = current;
    const next = index > 0 ? this.#pieceAt(pass, arrays, index - 1) : undefined;
    const concurrent: ConcurrentArguments | [] =
      next === undefined || next.isKept ? [] : [next.steps, next.input, next.before, next.states, null, next.tape];
    const gradOutput = arrays.gradOutput?.take(piece, this.dtype) ?? null;
    const gradInput = arrays.gradInput?.take(piece, this.dtype) ?? null;
    arrays.stateGradients.pass(piece, (limit, logNorms, exponents) =>
      this.#native.backward(
        n,
        steps,
        current.input,
        before,
        states,
        tape,
        gradOutput,
        gradInput,
        dstate,
        limit,
        logNorms,
        exponents,
        ...concurrent,
      ),
    );
    if (gradInput !== null) arrays.gradInput?.put(piece, gradInput);
    return next;
  }

  /** @returns all states, in `data`; what else backward needs goes to the tape, or nowhere */
  #nativeForward(
    n: number,
    t: number,
    input: TensorData,
    initialState: TensorData | null,
    tape: TensorData | null,
    data: TensorData,
  ): SequenceArray {
    this.#native.forward(n, t, input, initialState, data, null, tape);
    return new SequenceArray(data, n, t, this.hiddenSize);
  }
}

/**
 * What a backward pass goes through piece by piece; without gradOutput, nothing comes from the outputs on the way, and without gradInput it is
 * not wanted.
 */
interface BackwardArrays {
  readonly input: SequenceArray;
  readonly gradOutput: SequenceArray | undefined;
  readonly gradInput: SequenceArray | undefined;
  readonly stateGradients: StateGradientPass;
  /** for what is computed again */
  readonly memories: readonly PieceMemory[];
}

/** A piece of time with what the forward pass had of it. */
interface ForwardPiece {
  readonly steps: number;
  readonly input: TensorData;
  /** the state before it [N, H]; null for zeros */
  readonly before: TensorData | null;
  /** whether the two that follow hold it already */
  readonly isKept: boolean;
  readonly states: TensorData;
  readonly tape: TensorData | null;
}

function checkKept({ sequence, initialState }: RNNPass): void {
  initialState?.checkAttached('initialState of the last forward call');
  sequence?.checkAttached('output of the last forward call');
}

function takeArray(dtype: DType, length: number): TensorData {
  return allocateOutput(dtype, [length]).data;
}

function copyOf({ data, dtype, shape }: Tensor): Tensor {
  const copy = allocateOutput(dtype, shape);
  copy.data.set(data);
  return copy;
}

function add(source: TensorData, target: TensorData): void {
  for (let i = 0; i < target.length; i++) target[i] = (target[i] as number) + (source[i] as number);
}

function failNoBackward(property: string): never {
  throw new EvenkeelError('ERR_STATE', `${property}: expected a backward call before it is read, got none since the last forward call.`);
}
