/** What the study says in words, each judgement a pure function of the measured numbers with its rule stated. */

export type Trend = 'grew' | 'stayed' | 'shrank';

/** How many steps at either end of the reference training are compared. */
export const trendSteps = 10;

/** How far the means of the first and the last gradient norms must lie apart to be called a change. */
export const trendMargin = 0.1;

/**
 * Compares the geometric mean of the last gradient norms with that of the first.
 * A ratio above 1.1 is called grown, one below 1/1.1 shrunk: a rule that treats growth and shrinking alike.
 * @param steps how many at either end; at most half of all
 */
export function gradientTrend(norms: readonly number[], steps: number): { trend: Trend; ratio: number } {
  const count = Math.max(1, Math.min(steps, Math.floor(norms.length / 2)));
  const first = geometricMean(norms.slice(0, count));
  const last = geometricMean(norms.slice(-count));
  const ratio = first === last ? 1 : last / first;
  const limit = 1 + trendMargin;
  return { trend: ratio > limit ? 'grew' : ratio < 1 / limit ? 'shrank' : 'stayed', ratio };
}

/** exp of the mean logarithm; a single zero makes it zero. */
export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** How many times a value is larger than the one before it. */
export function countRises(values: readonly number[]): number {
  return values.filter((value, i) => i > 0 && value > (values[i - 1] ?? Number.NaN)).length;
}

export function countTrue(flags: readonly boolean[]): number {
  return flags.filter((flag) => flag).length;
}

/** Whether two series agree in every single value. */
export function isSameSeries(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** Whether an error is smaller than a baseline's by more than one percent, below which it is not worth a network. */
export function beats(error: number, baseline: number): boolean {
  return error < 0.99 * baseline;
}
