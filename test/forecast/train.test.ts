/** From a file to a model in a folder, and back. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSeries } from '../../lib/data/csv';
import { forecastCharts } from '../../lib/forecast/charts';
import { evaluateForecaster } from '../../lib/forecast/evaluate';
import { readForecaster, scaleFor } from '../../lib/forecast/forecaster';
import { networkForecast } from '../../lib/forecast/network';
import { readForecastOptions } from '../../lib/forecast/options';
import { renderForecast } from '../../lib/forecast/page';
import { predictionsCsv, predictNext } from '../../lib/forecast/predict';
import type { Excerpt, ForecastResults } from '../../lib/forecast/results';
import { formatForecast } from '../../lib/forecast/terminal';
import { prepareTraining, runTraining } from '../../lib/forecast/train';
import type { Progress } from '../../lib/progress';
import { expectWellFormed } from '../report/well-formed';
import { csvOf, seasonalSeries } from './series';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const silent: Progress = { begin() {}, advance() {}, end() {} };
const original = seasonalSeries(300);
writeFileSync(at('data.csv'), csvOf(original));
const small = { target: 'y', time: 'day', window: 8, horizon: 3, hidden: 8, epochs: 6, learningRate: 0.01 };

async function train(name: string, given: object = small, file = 'data.csv', progress = silent, signal = new AbortController().signal) {
  const options = readForecastOptions(given as Record<string, unknown>);
  mkdirSync(at(name), { recursive: true });
  return runTraining(await prepareTraining(at(file), options, at(name)), progress, signal);
}
const bytes = (name: string, file: string) => readFileSync(join(at(name), file));

let results: ForecastResults;
beforeAll(async () => {
  results = await train('run');
});

describe('training', () => {
  test('beats the last value on what has a season', () => {
    expect(results).toMatchObject({
      interrupted: false,
      season: null,
      windows: { train: 200, validation: 43, test: 43 },
      training: { ended: 'epochs', steps: 6 * 7 },
      data: { target: 'y', columns: ['x', 'y'], drifting: [], gaps: 0, times: ['2024-01-01', '2024-10-26'] },
    });
    expect(results.test.model?.rmse).toBeLessThan(0.6 * (results.test.baselines.lastValue?.rmse ?? 0));
    expect(results.training.validationLoss).toHaveLength(6);
    expect(results.excerpts.map(({ step }) => step)).toEqual([1, 3]);
  });

  test('has the same weights whatever the test part holds, and the same scaler whatever the others hold', async () => {
    const changed = seasonalSeries(300);
    for (let i = 2 * 255; i < 600; i++) changed.values[i] = -7 * (changed.values[i] as number);
    writeFileSync(at('changed.csv'), csvOf(changed));
    await train('other-test', small, 'changed.csv');
    expect(bytes('other-test', 'model.safetensors').equals(bytes('run', 'model.safetensors'))).toBe(true);
    for (let i = 2 * 210; i < 600; i++) changed.values[i] = 3 * (changed.values[i] as number);
    writeFileSync(at('changed.csv'), csvOf(changed));
    await train('other-validation', { ...small, epochs: 1 }, 'changed.csv');
    const parts = (name: string) => {
      const { scaler, changeScale, drift } = JSON.parse(bytes(name, 'forecaster.json').toString());
      return { scaler, changeScale, drift };
    };
    expect(parts('other-validation')).toEqual(parts('run'));
  });

  test('goes on where it was ended, to the same weights', async () => {
    const controller = new AbortController();
    let steps = 0;
    const stopping: Progress = {
      ...silent,
      advance() {
        if (++steps === 20) controller.abort('SIGINT');
      },
    };
    const part = await train('stopped', small, 'data.csv', stopping, controller.signal);
    expect(part).toMatchObject({ interrupted: true, training: { ended: 'interrupted' } });
    expect(part.training.validationLoss).toHaveLength(2);
    expect(part.test.model?.rmse).toBeGreaterThan(0);
    expect(existsSync(join(at('stopped'), 'forecaster.json'))).toBe(true);
    cpSync(at('stopped'), at('damaged'), { recursive: true });

    const whole = await train('stopped');
    expect(whole.training).toEqual(results.training);
    expect(whole.test).toEqual(results.test);
    expect(bytes('stopped', 'model.safetensors').equals(bytes('run', 'model.safetensors'))).toBe(true);
    expect(steps).toBe(20);
    // The newest is there for more epochs.
    expect(['checkpoint', 'checkpoint.best'].map((file) => existsSync(join(at('stopped'), `${file}.safetensors`)))).toEqual([true, false]);
  });

  test('that has ended is not made again', async () => {
    let steps = 0;
    const counting: Progress = {
      ...silent,
      advance() {
        steps++;
      },
    };
    const again = await train('run', small, 'data.csv', counting);
    expect([steps, again.training]).toEqual([0, results.training]);
  });

  test('of more epochs goes on, to the same weights as if they had been given at once', async () => {
    await train('more', { ...small, epochs: 3 });
    const more = await train('more');
    expect(more.training).toEqual(results.training);
    expect(more.test).toEqual(results.test);
    expect(bytes('more', 'model.safetensors').equals(bytes('run', 'model.safetensors'))).toBe(true);
  });

  test('of other options or data is not taken for this one', async () => {
    const refused = (given: object, message: string, file = 'data.csv') =>
      expect(train('run', given, file)).rejects.toThrow(`expected ${message}. Choose another --out, or train anew with --restart.`);
    await refused({ ...small, hidden: 9 }, 'a training with --hidden 9, got one with --hidden 8');
    await refused({ ...small, batchSize: 5 }, 'a training with --batch-size 5, got one with --batch-size 32');
    await refused({ ...small, season: 7 }, 'a training with --season 7, got one with --season not given');
    await refused({ ...small, target: undefined }, 'a training with --target not given, got one with --target "y"');
    await refused({ ...small, epochs: 5 }, 'a training of at most 5 --epochs, got one of 6');
    await refused(small, 'the training of this data, got one of other data', 'changed.csv');
  });

  test('whose state is damaged is refused', async () => {
    for (const [text, got] of [
      ['', 'something else'],
      ['{"schema":"evenkeel/forecast-training 3","options":[],"data":"0"}', 'something else'],
      ['[]', 'something else'],
      ['null', 'something else'],
      ['{"schema":"evenkeel/forecast-training 2","trainLoss":[1]}', 'that of another version of evenkeel, evenkeel/forecast-training 2'],
    ] as const) {
      writeFileSync(join(at('damaged'), 'training.json'), text);
      const message = `expected the state of a training, got ${got}. Choose another --out, or train anew with --restart.`;
      await expect(train('damaged')).rejects.toMatchObject({ code: 'ERR_FILE', message: expect.stringContaining(message) });
    }
  });

  test('whose newest checkpoint is damaged goes on from the one before it, to the same weights', async () => {
    cpSync(at('run'), at('cut'), { recursive: true });
    const file = join(at('cut'), 'checkpoint.safetensors');
    truncateSync(file, 100);
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const again = await train('cut');
    expect(warn.mock.calls).toEqual([[expect.stringContaining('The file is damaged'), { code: 'EVENKEEL_CHECKPOINT' }]]);
    warn.mockRestore();
    expect(again.training).toEqual(results.training);
    expect(bytes('cut', 'model.safetensors').equals(bytes('run', 'model.safetensors'))).toBe(true);
  });

  test('does not go on from a checkpoint of which nothing says whose it is', async () => {
    cpSync(at('run'), at('unsigned'), { recursive: true });
    rmSync(join(at('unsigned'), 'training.json'));
    let steps = 0;
    await train('unsigned', { ...small, epochs: 1, seed: 2 }, 'data.csv', { ...silent, advance: () => void steps++ });
    expect(steps).toBe(7);
  });

  test('that loses patience ends with the weights of the best epoch', async () => {
    const options = { ...small, epochs: 60, patience: 1, learningRate: 0.2 };
    const { training } = await train('impatient', options);
    const { validationLoss, bestEpoch } = training;
    expect([training.ended, validationLoss.length]).toEqual(['patience', bestEpoch + 1]);
    expect(validationLoss[bestEpoch - 1]).toBe(Math.min(...validationLoss));
    await train('until-best', { ...options, patience: 60, epochs: bestEpoch });
    expect(bytes('impatient', 'model.safetensors').equals(bytes('until-best', 'model.safetensors'))).toBe(true);
    expect((await train('impatient', { ...options, epochs: 90 })).training).toEqual(training);
  });

  test('that is stopped before its first epoch has ended says so', async () => {
    const none = await train('early', small, 'data.csv', silent, AbortSignal.abort('SIGINT'));
    expect(none).toMatchObject({ interrupted: true, training: { bestEpoch: 0 }, excerpts: [] });
    expect(none.test.model).toBeUndefined();
    expect(formatForecast(none)).toContain('No epoch of training had ended: there is no model yet.');
    expect(() => readForecaster(at('early'))).toThrow(
      'A training writes it at its end, or at Ctrl-C once an epoch has ended: the same command goes on.',
    );
    expect((await renderForecast(none)).page).toContain('No epoch of training had ended');
  });
});

describe('a trained forecast', () => {
  const reading = { target: 'y', time: 'day' };

  test('predicts beyond the end what it forecast at that row in the back-test', async () => {
    const forecaster = readForecaster(at('run'));
    writeFileSync(at('cut.csv'), csvOf({ ...original, rows: 280 }));
    const series = scaleFor(forecaster, readSeries(at('cut.csv'), reading), 'error');
    const predictions = predictNext(forecaster, series);
    const whole = scaleFor(forecaster, readSeries(at('data.csv'), reading), 'error');
    const { values } = await networkForecast(forecaster.model, whole, Uint32Array.of(280), forecaster.changeScale);
    expect(predictions.map(({ forecast }) => forecast)).toEqual([...values].map((value) => whole.inUnit(280, value)));
    expect(predictions.map(({ time, step }) => [time, step])).toEqual([
      ['2024-10-07', 1],
      ['2024-10-08', 2],
      ['2024-10-09', 3],
    ]);
    for (const { forecast, intervals } of predictions) {
      const [narrow, wide] = intervals as unknown as [{ low: number; high: number }, { low: number; high: number }];
      expect([wide.low <= narrow.low, narrow.low < forecast, forecast < narrow.high, narrow.high <= wide.high]).toEqual([
        true,
        true,
        true,
        true,
      ]);
    }
    const csv = predictionsCsv(forecaster, predictions).split('\n');
    expect(csv[0]).toBe('day,step,y,low_80,high_80,low_95,high_95');
    expect(csv[1]).toMatch(/^2024-10-07,1,[\d.]+(,-?[\d.]+){4}$/);
  });

  test('is tested on other data against the same baselines', async () => {
    const forecaster = readForecaster(at('run'));
    const file = readSeries(at('data.csv'), reading);
    const { evaluation } = await evaluateForecaster(forecaster, scaleFor(forecaster, file, 'error'), 'data.csv');
    expect(evaluation.count).toBe(300 - 8 - 2);
    expect(Object.keys(evaluation.baselines)).toEqual(['lastValue', 'linear']);
    expect(evaluation.model?.rmse).toBeLessThan(evaluation.baselines.lastValue?.rmse ?? 0);
    writeFileSync(at('short.csv'), csvOf({ ...original, rows: 10 }));
    const short = scaleFor(forecaster, readSeries(at('short.csv'), reading), 'error');
    await expect(evaluateForecaster(forecaster, short, 'short.csv')).rejects.toThrow('expected at least 11 rows in a series');
  });

  test('whose file is damaged or foreign is refused', () => {
    cpSync(at('run'), at('foreign'), { recursive: true });
    const file = join(at('foreign'), 'forecaster.json');
    const state = JSON.parse(readFileSync(file, 'utf8'));
    const wrongs: [object | string, string][] = [
      ['{', 'expected JSON'],
      [{ ...state, schema: 'evenkeel/forecaster 2' }, 'Another version of evenkeel wrote it'],
      [{ ...state, more: 1 }, 'unknown option "more"'],
      [{ ...state, options: { ...state.options, window: 0 } }, 'window: expected an integer'],
      [{ ...state, target: 'z' }, 'target: expected one of the columns'],
      [{ ...state, drift: [0, null] }, 'drift: expected 2 times a number above 0 or null'],
      [{ ...state, linear: { ...state.linear, weights: [[1]] } }, 'linear.weights: expected 3 x 17 finite numbers'],
      [{ ...state, intervals: { ...state.intervals, low: [] } }, 'intervals: expected { count, levels, low, high } for 3 steps'],
      [{ ...state, changeScale: null }, 'changeScale: expected a finite number above 0'],
    ];
    for (const [wrong, message] of wrongs) {
      writeFileSync(file, typeof wrong === 'string' ? wrong : JSON.stringify(wrong));
      expect(() => readForecaster(at('foreign'))).toThrow(
        expect.objectContaining({ code: 'ERR_FILE', message: expect.stringContaining(message) }),
      );
    }
  });
});

describe('several series in one file, with gaps', () => {
  test('are trained on and predicted each in its own unit', async () => {
    const [one, two] = [seasonalSeries(150), seasonalSeries(150, { seed: 2 })];
    const lines = csvOf(one).trim().split('\n');
    const others = csvOf({ ...two, values: two.values.map((value) => 1000 + 100 * value) })
      .trim()
      .split('\n')
      .slice(1);
    const text = [`id,${lines[0]}`, ...lines.slice(1).map((line) => `a,${line}`), ...others.map((line) => `b,${line}`)].join('\n');
    writeFileSync(at('two.csv'), text.replace(/(a,2024-02-0[12]),[^,]+,/g, '$1,,'));
    const options = { ...small, sequenceId: 'id', missing: 'mean', epochs: 3 };
    const { data, test: compared } = await train('two', options, 'two.csv');
    expect(data).toMatchObject({ sequences: 2, missing: 2 });
    expect(compared.model?.rmse).toBeLessThan(compared.baselines.lastValue?.rmse ?? 0);
    const forecaster = readForecaster(at('two'));
    const file = readSeries(at('two.csv'), { target: 'y', time: 'day', sequenceId: 'id', missing: 'mean' });
    const predictions = predictNext(forecaster, scaleFor(forecaster, file, 'mean'));
    expect(predictions.map(({ sequence, forecast }) => [sequence, forecast > 500])).toEqual([
      ['a', false],
      ['a', false],
      ['a', false],
      ['b', true],
      ['b', true],
      ['b', true],
    ]);
    expect(predictionsCsv(forecaster, predictions)).toMatch(/^id,day,step,y,/);
  });
});

describe('the page', () => {
  test('is well-formed, and shows the table and all charts', async () => {
    const { page, charts } = await renderForecast(results);
    for (const svg of charts.values()) expectWellFormed(svg.trim());
    expect([...charts.keys()]).toEqual(['error-by-horizon.svg', 'forecast.svg', 'learning-curve.svg', 'gradient-norm.svg']);
    expect(page).toContain('against last value');
    expect(page).toContain(`<h1>The LSTM forecasts y with a root mean squared error of ${results.test.model?.rmse.toFixed(3)}`);
  });

  test('has dates on its axis where there are times, those of the file’s own clock, and rows where there are none', () => {
    const chartOf = (changed: Partial<ForecastResults>) => {
      const [figure] = forecastCharts({ ...results, ...changed }).filter(({ file }) => file === 'forecast.svg');
      return figure?.chart;
    };
    const [excerpt] = results.excerpts as [Excerpt, ...Excerpt[]];
    const dates = chartOf({});
    expect([dates?.xScale, dates?.xLabel]).toEqual(['time', 'day, 2024-09-12 to 2024-10-26']);
    expect(dates?.panels[0]?.lines[0]?.points.map(({ x }) => new Date(x).toISOString().slice(0, 10))).toEqual(excerpt.times);
    const clock = { ...excerpt, times: excerpt.rows.map((row) => `2024-01-01T10:${String(row % 60).padStart(2, '0')}:00.250+05:30`) };
    expect(new Date(chartOf({ excerpts: [clock] })?.panels[0]?.lines[1]?.points[0]?.x ?? 0).toISOString()).toMatch(
      /^2024-01-01T10:.*\.250Z$/,
    );
    const { times: _, ...untimed } = excerpt;
    const rows = chartOf({ excerpts: [untimed] });
    expect([rows?.xScale, rows?.xLabel, rows?.panels[0]?.lines[0]?.points[0]?.x]).toEqual(['linear', 'row', excerpt.rows[0]]);
  });

  test('has no chart by steps where there is one', async () => {
    const one = await train('one-step', { ...small, horizon: 1, epochs: 1 });
    expect([...(await renderForecast(one)).charts.keys()]).toEqual(['forecast.svg', 'learning-curve.svg', 'gradient-norm.svg']);
  });

  test('escapes names', async () => {
    const data = { ...results.data, target: '<b>', source: '"&<script>' };
    const { page, charts } = await renderForecast({ ...results, data });
    for (const svg of charts.values()) expectWellFormed(svg.trim());
    expect(page).not.toContain('<script');
  });
});
