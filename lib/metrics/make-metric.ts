import type { Tensor } from '../tensor';
import type { Metric, MetricAccumulator, MetricOptions } from './metric';

/** A metric that tells the value of a whole set, and as a function that of one output. */
export function makeMetric<Target>(mode: 'min' | 'max', accumulator: () => MetricAccumulator<Target>): Metric<Target> {
  const measure = (output: Tensor, target: Target, options?: MetricOptions) => {
    const seen = accumulator();
    seen.add(output, target, options);
    return seen.value();
  };
  return Object.freeze(Object.assign(measure, { accumulator, mode }));
}
