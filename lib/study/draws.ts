/** What several independent draws of weights and data say together. */
import { studentQuantile } from '../stability/student';

/** A mean over draws. */
export interface DrawnMean {
  mean: number;
  /** both ends of its 95 % interval, by Student's t over the draws; the mean itself where it is not finite */
  interval: [low: number, high: number];
  draws: number;
}

/** The mean of one number per draw, with the interval that the draws' spread gives. */
export function meanOfDraws(values: readonly number[]): DrawnMean {
  const draws = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / draws;
  if (!Number.isFinite(mean)) return { mean, interval: [mean, mean], draws };
  if (draws === 1) return { mean, interval: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY], draws };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const half = studentQuantile(draws - 1) * Math.sqrt(squares / (draws - 1) / draws);
  return { mean, interval: [mean - half, mean + half], draws };
}

/** "+0.115 ± 0.003": a rate is nothing without its sign and interval, half of whose width follows the sign ±. */
export function formatRate({ mean, interval: [low, high] }: DrawnMean): string {
  const half = (high - low) / 2;
  if (!Number.isFinite(half) || !Number.isFinite(mean)) return formatSigned(mean, 3);
  const digits = half < 0.002 ? 4 : 3;
  return `${formatSigned(mean, digits)} ± ${half.toFixed(digits)}`;
}

/** "−0.115", with a minus sign as long as the plus. */
export function formatSigned(value: number, digits: number): string {
  const size = Number.isFinite(value) ? Math.abs(value).toFixed(digits) : '∞';
  return `${value < 0 ? '−' : '+'}${size}`;
}
