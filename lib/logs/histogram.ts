import type { TensorData } from '../tensor';
import type { Histogram } from './event-file';

/** TensorFlow's buckets (tensorflow/core/lib/histogram/histogram.cc): 10⁻¹² · 1.1ᵏ up to 10²⁰, the same below zero, and all that is beyond. */
const POSITIVE: number[] = [];
for (let limit = 1e-12; limit < 1e20; limit *= 1.1) POSITIVE.push(limit);
POSITIVE.push(Number.MAX_VALUE);
const LIMITS: readonly number[] = [...POSITIVE.toReversed().map((limit) => -limit), 0, ...POSITIVE];
const ZERO = POSITIVE.length;

/**
 * The histogram of an array's finite values; undefined where there are none.
 * @param values of a weight or a gradient
 */
export function histogramOf(values: TensorData): Histogram | undefined {
  const counts = new Float64Array(LIMITS.length);
  let [min, max, count, sum, sumOfSquares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    const bucket = bucketOf(value);
    counts[bucket] = (counts[bucket] as number) + 1;
    count++;
    sum += value;
    sumOfSquares += value * value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return count === 0 ? undefined : { min, max, count, sum, sumOfSquares, ...withoutEmptyRuns(counts) };
}

/** The first whose limit is above the value. */
function bucketOf(value: number): number {
  let [low, high] = value < 0 ? [0, ZERO] : [ZERO, LIMITS.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((LIMITS[middle] as number) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Empty buckets beside each other as one. */
function withoutEmptyRuns(counts: Float64Array): { limits: number[]; counts: number[] } {
  const kept: { limits: number[]; counts: number[] } = { limits: [], counts: [] };
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] as number;
    if (count === 0 && i + 1 < counts.length && counts[i + 1] === 0) continue;
    kept.limits.push(LIMITS[i] as number);
    kept.counts.push(count);
  }
  return kept;
}
