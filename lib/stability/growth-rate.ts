/** How fast a logarithm grows per step, and how well that is known. */
export interface GrowthRate {
  /** least-squares slope per step */
  rate: number;
  /** standard error of the slope */
  error: number;
  /** the fitted line at the first value */
  start: number;
}

/**
 * The least-squares line through at least three values at steps 0, 1, 2, …
 *
 * Its error is not that of independent residuals. ln‖g‖ sums up what each step multiplies the gradient by, so it is a random walk with a
 * drift (Furstenberg, Kesten 1960, doi:10.1214/aoms/1177705909): its residuals about any line stay on one side for long, and the textbook's
 * error is many times too small. Its increments, though, hardly depend on each other. The slope is a weighted sum of the increments,
 * Σ w_j (y_j − y_{j−1}) with w_j = 6 j (n − j)/(n (n² − 1)), and the variance of that sum is estimated from the increments about the slope after
 * Newey and West (1987, doi:10.2307/1913610) with ⌊n^{1/3}⌋ lags, so that increments may be correlated with their neighbours. On values that
 * scatter independently about a line, which ln‖g‖ does not, it is too large: it errs on the side of caution.
 */
export function growthRate(values: Float64Array): GrowthRate {
  const n = values.length;
  const weight = (j: number): number => (6 * j * (n - j)) / (n * (n * n - 1));
  const increment = (j: number): number => (values[j] as number) - (values[j - 1] as number);
  let rate = 0;
  let mean = (values[0] as number) / n;
  for (let j = 1; j < n; j++) {
    rate += weight(j) * increment(j);
    mean += (values[j] as number) / n;
  }
  const terms = new Float64Array(n - 1);
  for (let j = 1; j < n; j++) terms[j - 1] = weight(j) * (increment(j) - rate);
  // The rate was estimated from the same increments, which brings them nearer to it than to the true one.
  const variance = (longRunSquares(terms, Math.floor(Math.cbrt(n))) * (n - 1)) / (n - 2);
  return { rate, error: Math.sqrt(Math.max(0, variance)), start: mean - (rate * (n - 1)) / 2 };
}

/** Σ_j Σ_k x_j x_k (1 − |j − k|/(lags + 1)) over neighbours at most `lags` apart: the Bartlett kernel, with which it is never negative. */
function longRunSquares(x: Float64Array, lags: number): number {
  let sum = 0;
  for (let lag = 0; lag <= Math.min(lags, x.length - 1); lag++) {
    let products = 0;
    for (let j = lag; j < x.length; j++) products += (x[j] as number) * (x[j - lag] as number);
    sum += (lag === 0 ? 1 : 2 * (1 - lag / (lags + 1))) * products;
  }
  return sum;
}
