import { fail } from '../check';
import { EvenkeelError } from '../errors';
import type { Tensor } from '../tensor';
import { typedArrayKind, typedArrayLength } from '../typed-arrays';
import { growthRate } from './growth-rate';

/** What becomes of a gradient on its way back through a sequence, see {@link Growth}. */
export type Verdict = 'exploding' | 'vanishing' | 'stable';

/** How a gradient grows on its way back through time. */
export interface Growth {
  /**
   * Growth of ln‖∂L/∂h_t‖ per step backwards: its least-squares slope over the distance T − t. Above 0 the gradient grows on its way to
   * earlier steps. −Infinity where it is zero before three steps are there to measure.
   */
  growthRate: number;
  /** The standard error of the rate over other inputs of the same kind; NaN for a rate of −Infinity. */
  growthRateError: number;
  /**
   * `'exploding'` or `'vanishing'` when both hold: the rate is more than twice its error away from 0, so that chance alone is an unlikely
   * reason (about 1 in 20), and over the T steps of this sequence it makes more than a factor of 100, |rate|·T > ln 100, so that it
   * matters. Else `'stable'`, which says nothing of longer sequences: see the horizon. A gradient that is exactly zero somewhere is vanishing.
   */
  verdict: Verdict;
  /**
   * The distance T − t, in steps, at which ‖∂L/∂h_t‖ leaves the range of float32, above 3.4·10³⁸ or below 1.2·10⁻³⁸ (smaller numbers are
   * flushed to zero): where it was seen to, else by the fitted line. Infinity when the rate cannot be told from 0.
   */
  horizon: number;
}

/** The gradient flow through a part of a layer's state, such as an LSTM's c. */
export interface PartFlow extends Growth {
  /** ln of the norm of the gradient by this part for t = 1 … T, over all sequences; −Infinity where it is zero */
  logNorms: Float64Array;
}

/** The gradient flow through one recurrent layer. */
export interface LayerFlow extends Growth {
  /** the layer's name in the model */
  name: string;
  /** ln‖∂L/∂h_t‖ for t = 1 … T, over all sequences, of an LSTM by its whole state (h, c); −Infinity where the gradient is zero */
  logNorms: Float64Array;
  /** of an LSTM and at least four steps: the same by h and by c apart */
  parts?: Record<string, PartFlow>;
  /** on request, the same for each sequence alone [N, T] */
  sequenceLogNorms?: Tensor;
}

/** What gradientFlow returns. */
export interface GradientFlow {
  /** one entry per recurrent layer, in the model's order */
  layers: LayerFlow[];
}

/** A change by less than this factor over a whole sequence is called stable. */
const SIGNIFICANT_FACTOR = 100;
/** How many standard errors a significant rate is away from 0. */
const SIGNIFICANT_ERRORS = 2;

const LARGEST = Math.log(2 ** 128 - 2 ** 104);
const SMALLEST = Math.log(2 ** -126);

/**
 * Judges a course of gradient norms.
 * @param logNorms ln‖∂L/∂h_t‖ for t = 1 … T, at least three; −Infinity where the gradient is zero. From a zero on backwards nothing of
 *   the last steps arrives: the rate is that of the steps after it.
 * @throws EvenkeelError ERR_DTYPE for anything but a Float64Array, ERR_SHAPE for fewer than three, ERR_NON_FINITE for NaN or +Infinity
 */
export function describeGrowth(logNorms: Float64Array): Growth {
  checkLogNorms(logNorms);
  const steps = logNorms.length;
  // By distance from the last step, up to the first zero.
  const zero = logNorms.lastIndexOf(Number.NEGATIVE_INFINITY);
  const values = logNorms.slice(zero + 1).reverse();
  if (values.length < 3) {
    const nothing = { growthRate: Number.NEGATIVE_INFINITY, growthRateError: Number.NaN };
    return { ...nothing, verdict: 'vanishing', horizon: leavesRange(values) ?? values.length };
  }
  const { rate, error, start } = growthRate(values);
  const isSignificant = Math.abs(rate) > SIGNIFICANT_ERRORS * error;
  const isLarge = Math.abs(rate) * steps > Math.log(SIGNIFICANT_FACTOR);
  const trend = rate > 0 ? 'exploding' : 'vanishing';
  return {
    growthRate: rate,
    growthRateError: error,
    verdict: zero >= 0 ? 'vanishing' : isSignificant && isLarge ? trend : 'stable',
    horizon:
      leavesRange(values) ?? (zero >= 0 ? values.length : isSignificant ? extrapolate(start, rate, steps) : Number.POSITIVE_INFINITY),
  };
}

function checkLogNorms(logNorms: Float64Array): void {
  if (typedArrayKind(logNorms) !== 'Float64Array') fail('ERR_DTYPE', 'logNorms', 'a Float64Array', logNorms);
  const length = typedArrayLength(logNorms);
  if (length < 3) {
    throw new EvenkeelError(
      'ERR_SHAPE',
      `logNorms: expected at least 3 time steps, got ${length}: a rate with its error needs two increments.`,
    );
  }
  const broken = logNorms.findIndex((value) => Number.isNaN(value) || value === Number.POSITIVE_INFINITY);
  if (broken >= 0) {
    throw new EvenkeelError(
      'ERR_NON_FINITE',
      `logNorms: expected finite numbers or -Infinity, got ${logNorms[broken]} at step ${broken + 1}.`,
    );
  }
}

/** The first distance whose norm is out of range, if there is one. */
function leavesRange(values: Float64Array): number | undefined {
  const distance = values.findIndex((value) => value > LARGEST || value < SMALLEST);
  return distance < 0 ? undefined : distance;
}

/** The distance at which a line leaves the range that it has not left within the steps measured. */
function extrapolate(start: number, rate: number, steps: number): number {
  return Math.max(steps, Math.ceil(((rate > 0 ? LARGEST : SMALLEST) - start) / rate));
}
