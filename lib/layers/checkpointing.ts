import { checkSize, fail, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { availableMemory, checkMemory, fitsInMemory, inGigabytes } from '../memory';

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
 * @throws EvenkeelError ERR_MEMORY when it cannot fit, before anything is allocated
 */
export function segmentSteps(checkpointing: Checkpointing, kept: KeptMemory): number {
  const { steps, chunkSteps } = kept;
  const everything = steps * kept.bytesPerStep;
  if (checkpointing === 'none') {
    checkMemory('checkpointing: "none"', everything, 'Use "auto", a smaller batch or a shorter sequence.');
    return steps;
  }
  if (typeof checkpointing === 'object' && 'every' in checkpointing) {
    const segment = wholeChunks(checkpointing.every, chunkSteps);
    checkMemory(`checkpointing: { every: ${checkpointing.every} }`, bytesOf(kept, segment), 'Use "auto", or a smaller batch.');
    return Math.min(segment, steps);
  }
  if (checkpointing === 'auto' ? fitsInMemory(everything, AUTO_SHARE) : everything <= checkpointing.budget) return steps;
  const budget = checkpointing === 'auto' ? AUTO_SHARE * availableMemory() : checkpointing.budget;
  const perStep = kept.bytesPerStep + kept.scratchPerStep;
  const least = wholeChunks(Math.sqrt((steps * kept.stateBytes) / perStep), chunkSteps);
  const small = Math.max(least, wholeChunks(SMALL_SEGMENT / perStep, chunkSteps));
  const segment = bytesOf(kept, small) <= budget ? small : least;
  const bytes = bytesOf(kept, segment);
  if (bytes > budget) {
    throw new EvenkeelError(
      'ERR_MEMORY',
      `checkpointing: segments of ${segment} steps need ${inGigabytes(bytes)}, and ${inGigabytes(budget)} are ` +
        `${checkpointing === 'auto' ? 'to spare, half of what is available' : 'allowed'}. Use a smaller batch or a shorter sequence.`,
    );
  }
  return Math.min(segment, steps);
}

function wholeChunks(steps: number, chunkSteps: number): number {
  return Math.ceil(steps / chunkSteps) * chunkSteps;
}

function bytesOf({ steps, stateBytes, bytesPerStep, scratchPerStep }: KeptMemory, segment: number): number {
  return Math.ceil(steps / segment) * stateBytes + Math.min(segment, steps) * (bytesPerStep + scratchPerStep);
}
