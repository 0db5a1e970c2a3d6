/** Forecasts that need no recurrent model. */
import { type RowRange, sequencesOf } from '../data/series';
import type { LinearForecast } from './linear-forecast';
import type { ScaledSeries, StepValues } from './scaled-series';

export const baselineTitles = {
  lastValue: 'last value',
  seasonal: 'seasonal naive',
  linear: 'linear',
} as const;
export type BaselineName = keyof typeof baselineTitles;

/** What every baseline says of the same windows. @param season none where it is undefined, or no window has so many rows before its end */
export function baselineForecasts(
  series: ScaledSeries,
  rows: Uint32Array,
  season: number | undefined,
  linear: LinearForecast,
): Partial<Record<BaselineName, StepValues>> {
  return {
    lastValue: series.forecastEach(rows, (row) => series.lastValue(row)),
    ...(season !== undefined &&
      countWithoutSeason(series, rows, season) < rows.length && { seasonal: seasonalForecast(series, rows, season) }),
    linear: linear.forecast(series, rows),
  };
}

/** How many windows have no season before what is forecast. @param rows the first that each forecasts */
export function countWithoutSeason(series: ScaledSeries, rows: Uint32Array, season: number): number {
  const begins = sequencesOf(series.scaled);
  return rows.filter((row) => row - season < (begins.findLast(({ begin }) => begin <= row)?.begin ?? 0)).length;
}

/** The value one season before, or as many as it takes to lie in the past; the last value where the series does not go back so far. */
function seasonalForecast(series: ScaledSeries, rows: Uint32Array, season: number): StepValues {
  const begins = sequencesOf(series.scaled);
  const beginOf = (row: number) => begins.findLast(({ begin }) => begin <= row)?.begin ?? 0;
  let begin = 0;
  return series.forecastEach(rows, (row, step) => {
    if (step === 0) begin = beginOf(row);
    const back = row + step - season * Math.ceil((step + 1) / season);
    return back < begin ? series.lastValue(row) : series.value(back);
  });
}

/** More lags cost more than they tell; longer seasons are given with --season. */
const LONGEST = 1000;
/** Rows that are enough to see a season in. */
const MOST_ROWS = 100_000;
/** Of the autocorrelation at a season: below, it is noise or nothing to forecast by. */
const LEAST = 0.3;

/**
 * The rows of a season: the lag at which the autocorrelation of the target, over the longest series' training part without its linear trend, is
 * highest, or the shortest of those that are about as high. Where times tell hours, days, weeks or months, of the seasons of the calendar; else of its peaks after the first fall below zero, before
 * which there is persistence and no season. Undefined where none is above 0.3.
 */
export function findSeason(series: ScaledSeries, trainRanges: readonly RowRange[]): number | undefined {
  const [longest] = trainRanges.toSorted((a, b) => b.end - b.begin - (a.end - a.begin));
  if (longest === undefined) return undefined;
  const begin = Math.max(longest.begin, longest.end - MOST_ROWS);
  const values = withoutTrend(Float64Array.from({ length: longest.end - begin }, (_, i) => series.value(begin + i)));
  const correlations = autocorrelations(values, Math.min(LONGEST, Math.floor(values.length / 2)));
  const times = series.original.times?.subarray(begin, longest.end);
  const lags = (times && calendarSeasons(times)) ?? peaksOf(correlations);
  // Half a season away a series is less like itself than a season away; where only neighbours are alike it is not.
  const isSeason = (lag: number) => (correlations[lag] ?? 0) > Math.max(LEAST, correlations[lag >> 1] ?? 1);
  const seasons = lags.filter(isSeason);
  const highest = Math.max(...seasons.map((lag) => correlations[lag] as number));
  return seasons.find((lag) => (correlations[lag] as number) >= NEAR * highest);
}

/** Of the highest correlation: two seasons are as good as one, by chance even better. */
const NEAR = 0.95;

const HOUR = 3_600_000;

/** In rows, by the usual step; undefined where that is none of the calendar's. */
function calendarSeasons(times: Float64Array): number[] | undefined {
  const steps = times.subarray(1).map((time, i) => time - (times[i] as number));
  const hours = (steps.sort()[steps.length >> 1] ?? 0) / HOUR;
  if (hours > 0 && hours <= 12 && Number.isInteger(24 / hours)) return [24 / hours, 168 / hours];
  if (hours === 24) return [7, 365];
  if (hours === 168) return [52];
  return hours >= 28 * 24 && hours <= 31 * 24 ? [12] : undefined;
}

function peaksOf(correlations: readonly number[]): number[] {
  const firstFall = correlations.findIndex((correlation) => correlation < 0);
  if (firstFall === -1) return [];
  return Array.from(correlations.keys()).filter((lag) => {
    const [before = 0, here = 0, after = 0] = correlations.slice(lag - 1, lag + 2);
    return lag > firstFall && lag < correlations.length - 1 && here >= before && here > after;
  });
}

function withoutTrend(values: Float64Array): Float64Array {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let products = 0;
  let squares = 0;
  for (const [i, value] of values.entries()) {
    products += (i - middle) * (value - mean);
    squares += (i - middle) ** 2;
  }
  const slope = squares === 0 ? 0 : products / squares;
  return values.map((value, i) => value - mean - slope * (i - middle));
}

/** At lags 0 to `most`, each over as many pairs as there are. */
function autocorrelations(values: Float64Array, most: number): number[] {
  const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  if (variance === 0) return [];
  return Array.from({ length: most + 1 }, (_, lag) => {
    let sum = 0;
    for (let i = lag; i < values.length; i++) sum += (values[i] as number) * (values[i - lag] as number);
    return sum / (values.length - lag) / variance;
  });
}
