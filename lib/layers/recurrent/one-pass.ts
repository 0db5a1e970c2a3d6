/**
 * A recurrent layer's way through time in one pass: nothing is cut but where sequences end, which the addon does, and all is kept or nothing. Most
 * calls are such, and small ones spend as long on planning as on numbers; unroll.ts has the others.
 */
import { allocate, type DType, type Tensor } from '../../tensor';
import { allocateOutput } from '../../workspace';
import type { BackwardJob, ForwardJob, Scan, Tape } from './scan';
import { inOrder, reorderRows, segmentsByLength } from './time';
import {
  makeTapes,
  masksOf,
  returnSteps,
  type Sequences,
  sortedSteps,
  type Unrolled,
  type UnrolledArrays,
  type UnrolledGradients,
} from './unroll';

/** A pass to be made, and what follows it. */
export interface ForwardInOne {
  readonly job: ForwardJob;
  readonly finish: () => Unrolled;
}
export interface BackwardInOne {
  readonly job: BackwardJob;
  /** @param limited how many gradients were */
  readonly finish: (limited: number) => void;
}

export function forwardInOne(scan: Scan, sequences: Sequences, arrays: UnrolledArrays, keepsPass: boolean): ForwardInOne {
  const { n, steps, order, sorted, moves } = sequences;
  const { sequence, maskKey, finalState } = arrays;
  const input = sortedSteps(arrays.input, sequences);
  const { dtype } = input;
  const output = moves || sequence === undefined ? allocateOutput(dtype, [n, steps, scan.outputSize]) : sequence;
  const initialState = arrays.initialState && inOrder(arrays.initialState, scan.stateSize, order, dtype);
  const state = order === undefined ? finalState : (initialState?.slice() ?? allocate(dtype, finalState.length));
  const tape = keepsPass ? makeTape(scan, sequences, dtype) : null;
  const masks = masksOf(maskKey, { begin: 0, end: steps, rows: n }, order);
  const pass = { n, t: steps, input: input.data, initialState, output: output.data, tape, masks, stride: null, lengths: sorted ?? null };
  const finish = () => {
    if (order !== undefined) reorderRows(state, scan.stateSize, order, finalState, true);
    if (sequence !== undefined) returnSteps(output, sequences, sequence);
    return { sequences, cut: undefined, whole: { initialState, tape }, maskKey, input, output };
  };
  return { job: { pass, finalState: state }, finish };
}

function makeTape(scan: Scan, sequences: Sequences, dtype: DType): Tape {
  const { n, steps, sorted } = sequences;
  // Most calls, and those that planning would cost.
  if (sorted === undefined) return scan.makeTape(n, steps, (type, length) => allocateOutput(type, [length]).data);
  return scan.tapeLength(n, steps) === 0 ? null : makeTapes(scan, sequences, segmentsByLength(n, steps, sorted), dtype);
}

/** Back through what {@link forwardInOne} went through. Where there are lengths, no norms of steps are recorded. */
export function backwardInOne(scan: Scan, unrolled: Unrolled, arrays: UnrolledGradients): BackwardInOne {
  const { sequences, maskKey, input } = unrolled;
  const { n, steps, order, sorted, moves } = sequences;
  const { gradInput, stateGradients, stateNorms } = arrays;
  const { initialState, tape } = unrolled.whole as NonNullable<Unrolled['whole']>;
  const output = (unrolled.output as Tensor).data;
  const segment = { begin: 0, end: steps, rows: n };
  const masks = masksOf(maskKey, segment, order);
  const pass = { n, t: steps, input: input.data, initialState, output, tape, masks, stride: null, lengths: sorted ?? null };
  stateNorms?.record(segment, scan, pass, input.dtype);
  const gradOutput = arrays.gradOutput && sortedSteps(arrays.gradOutput, sequences);
  const sortedInput = gradInput && moves ? allocateOutput(gradInput.dtype, gradInput.shape) : gradInput;
  const state = inOrder(arrays.gradState, scan.stateSize, order, input.dtype);
  const gradients = { output: gradOutput?.data ?? null, input: sortedInput?.data ?? null, state };
  const job = { pass, gradients, stateGradient: stateGradients.take(segment), concurrent: undefined };
  const finish = (limited: number) => {
    stateGradients.put(segment, job.stateGradient, limited);
    stateGradients.unscale(state);
    if (gradInput !== undefined) returnSteps(sortedInput as Tensor, sequences, gradInput);
    if (order !== undefined) reorderRows(state, scan.stateSize, order, arrays.gradState, true);
  };
  return { job, finish };
}
