import { checkOneOf, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { checkLengths, countSteps, type Lengths } from '../lengths';
import type { Tensor } from '../tensor';
import { readSampleWeights } from './sample-weights';

/** Options of a loss function. */
export interface LossOptions {
  /** how many steps of each sequence of an output [N, T, F] count: the mean is over these, and the gradient elsewhere 0 */
  lengths?: Lengths;
  /**
   * w, one number of at least 0 for each sample [N]; ones unless given. A sample of weight 2 counts as two of it, one of 0 as none: the mean is
   * Σ w·loss / Σ w over what counts.
   */
  sampleWeights?: readonly number[] | Float32Array | Float64Array;
  /** `'mean'` unless given: of what counts; `'sum'`; `'none'`: the sum, and each loss by itself in `values` */
  reduction?: 'mean' | 'sum' | 'none';
}

/** What a loss function returns. */
export interface LossResult {
  value: number;
  /** ∂value/∂output, of the output's shape and dtype: what the model's backward takes */
  grad: Tensor;
  /**
   * With `reduction: 'none'`, the loss of each element, or of each row of logits; 0 where it does not count. Each depends on its own part of
   * the output alone, and `grad` has its gradient there: for a weighted sum, multiply both by the weights.
   */
  values?: Tensor;
  /**
   * How much `value` is a mean of: the number of elements, or of rows of logits, that count, each with its weight; 0 for a sum. What it takes to
   * make one mean of those of several batches, as `accumulate` and `validation` of fit do. A loss of your own may leave it out.
   */
  count?: number;
}

/** What every loss reads of its options. */
export interface CheckedLossOptions {
  readonly lengths: Int32Array | undefined;
  readonly reduction: 'mean' | 'sum' | 'none';
  readonly sampleWeights?: Float64Array | undefined;
}

const REDUCTIONS = ['mean', 'sum', 'none'] as const;

/**
 * Reads a loss's options.
 * @param own names of those that are the loss's own
 * @returns those that every loss has, and the others as they were given
 * @throws EvenkeelError ERR_OPTION, ERR_SHAPE, also for a mean where no step counts: there is no mean of nothing
 */
export function readLossOptions<Own extends string = never>(
  options: unknown,
  { shape }: Tensor,
  own: readonly Own[] = [],
): CheckedLossOptions & { given: Partial<Record<Own, unknown>> } {
  if (options === undefined) return { lengths: undefined, reduction: 'mean', sampleWeights: undefined, given: {} };
  const read = readOptions<string>('loss options', options, ['lengths', 'reduction', 'sampleWeights', ...own], { reduction: 'mean' });
  const reduction = checkOneOf('reduction', read.reduction, REDUCTIONS);
  const lengths = checkLengths(read.lengths, shape);
  if (reduction === 'mean' && lengths !== undefined && countSteps(lengths) === 0) {
    throw new EvenkeelError('ERR_SHAPE', 'lengths: expected at least one step that counts, got lengths of 0.');
  }
  const sampleWeights = read.sampleWeights === undefined ? undefined : readSampleWeights(read.sampleWeights, shape[0] ?? 1);
  return { lengths, reduction, sampleWeights, given: read as Partial<Record<Own, unknown>> };
}
