/** How a trained forecast does on data that it has not seen. */
import { basename } from 'node:path';
import { compareForecasts, describeData } from './compare';
import type { Forecaster } from './forecaster';
import type { EvaluationResults } from './results';
import type { ScaledSeries } from './scaled-series';

/** @throws EvenkeelError ERR_SHAPE where no series holds a window and what came after it */
export async function evaluateForecaster(forecaster: Forecaster, series: ScaledSeries, source: string): Promise<EvaluationResults> {
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
