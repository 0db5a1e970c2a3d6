import type { Lengths } from '../lengths';
import type { Tensor } from '../tensor';

/** Options of a metric. */
export interface MetricOptions {
  /** how many steps of each sequence of an output [N, T, F] count */
  lengths?: Lengths;
}

/** What a metric has seen of a set of samples. */
export interface MetricAccumulator<Target = Tensor> {
  /** Takes note of a batch. The output is valid during the call alone. */
  add(output: Tensor, target: Target, options?: MetricOptions): void;
  /** of all that was added; NaN where that is nothing */
  value(): number;
}

/**
 * How good a model's outputs are: a function of an output and a target. {@link fit} takes those of yours, and averages what they give for the
 * batches by the number of samples (or steps that count); one with an `accumulator`, as those of this package have, tells the value of the whole
 * set, which for most is another.
 */
export interface Metric<Target = Tensor> {
  (output: Tensor, target: Target, options?: MetricOptions): number;
  /** what sees a whole set, batch by batch */
  accumulator?(): MetricAccumulator<Target>;
  /** whether small or large is good; small unless given */
  readonly mode?: 'min' | 'max';
}
