/** A recurrent layer's way through time, forward and back: sequences by length, windows, segments, and what is kept of them. */

import { longestFirst } from '../../lengths';
import { allocate, type DType, type Tensor, type TensorData } from '../../tensor';
import { allocateOutput } from '../../workspace';
import type { BackwardJob, ForwardJob, ForwardPass, MaskKey, Scan, Tape } from './scan';
import type { StateGradientPass } from './state-gradient';
import type { StateNorms } from './state-norms';
import { cutTime, reorderRows, type Segment, SegmentMemory, SequenceArray, segmentsByLength } from './time';

/** The sequences of a call: N of them, T steps. */
export interface Sequences {
  readonly n: number;
  readonly steps: number;
  readonly lengths: Int32Array | undefined;
  /** from the longest to the shortest, in which they are gone through where there are lengths */
  readonly order: Int32Array | undefined;
}

export function sequencesOf(n: number, steps: number, lengths: Int32Array | undefined): Sequences {
  return { n, steps, lengths, order: lengths && longestFirst(lengths) };
}

/** How a call goes through time, and what it keeps. */
export interface Plan {
  /** what the scan runs through at a time */
  readonly parts: readonly Segment[];
  /** the same for backward, cut at windows and segments too */
  readonly segments: readonly Segment[];
  /** what is kept of each part: all that backward needs, its states alone, or only where it starts */
  readonly keeps: 'all' | 'states' | 'starts';
}

/**
 * @param window the steps of a window
 * @param segment the steps of a segment; at least T to keep everything
 * @param readsStates whether the output holds all states
 */
export function planTime({ n, steps, lengths, order }: Sequences, window: number, segment: number, readsStates: boolean): Plan {
  const sorted = lengths && Array.from(order as Int32Array, (row) => lengths[row] as number);
  const byLength = segmentsByLength(n, steps, sorted);
  const segments = cutTime(byLength, window, segment);
  if (segment >= steps) return { parts: byLength, segments, keeps: 'all' };
  if (readsStates && lengths === undefined) return { parts: byLength, segments, keeps: 'states' };
  return { parts: segments, segments, keeps: 'starts' };
}

/** A part of time after its forward pass. */
interface Part extends Segment {
  /** the state before it [rows, S]; null for zeros */
  readonly before: TensorData | null;
  /** what it puts out [rows, steps, P]; undefined where that is computed again, as the tape then */
  readonly output: Tensor | undefined;
  readonly tape: Tape | undefined;
}

/** What backward needs of a forward pass. */
export interface Unrolled {
  readonly sequences: Sequences;
  readonly segments: readonly Segment[];
  readonly parts: readonly Part[];
  readonly maskKey: MaskKey;
}

/** What forward through time takes and gives. */
export interface UnrolledArrays {
  readonly input: Tensor;
  /** [N, S]; null for zeros */
  readonly initialState: TensorData | null;
  /** all outputs [N, T, P], written; undefined where they are not wanted */
  readonly sequence: Tensor | undefined;
  /** of each sequence, at its own end [N, S], written */
  readonly finalState: TensorData;
  readonly maskKey: MaskKey;
}

/** A direction's way forward through the parts of its time, one after the other. */
export class ForwardWay {
  readonly #scan: Scan;
  readonly #sequences: Sequences;
  readonly #plan: Plan;
  readonly #arrays: UnrolledArrays;
  readonly #keepsPass: boolean;
  readonly #inputs: SequenceArray;
  readonly #outputs: SequenceArray | undefined;
  readonly #memory = new SegmentMemory();
  readonly #states: States;
  readonly #parts: Part[] = [];

  /** @param keepsPass for backward, as the plan says, else nothing is kept */
  constructor(scan: Scan, sequences: Sequences, plan: Plan, arrays: UnrolledArrays, keepsPass: boolean) {
    const { n, steps, order } = sequences;
    const { input, sequence, initialState } = arrays;
    this.#scan = scan;
    this.#sequences = sequences;
    this.#plan = plan;
    this.#arrays = arrays;
    this.#keepsPass = keepsPass;
    this.#inputs = new SequenceArray(input.data, n, steps, scan.inputSize, order);
    this.#outputs = sequence && new SequenceArray(sequence.data, n, steps, scan.outputSize, order);
    this.#states = new States(n, scan.stateSize, order, initialState, input.dtype);
  }

  /** The pass over a part, to be made before {@link end} is called. */
  begin(part: Segment): ForwardJob {
    const { keeps } = this.#plan;
    const { order, steps } = this.#sequences;
    const { input, sequence, finalState } = this.#arrays;
    const [scan, memory, { dtype }] = [this.#scan, this.#memory, input];
    const { rows, begin, end } = part;
    const count = end - begin;
    const isWhole = order === undefined && count === steps;
    const length = rows * count * scan.outputSize;
    memory.restart();
    const keepsOutput = this.#keepsPass && keeps !== 'starts';
    const kept = !keepsOutput ? undefined : isWhole && sequence ? sequence : allocateOutput(dtype, [length]);
    const output = kept?.data ?? (isWhole && this.#outputs ? this.#outputs.data : memory.take(dtype, length));
    const tape = this.#keepsPass && keeps === 'all' ? scan.makeTape(rows, count, takeArray) : undefined;
    const before = this.#states.of(rows);
    const after = end === steps && order === undefined ? finalState : allocate(dtype, rows * scan.stateSize);
    if (this.#keepsPass) this.#parts.push({ begin, end, rows, before, output: kept, tape });
    const masks = masksOf(this.#arrays.maskKey, part, order);
    const pass = { n: rows, t: count, input: this.#inputs.take(part, dtype), initialState: before, output, tape: tape ?? null, masks };
    return { pass, finalState: after };
  }

  end(part: Segment, { pass, finalState }: ForwardJob): void {
    this.#outputs?.put(part, pass.output);
    this.#states.advance(part.rows, finalState as TensorData);
  }

  /** After the last part. */
  finish(): Unrolled {
    const { lengths } = this.#sequences;
    if (lengths !== undefined) {
      this.#outputs?.fillBeyond(lengths, 0);
      this.#states.copyTo(this.#arrays.finalState);
    }
    const { maskKey } = this.#arrays;
    return { sequences: this.#sequences, segments: this.#plan.segments, parts: this.#parts, maskKey };
  }
}

/** The states of all sequences [N, S], in the order in which they are gone through. */
class States {
  #current: TensorData | null;
  readonly #n: number;
  readonly #width: number;
  readonly #order: Int32Array | undefined;

  constructor(n: number, width: number, order: Int32Array | undefined, initial: TensorData | null, dtype: DType) {
    this.#n = n;
    this.#width = width;
    this.#order = order;
    this.#current = initial === null ? null : inOrder(initial, width, order, dtype);
  }

  /** Those of the first so many sequences; null for zeros. */
  of(rows: number): TensorData | null {
    return rows === this.#n ? this.#current : (this.#current?.subarray(0, rows * this.#width) ?? null);
  }

  /** Never writes to what {@link of} gave. */
  advance(rows: number, after: TensorData): void {
    if (rows === this.#n) {
      this.#current = after;
      return;
    }
    const all = allocate(after instanceof Float64Array ? 'float64' : 'float32', this.#n * this.#width);
    if (this.#current !== null) all.set(this.#current);
    all.set(after);
    this.#current = all;
  }

  /** In the caller's order. */
  copyTo(target: TensorData): void {
    if (this.#current === null) target.fill(0);
    else if (this.#order === undefined) target.set(this.#current);
    else reorderRows(this.#current, this.#width, this.#order, target, true);
  }
}

function inOrder(rows: TensorData, width: number, order: Int32Array | undefined, dtype: DType): TensorData {
  return order === undefined ? rows : reorderRows(rows, width, order, allocate(dtype, rows.length));
}

/** ∂L/∂ what forward took and gave; gradOutput undefined where nothing comes from the outputs on the way, gradInput where it is not wanted. */
export interface UnrolledGradients {
  readonly input: Tensor;
  readonly gradOutput: Tensor | undefined;
  readonly gradInput: Tensor | undefined;
  /** ∂L/∂state at each sequence's end, from beyond this call; ∂L/∂state_0 at the end [N, S] */
  readonly gradState: TensorData;
  readonly stateGradients: StateGradientPass;
  /** where the norms of the states are recorded */
  readonly stateNorms: StateNorms | undefined;
}

/** A segment's pass, whose output and tape may be to be computed again. */
interface SegmentPass {
  readonly pass: ForwardPass;
  readonly isKept: boolean;
}

/**
 * A direction's way back through time, segment by segment, from the last one on. The one before is computed again beside the one at work, on
 * threads that would be idle.
 */
export class BackwardWay {
  readonly #scan: Scan;
  readonly #unrolled: Unrolled;
  readonly #arrays: UnrolledGradients;
  readonly #window: number;
  readonly #dtype: DType;
  readonly #gradState: TensorData;
  readonly #inputs: SequenceArray;
  readonly #gradOutputs: SequenceArray | undefined;
  readonly #gradInputs: SequenceArray | undefined;
  readonly #memories = [new SegmentMemory(), new SegmentMemory()] as const;
  #current: SegmentPass | undefined;
  #before: SegmentPass | undefined;
  #isReady: boolean;

  /** @param window a window's gradient stays within it */
  constructor(scan: Scan, unrolled: Unrolled, arrays: UnrolledGradients, window: number) {
    const { n, steps, order } = unrolled.sequences;
    const { input, gradOutput, gradInput } = arrays;
    this.#scan = scan;
    this.#unrolled = unrolled;
    this.#arrays = arrays;
    this.#window = window;
    this.#dtype = input.dtype;
    this.#gradState = inOrder(arrays.gradState, scan.stateSize, order, input.dtype);
    this.#inputs = new SequenceArray(input.data, n, steps, scan.inputSize, order);
    this.#gradOutputs = gradOutput && new SequenceArray(gradOutput.data, n, steps, scan.outputSize, order);
    this.#gradInputs = gradInput && new SequenceArray(gradInput.data, n, steps, scan.inputSize, order);
    this.#current = this.#passAt(unrolled.segments.length - 1);
    this.#isReady = this.#current?.isKept === true;
  }

  /** The forward pass that must be made before the first segment's backward pass, if there is one. */
  recompute(): ForwardJob | undefined {
    return this.#isReady || this.#current === undefined ? undefined : { pass: this.#current.pass, finalState: null };
  }

  /** The backward pass over a segment, to be made before {@link end} is called. */
  begin(index: number): BackwardJob {
    const segment = this.#unrolled.segments[index] as Segment;
    const { pass } = this.#current as SegmentPass;
    this.#arrays.stateNorms?.record(segment, this.#scan, pass, this.#dtype);
    const before = this.#passAt(index - 1);
    const concurrent = before !== undefined && !before.isKept && before.pass.n === pass.n ? before.pass : undefined;
    this.#before = before;
    this.#isReady = before?.isKept === true || concurrent !== undefined;
    const isWhole = segment.rows === this.#unrolled.sequences.n;
    const gradients = {
      output: this.#gradOutputs?.take(segment, this.#dtype) ?? null,
      input: this.#gradInputs?.take(segment, this.#dtype) ?? null,
      state: isWhole ? this.#gradState : this.#gradState.subarray(0, segment.rows * this.#scan.stateSize),
    };
    return { pass, gradients, stateGradient: this.#arrays.stateGradients.take(segment), concurrent };
  }

  /** @param limited how many gradients were */
  end(index: number, { gradients, stateGradient }: BackwardJob, limited: number): void {
    const segment = this.#unrolled.segments[index] as Segment;
    this.#arrays.stateGradients.put(segment, stateGradient, limited);
    if (gradients.input !== null) this.#gradInputs?.put(segment, gradients.input);
    if (segment.begin > 0 && segment.begin % this.#window === 0) {
      gradients.state.fill(0);
      this.#arrays.stateGradients.restart(segment.rows);
    }
    this.#current = this.#before;
  }

  /** After the first segment. */
  finish(): void {
    const { lengths, order } = this.#unrolled.sequences;
    this.#arrays.stateGradients.unscale(this.#gradState);
    if (lengths !== undefined) this.#gradInputs?.fillBeyond(lengths, 0);
    if (order !== undefined) reorderRows(this.#gradState, this.#scan.stateSize, order, this.#arrays.gradState, true);
  }

  #passAt(index: number): SegmentPass | undefined {
    const segment = this.#unrolled.segments[index];
    if (segment === undefined) return undefined;
    return passOf(this.#scan, this.#unrolled, segment, this.#inputs, this.#dtype, this.#memories[(index & 1) as 0 | 1]);
  }
}

/** @throws EvenkeelError ERR_STATE when what was kept is gone */
export function checkKept({ parts }: Unrolled): void {
  for (const { output } of parts) output?.checkAttached('output of the last forward call');
}

/** The saved activations of a segment, or buffers to recompute them into. */
function passOf(
  scan: Scan,
  { parts, maskKey, sequences }: Unrolled,
  segment: Segment,
  inputs: SequenceArray,
  dtype: DType,
  memory: SegmentMemory,
): SegmentPass {
  const part = parts.find(({ begin, end }) => begin <= segment.begin && segment.begin < end) as Part;
  const { rows } = segment;
  const own = { begin: segment.begin - part.begin, end: segment.end - part.begin, rows };
  const steps = own.end - own.begin;
  memory.restart();
  const input = inputs.take(segment, dtype);
  const initialState = stateBefore(scan, part, own.begin, dtype);
  const masks = masksOf(maskKey, segment, sequences.order);
  if (part.output !== undefined && part.tape !== undefined) {
    const output = new SequenceArray(part.output.data, rows, part.end - part.begin, scan.outputSize).take(own, dtype);
    const tape = scan.sliceTape(part.tape, rows, own.begin, own.end);
    return { isKept: true, pass: { n: rows, t: steps, input, initialState, output, tape, masks } };
  }
  const output = memory.take(dtype, rows * steps * scan.outputSize);
  const tape = scan.makeTape(rows, steps, memory.take);
  return { isKept: false, pass: { n: rows, t: steps, input, initialState, output, tape, masks } };
}

/** The state before a part's step [rows, S]. */
function stateBefore(scan: Scan, { rows, begin, end, before, output, tape }: Part, step: number, dtype: DType): TensorData | null {
  if (step === 0) return before;
  return scan.readState(rows, end - begin, step - 1, (output as Tensor).data, tape ?? null, allocate(dtype, rows * scan.stateSize));
}

/** What the masks of a segment are made of: that of a sequence and a step is the same, whatever the segments and the order. */
function masksOf(key: MaskKey, { begin, rows }: Segment, order: Int32Array | undefined): Int32Array | null {
  if (key === undefined) return null;
  const masks = new Int32Array(3 + rows);
  masks.set([...key, begin]);
  for (let row = 0; row < rows; row++) masks[3 + row] = order?.[row] ?? row;
  return masks;
}

function takeArray(dtype: DType, length: number): TensorData {
  return allocateOutput(dtype, [length]).data;
}
