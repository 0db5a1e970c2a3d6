import { checkInteger, checkNumber, fail, readOptions, readSafely } from '../check';
import { checkLengths } from '../lengths';
import { checkTensor, Tensor } from '../tensor';
import { copyOfArray, typedArrayKind } from '../typed-arrays';
import { makeMetric } from './make-metric';
import type { Metric, MetricAccumulator, MetricOptions } from './metric';

/** The mean absolute error, (1/n) Σ |output − target|. */
export const mae: Metric = meanOf((output, target) => Math.abs(output - target));

/** The root of the mean squared error, √((1/n) Σ (output − target)²): of the whole set, not a mean of batches' roots. */
export const rmse: Metric = meanOf((output, target) => (output - target) ** 2, Math.sqrt);

/** The mean absolute percentage error, (100/n) Σ |output − target| / |target|, in percent; infinite where a target is 0 and its output is not. */
export const mape: Metric = meanOf((output, target) => ratio(100 * Math.abs(output - target), Math.abs(target)));

/** The symmetric one, (200/n) Σ |output − target| / (|output| + |target|), from 0 to 200, as in the M4 competition. */
export const smape: Metric = meanOf((output, target) => ratio(200 * Math.abs(output - target), Math.abs(output) + Math.abs(target)));

/** Options of {@link mase}. */
export interface MaseOptions {
  /** over how many steps the series repeats itself; 1 unless given, which compares with the last value */
  season?: number;
}

/**
 * The mean absolute scaled error (Hyndman, Koehler 2006): the mean absolute error divided by that of the seasonal naive forecast over the training
 * series, (1/(n − m)) Σ |y_t − y_{t−m}|. Below 1 a forecast is better than that.
 * @param training the values of the training series, in the targets' unit
 * @throws EvenkeelError ERR_OPTION for a series that is too short, or constant
 */
export function mase(training: Tensor | Float32Array | Float64Array | readonly number[], options: MaseOptions = {}): Metric {
  const season = checkInteger('season', readOptions('mase options', options, ['season'], { season: 1 }).season, 1);
  const values = readSeries(training);
  if (values.length <= season) fail('ERR_OPTION', 'training', `more than the ${season} values of a season`, `${values.length} of them`);
  let sum = 0;
  for (let t = season; t < values.length; t++) sum += Math.abs((values[t] as number) - (values[t - season] as number));
  const scale = sum / (values.length - season);
  if (!(scale > 0)) fail('ERR_OPTION', 'training', 'a series that changes', 'a constant one', 'Nothing can be scaled by an error of 0.');
  return meanOf((output, target) => Math.abs(output - target) / scale);
}

/**
 * The coefficient of determination, 1 − Σ (output − target)² / Σ (target − mean)², of each of the last dimension's elements by itself, and their
 * mean, as scikit-learn's r2_score. 1 is best, 0 what the mean itself gives; of a target that is constant it is −Infinity, or NaN without an error.
 */
export const r2: Metric = makeMetric('max', () => new Determination());

function meanOf(term: (output: number, target: number) => number, finish: (mean: number) => number = (mean) => mean): Metric {
  return makeMetric('min', () => {
    let sum = 0;
    let count = 0;
    return {
      add(output, target, options) {
        count += eachElement(output, target, options, (o, t) => {
          sum += term(o, t);
        });
      },
      value: () => finish(sum / count),
    };
  });
}

/** 0 where there is nothing to divide. */
function ratio(part: number, whole: number): number {
  return part === 0 ? 0 : part / whole;
}

/** Sums of squares about the mean, merged as they come: Σ y² − n ȳ² would lose a small variance beside a large mean. */
class Determination implements MetricAccumulator {
  #columns: { count: number; mean: number; spread: number; errors: number }[] = [];

  add(output: Tensor, target: Tensor, options?: MetricOptions): void {
    eachElement(output, target, options, (o, t, column) => {
      this.#columns[column] ??= { count: 0, mean: 0, spread: 0, errors: 0 };
      const seen = this.#columns[column];
      seen.count++;
      const before = t - seen.mean;
      seen.mean += before / seen.count;
      seen.spread += before * (t - seen.mean);
      seen.errors += (o - t) ** 2;
    });
  }

  value(): number {
    return this.#columns.reduce((sum, { spread, errors }) => sum + (1 - errors / spread), 0) / this.#columns.length;
  }
}

/**
 * Goes through the elements that count.
 * @returns how many there are
 * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_STATE
 */
function eachElement(
  output: unknown,
  target: unknown,
  options: unknown,
  take: (output: number, target: number, column: number) => void,
): number {
  const { shape, data, dtype, size } = checkTensor('output', output);
  const wanted = checkTensor('target', target, dtype, shape).data;
  const lengths = options === undefined ? undefined : checkLengths(readOptions('metric options', options, ['lengths']).lengths, shape);
  const width = shape.length > 1 ? (shape.at(-1) as number) : 1;
  const [, steps = 1] = shape;
  let count = 0;
  for (let i = 0; i < size; i++) {
    const row = Math.floor(i / width);
    if (lengths !== undefined && row % steps >= (lengths[Math.floor(row / steps)] as number)) continue;
    take(data[i] as number, wanted[i] as number, i % width);
    count++;
  }
  return count;
}

/** More values than memory holds; an array may claim more. */
const MOST = 2 ** 28;

function readSeries(series: unknown): ArrayLike<number> {
  if (Tensor.isTensor(series)) return checkTensor('training', series).data.slice();
  const kind = typedArrayKind(series);
  if (kind === 'Float32Array' || kind === 'Float64Array') return copyOfArray(series as Float64Array);
  const values = readSafely('training', () => (Array.isArray(series) && series.length <= MOST ? Array.from<unknown>(series) : undefined));
  if (values === undefined) fail('ERR_OPTION', 'training', 'a Tensor or an array of numbers', series);
  return values.map((value, i) => checkNumber(`training[${i}]`, value));
}
