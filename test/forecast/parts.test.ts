/** What a forecast is compared by and made of, each against what is known. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { baselineForecasts, findSeason } from '../../lib/forecast/baselines';
import { compareForecasts } from '../../lib/forecast/compare';
import { errorsOf } from '../../lib/forecast/errors';
import { coverageOf, residualIntervals } from '../../lib/forecast/intervals';
import { LinearForecast, solveRidge } from '../../lib/forecast/linear-forecast';
import { readForecastOptions } from '../../lib/forecast/options';
import { prepareSeries, type StepValues } from '../../lib/forecast/scaled-series';
import { seasonSentence } from '../../lib/forecast/summary';
import { Generator } from '../../lib/random';
import { seasonalSeries } from './series';

const size = { window: 6, horizon: 3 };
const prepared = prepareSeries(seasonalSeries(300), size, false);
const { series, rows } = prepared;

describe('baselines', () => {
  const linear = LinearForecast.fit(series, rows.train, rows.validation);
  const forecasts = baselineForecasts(series, rows.test, 12, linear);

  test('the last value, and the one a season before', () => {
    const row = rows.test[5] as number;
    expect([...(forecasts.lastValue?.values.subarray(15, 18) ?? [])]).toEqual([0, 0, 0].map(() => series.value(row - 1)));
    expect([...(forecasts.seasonal?.values.subarray(15, 18) ?? [])]).toEqual([0, 1, 2].map((step) => series.value(row + step - 12)));
  });

  test('a season shorter than the horizon is repeated, and the past alone is looked at', () => {
    const { seasonal } = baselineForecasts(series, rows.test, 2, linear);
    const row = rows.test[0] as number;
    expect([...(seasonal?.values.subarray(0, 3) ?? [])]).toEqual([row - 2, row - 1, row - 2].map((at) => series.value(at)));
  });

  test('a season that the series does not go back to is the last value, which is said; where it never does there is none', async () => {
    const some = Uint32Array.of(8, 20);
    const { seasonal } = baselineForecasts(series, some, 12, linear);
    expect([...(seasonal?.values ?? [])]).toEqual([7, 7, 7, 8, 9, 10].map((row) => series.value(row)));
    expect(baselineForecasts(series, Uint32Array.of(8), 12, linear).seasonal).toBeUndefined();

    const said = async (rows: Uint32Array) =>
      seasonSentence((await compareForecasts(series, rows, { season: 12, linear }, undefined)).comparison, 12);
    expect(await said(some)).toBe('In 1 of 2 windows seasonal naive is the last value: it needs 12 rows before what is forecast.');
    expect(await said(Uint32Array.of(8, 11))).toBe('Without seasonal naive, which needs 12 rows before what is forecast.');
    expect(await said(Uint32Array.of(12, 20))).toBeUndefined();
  });

  test('linear regression finds the noise: x is y one row ahead', () => {
    const error = errorsOf(series, rows.test, forecasts.linear as StepValues);
    expect(error.rmse).toBeGreaterThan(0.25);
    expect(error.rmse).toBeLessThan(0.5);
    expect(error.rmse).toBeLessThan(0.4 * errorsOf(series, rows.test, forecasts.lastValue as StepValues).rmse);
  });

  test('linear regression uses the latest rows of a window that is too wide', () => {
    const wide = prepareSeries(seasonalSeries(2000), { window: 400, horizon: 1 }, false);
    const { state } = LinearForecast.fit(wide.series, wide.rows.train, wide.rows.validation);
    expect(state.steps).toBe(256);
    expect(state.weights[0]).toHaveLength(513);
  });

  test('the season is found, and none in noise or in what only persists', () => {
    expect(findSeason(series, prepared.trainRanges)).toBe(12);
    const generator = new Generator(3);
    const noise = seasonalSeries(300);
    noise.values.forEach((_, i) => {
      noise.values[i] = generator.normal();
    });
    const one = prepareSeries(noise, size, false);
    expect(findSeason(one.series, one.trainRanges)).toBeUndefined();
    for (let i = 2; i < 600; i++) noise.values[i] = 0.95 * (noise.values[i - 2] as number) + generator.normal();
    const times = Float64Array.from({ length: 300 }, (_, i) => i * 86_400_000);
    const walk = prepareSeries({ ...noise, times, timeStyle: { hasClock: false } }, size, false);
    expect(findSeason(walk.series, walk.trainRanges)).toBeUndefined();
  });
});

describe('solveRidge', () => {
  test('solves (XᵀX + λI) w = Xᵀy, the last one without a penalty', () => {
    // [[4, 2], [2, 3]] with λ = 1: [[5, 2], [2, 3]].
    const [weights] = solveRidge(Float64Array.of(4, 2, 2, 3), [Float64Array.of(9, 8)], 2, 1) as [number[]];
    expect(weights[0]).toBeCloseTo(1, 12);
    expect(weights[1]).toBeCloseTo(2, 12);
  });

  test('says where there is no solution', () => {
    expect(solveRidge(Float64Array.of(1, 1, 1, 1), [Float64Array.of(1, 1)], 2, 0)).toBeUndefined();
  });
});

describe('columns that drift', () => {
  test('stand relative to the last row of their window', () => {
    const { series: drifting } = prepareSeries(seasonalSeries(300, { slope: 0.2 }), size, false);
    expect(drifting.drift.every((scale) => scale !== null)).toBe(true);
    const inputs = drifting.inputs(Uint32Array.of(50, 250)).data;
    for (const i of [0, 1]) expect([...inputs.subarray(i * 12 + 10, i * 12 + 12)]).toEqual([0, 0]);
    expect(Math.max(...inputs.map(Math.abs))).toBeLessThan(4);
    expect(series.drift).toEqual([null, null]);
  });

  test('are found in the training part alone', () => {
    const late = seasonalSeries(300);
    for (let i = 2 * 215; i < 600; i++) late.values[i] = (late.values[i] as number) + 1000;
    expect(prepareSeries(late, size, false).series.drift).toEqual([null, null]);
  });
});

describe('prediction intervals', () => {
  /** [count, 1] of standard normal numbers. */
  const draws = (count: number, generator: Generator): StepValues => ({
    count,
    horizon: 1,
    values: Float64Array.from({ length: count }, () => generator.normal()),
  });
  const zeros = (count: number): StepValues => ({ count, horizon: 1, values: new Float64Array(count) });

  test('of few residuals are as wide as they are, of many the quantiles', () => {
    const few = residualIntervals(zeros(3), { count: 3, horizon: 1, values: Float64Array.of(2, -1, 5) });
    expect(few).toMatchObject({ count: 3, levels: [0.8, 0.95], low: [[-1], [-1]], high: [[5], [5]] });
    const many = residualIntervals(zeros(20_000), draws(20_000, new Generator(1)));
    expect(many.high[1]?.[0]).toBeCloseTo(1.96, 1);
    expect(many.low[0]?.[0]).toBeCloseTo(-1.28, 1);
  });

  test('hold what they say of new draws, over many samples', () => {
    const generator = new Generator(5);
    let [held80, held95] = [0, 0];
    const samples = 300;
    for (let i = 0; i < samples; i++) {
      const intervals = residualIntervals(zeros(60), draws(60, generator));
      const [at80, at95] = coverageOf(intervals, zeros(100), draws(100, generator));
      held80 += (at80?.covered ?? 0) / samples;
      held95 += (at95?.covered ?? 0) / samples;
    }
    // Conformal: at least the level, and at most 2 / (n + 1) above.
    expect(held80).toBeGreaterThan(0.79);
    expect(held80).toBeLessThan(0.8 + 2 / 61 + 0.01);
    expect(held95).toBeGreaterThan(0.94);
    expect(held95).toBeLessThan(0.95 + 2 / 61 + 0.01);
  });
});

describe('options', () => {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const config = join(folder, 'model.yaml');

  test('of the command line go before those of the file, and those before the defaults', () => {
    writeFileSync(config, 'window: 48\ncell: gru\ncolumns: [a, b]\n');
    expect(readForecastOptions({ window: 7, horizon: undefined }, config)).toMatchObject({
      window: 7,
      cell: 'gru',
      columns: ['a', 'b'],
      horizon: 1,
    });
  });

  test.each([
    ['windwo: 3', 'model.yaml: configuration: unknown option "windwo". Did you mean "window"?'],
    ['cell: lstn', 'model.yaml: cell: expected one of "rnn", "lstm", "gru", got "lstn". Did you mean "lstm"?'],
    ['window: [1', 'model.yaml, line 1, column 11: expected JSON or YAML'],
    ['', 'model.yaml: expected a configuration such as "window: 48", got a file without one'],
    ['dropout: 1', 'model.yaml: dropout: expected a finite number at least 0 and below 1, got 1'],
    ['- 1', 'model.yaml: configuration: expected an options object'],
  ])('refuse the file %j', (text, message) => {
    writeFileSync(config, text);
    expect(() => readForecastOptions({}, config)).toThrow(message);
  });
});

test('a target that never changes in training is refused', () => {
  const still = seasonalSeries(100);
  for (let i = 1; i < 200; i += 2) still.values[i] = 5;
  expect(() => prepareSeries(still, size, false)).toThrow('target: expected a column that changes, but "y" stays the same');
});
