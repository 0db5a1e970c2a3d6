/** From a CSV file to a trained forecast in a folder. */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readSeriesAsync } from '../data/csv';
import { readWhole } from '../io/file';
import type { Sequential } from '../layers/sequential';
import { loadModel } from '../model/model-file';
import type { Progress } from '../progress';
import { runtimeInfo } from '../runtime';
import { findSeason } from './baselines';
import { compareForecasts, describeData, excerptsOf } from './compare';
import { forecasterFile, writeForecaster } from './forecaster';
import { residualIntervals } from './intervals';
import { LinearForecast } from './linear-forecast';
import { networkForecast } from './network';
import { type ForecastOptions, readingOf } from './options';
import type { ForecastResults } from './results';
import { type PreparedSeries, prepareSeries } from './scaled-series';
import { formerFiles, modelFile, trainingFiles, trainNetwork } from './training';

export interface TrainJob {
  /** path of a CSV file */
  data: string;
  options: ForecastOptions;
  folder: string;
  /** SHA-256 of the file */
  contents: string;
  prepared: PreparedSeries;
}

/** A CSV file larger than this is no file that a series is kept in. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * Reads and prepares the series, so that whatever is wrong with it is known before any training.
 * @throws EvenkeelError ERR_FILE with line and column, ERR_SHAPE, ERR_OPTION, ERR_NON_FINITE
 */
export async function prepareTraining(data: string, options: ForecastOptions, folder: string): Promise<TrainJob> {
  const { window, horizon, missing } = options;
  const file = await readSeriesAsync(data, readingOf(options));
  const contents = hashOf(data);
  return { data, options, folder, contents, prepared: prepareSeries(file, { window, horizon }, missing === 'mean') };
}

/** SHA-256 of a file. */
export function hashOf(path: string): string {
  return createHash('sha256').update(readWhole(path, MAX_BYTES)).digest('hex');
}

/** Takes away what an earlier training has left in the folder. */
export function forgetTraining(folder: string): void {
  for (const file of [...trainingFiles, ...formerFiles, forecasterFile]) rmSync(join(folder, file), { force: true });
}

/**
 * Trains, back-tests and writes the model and what it takes to use it. An aborted signal does not throw: the results then hold what had
 * finished, and say that they were interrupted.
 */
export async function runTraining(job: TrainJob, progress: Progress, signal: AbortSignal): Promise<ForecastResults> {
  const begin = performance.now();
  const { options, prepared } = job;
  const { series, rows, trainRanges } = prepared;
  const season = options.season ?? findSeason(series, trainRanges);
  const linear = LinearForecast.fit(series, rows.train, rows.validation);
  const training = await trainNetwork(job, progress, signal);
  const results: ForecastResults = {
    schema: 'evenkeel/forecast',
    schemaVersion: 1,
    interrupted: training.ended === 'interrupted',
    date: new Date().toISOString(),
    seconds: 0,
    options,
    environment: environment(),
    data: describeData(series, basename(job.data)),
    windows: { train: rows.train.length, validation: rows.validation.length, test: rows.test.length },
    parameters: 0,
    season: season ?? null,
    training,
    test: (await compareForecasts(series, rows.test, { season, linear }, undefined)).comparison,
    excerpts: [],
  };
  if (training.bestEpoch > 0) await addModel(job, results, season, linear);
  results.seconds = (performance.now() - begin) / 1000;
  return results;
}

/** What the weights that validate best do on the test part, and all that it takes to use them. */
async function addModel(job: TrainJob, results: ForecastResults, season: number | undefined, linear: LinearForecast): Promise<void> {
  const { series, rows, changeScale } = job.prepared;
  const model = loadModel<Sequential>(join(job.folder, modelFile));
  const validation = await networkForecast(model, series, rows.validation, changeScale);
  const intervals = residualIntervals(validation, series.truth(rows.validation));
  const { comparison, forecast } = await compareForecasts(series, rows.test, { season, linear }, { model, changeScale, intervals });
  results.test = comparison;
  results.parameters = model.parameters().reduce((sum, { value }) => sum + value.size, 0);
  results.excerpts = forecast === undefined ? [] : excerptsOf(series, rows.test, forecast, intervals);
  writeForecaster(job.folder, {
    options: job.options,
    columns: [...series.scaler.columns],
    target: series.targetName,
    scaler: series.scaler.toJSON(),
    drift: series.drift,
    changeScale,
    season,
    linear: linear.state,
    intervals,
  });
}

function environment(): ForecastResults['environment'] {
  const { version, node, platform, arch, threads, simdTarget, blas } = runtimeInfo();
  return { version, node, platform, arch, threads, simdTarget, blas };
}
