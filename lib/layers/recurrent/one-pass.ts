/**
 * A recurrent layer's way through time where it takes one pass: sequences of one length, nothing cut, and all kept or nothing. Most calls are
 * such, and small ones spend as long on planning as on numbers; unroll.ts has the others.
 */
import type { Tensor } from '../../tensor';
import { allocateOutput } from '../../workspace';
import type { BackwardJob, ForwardJob, Scan } from './scan';
import type { Segment } from './time';
import { masksOf, type Sequences, type Unrolled, type UnrolledArrays, type UnrolledGradients } from './unroll';

/** Whether a call takes one pass, whose window and segment have so many steps. */
export function isOnePass({ steps, lengths }: Sequences, window: number, segment: number): boolean {
  return lengths === undefined && window >= steps && segment >= steps;
}

/** Whether backward takes one pass over what forward kept. */
export function wasOnePass({ sequences, segments, parts, output }: Unrolled): boolean {
  return sequences.lengths === undefined && segments.length === 1 && parts[0]?.tape !== undefined && output !== undefined;
}

/** A forward pass to be made, and what backward needs of it. */
export function forwardInOne(
  scan: Scan,
  sequences: Sequences,
  { input, initialState, sequence, finalState, maskKey }: UnrolledArrays,
  keepsPass: boolean,
): { job: ForwardJob; unrolled: Unrolled } {
  const { n, steps } = sequences;
  const whole = { begin: 0, end: steps, rows: n };
  const output = sequence ?? allocateOutput(input.dtype, [n, steps, scan.outputSize]);
  const tape = keepsPass ? scan.makeTape(n, steps, (dtype, length) => allocateOutput(dtype, [length]).data) : null;
  const masks = masksOf(maskKey, whole, undefined);
  const pass = { n, t: steps, input: input.data, initialState, output: output.data, tape, masks, stride: null };
  const parts = [{ begin: 0, end: steps, rows: n, before: initialState, tape }];
  return { job: { pass, finalState }, unrolled: { sequences, segments: [whole], parts, maskKey, input, output } };
}

/** The backward pass over it, to be made before {@link endInOne} is called. */
export function backwardInOne(
  scan: Scan,
  { sequences, segments, parts, maskKey, input, output }: Unrolled,
  { gradOutput, gradInput, gradState, stateGradients, stateNorms }: UnrolledGradients,
): BackwardJob {
  const [whole] = segments as readonly [Segment];
  const [{ before = null, tape = null }] = parts as readonly [Unrolled['parts'][number]];
  const { n, steps: t } = sequences;
  const masks = masksOf(maskKey, whole, undefined);
  const pass = { n, t, input: input.data, initialState: before, output: (output as Tensor).data, tape, masks, stride: null };
  stateNorms?.record(whole, scan, pass, input.dtype);
  const gradients = { output: gradOutput?.data ?? null, input: gradInput?.data ?? null, state: gradState };
  return { pass, gradients, stateGradient: stateGradients.take(whole), concurrent: undefined };
}

/** @param limited how many gradients were */
export function endInOne(
  { segments }: Unrolled,
  { gradState, stateGradients }: UnrolledGradients,
  job: BackwardJob,
  limited: number,
): void {
  stateGradients.put(segments[0] as Segment, job.stateGradient, limited);
  stateGradients.unscale(gradState);
}
