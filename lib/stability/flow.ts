import { EvenkeelError, formatShape } from '../errors';
import type { Tensor } from '../tensor';
import { type Estimate, excludesZero, meanOf, slopeOf, wavesOf } from './growth-rate';
import { type Course, horizonOf, measurable, settled } from './horizon';

/** What becomes of a gradient on its way back through a sequence, or of a state on its way on, see {@link Growth}. */
export type Verdict = 'exploding' | 'vanishing' | 'stable';

/** How a gradient grows on its way back through time, or a state on its way on. */
export interface Growth {
  /**
   * Growth of ln‖∂L/∂h_t‖ of a sequence per step backwards, the mean over the sequences: each one's least-squares slope over the distance
   * T − t. Above 0 the gradient grows on its way to earlier steps. It estimates the largest Lyapunov exponent. The first quarter of the
   * distance is left out: there the gradient turns into the directions that grow most. −Infinity where it is zero before there are three
   * steps to measure.
   */
  growthRate: number;
  /**
   * Its standard error over other inputs of the same kind, for the same weights: from the differences between sequences, which must not depend on
   * each other; of fewer than nine, from the autocorrelation in time as well. NaN for a rate of −Infinity.
   */
  growthRateError: number;
  /** both ends of its 95 % interval, by Student's t */
  growthRateInterval: [low: number, high: number];
  /**
   * The same slope of ln of the norm over all sequences together, in which the largest gradient counts for nearly all: what a clip by the
   * norm of a batch sees. It lies above `growthRate` by as much as the sequences drift apart, and estimates no exponent.
   */
  batchGrowthRate: number;
  /**
   * `'exploding'` or `'vanishing'` when both hold: 0 lies outside of the rate's interval, so that chance alone is an unlikely reason (less
   * than 1 in 20), and over the T steps of this sequence the rate makes more than a factor of 100, |rate|·T > ln 100, so that it
   * matters. Else `'stable'`, which says nothing of longer sequences: see the horizon. A gradient that becomes exactly zero in most
   * sequences is vanishing.
   */
  verdict: Verdict;
  /**
   * The distance T − t, in steps, at which ‖∂L/∂h_t‖ of a sequence leaves the range of float32, above 3.4·10³⁸ or below 1.2·10⁻³⁸ (smaller
   * numbers are flushed to zero), in the sequences' geometric mean: where it was seen to, else by the rate. Infinity when the rate cannot be
   * told from 0.
   */
  horizon: number;
  /**
   * The 95 % interval of the horizon over other inputs of the same kind, by what is not known of the rate and of the level that it starts from; it
   * ends at Infinity where the rate's holds 0. The horizon itself where a gradient becomes exactly zero.
   */
  horizonInterval: [low: number, high: number];
}

/** The gradient flow through a layer's state, or a part of it, such as an LSTM's c. */
export interface PartFlow extends Growth {
  /** ln of the norm of the gradient for t = 1 … T, over all sequences, of an LSTM by its whole state (h, c); −Infinity where it is zero */
  logNorms: Float64Array;
}

/** The gradient flow through one recurrent layer. */
export interface LayerFlow extends PartFlow {
  /** the layer's name in the model; of several layers or directions that of each, such as `rnn.l1_reverse` */
  name: string;
  /**
   * How the states go on, from step 1 to T: ln‖h_t‖, of an LSTM (h, c). `'exploding'` says that they grow by more than a factor of 100 over the
   * sequence, which no loss and no clip sees where a normalisation stands after the layer; its horizon is the step at which they leave float32.
   */
  states: PartFlow;
  /** of an LSTM: the same by h and by c apart */
  parts?: Record<string, PartFlow>;
  /** on request, ln‖∂L/∂h_t‖ of each sequence alone [N, T] */
  sequenceLogNorms?: Tensor;
}

/** What gradientFlow returns. */
export interface GradientFlow {
  /** one entry per recurrent layer, of a stack for each layer and direction, in the model's order */
  layers: LayerFlow[];
}

/** A change by less than this factor over a whole sequence is called stable. */
const SIGNIFICANT_FACTOR = 100;

/**
 * Describes a course of norms.
 * @param sequenceLogNorms ln of each sequence's norm for t = 1 … T [N, T], at least three steps; −Infinity where it is zero, and beyond a
 *   sequence's length. From a zero on nothing arrives: the rate is that of the steps before it.
 * @param way from the last step on, as gradients go, or from the first one, as states do
 * @param lengths of the sequences, where not all go on to the last step
 * @throws EvenkeelError ERR_SHAPE for fewer than three steps, ERR_NON_FINITE for NaN or +Infinity
 */
export function describeCourse(sequenceLogNorms: Tensor, way: 'backwards' | 'forwards', lengths?: readonly number[]): PartFlow {
  const { data, shape } = sequenceLogNorms;
  const [n, t] = shape as [number, number];
  checkLogNorms(sequenceLogNorms);
  const logNorms = overSequences(sequenceLogNorms);
  const courses = Array.from({ length: n }, (_, row) => courseOf(data.subarray(row * t, row * t + (lengths?.[row] ?? t)), way));
  const batch = courseOf(logNorms, way).values;
  const batchGrowthRate = batch.length < 3 ? Number.NEGATIVE_INFINITY : slopeOf(settled(batch), 0).mean;
  return { logNorms, ...describeGrowth(courses, t), batchGrowthRate };
}

function describeGrowth(courses: readonly Course[], steps: number): Omit<Growth, 'batchGrowthRate'> {
  const vanishes = courses.filter(({ endsInZero }) => endsInZero).length > courses.length / 2;
  const measured = measurable(courses);
  const rate = measured.length === 0 ? noRate(vanishes) : rateOf(measured);
  const { mean, interval } = rate;
  const isLarge = Math.abs(mean) * steps > Math.log(SIGNIFICANT_FACTOR);
  const trend = mean > 0 ? 'exploding' : 'vanishing';
  return {
    growthRate: mean,
    growthRateError: rate.error,
    growthRateInterval: interval,
    verdict: vanishes ? 'vanishing' : excludesZero(rate) && isLarge ? trend : 'stable',
    ...horizonOf(courses, rate, { steps, vanishes }),
  };
}

function rateOf(courses: readonly Float64Array[]): Estimate {
  const waves = wavesOf(courses.length);
  return meanOf(courses.map((values) => slopeOf(settled(values), waves)));
}

function noRate(vanishes: boolean): Estimate {
  const mean = vanishes ? Number.NEGATIVE_INFINITY : Number.NaN;
  return { mean, error: Number.NaN, interval: [mean, mean] };
}

function checkLogNorms({ data, shape }: Tensor): void {
  if (shape.length !== 2 || (shape[1] as number) < 3) {
    throw new EvenkeelError(
      'ERR_SHAPE',
      `logNorms: expected [N, T] with at least 3 time steps, got ${formatShape(shape)}: a rate with its error needs two increments.`,
    );
  }
  const broken = data.findIndex((value) => Number.isNaN(value) || value === Number.POSITIVE_INFINITY);
  if (broken >= 0) {
    throw new EvenkeelError(
      'ERR_NON_FINITE',
      `logNorms: expected finite numbers or -Infinity, got ${data[broken]} at step ${(broken % (shape[1] as number)) + 1}.`,
    );
  }
}

function courseOf(logNorms: Float64Array | Float32Array, way: 'backwards' | 'forwards'): Course {
  const all = Float64Array.from(logNorms);
  if (way === 'backwards') all.reverse();
  // A gradient begins at its sequence's end, which may lie before the last step.
  const begin = all.findIndex((value) => value !== Number.NEGATIVE_INFINITY);
  if (begin < 0) return { values: new Float64Array(0), endsInZero: true };
  const end = all.indexOf(Number.NEGATIVE_INFINITY, begin);
  return { values: all.slice(begin, end < 0 ? undefined : end), endsInZero: end >= 0 };
}

/** ln√(Σ_n ‖g_n‖²) for each step, from ln‖g_n‖ [N, T]: in units of the largest, since the norms themselves may be out of range. */
function overSequences({ data, shape }: Tensor): Float64Array {
  const [n, t] = shape as [number, number];
  return Float64Array.from({ length: t }, (_, step) => {
    let largest = Number.NEGATIVE_INFINITY;
    for (let sequence = 0; sequence < n; sequence++) largest = Math.max(largest, data[sequence * t + step] as number);
    if (!Number.isFinite(largest)) return largest;
    let sum = 0;
    for (let sequence = 0; sequence < n; sequence++) sum += Math.exp(2 * ((data[sequence * t + step] as number) - largest));
    return largest + 0.5 * Math.log(sum);
  });
}
