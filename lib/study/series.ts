/** The real series: every system forecasts the target's next value from a window of the past. */
import { setImmediate } from 'node:timers/promises';
import { makeBatches } from '../data/batches';
import { readSeriesAsync } from '../data/csv';
import { defaultSeries } from '../data/default-series';
import { type ForecastData, forecastError, prepareForecast } from '../data/forecast';
import type { Windows } from '../data/windows';
import { LastStep } from '../layers/last-step';
import { Linear } from '../layers/linear';
import { Sequential } from '../layers/sequential';
import { mseLoss } from '../losses/mse';
import { Adam } from '../optimizers/adam';
import type { Progress } from '../progress';
import { Generator } from '../random';
import { formatNumber } from '../report/text';
import type { StateDict } from '../state-dict';
import { allocate, Tensor } from '../tensor';
import { fit } from '../training/fit';
import type { StudyCell } from './placements';
import type { SeriesPart, SeriesRun, StudyOptions } from './results';
import { type StudySystem, systems } from './systems';
import { countTrue, gradientTrend } from './verdicts';

const setUp = { hiddenSize: 20, batchSize: 32, learningRate: 1e-3 };

export interface PreparedSeries {
  /** without any finished system yet */
  part: SeriesPart;
  data: ForecastData;
}

/** Reads and prepares the series, so that whatever is wrong with it is known before any training. */
export async function prepareSeries(options: StudyOptions): Promise<PreparedSeries> {
  const { data: path, columns, target, window, decimal, delimiter, missing } = options;
  const known = defaultSeries();
  const isKnownTarget = path === undefined && (columns?.includes(known.target) ?? true);
  const forecast = target ?? (isKnownTarget ? known.target : undefined);
  const series = await readSeriesAsync(path ?? known.path, { columns, target: forecast, decimal, delimiter, missing });
  const data = prepareForecast(series, { window });
  const { split, test, baselines, mean, std } = data;
  const part: SeriesPart = {
    source: path ?? 'daily weather in Seattle, 2012 to 2015 (NOAA, by way of vega-datasets)',
    columns: series.columns,
    ignored: series.ignored,
    constantColumns: data.constantColumns,
    target: series.columns[series.target] ?? '',
    window,
    ...setUp,
    rows: { train: rowsOf(split.train), validation: rowsOf(split.validation), test: rowsOf(split.test) },
    baselines: { lastValue: baselines.lastValue.rmse, trainingMean: baselines.trainingMean.rmse },
    truth: Array.from(test.targets.data, (value) => value * std + mean),
    systems: [],
  };
  return { part, data };
}

function rowsOf({ begin, end }: { begin: number; end: number }): number {
  return end - begin;
}

/** Trains the four systems from the same weights on the same batches, and adds each to `part.systems` when it is done. */
export async function runSeries(
  { part, data }: PreparedSeries,
  { seed, epochs, cell }: StudyOptions,
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  const steps = Math.ceil((data.train.targets.shape[0] ?? 0) / setUp.batchSize);
  for (const system of systems) {
    progress.begin(`Real series: ${system.title}`, epochs * steps);
    const run = await train(system, data, { seed, epochs, steps, cell }, progress, signal);
    part.systems.push(run);
    progress.end(`test error ${formatNumber(run.testError, 3)}, gradients ${run.trend}`);
  }
}

async function train(
  system: StudySystem,
  data: ForecastData,
  { seed, epochs, steps, cell }: { seed: number; epochs: number; steps: number; cell: StudyCell },
  progress: Progress,
  signal?: AbortSignal,
): Promise<SeriesRun> {
  const begin = performance.now();
  const inputSize = data.train.inputs.shape[2] ?? 0;
  const generator = new Generator(seed);
  const head = new Linear({ inputSize: setUp.hiddenSize, outputSize: 1, generator });
  const model = new Sequential({
    ...system.layers({ cell, inputSize, hiddenSize: setUp.hiddenSize, generator }),
    last: new LastStep(),
    head,
  });
  const optimizer = new Adam(model.parameters(), { learningRate: setUp.learningRate });
  const batches = makeBatches(data.train.inputs, data.train.targets, { batchSize: setUp.batchSize, generator });

  const series = { loss: [] as number[], gradNorm: [] as number[], clipped: [] as boolean[] };
  const validationError: number[] = [];
  let best = { epoch: 0, error: Infinity, state: {} as StateDict };
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const onStep = ({ step }: { step: number }) => progress.advance((epoch - 1) * steps + step);
    const history = await fit(model, batches, { loss: mseLoss, optimizer, clip: system.clip, signal, onStep });
    for (const key of ['loss', 'gradNorm'] as const) series[key].push(...history[key]);
    series.clipped.push(...history.clipped);
    const error = forecastError(await predict(model, data.validation, signal), data.validation.targets, data.std).rmse;
    validationError.push(error);
    if (error < best.error) best = { epoch, error, state: copyOf(model.stateDict()) };
  }

  model.loadStateDict(best.state);
  const predictions = await predict(model, data.test, signal);
  const { trend, ratio } = gradientTrend(series.gradNorm, steps);
  return {
    system: system.name,
    ...series,
    validationError,
    bestEpoch: best.epoch,
    testError: forecastError(predictions, data.test.targets, data.std).rmse,
    forecast: Array.from(predictions.data, (value) => value * data.std + data.mean),
    trend,
    trendRatio: ratio,
    clippedSteps: countTrue(series.clipped),
    seconds: (performance.now() - begin) / 1000,
  };
}

/** [count, 1] in pieces, between which the event loop may see an interruption. */
async function predict(model: Sequential, { inputs }: Windows, signal?: AbortSignal): Promise<Tensor> {
  const [count = 0, window = 0, width = 0] = inputs.shape;
  const predictions = allocate(inputs.dtype, count);
  for (let start = 0; start < count; start += setUp.batchSize) {
    const end = Math.min(start + setUp.batchSize, count);
    const piece = new Tensor(inputs.data.subarray(start * window * width, end * window * width), [end - start, window, width]);
    predictions.set(model.forward(piece).data, start);
    await setImmediate();
    signal?.throwIfAborted();
  }
  return new Tensor(predictions, [count, 1]);
}

function copyOf(state: StateDict): StateDict {
  return Object.fromEntries(Object.entries(state).map(([name, { data, shape }]) => [name, new Tensor(data.slice(), shape)]));
}
