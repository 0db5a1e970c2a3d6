import { checkRowCount } from '../../check';
import { EvenkeelError } from '../../errors';
import { checkLengths } from '../../lengths';
import type { RecurrentLayerOptions } from '../../native/addon';
import type { StateDict } from '../../state-dict';
import { checkTensor, type DType, type Tensor, type TensorData } from '../../tensor';
import { allocateOutput, allocateState, makeTensor } from '../../workspace';
import { checkCarriedState } from '../carried-state';
import { BaseLayer, type CallKind, type CheckedInput, type Computed, type Pass } from '../layer';
import type { LayerCost } from '../summary';
import { shareOf } from './checkpointing';
import { recurrentCost } from './layer-cost';
import { Level, type LevelPass, type PlacedCell, type StateRecords } from './level';
import { type MaskKeys, Masks } from './masks';
import { type NormalizationOptions, nativeNormalization } from './normalization';
import type { CheckedRecurrentOptions, RecurrentBackwardOptions, RecurrentForwardOptions } from './options';
import { dropElements, type MaskKey, type Scan } from './scan';
import type { Place } from './stack';
import { failNoBackward, failNotRecorded, type StateFlow, stack } from './state-flow';
import { StateForm, type StatePart } from './state-form';
import { type Sequences, sequencesOf } from './unroll';

/** What a layer's class says of its cells. */
export interface CellDescription {
  /** as the constructor takes them */
  readonly options: Readonly<Record<string, unknown>>;
  /** layer by layer, forward before reverse */
  readonly cells: readonly PlacedCell[];
  /** by which the addon knows the cell, and what it alone reads */
  readonly native: Pick<RecurrentLayerOptions, 'cell'> & Partial<RecurrentLayerOptions>;
  /** the parts of its state, what is put out first; that of an RNN unless given */
  readonly state?: readonly StatePart[];
}

interface CheckedCall extends CheckedInput {
  readonly sequences: Sequences;
  /** [N, S], of several layers or directions [L·D, N, S] */
  readonly initialState: Tensor | undefined;
}

interface Kept {
  /** of each layer */
  readonly passes: readonly LevelPass[];
  readonly keys: MaskKeys;
}

type Given = Readonly<Record<string, unknown>>;

/**
 * Layers that go through time: their states, lengths, windows and segments, whatever their cell. forward takes x [N, T, I] and gives the outputs
 * of all steps [N, T, P], or with `returnSequences: false` the last ones [N, P]; P is the number of hidden units, or that of a projection.
 * Bidirectional layers put out 2P columns, forward first. States of one layer in one direction are [N, P], others [L·D, N, P] in PyTorch's
 * order: l0, l0_reverse, l1, …
 *
 * With `lengths` a sequence ends after so many steps: its state stays what it was there, its output is 0 afterwards and the last one is that of its own
 * end. Sequences are gone through from the longest to the shortest, so that work follows the sum of the lengths.
 */
export abstract class RecurrentLayer<State = Tensor> extends BaseLayer<
  CheckedCall,
  Kept,
  RecurrentForwardOptions<State>,
  RecurrentBackwardOptions<State>
> {
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly bidirectional: boolean;
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
  readonly #places: readonly Place[];
  readonly #levels: readonly Level[];
  readonly #form: StateForm<State>;
  readonly #masks: Masks;
  #finalState: Tensor | undefined;
  #gradInitialState: Tensor | undefined;
  /** of the last backward call, in the order of the states */
  #records: readonly StateRecords[] | undefined;

  constructor(given: CheckedRecurrentOptions, { options, cells, native, state }: CellDescription) {
    super(
      cells.flatMap(({ parameters }) => parameters),
      { forward: ['initialState'], backward: ['gradFinalState'], options },
    );
    const { inputSize, hiddenSize, numLayers, bidirectional, bias, dtype, normalization, checkpointing } = given;
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.numLayers = numLayers;
    this.bidirectional = bidirectional;
    this.returnSequences = given.returnSequences;
    this.stateful = given.stateful;
    this.dtype = dtype;
    this.normalization = Object.freeze(normalization);
    this.#masks = new Masks(given);
    const settings = {
      native: { hiddenSize, bias, ...nativeNormalization(normalization), ...this.#masks.native, ...native },
      dtype,
      truncateAfter: given.truncateAfter,
      checkpointing: shareOf(checkpointing, numLayers),
      stateGradientLimit: given.stateGradientLimit,
    };
    this.#places = cells.map(({ place }) => place);
    this.#levels = Array.from(
      { length: numLayers },
      (_, index) =>
        new Level(
          cells.filter(({ place }) => place.layer === index),
          settings,
        ),
    );
    this.#form = new StateForm(state ?? [{ key: 'h', name: 'state', width: hiddenSize }], cells.length);
  }

  protected checkForward(input: Tensor, { lengths, initialState }: Given): CheckedCall {
    const { shape } = checkTensor('input', input, this.dtype, ['N', 'T', this.inputSize]);
    const [n, t] = shape as [number, number, number];
    checkRowCount('input', n * t);
    const sequences = sequencesOf(n, t, checkLengths(lengths, shape));
    return { input, sequences, initialState: this.#initialState(initialState, n) };
  }

  protected compute(checked: CheckedCall, call: CallKind): Computed<Kept> {
    const computed = this.#unroll(checked, call);
    if (call !== 'predict') {
      this.#finalState = computed.finalState;
      this.#gradInitialState = undefined;
      this.#records = undefined;
    }
    return computed;
  }

  /**
   * What predict gives, from a state as {@link RecurrentLayer.carriedState} has it, zeros where there is none, and the state after it.
   * @internal
   */
  predictFrom(input: Tensor, lengths: unknown, given: StateDict): { output: Tensor; state: StateDict } {
    const checked = this.checkForward(input, { lengths });
    const initialState = this.#form.fromCarried(given, this.dtype);
    if (initialState !== undefined) checkTensor('state', initialState, this.dtype, this.#form.shape(checked.sequences.n));
    const { output, finalState } = this.#unroll({ ...checked, initialState }, 'predict');
    return { output, state: this.#form.toCarried(finalState) };
  }

  /**
   * The layers' ways through time, and the form of their states.
   * @internal
   */
  get inside(): { readonly levels: readonly Level[]; readonly form: StateForm<State> } {
    return { levels: this.#levels, form: this.#form };
  }

  /** @internal */
  inputShape(batch: number, steps: number): readonly number[] {
    return [batch, steps, this.inputSize];
  }

  /** @internal */
  costOf(shape: readonly number[]): LayerCost {
    return recurrentCost(this.#levels, this.parameters(), shape, this.returnSequences);
  }

  #unroll({ input, sequences, initialState }: CheckedCall, call: CallKind): Computed<Kept> & { finalState: Tensor } {
    // A stateful layer may need its state in a later run than the next; what predict computes goes nowhere.
    const make = call === 'predict' || this.stateful ? makeTensor : allocateState;
    const finalState = make(this.dtype, this.#form.shape(sequences.n));
    const keys = this.#masks.draw(call);
    const passes: LevelPass[] = [];
    let output: Tensor | undefined = input;
    for (let index = 0; index < this.#levels.length; index++) {
      const arrays = {
        input: this.#dropped(output as Tensor, sequences, keys.between[index]),
        sequences,
        initialState: initialState === undefined ? null : this.#part(initialState.data, index),
        finalState: this.#part(finalState.data, index),
        wantsSequence: this.returnSequences || index + 1 < this.#levels.length,
        maskKey: keys.scans,
      };
      const made = (this.#levels[index] as Level).forward(arrays, call);
      output = made.output;
      passes.push(made.kept);
    }
    return { output: output ?? this.#outputOf(finalState), kept: { passes, keys }, finalState };
  }

  protected override checkBackwardOptions({ checked }: Pass<CheckedCall, Kept>, { gradFinalState }: Given): Given {
    const { n } = checked.sequences;
    return { gradFinalState: gradFinalState === undefined ? undefined : this.#form.check('gradFinalState', gradFinalState, n, this.dtype) };
  }

  protected override checkKept({ checked, kept }: Pass<CheckedCall, Kept>): void {
    checked.initialState?.checkAttached('initialState of the last forward call');
    this.checkSeparate('initialState of the last forward call', checked.initialState?.data);
    for (const pass of kept.passes) Level.checkKept(pass);
  }

  protected differentiate(
    { checked, kept }: Pass<CheckedCall, Kept>,
    gradOutput: Tensor,
    gradInput: Tensor | undefined,
    { gradFinalState }: Given,
  ): void {
    const gradState = allocateState(this.dtype, this.#form.shape(checked.sequences.n));
    if (gradFinalState === undefined) gradState.data.fill(0);
    else gradState.data.set((gradFinalState as Tensor).data);
    if (!this.returnSequences) this.#addOutput(gradOutput, gradState);
    const parts = this.#form.keys.length;
    const recorded = this.recordStateGradients ? (parts > 1 ? parts + 1 : 1) : 0;
    const records: StateRecords[] = [];
    let ofOutput = this.returnSequences ? gradOutput : undefined;
    for (let index = this.#levels.length - 1; index >= 0; index--) {
      const pass = kept.passes[index] as LevelPass;
      const ofInput = index === 0 ? gradInput : allocateOutput(this.dtype, (pass.inputs[0] as Tensor).shape);
      const gradient = this.#part(gradState.data, index);
      records.unshift(...(this.#levels[index] as Level).backward(pass, ofOutput, ofInput, gradient, recorded));
      const key = kept.keys.between[index];
      if (key !== undefined && ofInput !== undefined) dropElements(checked.sequences, key, this.#masks.dropout, ofInput.data, ofInput.data);
      ofOutput = ofInput;
    }
    this.#records = records;
    this.#gradInitialState = gradState;
  }

  /** The state after the last step of the last forward call, of each sequence at its own end: a copy, ready to be the next call's initialState. */
  get finalState(): State {
    if (this.#finalState === undefined) {
      throw new EvenkeelError('ERR_STATE', 'finalState: expected a forward call before it is read, got none.');
    }
    return this.#form.make(this.#finalState);
  }

  /**
   * The largest magnitude in the state after the last step of the last forward call, over all sequences, layers and directions; NaN where one is, or
   * before any call.
   * @internal
   */
  get largestState(): number {
    let largest = this.#finalState === undefined ? Number.NaN : 0;
    for (const value of this.#finalState?.data ?? []) largest = Math.max(largest, Math.abs(value));
    return largest;
  }

  /** Forgets the state: a stateful layer's next call starts from zero again, and may have another number of sequences. */
  resetState(): void {
    this.#finalState = undefined;
  }

  /**
   * Where the next call of a stateful layer goes on, nothing before the first call and for a layer that is not stateful; and of one with
   * dropout or zoneout where its generator is.
   */
  carriedState(): StateDict {
    const state = this.stateful && this.#finalState !== undefined ? this.#form.toCarried(this.#finalState) : {};
    return { ...state, ...this.#masks.carriedState() };
  }

  /** @throws EvenkeelError ERR_STATE for an unexpected name, ERR_SHAPE, ERR_DTYPE or ERR_OPTION; nothing is changed then */
  loadCarriedState(state: StateDict): void {
    const { rest, load } = this.#masks.takeCarried(state);
    if (this.stateful) this.#finalState = this.#form.fromCarried(rest, this.dtype);
    else checkCarriedState(rest, {}, this.dtype);
    load();
  }

  /** ∂L/∂ the initial state of the last backward call. */
  get gradInitialState(): State {
    if (this.#gradInitialState === undefined) failNoBackward('gradInitialState');
    return this.#form.make(this.#gradInitialState);
  }

  /** How many times the last backward call limited the gradient of a sequence at a step, of N·T in each layer and direction: see `stateGradientLimit`. */
  get limitedStateGradients(): number {
    return this.#checkRecords('limitedStateGradients').reduce((sum, { gradients }) => sum + gradients.limited, 0);
  }

  /**
   * ln‖∂L/∂h_t‖ of each sequence for t = 1 … T [N, T], of several layers or directions [L·D, N, T], in float64, of the last backward call, if
   * {@link RecurrentLayer.recordStateGradients} was set: of the total derivative by the state that step t hands to step t + 1, which is what
   * comes from the output at t and from all later steps, before `stateGradientLimit` acts. A reverse direction's steps are in the order in which
   * it goes. −Infinity where it is zero, and beyond a sequence's length.
   */
  get stateGradientLogNorms(): Tensor {
    return stack(this.stateFlows('stateGradientLogNorms').map(({ gradients }) => gradients));
  }

  /** The same of each part of the state by itself: `{ h, c }` of an LSTM, `{ h }` of the others. */
  get stateGradientPartLogNorms(): Record<string, Tensor> {
    const flows = this.stateFlows('stateGradientPartLogNorms');
    return Object.fromEntries(this.#form.keys.map((key) => [key, stack(flows.map(({ parts }) => parts[key] as Tensor))]));
  }

  /**
   * ln‖h_t‖ of each sequence for t = 1 … T [N, T], of several layers or directions [L·D, N, T], in float64, of the pass that the last backward
   * call went back through, if {@link RecurrentLayer.recordStateGradients} was set: of the whole state, h and c of an LSTM. −Infinity where it
   * is zero, and beyond a sequence's length.
   */
  get stateLogNorms(): Tensor {
    return stack(this.stateFlows('stateLogNorms').map(({ states }) => states));
  }

  /**
   * What was recorded, for each layer and direction by itself.
   * @internal
   */
  stateFlows(property: string): StateFlow[] {
    const { keys } = this.#form;
    return this.#checkRecords(property).map(({ gradients, norms }, index) => {
      const all = gradients.logNorms(0);
      if (all === undefined || norms === undefined) failNotRecorded(property);
      const parts = keys.map((key, part) => [key, keys.length === 1 ? all : gradients.logNorms(part + 1)]);
      return { suffix: (this.#places[index] as Place).suffix, gradients: all, parts: Object.fromEntries(parts), states: norms.logNorms };
    });
  }

  /** S: the numbers of a sequence's state in one layer and direction, H of an RNN. */
  get stateSize(): number {
    return this.#form.width;
  }

  /**
   * The layer's way through time, in float64 with copies of its weights.
   * @internal
   */
  scanInFloat64(): Scan {
    return (this.#levels[0] as Level).scans[0]?.inFloat64() as Scan;
  }

  #checkRecords(property: string): readonly StateRecords[] {
    if (this.#records === undefined) failNoBackward(property);
    return this.#records;
  }

  #dropped(input: Tensor, sequences: Sequences, key: MaskKey): Tensor {
    if (key === undefined) return input;
    const output = allocateOutput(this.dtype, input.shape);
    dropElements(sequences, key, this.#masks.dropout, input.data, output.data);
    return output;
  }

  /** A level's share of rows for all layers and directions. */
  #part(states: TensorData, level: number): TensorData {
    if (this.#levels.length === 1) return states;
    const length = states.length / this.#levels.length;
    return states.subarray(level * length, (level + 1) * length);
  }

  #initialState(given: unknown, n: number): Tensor | undefined {
    if (given !== undefined) return this.#form.check('initialState', given, n, this.dtype);
    if (!this.stateful || this.#finalState === undefined) return undefined;
    if (this.#finalState.shape.at(-2) !== n) {
      throw new EvenkeelError(
        'ERR_SHAPE',
        `input: expected ${this.#finalState.shape.at(-2)} sequences, as in the call before, whose state a stateful layer goes on from, got ${n}. ` +
          'Call resetState() where new sequences begin.',
      );
    }
    return this.#finalState;
  }

  /** What the last layer's directions put out at their ends [N, D·P], from all final states. */
  #outputOf({ data, shape }: Tensor): Tensor {
    const output = allocateOutput(this.dtype, [shape.at(-2) as number, (this.#levels.at(-1) as Level).outputSize]);
    this.#eachOutput(output.shape, (inOutput, inState) => {
      output.data[inOutput] = data[inState] as number;
    });
    return output;
  }

  #addOutput({ data, shape }: Tensor, states: Tensor): void {
    this.#eachOutput(shape, (inOutput, inState) => {
      states.data[inState] = (states.data[inState] as number) + (data[inOutput] as number);
    });
  }

  /** Calls `use` for each element of an output [N, D·P], with its index there and that in all final states. */
  #eachOutput(shape: readonly number[], use: (inOutput: number, inState: number) => void): void {
    const [n, width] = shape as [number, number];
    const { scans } = this.#levels.at(-1) as Level;
    const { outputSize, stateSize } = scans[0] as Scan;
    const firstPlace = (this.#levels.length - 1) * scans.length;
    for (let row = 0; row < n; row++) {
      for (let direction = 0; direction < scans.length; direction++) {
        const [to, from] = [row * width + direction * outputSize, ((firstPlace + direction) * n + row) * stateSize];
        for (let j = 0; j < outputSize; j++) use(to + j, from + j);
      }
    }
  }
}
