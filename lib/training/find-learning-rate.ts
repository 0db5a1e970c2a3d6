import { checkFunction, checkInteger, checkNumber, fail, readOptions } from '../check';
import { checkLayer, type Layer } from '../layers/layer';
import { checkOptimizer } from '../optimizers/optimizer';
import { checkOptionalGenerator } from '../random';
import { copyOfState } from '../state-dict';
import type { Tensor } from '../tensor';
import { partsOf } from './checkpoint';
import { isClipper } from './clip-rule';
import { fit } from './fit';
import type { Batch, Batches, FitOptions } from './options';
import { loadParts, type Parts, stateOfParts } from './part';
import { batchesPart } from './parts';
import { checkBatches } from './run';

/** Options of {@link findLearningRate}. */
export interface FindLearningRateOptions<Target = Tensor> extends Pick<FitOptions<Target>, 'loss' | 'optimizer' | 'clip' | 'generator'> {
  /** the first learning rate; 1e-7 unless given */
  from?: number;
  /** the last one; 10 unless given */
  to?: number;
  /** how many there are, at most; 100 unless given */
  steps?: number;
}

/** What a range test found, a number for each step in each list. */
export interface LearningRateRange {
  learningRates: number[];
  /** before each step */
  losses: number[];
  /** their exponential moving average, without its bias toward the first */
  smoothed: number[];
  /** where the smoothed loss falls fastest over the logarithm of the rate; undefined where it never falls, or the steps are too few to tell */
  suggestion: number | undefined;
}

const SMOOTHING = 0.98;
/** The test ends when the smoothed loss is so many times the least. */
const DIVERGED = 4;
/** The first steps and the last one say little: the average is young, the loss explodes. */
const IGNORED = { first: 10, last: 1 };

/**
 * The learning-rate range test (Smith 2015, arXiv:1506.01186): one step at each of ever larger rates, until the loss diverges. Afterwards the
 * model, the optimiser, a clipper, a generator and the batches are as they were. Half a decade around the suggestion is worth a try.
 * @param batches gone through again and again, until there were `steps` of them
 * @throws EvenkeelError as {@link fit} does
 */
export async function findLearningRate<Target = Tensor>(
  model: Layer,
  batches: Batches<Target>,
  options: FindLearningRateOptions<Target>,
): Promise<LearningRateRange> {
  const known = ['loss', 'optimizer', 'clip', 'generator', 'from', 'to', 'steps'] as const;
  const given = readOptions('findLearningRate options', options, known, { from: 1e-7, to: 10, steps: 100 });
  const from = checkNumber('from', given.from, { above: 0 });
  const to = checkNumber('to', given.to, { above: 0 });
  if (to <= from) fail('ERR_OPTION', 'to', `a rate above ${from}`, to);
  const steps = checkInteger('steps', given.steps, 2);
  checkFunction('loss', given.loss);
  const clipper = isClipper(given.clip) ? given.clip : undefined;
  const trained = {
    model: checkLayer('model', model),
    optimizer: checkOptimizer('optimizer', given.optimizer),
    clipper,
    generator: checkOptionalGenerator('generator', given.generator),
  };
  const { model: modelPart, ...others } = partsOf(trained);
  const parts = { ...others, batches: batchesPart('batches', checkBatches('batches', batches, 1)), model: modelPart } as Parts;
  const before = copyOfState(stateOfParts(parts));
  const range: LearningRateRange = { learningRates: [], losses: [], smoothed: [], suggestion: undefined };
  try {
    await fit<Target>(model, endless(batches), {
      ...({
        loss: given.loss,
        clip: given.clip,
        optimizer: trained.optimizer,
        generator: trained.generator,
      } as FindLearningRateOptions<Target>),
      schedule: { learningRate: (step) => from * (to / from) ** (step / (steps - 1)) },
      nonFinite: 'skip',
      onWarning: () => {},
      onStep: ({ loss, learningRate }) => note(range, loss, learningRate) && range.losses.length < steps,
    });
  } finally {
    loadParts(parts, before);
  }
  return { ...range, suggestion: steepest(range) };
}

/** @returns whether it makes sense to go on */
function note({ learningRates, losses, smoothed }: LearningRateRange, loss: number, learningRate: number): boolean {
  if (!Number.isFinite(loss)) return false;
  learningRates.push(learningRate);
  losses.push(loss);
  let sum = 0;
  for (const one of losses) sum = SMOOTHING * sum + (1 - SMOOTHING) * one;
  smoothed.push(sum / (1 - SMOOTHING ** losses.length));
  return losses.length <= IGNORED.first || (smoothed.at(-1) as number) <= DIVERGED * Math.min(...smoothed);
}

function steepest({ learningRates, smoothed }: LearningRateRange): number | undefined {
  let best: number | undefined;
  let fastest = 0;
  // Steps are equal in the logarithm of the rate: a central difference.
  for (let i = IGNORED.first; i < smoothed.length - IGNORED.last - 1; i++) {
    const slope = (smoothed[i + 1] as number) - (smoothed[i - 1] as number);
    if (slope < fastest) [fastest, best] = [slope, learningRates[i]];
  }
  return best;
}

async function* endless<Target>(batches: Batches<Target>): AsyncGenerator<Batch<Target>> {
  for (;;) {
    let count = 0;
    for await (const batch of batches) {
      count++;
      yield batch;
    }
    // An iterator that is used up.
    if (count === 0) return;
  }
}
