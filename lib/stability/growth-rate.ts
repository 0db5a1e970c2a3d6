import { studentQuantile } from './student';

/** A mean over sequences, and how well it is known. */
export interface Estimate {
  mean: number;
  /** standard error */
  error: number;
  /** both ends of the 95 % interval, by Student's t */
  interval: [low: number, high: number];
}

/** Whether an interval says that the mean is not 0. */
export function excludesZero({ interval: [low, high] }: Estimate): boolean {
  return low > 0 || high < 0;
}

/**
 * What is known of the increments of one sequence. With ω² their long-run variance, the sum of their covariances over all lags, `mean` has the
 * variance ω²·squares about the true mean, and each of the waves has the variance ω² about 0.
 */
export interface SequenceMean {
  /** a weighted mean of the increments */
  mean: number;
  /** the sum of the squared weights */
  squares: number;
  /** the increments' products with cosines of ½, 1, 1½, … periods over the sequence, of unit length */
  waves: Float64Array;
}

/** From so many degrees of freedom an interval is little wider than it had to be. */
const ENOUGH_DEGREES = 8;

/** How many waves of each sequence are needed beside the differences between sequences; none from nine sequences on. */
export function wavesOf(sequences: number): number {
  return Math.max(0, Math.ceil((ENOUGH_DEGREES - (sequences - 1)) / sequences));
}

/**
 * The mean over sequences that do not depend on each other. Its error is taken from the differences between the sequences, and where these are
 * fewer than nine, from how the increments of each vary slowly in time as well: the mean square of their products with a few cosines estimates
 * ω² with the autocorrelation in it, with one degree of freedom a cosine (Müller 2007, doi:10.1016/j.jeconom.2007.01.019).
 */
export function meanOf(sequences: readonly SequenceMean[]): Estimate {
  const n = sequences.length;
  const mean = sequences.reduce((sum, each) => sum + each.mean, 0) / n;
  let [squares, total, degrees] = [0, 0, n - 1];
  for (const each of sequences) {
    squares += (each.mean - mean) ** 2 / each.squares;
    for (const wave of each.waves) squares += wave ** 2;
    degrees += each.waves.length;
    total += each.squares;
  }
  const error = degrees === 0 ? Number.NaN : Math.sqrt((squares / degrees) * total) / n;
  const reach = degrees === 0 ? Number.NaN : studentQuantile(degrees) * error;
  return { mean, error, interval: [mean - reach, mean + reach] };
}

/**
 * cos(π k (j + ½)/count) for k = 1, 2, … into `target`: of unit length over j = 0 … count − 1 when multiplied by √(2/count).
 */
export function cosinesAt(j: number, count: number, target: Float64Array): void {
  const cosine = Math.cos((Math.PI * (j + 0.5)) / count);
  let [before, current] = [1, cosine];
  for (let k = 0; k < target.length; k++) {
    target[k] = current;
    [before, current] = [current, 2 * cosine * current - before];
  }
}

/**
 * The least-squares slope of at least three values at steps 0, 1, 2, …, as the weighted mean of their increments that it is:
 * Σ w_j (y_j − y_{j−1}) with w_j = 6 j (n − j)/(n (n² − 1)). ln‖g‖ sums up what each step multiplies the gradient by, so it is a random walk
 * with a drift (Furstenberg, Kesten 1960, doi:10.1214/aoms/1177705909), whose increments hardly depend on each other.
 * @param waves how many, at most; there are one fewer than increments
 */
export function slopeOf(values: Float64Array, waves: number): SequenceMean {
  const n = values.length;
  const sums = new Float64Array(Math.min(waves, n - 2));
  const cosines = new Float64Array(sums.length);
  let [mean, squares] = [0, 0];
  for (let j = 1; j < n; j++) {
    const increment = (values[j] as number) - (values[j - 1] as number);
    const weight = (6 * j * (n - j)) / (n * (n * n - 1));
    mean += weight * increment;
    squares += weight ** 2;
    cosinesAt(j - 1, n - 1, cosines);
    for (let k = 0; k < sums.length; k++) sums[k] = (sums[k] as number) + (cosines[k] as number) * increment;
  }
  return { mean, squares, waves: sums.map((sum) => sum * Math.sqrt(2 / (n - 1))) };
}
