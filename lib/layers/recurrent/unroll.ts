/** A recurrent layer's way through time, forward and back: sequences by length, windows, segments, and what is kept of them. */

import { longestFirst } from '../../lengths';
import type { DType, Tensor, TensorData } from '../../tensor';
import { allocateOutput } from '../../workspace';
import { type BackwardJob, type ForwardJob, type ForwardPass, type MaskKey, reorderSteps, type Scan, type Tape } from './scan';
import type { StateGradientPass } from './state-gradient';
import type { StateNorms } from './state-norms';
import { States } from './states';
import { cutTime, inOrder, reorderRows, type Segment, SegmentMemory, SequenceArray, segmentsByLength } from './time';

/** The sequences of a call: N of them, T steps. */
export interface Sequences {
  readonly n: number;
  readonly steps: number;
  readonly lengths: Int32Array | undefined;
  /** from the longest to the shortest, in which they are gone through where there are lengths */
  readonly order: Int32Array | undefined;
  /** the lengths in that order */
  readonly sorted: Int32Array | undefined;
  /** whether that is another order than the caller's */
  readonly moves: boolean;
}

export function sequencesOf(n: number, steps: number, lengths: Int32Array | undefined): Sequences {
  if (lengths === undefined) return { n, steps, lengths, order: undefined, sorted: undefined, moves: false };
  const order = longestFirst(lengths);
  const sorted = order.map((row) => lengths[row] as number);
  return { n, steps, lengths, order, sorted, moves: order.some((row, k) => row !== k) };
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
export function planTime({ n, steps, lengths, sorted }: Sequences, window: number, segment: number, readsStates: boolean): Plan {
  const byLength = segmentsByLength(n, steps, sorted);
  const segments = cutTime(byLength, window, segment);
  if (segment >= steps) return { parts: byLength, segments, keeps: 'all' };
  if (readsStates && lengths === undefined) return { parts: byLength, segments, keeps: 'states' };
  return { parts: segments, segments, keeps: 'starts' };
}

/** A part of time after its forward pass. */
export interface Part extends Segment {
  /** the state before it [rows, S]; null for zeros; undefined for the last one of the part before, whose output and tape are kept */
  readonly before: TensorData | null | undefined;
  /** undefined where it is written again */
  readonly tape: Tape | undefined;
}

/** What backward needs of a forward pass. */
export interface Unrolled {
  readonly sequences: Sequences;
  /** how it was cut; undefined where it was one pass */
  readonly cut: { readonly segments: readonly Segment[]; readonly parts: readonly Part[] } | undefined;
  /** what one pass started from, in the order in which the sequences are gone through, and kept */
  readonly whole: { readonly initialState: TensorData | null; readonly tape: Tape } | undefined;
  readonly maskKey: MaskKey;
  /** [N, T, I], in the order in which the sequences are gone through */
  readonly input: Tensor;
  /** likewise what was put out [N, T, P]; undefined where it is computed again */
  readonly output: Tensor | undefined;
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
  readonly #input: Tensor;
  readonly #inputs: SequenceArray;
  /** in the order of the passes; undefined where nobody reads it */
  readonly #output: Tensor | undefined;
  readonly #outputs: SequenceArray | undefined;
  readonly #memory = new SegmentMemory();
  readonly #states: States;
  readonly #parts: Part[] = [];
  #tape: TensorData | undefined;
  #tapeEnd = 0;

  /** @param keepsPass for backward, as the plan says, else nothing is kept */
  constructor(scan: Scan, sequences: Sequences, plan: Plan, arrays: UnrolledArrays, keepsPass: boolean) {
    const { n, steps, order, moves } = sequences;
    const { input, sequence, initialState } = arrays;
    const isRead = sequence !== undefined || (keepsPass && plan.keeps !== 'starts');
    this.#scan = scan;
    this.#sequences = sequences;
    this.#plan = plan;
    this.#arrays = arrays;
    this.#keepsPass = keepsPass;
    this.#input = sortedSteps(input, sequences);
    this.#inputs = new SequenceArray(this.#input.data, n, steps, scan.inputSize);
    if (isRead) this.#output = moves || sequence === undefined ? allocateOutput(input.dtype, [n, steps, scan.outputSize]) : sequence;
    this.#outputs = this.#output && new SequenceArray(this.#output.data, n, steps, scan.outputSize);
    this.#states = new States(n, scan.stateSize, order, initialState, input.dtype);
  }

  /** The pass over a part, to be made before {@link end} is called. */
  begin(part: Segment): ForwardJob {
    const { order, steps } = this.#sequences;
    const { input, finalState, maskKey } = this.#arrays;
    const [scan, memory, { dtype }] = [this.#scan, this.#memory, input];
    const { rows, begin, end } = part;
    const count = end - begin;
    memory.restart();
    const tape = this.#keepsPass && this.#plan.keeps === 'all' ? this.#takeTape(rows, count) : undefined;
    const before = this.#states.before(rows, begin);
    const after = this.#states.after(rows, end === steps ? finalState : undefined);
    if (this.#keepsPass) this.#parts.push({ begin, end, rows, before: this.#states.keep(before, tape !== undefined), tape });
    const isInPlace = this.#outputs !== undefined;
    const pass = {
      n: rows,
      t: count,
      input: isInPlace ? this.#inputs.view(part) : this.#inputs.take(part, dtype),
      initialState: before,
      output: this.#outputs?.view(part) ?? memory.take(dtype, rows * count * scan.outputSize),
      tape: tape ?? null,
      masks: masksOf(maskKey, part, order),
      stride: isInPlace ? steps : null,
      lengths: null,
    };
    return { pass, finalState: after };
  }

  /** The part of {@link makeTapes} that is next. */
  #takeTape(rows: number, count: number): Tape {
    const length = this.#scan.tapeLength(rows, count);
    if (length === 0) return null;
    this.#tape ??= makeTapes(this.#scan, this.#sequences, this.#plan.parts, this.#input.dtype);
    this.#tapeEnd += length;
    return this.#tape.subarray(this.#tapeEnd - length, this.#tapeEnd);
  }

  end({ finalState }: ForwardJob): void {
    this.#states.advance(finalState as TensorData);
  }

  /** After the last part. */
  finish(): Unrolled {
    const { sequence, finalState, maskKey } = this.#arrays;
    if (sequence !== undefined) returnSteps(this.#output as Tensor, this.#sequences, sequence);
    if (this.#sequences.lengths !== undefined) this.#states.copyTo(finalState);
    const output = this.#plan.keeps === 'starts' ? undefined : this.#output;
    const cut = { segments: this.#plan.segments, parts: this.#parts };
    return { sequences: this.#sequences, cut, whole: undefined, maskKey, input: this.#input, output };
  }
}

/** The tapes of all parts, one after the other, in memory whose length the lengths do not change, so that a workspace has it again. */
export function makeTapes(scan: Scan, { n, steps, lengths }: Sequences, parts: readonly Segment[], dtype: DType): TensorData {
  const needed = parts.reduce((sum, { rows, begin, end }) => sum + scan.tapeLength(rows, end - begin), 0);
  const most = lengths === undefined ? 0 : scan.tapeLength(n, steps) + Math.min(n, steps) * scan.tapeLength(n, 0);
  return allocateOutput(dtype, [Math.max(needed, most)]).data.subarray(0, needed);
}

/** Sequences in the order in which they are gone through, what lies beyond their lengths whatever it is: the tensor itself where that is its own. */
export function sortedSteps(given: Tensor, sequences: Sequences): Tensor {
  if (!sequences.moves) return given;
  const sorted = allocateOutput(given.dtype, given.shape);
  reorderSteps(sequences as Moving, given.shape[2] as number, given.data, sorted.data);
  return sorted;
}

/** Back into the caller's order, unless they are the same tensor, with zeros beyond the lengths. */
export function returnSteps(sorted: Tensor, sequences: Sequences, target: Tensor): void {
  const { n, steps, lengths, moves } = sequences;
  const width = target.shape[2] as number;
  if (moves) reorderSteps(sequences as Moving, width, sorted.data, target.data, { back: true });
  else if (lengths !== undefined) new SequenceArray(target.data, n, steps, width).fillBeyond(lengths, 0);
}

/** Sequences in another order than the caller's, as only those with lengths are. */
type Moving = Sequences & { readonly lengths: Int32Array; readonly order: Int32Array };

/** ∂L/∂ what forward took and gave; gradOutput undefined where nothing comes from the outputs on the way, gradInput where it is not wanted. */
export interface UnrolledGradients {
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
  readonly #parts: readonly Part[];
  readonly #segments: readonly Segment[];
  readonly #arrays: UnrolledGradients;
  readonly #window: number;
  readonly #dtype: DType;
  readonly #gradState: TensorData;
  readonly #inputs: SequenceArray;
  readonly #gradOutputs: SequenceArray | undefined;
  readonly #gradInput: Tensor | undefined;
  readonly #gradInputs: SequenceArray | undefined;
  readonly #memories = [new SegmentMemory(), new SegmentMemory()] as const;
  #current: SegmentPass | undefined;
  #before: SegmentPass | undefined;
  #isReady: boolean;

  /** @param window a window's gradient stays within it */
  constructor(scan: Scan, unrolled: Unrolled, arrays: UnrolledGradients, window: number) {
    const { n, steps, order, moves } = unrolled.sequences;
    const { gradOutput, gradInput } = arrays;
    const { input } = unrolled;
    this.#scan = scan;
    this.#unrolled = unrolled;
    const { segments, parts } = unrolled.cut ?? cutOnePass(scan, unrolled);
    this.#segments = segments;
    this.#parts = parts;
    this.#arrays = arrays;
    this.#window = window;
    this.#dtype = input.dtype;
    this.#gradState = inOrder(arrays.gradState, scan.stateSize, order, input.dtype);
    this.#inputs = new SequenceArray(input.data, n, steps, scan.inputSize);
    const sorted = gradOutput && sortedSteps(gradOutput, unrolled.sequences);
    this.#gradOutputs = sorted && new SequenceArray(sorted.data, n, steps, scan.outputSize);
    this.#gradInput = gradInput && moves ? allocateOutput(gradInput.dtype, gradInput.shape) : gradInput;
    this.#gradInputs = this.#gradInput && new SequenceArray(this.#gradInput.data, n, steps, scan.inputSize);
    this.#current = this.#passAt(segments.length - 1);
    this.#isReady = this.#current?.isKept === true;
  }

  /** How many segments there are. */
  get length(): number {
    return this.#segments.length;
  }

  /** The forward pass that must be made before the first segment's backward pass, if there is one. */
  recompute(): ForwardJob | undefined {
    return this.#isReady || this.#current === undefined ? undefined : { pass: this.#current.pass, finalState: null };
  }

  /** The backward pass over a segment, to be made before {@link end} is called. */
  begin(index: number): BackwardJob {
    const segment = this.#segments[index] as Segment;
    const { pass } = this.#current as SegmentPass;
    this.#arrays.stateNorms?.record(segment, this.#scan, pass, this.#dtype);
    const ofSegment = (array: SequenceArray | undefined) =>
      (pass.stride === null ? array?.take(segment, this.#dtype) : array?.view(segment)) ?? null;
    const before = this.#passAt(index - 1);
    const concurrent = before !== undefined && !before.isKept && before.pass.n === pass.n ? before.pass : undefined;
    this.#before = before;
    this.#isReady = before?.isKept === true || concurrent !== undefined;
    const isWhole = segment.rows === this.#unrolled.sequences.n;
    const gradients = {
      output: ofSegment(this.#gradOutputs),
      input: ofSegment(this.#gradInputs),
      state: isWhole ? this.#gradState : this.#gradState.subarray(0, segment.rows * this.#scan.stateSize),
    };
    return { pass, gradients, stateGradient: this.#arrays.stateGradients.take(segment), concurrent };
  }

  /** @param limited how many gradients were */
  end(index: number, { gradients, stateGradient }: BackwardJob, limited: number): void {
    const segment = this.#segments[index] as Segment;
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
    const { sequences } = this.#unrolled;
    const { order } = sequences;
    this.#arrays.stateGradients.unscale(this.#gradState);
    if (this.#arrays.gradInput !== undefined) returnSteps(this.#gradInput as Tensor, sequences, this.#arrays.gradInput);
    if (order !== undefined) reorderRows(this.#gradState, this.#scan.stateSize, order, this.#arrays.gradState, true);
  }

  #passAt(index: number): SegmentPass | undefined {
    const segment = this.#segments[index];
    if (segment === undefined) return undefined;
    return passOf(this.#scan, this.#unrolled, this.#parts, segment, this.#inputs, this.#dtype, this.#memories[(index & 1) as 0 | 1]);
  }
}

/** @throws EvenkeelError ERR_STATE when what was kept is gone */
export function checkKept({ input, output }: Unrolled): void {
  input.checkAttached('input of a layer in the last forward call');
  output?.checkAttached('output of the last forward call');
}

/** The parts of the time that one pass went through. */
function cutOnePass(scan: Scan, { sequences, whole }: Unrolled): NonNullable<Unrolled['cut']> {
  const { initialState, tape } = whole as NonNullable<Unrolled['whole']>;
  let end = 0;
  const parts = segmentsByLength(sequences.n, sequences.steps, sequences.sorted).map((part, index): Part => {
    const begin = end;
    end += scan.tapeLength(part.rows, part.end - part.begin);
    const before = index > 0 ? undefined : (initialState?.subarray(0, part.rows * scan.stateSize) ?? null);
    return { ...part, before, tape: tape?.subarray(begin, end) ?? null };
  });
  return { segments: parts, parts };
}

/** The saved activations of a segment, or buffers to recompute them into. */
function passOf(
  scan: Scan,
  { maskKey, sequences, output: kept }: Unrolled,
  parts: readonly Part[],
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
  const outputs = kept && new SequenceArray(kept.data, sequences.n, sequences.steps, scan.outputSize);
  const initialState = stateBefore(scan, parts, part, own.begin, outputs, (length) => memory.take(dtype, length));
  const isKept = outputs !== undefined && part.tape !== undefined;
  const pass = {
    n: rows,
    t: steps,
    input: isKept ? inputs.view(segment) : inputs.take(segment, dtype),
    initialState,
    output: isKept ? outputs.view(segment) : memory.take(dtype, rows * steps * scan.outputSize),
    tape: isKept ? scan.sliceTape(part.tape, rows, own.begin, own.end) : scan.makeTape(rows, steps, memory.take),
    masks: masksOf(maskKey, segment, sequences.order),
    stride: isKept ? sequences.steps : null,
    lengths: null,
  };
  return { isKept, pass };
}

/** The state before a part's step [rows, S]; null for zeros. */
function stateBefore(
  scan: Scan,
  parts: readonly Part[],
  part: Part,
  step: number,
  outputs: SequenceArray | undefined,
  take: (length: number) => TensorData,
): TensorData | null {
  if (step === 0 && part.before !== undefined) return part.before;
  const from = step === 0 ? (parts[parts.indexOf(part) - 1] as Part) : part;
  const count = from.end - from.begin;
  const kept = outputs as SequenceArray;
  const pass = { n: from.rows, t: count, output: kept.view(from), tape: from.tape ?? null, stride: kept.steps };
  const state = scan.readState(pass, (step === 0 ? count : step) - 1, take(from.rows * scan.stateSize));
  return state.subarray(0, part.rows * scan.stateSize);
}

/** What the masks of a segment are made of: that of a sequence and a step is the same, whatever the segments and the order. */
export function masksOf(key: MaskKey, { begin, rows }: Segment, order: Int32Array | undefined): Int32Array | null {
  if (key === undefined) return null;
  const masks = new Int32Array(3 + rows);
  masks.set([...key, begin]);
  for (let row = 0; row < rows; row++) masks[3 + row] = order?.[row] ?? row;
  return masks;
}
