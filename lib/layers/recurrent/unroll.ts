/** A recurrent layer's way through time, forward and back: sequences by length, windows, segments, and what is kept of them. */

import { longestFirst } from '../../lengths';
import { allocate, type DType, type Tensor, type TensorData } from '../../tensor';
import { allocateOutput } from '../../workspace';
import type { ForwardPass, Scan, Tape } from './scan';
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
}

/**
 * Forward through time.
 * @param plan with `keepsPass` for backward, else nothing is kept
 * @param sequence all outputs [N, T, P], written; undefined where they are not wanted
 * @param finalState of each sequence, at its own end [N, S], written
 */
export function unrollForward(
  scan: Scan,
  sequences: Sequences,
  { parts: planned, segments, keeps }: Plan,
  arrays: { input: Tensor; initialState: Tensor | undefined; sequence: Tensor | undefined; finalState: Tensor },
  keepsPass: boolean,
): Unrolled {
  const { n, steps, lengths, order } = sequences;
  const { dtype } = arrays.input;
  const inputs = new SequenceArray(arrays.input.data, n, steps, scan.inputSize, order);
  const outputs = arrays.sequence && new SequenceArray(arrays.sequence.data, n, steps, scan.outputSize, order);
  const keepsOutput = keepsPass && keeps !== 'starts';
  const memory = new SegmentMemory();
  const states = new States(n, scan.stateSize, order, arrays.initialState);
  const parts: Part[] = [];
  for (const part of planned) {
    memory.restart();
    const { rows } = part;
    const count = part.end - part.begin;
    const isWhole = order === undefined && count === steps;
    const length = rows * count * scan.outputSize;
    const kept = !keepsOutput ? undefined : isWhole && arrays.sequence ? arrays.sequence : allocateOutput(dtype, [length]);
    const output = kept?.data ?? (isWhole && outputs ? outputs.data : memory.take(dtype, length));
    const tape = keepsPass && keeps === 'all' ? scan.makeTape(rows, count, takeArray) : undefined;
    const before = states.of(rows);
    const after = part.end === steps && order === undefined ? arrays.finalState.data : allocate(dtype, rows * scan.stateSize);
    const pass = { n: rows, t: count, input: inputs.take(part, dtype), initialState: before, output, tape: tape ?? null };
    scan.forward(pass, after);
    outputs?.put(part, output);
    states.advance(rows, after);
    if (keepsPass) parts.push({ begin: part.begin, end: part.end, rows, before, output: kept, tape });
  }
  if (lengths !== undefined) {
    outputs?.fillBeyond(lengths, 0);
    states.copyTo(arrays.finalState.data);
  }
  return { sequences, segments, parts };
}

/** The states of all sequences [N, S], in the order in which they are gone through. */
class States {
  #current: TensorData | null;
  readonly #n: number;
  readonly #width: number;
  readonly #order: Int32Array | undefined;

  constructor(n: number, width: number, order: Int32Array | undefined, initial: Tensor | undefined) {
    this.#n = n;
    this.#width = width;
    this.#order = order;
    this.#current = initial === undefined ? null : inOrder(initial.data, width, order, initial.dtype);
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
  readonly gradState: Tensor;
  readonly stateGradients: StateGradientPass;
  /** where the norms of the states are recorded */
  readonly stateNorms: StateNorms | undefined;
}

/**
 * Back through time, segment by segment. The one before is computed again beside the one at work, on threads that would be idle.
 * @param window a window's gradient stays within it
 */
export function unrollBackward(scan: Scan, { sequences, segments, parts }: Unrolled, arrays: UnrolledGradients, window: number): void {
  const { n, steps, lengths, order } = sequences;
  const { dtype } = arrays.input;
  const gradState = inOrder(arrays.gradState.data, scan.stateSize, order, dtype);
  const array = (tensor: Tensor, width: number) => new SequenceArray(tensor.data, n, steps, width, order);
  const inputs = array(arrays.input, scan.inputSize);
  const gradOutputs = arrays.gradOutput && array(arrays.gradOutput, scan.outputSize);
  const gradInputs = arrays.gradInput && array(arrays.gradInput, scan.inputSize);
  const memories = [new SegmentMemory(), new SegmentMemory()];
  const passAt = (index: number) => passOf(scan, parts, segments[index], inputs, dtype, memories[index % 2] as SegmentMemory);

  let current = passAt(segments.length - 1);
  let isReady = current?.isKept === true;
  for (let index = segments.length - 1; current !== undefined; index--) {
    const segment = segments[index] as Segment;
    const { pass } = current;
    if (!isReady) scan.forward(pass, null);
    arrays.stateNorms?.record(segment, scan, pass, dtype);
    const before = passAt(index - 1);
    const concurrent = before !== undefined && !before.isKept && before.pass.n === pass.n ? before.pass : undefined;
    const gradInput = gradInputs?.take(segment, dtype) ?? null;
    const gradients = {
      output: gradOutputs?.take(segment, dtype) ?? null,
      input: gradInput,
      state: segment.rows === n ? gradState : gradState.subarray(0, segment.rows * scan.stateSize),
    };
    arrays.stateGradients.pass(segment, (...last) => scan.backward(pass, gradients, ...last, concurrent));
    if (gradInput !== null) gradInputs?.put(segment, gradInput);
    if (segment.begin > 0 && segment.begin % window === 0) {
      gradients.state.fill(0);
      arrays.stateGradients.restart(segment.rows);
    }
    isReady = before?.isKept === true || concurrent !== undefined;
    current = before;
  }
  arrays.stateGradients.unscale(gradState);
  if (lengths !== undefined) gradInputs?.fillBeyond(lengths, 0);
  if (order !== undefined) reorderRows(gradState, scan.stateSize, order, arrays.gradState.data, true);
}

/** @throws EvenkeelError ERR_STATE when what was kept is gone */
export function checkKept({ parts }: Unrolled): void {
  for (const { output } of parts) output?.checkAttached('output of the last forward call');
}

/** A segment's forward pass, as it was where it was kept, else with memory for what is to be computed again. */
function passOf(
  scan: Scan,
  parts: readonly Part[],
  segment: Segment | undefined,
  inputs: SequenceArray,
  dtype: DType,
  memory: SegmentMemory,
): { pass: ForwardPass; isKept: boolean } | undefined {
  if (segment === undefined) return undefined;
  const part = parts.find(({ begin, end }) => begin <= segment.begin && segment.begin < end) as Part;
  const { rows } = segment;
  const own = { begin: segment.begin - part.begin, end: segment.end - part.begin, rows };
  const steps = own.end - own.begin;
  memory.restart();
  const input = inputs.take(segment, dtype);
  const initialState = stateBefore(scan, part, own.begin, dtype);
  if (part.output !== undefined && part.tape !== undefined) {
    const output = new SequenceArray(part.output.data, rows, part.end - part.begin, scan.outputSize).take(own, dtype);
    const tape = scan.sliceTape(part.tape, rows, own.begin, own.end);
    return { isKept: true, pass: { n: rows, t: steps, input, initialState, output, tape } };
  }
  const output = memory.take(dtype, rows * steps * scan.outputSize);
  const tape = scan.makeTape(rows, steps, memory.take);
  return { isKept: false, pass: { n: rows, t: steps, input, initialState, output, tape } };
}

/** The state before a part's step [rows, S]. */
function stateBefore(scan: Scan, { rows, begin, end, before, output, tape }: Part, step: number, dtype: DType): TensorData | null {
  if (step === 0) return before;
  return scan.readState(rows, end - begin, step - 1, (output as Tensor).data, tape ?? null, allocate(dtype, rows * scan.stateSize));
}

function takeArray(dtype: DType, length: number): TensorData {
  return allocateOutput(dtype, [length]).data;
}
