import { readSeries } from '../../lib/data/csv';
import { defaultSeries } from '../../lib/data/default-series';
import { forecastError, prepareForecast } from '../../lib/data/forecast';
import type { Series } from '../../lib/data/series';
import { Tensor } from '../../lib/tensor';

/** One column that rises by one per row, and one that falls by two. */
const ramp = (rows: number, target: number): Series => ({
  columns: ['up', 'down'],
  rows,
  values: Float64Array.from({ length: rows * 2 }, (_, i) => (i % 2 === 0 ? i / 2 : 5 - (i - 1))),
  target,
});

describe('prepareForecast', () => {
  test('standardises on the training part alone and gives every part its windows', () => {
    const {
      split,
      train,
      validation,
      test: last,
      mean,
      std,
      constantColumns,
    } = prepareForecast(ramp(40, 0), { window: 4, dtype: 'float64' });
    expect(split).toEqual({ train: { begin: 0, end: 28 }, validation: { begin: 28, end: 34 }, test: { begin: 34, end: 40 } });
    expect([mean, std]).toEqual([13.5, Math.sqrt((28 ** 2 - 1) / 12)]);
    expect(constantColumns).toEqual([]);
    expect([train, validation, last].map(({ inputs, targets, firstRow }) => [inputs.shape, targets.shape, firstRow])).toEqual([
      [[24, 4, 2], [24, 1], 4],
      [[6, 4, 2], [6, 1], 28],
      [[6, 4, 2], [6, 1], 34],
    ]);
    for (const [i, target] of last.targets.data.entries()) expect(target * std + mean).toBeCloseTo(34 + i, 12);
    for (const [i, target] of train.targets.data.entries()) expect(target * std + mean).toBeCloseTo(4 + i, 12);
  });

  test.each([
    [0, 1],
    [1, 2],
  ])('counts the baselines of column %i in its own unit and standardised', (target, step) => {
    const { baselines, std, mean } = prepareForecast(ramp(40, target), { window: 4, dtype: 'float64' });
    // The last value is always one step behind; the test part lies 34 … 39 rows from the start, the training mean at row 13.5.
    const distances = [34, 35, 36, 37, 38, 39].map((row) => (step * (row - 13.5)) ** 2);
    const meanSquare = distances.reduce((sum, square) => sum + square, 0) / 6;
    expect(mean).toBeCloseTo(target === 0 ? 13.5 : 5 - 27, 12);
    expect(baselines.lastValue).toEqual({ mse: expect.closeTo((step / std) ** 2, 12), rmse: expect.closeTo(step, 12) });
    expect(baselines.trainingMean).toEqual({
      mse: expect.closeTo(meanSquare / std ** 2, 10),
      rmse: expect.closeTo(Math.sqrt(meanSquare), 10),
    });
  });

  test('names constant columns', () => {
    const data = { ...ramp(40, 0), values: ramp(40, 0).values.map((value, i) => (i % 2 === 1 ? 3 : value)) };
    expect(prepareForecast(data, { window: 4 }).constantColumns).toEqual(['down']);
  });

  test('says how many rows it needs', () => {
    expect(() => prepareForecast(ramp(60, 0), { window: 50 })).toThrow(
      'rows: expected at least 73, so that the training part holds a window of 50',
    );
    expect(prepareForecast(ramp(73, 0), { window: 50 }).train.targets.shape).toEqual([1, 1]);
  });

  test('refuses options that it does not know', () => {
    expect(() => prepareForecast(ramp(60, 0), { window: 4, windows: 5 } as never)).toThrow(
      'unknown option "windows". Did you mean "window"?',
    );
  });
});

describe('forecastError', () => {
  test('is the mean square, and its root in the unit of the target', () => {
    const targets = Tensor.from([[1], [2], [4]], { dtype: 'float64' });
    const predictions = Tensor.from([[1], [4], [3]], { dtype: 'float64' });
    expect(forecastError(predictions, targets, 3)).toEqual({ mse: 5 / 3, rmse: 3 * Math.sqrt(5 / 3) });
    expect(forecastError(targets, targets, 3)).toEqual({ mse: 0, rmse: 0 });
  });

  test('a NaN among the predictions is not lost', () => {
    expect(forecastError(Tensor.from([[Number.NaN], [2]]), Tensor.from([[1], [2]]), 1).mse).toBeNaN();
  });

  test.each([
    [Tensor.zeros([3]), Tensor.zeros([3, 1]), 1, 'predictions: expected shape [3, 1], got [3]'],
    [Tensor.zeros([3, 1]), Tensor.zeros([3]), 1, 'targets: expected shape [count, 1], got [3]'],
    [Tensor.zeros([3, 1], { dtype: 'float64' }), Tensor.zeros([3, 1]), 1, 'predictions: expected a float32 tensor'],
    [Tensor.zeros([3, 1]), Tensor.zeros([3, 1]), 0, 'std: expected a finite number above 0, got 0'],
  ])('refuses what does not fit (case %#)', (predictions, targets, std, message) => {
    expect(() => forecastError(predictions, targets, std)).toThrow(message);
  });
});

describe('the default series', () => {
  const { path, target } = defaultSeries();
  const series = readSeries(path, { target });

  test('is four columns of daily weather, none missing', () => {
    expect(series).toMatchObject({
      columns: ['precipitation', 'temp_max', 'temp_min', 'wind'],
      rows: 1461,
      target: 1,
      ignored: ['date', 'weather'],
    });
    expect([...series.values.subarray(0, 8)]).toEqual([0, 12.8, 5, 4.7, 10.9, 10.6, 2.8, 4.5]);
    expect([...series.values.subarray(-4)]).toEqual([0, 5.6, -2.1, 3.5]);
  });

  test('has baselines of the size that the weather of a day ahead has', () => {
    const { baselines, mean, std } = prepareForecast(series, { window: 50 });
    // From NumPy on the same file and split.
    expect([mean, std]).toEqual([expect.closeTo(16.450928641251, 9), expect.closeTo(7.404978155516, 9)]);
    expect(baselines.lastValue.rmse).toBeCloseTo(2.929218263411, 5);
    expect(baselines.trainingMean.rmse).toBeCloseTo(8.703652242659, 5);
  });
});
