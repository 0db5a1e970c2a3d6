import { checkRowCount } from '../../check';
import { EvenkeelError } from '../../errors';
import { checkLengths } from '../../lengths';
import type { RecurrentLayerOptions } from '../../native/addon';
import type { Parameter } from '../../parameter';
import type { StateDict } from '../../state-dict';
import { checkTensor, type DType, type Tensor } from '../../tensor';
import { allocateOutput, allocateState, makeTensor, reusableBytes } from '../../workspace';
import { checkCarriedState } from '../carried-state';
import { BaseLayer, type CallKind, type CheckedInput, type Computed, type Pass } from '../layer';
import { type Checkpointing, segmentSteps, smallSegment } from './checkpointing';
import { type NormalizationOptions, nativeNormalization } from './normalization';
import type { CheckedRecurrentOptions, RecurrentBackwardOptions, RecurrentForwardOptions } from './options';
import { Scan } from './scan';
import { StateForm, type StatePart } from './state-form';
import { StateGradientPass } from './state-gradient';
import { StateNorms } from './state-norms';
import { checkKept, planTime, type Sequences, sequencesOf, type Unrolled, unrollBackward, unrollForward } from './unroll';

/** What a cell says of itself. */
export interface CellDescription {
  /** in the addon's order: W_ih, W_hh, biases, the cell's own, normalisations' */
  readonly parameters: readonly Parameter[];
  /** by which the addon knows the cell, and what it alone reads */
  readonly native: Pick<RecurrentLayerOptions, 'cell'> & Partial<RecurrentLayerOptions>;
  /** the parts of its state, what is put out first; that of an RNN unless given */
  readonly state?: readonly StatePart[];
}

interface CheckedCall extends CheckedInput {
  readonly sequences: Sequences;
  /** [N, S] */
  readonly initialState: Tensor | undefined;
}

type Given = Readonly<Record<string, unknown>>;

/**
 * A layer that goes through time: its state, lengths, windows and segments, whatever its cell. forward takes x [N, T, I] and gives the outputs
 * of all steps [N, T, P], or with `returnSequences: false` the last ones [N, P]; P is the number of hidden units, or that of a projection.
 *
 * With `lengths` a sequence ends after so many steps: its state stays what it was there, its output is 0 afterwards and the last one is that of its own
 * end. Sequences are gone through from the longest to the shortest, so that work follows the sum of the lengths.
 */
export abstract class RecurrentLayer<State = Tensor> extends BaseLayer<
  CheckedCall,
  Unrolled,
  RecurrentForwardOptions<State>,
  RecurrentBackwardOptions<State>
> {
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly returnSequences: boolean;
  readonly stateful: boolean;
  readonly dtype: DType;
  /** The normalisation in the recurrence, with its details; they count for placements other than `'none'`. */
  readonly normalization: Readonly<Required<NormalizationOptions>>;
  /**
   * Whether backward calls record ln‖∂L/∂h_t‖, see {@link RecurrentLayer.stateGradientLogNorms}; false at first. While they do, nothing
   * overflows or underflows on the way back, in however many steps, and the parameters' gradients stay the same bits.
   */
  recordStateGradients = false;
  readonly #scan: Scan;
  readonly #form: StateForm<State>;
  readonly #stateGradientLimit: number;
  readonly #truncateAfter: number;
  readonly #checkpointing: Checkpointing;
  #finalState: Tensor | undefined;
  #gradInitialState: Tensor | undefined;
  #stateGradients: StateGradientPass | undefined;
  #stateNorms: StateNorms | undefined;

  constructor(given: CheckedRecurrentOptions, cell: CellDescription) {
    super(cell.parameters, { forward: ['initialState'], backward: ['gradFinalState'] });
    const { inputSize, hiddenSize, bias, dtype, normalization } = given;
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.returnSequences = given.returnSequences;
    this.stateful = given.stateful;
    this.dtype = dtype;
    this.normalization = Object.freeze(normalization);
    this.#stateGradientLimit = given.stateGradientLimit;
    this.#truncateAfter = given.truncateAfter;
    this.#checkpointing = given.checkpointing;
    const options = { inputSize, hiddenSize, bias, ...nativeNormalization(normalization), ...cell.native };
    this.#scan = new Scan(cell.parameters, options, dtype);
    this.#form = new StateForm(cell.state ?? [{ key: 'h', name: 'state', width: hiddenSize }]);
  }

  protected checkForward(input: Tensor, { lengths, initialState }: Given): CheckedCall {
    const { shape } = checkTensor('input', input, this.dtype, ['N', 'T', this.inputSize]);
    const [n, t] = shape as [number, number, number];
    checkRowCount('input', n * t);
    const sequences = sequencesOf(n, t, checkLengths(lengths, shape));
    return { input, sequences, initialState: this.#initialState(initialState, n) };
  }

  protected compute({ input, sequences, initialState }: CheckedCall, call: CallKind): Computed<Unrolled> {
    const { n, steps } = sequences;
    const isTraining = call === 'training';
    const readsStates = this.returnSequences && this.#scan.stateSize === this.#scan.outputSize;
    const segment = this.#segmentSteps(n, steps, isTraining);
    const plan = planTime(sequences, isTraining ? this.#truncateAfter : Infinity, segment, isTraining ? readsStates : this.returnSequences);
    const sequence = this.returnSequences ? allocateOutput(this.dtype, [n, steps, this.#scan.outputSize]) : undefined;
    // A stateful layer may need its state in a later run than the next; what predict computes goes nowhere.
    const make = call === 'predict' || this.stateful ? makeTensor : allocateState;
    const finalState = make(this.dtype, [n, this.#scan.stateSize]);
    const kept = unrollForward(this.#scan, sequences, plan, { input, initialState, sequence, finalState }, isTraining);
    if (call !== 'predict') {
      this.#finalState = finalState;
      this.#gradInitialState = undefined;
      this.#stateGradients = undefined;
      this.#stateNorms = undefined;
    }
    return { output: sequence ?? this.#outputOf(finalState), kept };
  }

  protected override checkBackwardOptions({ checked }: Pass<CheckedCall, Unrolled>, { gradFinalState }: Given): Given {
    const { n } = checked.sequences;
    return { gradFinalState: gradFinalState === undefined ? undefined : this.#form.check('gradFinalState', gradFinalState, n, this.dtype) };
  }

  protected override checkKept({ checked, kept }: Pass<CheckedCall, Unrolled>): void {
    checked.initialState?.checkAttached('initialState of the last forward call');
    this.checkSeparate('initialState of the last forward call', checked.initialState?.data);
    checkKept(kept);
  }

  protected differentiate(
    { checked, kept }: Pass<CheckedCall, Unrolled>,
    gradOutput: Tensor,
    gradInput: Tensor | undefined,
    { gradFinalState }: Given,
  ): void {
    const { input, sequences } = checked;
    const { n, steps, order } = sequences;
    const gradState = allocateState(this.dtype, [n, this.#scan.stateSize]);
    if (gradFinalState === undefined) gradState.data.fill(0);
    else gradState.data.set((gradFinalState as Tensor).data);
    if (!this.returnSequences) addColumns(gradOutput, gradState);
    const records = this.recordStateGradients ? this.#form.keys.length : 0;
    const stateGradients = new StateGradientPass(n, steps, order, this.#stateGradientLimit, records > 1 ? records + 1 : records);
    const stateNorms = this.recordStateGradients ? new StateNorms(n, steps, order) : undefined;
    const ofSequence = this.returnSequences ? gradOutput : undefined;
    unrollBackward(
      this.#scan,
      kept,
      { input, gradOutput: ofSequence, gradInput, gradState, stateGradients, stateNorms },
      this.#truncateAfter,
    );
    this.#stateGradients = stateGradients;
    this.#stateNorms = stateNorms;
    this.#gradInitialState = gradState;
  }

  /** The state after the last step of the last forward call, of each sequence at its own end: a copy, ready to be the next call's initialState. */
  get finalState(): State {
    if (this.#finalState === undefined) {
      throw new EvenkeelError('ERR_STATE', 'finalState: expected a forward call before it is read, got none.');
    }
    return this.#form.make(this.#finalState);
  }

  /** Forgets the state: a stateful layer's next call starts from zero again, and may have another number of sequences. */
  resetState(): void {
    this.#finalState = undefined;
  }

  /** Where the next call of a stateful layer goes on. Empty before the first call, and for a layer that is not stateful. */
  carriedState(): StateDict {
    return this.stateful && this.#finalState !== undefined ? this.#form.toCarried(this.#finalState) : {};
  }

  /** @throws EvenkeelError ERR_STATE for an unexpected name, ERR_SHAPE, ERR_DTYPE or ERR_OPTION; nothing is changed then */
  loadCarriedState(state: StateDict): void {
    if (this.stateful) this.#finalState = this.#form.fromCarried(state, this.dtype);
    else checkCarriedState(state, {}, this.dtype);
  }

  /** ∂L/∂ the initial state of the last backward call. */
  get gradInitialState(): State {
    if (this.#gradInitialState === undefined) failNoBackward('gradInitialState');
    return this.#form.make(this.#gradInitialState);
  }

  /** How many times the last backward call limited the gradient of a sequence at a step, of N·T: see `stateGradientLimit`. */
  get limitedStateGradients(): number {
    return this.#checkStateGradients('limitedStateGradients').limited;
  }

  /**
   * ln‖∂L/∂h_t‖ of each sequence for t = 1 … T [N, T], in float64, of the last backward call, if
   * {@link RecurrentLayer.recordStateGradients} was set: of the total derivative by the state that step t hands to step t + 1, which is what
   * comes from the output at t and from all later steps, before `stateGradientLimit` acts. −Infinity where it is zero, and beyond a
   * sequence's length.
   */
  get stateGradientLogNorms(): Tensor {
    return this.#logNorms('stateGradientLogNorms', 0);
  }

  /** The same of each part of the state by itself: `{ h, c }` of an LSTM, `{ h }` of the others. */
  get stateGradientPartLogNorms(): Record<string, Tensor> {
    const { keys } = this.#form;
    return Object.fromEntries(
      keys.map((key, index) => [key, this.#logNorms('stateGradientPartLogNorms', keys.length === 1 ? 0 : index + 1)]),
    );
  }

  /**
   * ln‖h_t‖ of each sequence for t = 1 … T [N, T], in float64, of the pass that the last backward call went back through, if
   * {@link RecurrentLayer.recordStateGradients} was set: of the whole state, h and c of an LSTM. −Infinity where it is zero, and beyond a
   * sequence's length.
   */
  get stateLogNorms(): Tensor {
    this.#checkStateGradients('stateLogNorms');
    if (this.#stateNorms === undefined) failNotRecorded('stateLogNorms');
    return this.#stateNorms.logNorms;
  }

  /** S: the numbers of a sequence's state, H of an RNN. */
  get stateSize(): number {
    return this.#form.width;
  }

  /**
   * The layer's way through time, in float64 with copies of its weights.
   * @internal
   */
  scanInFloat64(): Scan {
    return this.#scan.inFloat64();
  }

  #logNorms(property: string, column: number): Tensor {
    const logNorms = this.#checkStateGradients(property).logNorms(column);
    if (logNorms === undefined) failNotRecorded(property);
    return logNorms;
  }

  #checkStateGradients(property: string): StateGradientPass {
    if (this.#stateGradients === undefined) failNoBackward(property);
    return this.#stateGradients;
  }

  #initialState(given: unknown, n: number): Tensor | undefined {
    if (given !== undefined) return this.#form.check('initialState', given, n, this.dtype);
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

  #segmentSteps(n: number, t: number, isTraining: boolean): number {
    const bytes = this.dtype === 'float64' ? 8 : 4;
    const [stateBytes, outputBytes] = [n * this.#scan.stateSize * bytes, n * this.#scan.outputSize * bytes];
    const tapeBytes = this.#scan.tapeStride(n) * bytes;
    const chunkSteps = this.#scan.chunkSteps(n);
    if (!isTraining) return smallSegment(chunkSteps, outputBytes + n * this.inputSize * bytes);
    return segmentSteps(this.#checkpointing, {
      steps: t,
      chunkSteps,
      stateBytes,
      bytesPerStep: (this.returnSequences ? 0 : outputBytes) + tapeBytes,
      scratchPerStep: (this.returnSequences ? 3 : 2) * outputBytes + 2 * tapeBytes + 2 * n * this.inputSize * bytes,
      outputBytes: this.returnSequences ? t * outputBytes : stateBytes,
      reusableBytes,
    });
  }

  /** The columns of a state that are put out. */
  #outputOf({ data, shape }: Tensor): Tensor {
    const [n, width] = shape as [number, number];
    const { outputSize } = this.#scan;
    const output = allocateOutput(this.dtype, [n, outputSize]);
    for (let row = 0; row < n; row++) {
      for (let j = 0; j < outputSize; j++) output.data[row * outputSize + j] = data[row * width + j] as number;
    }
    return output;
  }
}

/** Adds rows [N, P] to the first columns of rows [N, S]. */
function addColumns(source: Tensor, target: Tensor): void {
  const [n, p] = source.shape as [number, number];
  const s = target.shape[1] as number;
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < p; j++) {
      target.data[row * s + j] = (target.data[row * s + j] as number) + (source.data[row * p + j] as number);
    }
  }
}

function failNotRecorded(property: string): never {
  throw new EvenkeelError(
    'ERR_STATE',
    `${property}: expected a backward call that records them, got one that does not. Set recordStateGradients = true before it.`,
  );
}

function failNoBackward(property: string): never {
  throw new EvenkeelError('ERR_STATE', `${property}: expected a backward call before it is read, got none since the last forward call.`);
}
