import type { RecurrentLayerOptions } from '../../native/addon';
import type { Parameter } from '../../parameter';
import type { DType, Tensor, TensorData } from '../../tensor';
import { allocateOutput, reusableBytes } from '../../workspace';
import type { CallKind } from '../layer';
import { type Checkpointing, type KeptMemory, segmentSteps, smallSegment } from './checkpointing';
import { backwardInOne, forwardInOne } from './one-pass';
import { type BackwardJob, copySteps, Directions, type ForwardJob, type MaskKey, Scan } from './scan';
import type { Place } from './stack';
import { StateGradientPass } from './state-gradient';
import { StateNorms } from './state-norms';
import {
  BackwardWay,
  checkKept,
  ForwardWay,
  type Plan,
  planTime,
  type Sequences,
  type Unrolled,
  type UnrolledArrays,
  type UnrolledGradients,
} from './unroll';

/** A cell where it stands, with its parameters in the addon's order: W_ih, W_hh, biases, the cell's own, normalisations'. */
export interface PlacedCell {
  readonly place: Place;
  readonly parameters: readonly Parameter[];
}

/** What all levels of a layer have in common. */
export interface LevelSettings {
  readonly native: Omit<RecurrentLayerOptions, 'inputSize'>;
  readonly dtype: DType;
  readonly truncateAfter: number;
  readonly checkpointing: Checkpointing;
  readonly stateGradientLimit: number;
}

/** What a level takes and gives. */
export interface LevelArrays {
  /** [N, T, I] */
  readonly input: Tensor;
  readonly sequences: Sequences;
  /** of each direction [D, N, S]; null for zeros */
  readonly initialState: TensorData | null;
  /** likewise, written */
  readonly finalState: TensorData;
  readonly wantsSequence: boolean;
  readonly maskKey: MaskKey;
}

/** What backward needs of a level's forward pass, for each direction. */
export interface LevelPass {
  readonly inputs: readonly Tensor[];
  readonly unrolled: readonly Unrolled[];
}

/** What a backward pass through a direction saw of its states and their gradients. */
export interface StateRecords {
  readonly gradients: StateGradientPass;
  readonly norms: StateNorms | undefined;
}

/**
 * One layer of a stack: its one or two directions, each a scan of its own. The reverse one has its sequences, each within its length, from the
 * last step to the first, and so goes through time as the forward one does.
 */
export class Level {
  readonly scans: readonly Scan[];
  /** D·P */
  readonly outputSize: number;
  readonly #settings: LevelSettings;
  readonly #directions: Directions;

  constructor(cells: readonly PlacedCell[], settings: LevelSettings) {
    const { native, dtype } = settings;
    this.scans = cells.map(({ parameters, place }) => {
      const { inputSize, layer, isReverse } = place;
      return new Scan(parameters, { ...native, inputSize, place: cells.length * layer + (isReverse ? 1 : 0) }, dtype);
    });
    this.outputSize = cells.length * (native.outputSize ?? native.hiddenSize);
    this.#settings = settings;
    this.#directions = new Directions(this.scans);
  }

  forward(
    { input, sequences, initialState, finalState, wantsSequence, maskKey }: LevelArrays,
    call: CallKind,
  ): { output: Tensor | undefined; kept: LevelPass } {
    const { n, steps } = sequences;
    const ways = this.scans.map((scan, direction) => ({
      input: direction === 0 ? input : reversed(input, sequences),
      initialState: initialState && this.#part(initialState, direction),
      sequence: wantsSequence ? allocateOutput(input.dtype, [n, steps, scan.outputSize]) : undefined,
      finalState: this.#part(finalState, direction),
      maskKey,
    }));
    const unrolled = this.#unroll(sequences, ways, wantsSequence, call === 'training');
    const output = this.#join(
      ways.map(({ sequence }) => sequence),
      sequences,
    );
    return { output, kept: { inputs: ways.map((way) => way.input), unrolled } };
  }

  #unroll(sequences: Sequences, ways: readonly UnrolledArrays[], wantsSequence: boolean, isTraining: boolean): Unrolled[] {
    const window = isTraining ? this.#settings.truncateAfter : Number.POSITIVE_INFINITY;
    const segment = this.#segmentSteps(sequences, wantsSequence, isTraining);
    if (window >= sequences.steps && segment >= sequences.steps) {
      const made = this.scans.map((scan, direction) => forwardInOne(scan, sequences, ways[direction] as UnrolledArrays, isTraining));
      this.#directions.forward(made.map(({ job }) => job));
      return made.map(({ finish }) => finish());
    }
    const { stateSize, outputSize } = this.scans[0] as Scan;
    const plan = planTime(sequences, window, segment, wantsSequence && (!isTraining || stateSize === outputSize));
    return this.#unrollInParts(sequences, plan, ways, isTraining);
  }

  #unrollInParts(sequences: Sequences, plan: Plan, arrays: readonly UnrolledArrays[], isTraining: boolean): Unrolled[] {
    const ways = this.scans.map(
      (scan, direction) => new ForwardWay(scan, sequences, plan, arrays[direction] as UnrolledArrays, isTraining),
    );
    this.#directions.sharingWeights(plan.parts.length, () => {
      for (const part of plan.parts) {
        const jobs = ways.map((way) => way.begin(part));
        this.#directions.forward(jobs);
        for (let direction = 0; direction < ways.length; direction++) ways[direction]?.end(jobs[direction] as ForwardJob);
      }
    });
    return ways.map((way) => way.finish());
  }

  /**
   * Adds to the parameters' gradients.
   * @param gradOutput undefined where nothing comes from the outputs on the way
   * @param gradInput written; undefined where it is not wanted
   * @param gradState ∂L/∂ the final state of each direction [D, N, S], and by the initial one at the end
   * @param records how many norms of a step's gradient are recorded; those of the states are too, where any is
   */
  backward(
    { unrolled }: LevelPass,
    gradOutput: Tensor | undefined,
    gradInput: Tensor | undefined,
    gradState: TensorData,
    records: number,
  ): StateRecords[] {
    const { sequences } = unrolled[0] as Unrolled;
    const { n, steps, order } = sequences;
    const ofReverse = gradInput && this.scans.length > 1 ? allocateOutput(gradInput.dtype, gradInput.shape) : undefined;
    const ways = this.scans.map((_, direction) => ({
      gradOutput: gradOutput && this.#shareOf(gradOutput, direction, sequences),
      gradInput: direction === 0 ? gradInput : ofReverse,
      gradState: this.#part(gradState, direction),
      stateGradients: new StateGradientPass(n, steps, order, this.#settings.stateGradientLimit, records),
      stateNorms: records > 0 ? new StateNorms(n, steps, order) : undefined,
    }));
    const isOnePass = unrolled[0]?.whole !== undefined && (records === 0 || order === undefined);
    if (isOnePass) this.#goBackInOne(unrolled, ways);
    else this.#goBackInSegments(unrolled, ways);
    if (gradInput !== undefined && ofReverse !== undefined) {
      const width = gradInput.shape[2] as number;
      copySteps(sequences, width, { data: ofReverse.data, width }, { data: gradInput.data, width }, { reverse: true, add: true });
    }
    return ways.map(({ stateGradients, stateNorms }) => ({ gradients: stateGradients, norms: stateNorms }));
  }

  #goBackInOne(unrolled: readonly Unrolled[], ways: readonly UnrolledGradients[]): void {
    const made = this.scans.map((scan, direction) =>
      backwardInOne(scan, unrolled[direction] as Unrolled, ways[direction] as UnrolledGradients),
    );
    const limited = this.#directions.backward(made.map(({ job }) => job));
    for (let direction = 0; direction < made.length; direction++) made[direction]?.finish(limited[direction] as number);
  }

  #goBackInSegments(unrolled: readonly Unrolled[], arrays: readonly UnrolledGradients[]): void {
    const ways = this.scans.map(
      (scan, direction) =>
        new BackwardWay(scan, unrolled[direction] as Unrolled, arrays[direction] as UnrolledGradients, this.#settings.truncateAfter),
    );
    const { length } = ways[0] as BackwardWay;
    this.#directions.sharingWeights(length, () => {
      for (let index = length - 1; index >= 0; index--) {
        const missing = ways.map((way) => way.recompute());
        if (missing[0] !== undefined) this.#directions.forward(missing as ForwardJob[]);
        const jobs = ways.map((way) => way.begin(index));
        const limited = this.#directions.backward(jobs);
        for (let direction = 0; direction < ways.length; direction++) {
          ways[direction]?.end(index, jobs[direction] as BackwardJob, limited[direction] as number);
        }
      }
    });
    for (const way of ways) way.finish();
  }

  /** @throws EvenkeelError ERR_STATE when what was kept is gone */
  static checkKept({ inputs, unrolled }: LevelPass): void {
    for (const input of inputs) input.checkAttached('input of a layer in the last forward call');
    for (const way of unrolled) checkKept(way);
  }

  /** A direction's share of rows for all. */
  #part(states: TensorData, direction: number): TensorData {
    if (this.scans.length === 1) return states;
    const length = states.length / this.scans.length;
    return states.subarray(direction * length, (direction + 1) * length);
  }

  /** The outputs of both directions beside each other, each at the time of its input. */
  #join(outputs: readonly (Tensor | undefined)[], sequences: Sequences): Tensor | undefined {
    const [first, second] = outputs;
    if (first === undefined || second === undefined) return first;
    const width = first.shape[2] as number;
    const both = allocateOutput(first.dtype, [sequences.n, sequences.steps, 2 * width]);
    const to = { data: both.data, width: 2 * width };
    copySteps(sequences, width, { data: first.data, width }, to);
    copySteps(sequences, width, { data: second.data, width }, { ...to, column: width }, { reverse: true });
    return both;
  }

  /** ∂L/∂ a direction's output, in the order in which it goes. */
  #shareOf(gradOutput: Tensor, direction: number, sequences: Sequences): Tensor {
    if (this.scans.length === 1) return gradOutput;
    const width = this.outputSize / 2;
    const share = allocateOutput(gradOutput.dtype, [sequences.n, sequences.steps, width]);
    const from = { data: gradOutput.data, width: 2 * width, column: direction * width };
    copySteps(sequences, width, from, { data: share.data, width }, { reverse: direction === 1 });
    return share;
  }

  #segmentSteps({ n, steps, moves }: Sequences, wantsSequence: boolean, isTraining: boolean): number {
    const [scan] = this.scans as readonly [Scan];
    if (isTraining) return segmentSteps(this.#settings.checkpointing, this.keptMemory(n, steps, wantsSequence, moves));
    const bytes = this.#settings.dtype === 'float64' ? 8 : 4;
    return smallSegment(scan.chunkSteps(n), n * (scan.outputSize + scan.inputSize) * bytes);
  }

  /**
   * What a forward pass of n sequences in training keeps.
   * @param moves whether their lengths put them in another order
   */
  keptMemory(n: number, steps: number, wantsSequence: boolean, moves = false): KeptMemory {
    const [scan] = this.scans as readonly [Scan];
    const bytes = this.#settings.dtype === 'float64' ? 8 : 4;
    const directions = this.scans.length;
    const [stateBytes, outputBytes] = [n * scan.stateSize * bytes, n * scan.outputSize * bytes];
    const tapeBytes = scan.tapeStride(n) * bytes;
    const moved = moves ? n * scan.inputSize * bytes + (wantsSequence ? outputBytes : 0) : 0;
    return {
      steps,
      chunkSteps: scan.chunkSteps(n),
      stateBytes: directions * stateBytes,
      bytesPerStep: directions * ((wantsSequence ? 0 : outputBytes) + tapeBytes),
      scratchPerStep: directions * ((wantsSequence ? 3 : 2) * outputBytes + 2 * tapeBytes + 2 * n * scan.inputSize * bytes),
      outputBytes: directions * ((wantsSequence ? steps * outputBytes : stateBytes) + steps * moved),
      reusableBytes,
    };
  }

  /** As the layer was made with it. */
  get checkpointing(): Checkpointing {
    return this.#settings.checkpointing;
  }
}

/** The same sequences, each within its length, from the last step to the first. */
function reversed(input: Tensor, sequences: Sequences): Tensor {
  const width = input.shape[2] as number;
  const result = allocateOutput(input.dtype, input.shape);
  copySteps(sequences, width, { data: input.data, width }, { data: result.data, width }, { reverse: true });
  return result;
}
