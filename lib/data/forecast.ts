import { checkNumber, readOptions } from '../check';
import { checkTensor, type DType, type Tensor } from '../tensor';
import type { Series } from './series';
import { type Split, splitInTime } from './split';
import { makeWindows, standardize, type Windows } from './windows';

export interface ForecastError {
  /** mean squared error in standardised units, as the training loss counts it */
  mse: number;
  /** root mean squared error in the target's own unit */
  rmse: number;
}

/** A series made ready for forecasting the target's next value; all windows are standardised. */
export interface ForecastData {
  split: Split;
  train: Windows;
  validation: Windows;
  test: Windows;
  /** of the target over the training part: value = standardised · std + mean */
  mean: number;
  std: number;
  /** columns without any change over the training part, which are shifted only */
  constantColumns: string[];
  /** errors over the test part of the forecasts that need no model */
  baselines: { lastValue: ForecastError; trainingMean: ForecastError };
}

export interface ForecastOptions {
  /** time steps per window */
  window: number;
  /** by default `'float32'` */
  dtype?: DType;
}

/**
 * Splits a series in time, standardises it on the training part alone and cuts it into windows.
 * @throws EvenkeelError ERR_SHAPE when the rows are too few, ERR_NON_FINITE when a column cannot be standardised, ERR_OPTION
 */
export function prepareForecast(series: Series, options: ForecastOptions): ForecastData {
  const { window, dtype } = readOptions('prepareForecast options', options, ['window', 'dtype']) as ForecastOptions;
  const split = splitInTime(series.rows, window);
  const standardized = standardize(series, split.train);
  const mean = standardized.mean[series.target] as number;
  const std = standardized.std[series.target] as number;
  const test = makeWindows(standardized.series, { window, dtype, range: split.test });
  return {
    split,
    train: makeWindows(standardized.series, { window, dtype, range: split.train }),
    validation: makeWindows(standardized.series, { window, dtype, range: split.validation }),
    test,
    mean,
    std,
    constantColumns: standardized.constantColumns,
    baselines: { lastValue: lastValueError(test, series.target, std), trainingMean: trainingMeanError(test, std) },
  };
}

/**
 * How far forecasts are from what came.
 * @param predictions [count, 1], standardised
 * @param targets [count, 1], standardised
 * @param std the target's standard deviation, by which it was standardised
 */
export function forecastError(predictions: Tensor, targets: Tensor, std: number): ForecastError {
  checkTensor('targets', targets, undefined, ['count', 1]);
  checkTensor('predictions', predictions, targets.dtype, targets.shape);
  checkNumber('std', std, { above: 0 });
  return errorOf((i) => predictions.data[i] as number, targets, std);
}

/** The forecast that the next value is the last one: `target` is the target's column in the windows. */
function lastValueError({ inputs, targets }: Windows, target: number, std: number): ForecastError {
  const [, window, width] = inputs.shape as [number, number, number];
  return errorOf((i) => inputs.data[(i * window + window - 1) * width + target] as number, targets, std);
}

/** The forecast that the next value is the mean of the training part, which is 0 after standardising. */
function trainingMeanError({ targets }: Windows, std: number): ForecastError {
  return errorOf(() => 0, targets, std);
}

function errorOf(prediction: (i: number) => number, targets: Tensor, std: number): ForecastError {
  let squares = 0;
  for (let i = 0; i < targets.size; i++) squares += (prediction(i) - (targets.data[i] as number)) ** 2;
  const mse = squares / targets.size;
  return { mse, rmse: Math.sqrt(mse) * std };
}
