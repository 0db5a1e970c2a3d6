import { checkSize, fail, readOptions } from '../../check';
import { EvenkeelError } from '../../errors';
import { availableMemory, checkMemory, fitsInMemory, inGigabytes } from '../../memory';

/**
 * How a recurrent layer trades time for memory: between forward and backward it keeps the states at the starts of segments of time, and
 * backward computes a segment's other states again (Chen et al. 2016, arXiv:1604.06174). Gradients are the same bits in every case; the
 * second forward pass costs about a third of a training step.
 * - `'auto'`: keeps everything where that takes at most half of the memory available to the process, else segments of about √T steps, or
 *   longer ones while they are small
 * - `'none'`: keeps everything
 * - `{ every: k }`: segments of k steps, rounded up to whole chunks of the native scan
 * - `{ budget: bytes }`: keeps everything where that fits the budget, else segments as with `'auto'`, which must fit it
 */
export type Checkpointing = 'auto' | 'none' | { every: number } | { budget: number };

/** A budget is for all layers. */
export function shareOf(checkpointing: Checkpointing, layers: number): Checkpointing {
  return typeof checkpointing === 'object' && 'budget' in checkpointing ? { budget: checkpointing.budget / layers } : checkpointing;
}

/** What a recurrent layer keeps of a forward pass, in bytes. */
export interface KeptMemory {
  /** T, and the steps of a chunk of the native scan: a segment is a whole number of them */
  steps: number;
  chunkSteps: number;
  /** one state of all sequences: what is kept for each segment, unless the output holds it */
  stateBytes: number;
  /** what each step would keep for backward */
  bytesPerStep: number;
  /** what each step takes beside that while its segment, or the one after it, is computed again */
  scratchPerStep: number;
  /** what the call allocates in any case */
  outputBytes: number;
  /** of all this, what it takes from a workspace without an allocation */
  reusableBytes: () => number;
}

const EXPECTED = '"auto", "none", { every: steps } or { budget: bytes }';

/** @throws EvenkeelError ERR_OPTION */
export function checkCheckpointing(argument: string, value: unknown): Checkpointing {
  if (value === 'auto' || value === 'none') return value;
  if (typeof value !== 'object' || value === null) fail('ERR_OPTION', argument, EXPECTED, value);
  const { every, budget } = readOptions(argument, value, ['every', 'budget']);
  if ((every === undefined) === (budget === undefined)) fail('ERR_OPTION', argument, EXPECTED, value);
  if (every !== undefined) return { every: checkSize(`${argument}.every`, every) };
  if (typeof budget !== 'number' || !(budget > 0)) fail('ERR_OPTION', `${argument}.budget`, 'a number of bytes above 0', budget);
  return { budget };
}

/** The share of the available memory that `'auto'` takes. */
const AUTO_SHARE = 0.5;

/** The bytes of a segment below which a shorter one would spare next to nothing, and take longer: threads share its chunks. */
const SMALL_SEGMENT = 4 * 1024 * 1024;

/**
 * The steps of each segment, the last of which may be shorter; T where everything is kept.
 * @throws EvenkeelError ERR_MEMORY when what is kept and the output cannot fit, before anything is allocated
 */
export function segmentSteps(checkpointing: Checkpointing, kept: KeptMemory): number {
  const segment = chosenSteps(checkpointing, kept);
  const most = kept.outputBytes + bytesOf(kept, segment);
  if (fitsInMemory(most)) return segment;
  const what = `checkpointing: ${JSON.stringify(checkpointing)}: the output and what is kept for backward`;
  const alternative = checkpointing === 'none' ? '"auto", ' : '';
  checkMemory(what, most - kept.reusableBytes(), `Use ${alternative}a smaller batch or a shorter sequence.`);
  return segment;
}

function chosenSteps(checkpointing: Checkpointing, kept: KeptMemory): number {
  const { steps, chunkSteps } = kept;
  if (checkpointing === 'none') return steps;
  if (checkpointing !== 'auto' && 'every' in checkpointing) return Math.min(wholeChunks(checkpointing.every, chunkSteps), steps);
  const isAuto = checkpointing === 'auto';
  const everything = bytesOf(kept, steps);
  if (isAuto ? fitsInMemory(everything, AUTO_SHARE) : everything <= checkpointing.budget) return steps;
  const budget = isAuto ? AUTO_SHARE * Math.max(0, availableMemory() + kept.reusableBytes() - kept.outputBytes) : checkpointing.budget;
  const perStep = kept.bytesPerStep + kept.scratchPerStep;
  const least = wholeChunks(Math.sqrt((steps * kept.stateBytes) / perStep), chunkSteps);
  const small = Math.max(least, wholeChunks(SMALL_SEGMENT / perStep, chunkSteps));
  const segment = bytesOf(kept, small) <= budget ? small : least;
  const bytes = bytesOf(kept, segment);
  if (bytes > budget) {
    throw new EvenkeelError(
      'ERR_MEMORY',
      `checkpointing: segments of ${segment} steps need ${inGigabytes(bytes)}, and ${inGigabytes(budget)} are ` +
        `${isAuto ? 'to spare, half of what is available' : 'allowed'}. Use a smaller batch or a shorter sequence.`,
    );
  }
  return Math.min(segment, steps);
}

/** The steps of a segment where nothing is kept, and memory for its outputs and inputs is all that it takes. */
export function smallSegment(chunkSteps: number, bytesPerStep: number): number {
  return wholeChunks(SMALL_SEGMENT / bytesPerStep, chunkSteps);
}

function wholeChunks(steps: number, chunkSteps: number): number {
  return Math.ceil(steps / chunkSteps) * chunkSteps;
}

/**
 * What a layer keeps with `'none'`, with `'auto'` as memory is now, and in the segments that take least.
 * @returns the steps of a segment, and bytes beside the output
 */
export function choices(kept: KeptMemory): Record<'none' | 'auto' | 'least', { steps: number; bytes: number }> {
  const { steps, chunkSteps, stateBytes, bytesPerStep, scratchPerStep } = kept;
  const least = Math.min(steps, wholeChunks(Math.sqrt((steps * stateBytes) / (bytesPerStep + scratchPerStep)), chunkSteps));
  const of = (segment: number) => ({ steps: segment, bytes: bytesOf(kept, segment) });
  let auto = least;
  try {
    auto = chosenSteps('auto', kept);
  } catch (error) {
    if (!(error instanceof EvenkeelError)) throw error;
  }
  return { none: of(steps), auto: of(auto), least: of(least) };
}

/** What is kept for backward, and what computing a segment again takes. */
function bytesOf({ steps, stateBytes, bytesPerStep, scratchPerStep }: KeptMemory, segment: number): number {
  if (segment >= steps) return steps * bytesPerStep;
  return Math.ceil(steps / segment) * stateBytes + segment * (bytesPerStep + scratchPerStep);
}
