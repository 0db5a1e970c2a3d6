/** How a trained forecast does on data that it has not seen. */
import { basename } from 'node:path';
import type { SeriesFile } from '../data/csv';
import { compareForecasts, describeData } from './compare';
import { type Forecaster, scaleFor } from './forecaster';
import type { EvaluationResults } from './results';

/** @throws EvenkeelError ERR_SHAPE where no series holds a window and what came after it */
export async function evaluateForecaster(forecaster: Forecaster, file: SeriesFile, source: string): Promise<EvaluationResults> {
  const series = scaleFor(forecaster, file);
  const { comparison } = await compareForecasts(series, series.allRows(), forecaster, forecaster);
  return {
    schema: 'evenkeel/forecast-evaluation',
    schemaVersion: 1,
    date: new Date().toISOString(),
    data: describeData(series, basename(source)),
    horizon: forecaster.options.horizon,
    season: forecaster.season ?? null,
    evaluation: comparison,
  };
}
