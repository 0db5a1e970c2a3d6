/** Back-tests: a model and the baselines on the same windows. */
import { sequencesOf } from '../data/series';
import { formatTime } from '../data/times';
import type { Sequential } from '../layers/sequential';
import { type BaselineName, baselineForecasts, countWithoutSeason } from './baselines';
import { errorsOf, type ForecastErrors } from './errors';
import { coverageOf, type Intervals } from './intervals';
import type { LinearForecast } from './linear-forecast';
import { networkForecast } from './network';
import type { Comparison, DataPart, Excerpt } from './results';
import type { ScaledSeries, StepValues } from './scaled-series';

/** What is compared with the baselines. */
export interface Contestant {
  model: Sequential;
  changeScale: number;
  intervals: Intervals;
}

export interface Compared {
  comparison: Comparison;
  /** the model's */
  forecast?: StepValues;
}

export async function compareForecasts(
  series: ScaledSeries,
  rows: Uint32Array,
  { season, linear }: { season: number | undefined; linear: LinearForecast },
  contestant: Contestant | undefined,
): Promise<Compared> {
  const baselines: Partial<Record<BaselineName, ForecastErrors>> = {};
  for (const [name, own] of Object.entries(baselineForecasts(series, rows, season, linear)) as [BaselineName, StepValues][]) {
    baselines[name] = errorsOf(series, rows, own);
  }
  const withoutSeason = season === undefined ? 0 : countWithoutSeason(series, rows, season);
  const common = { count: rows.length, baselines, ...(withoutSeason > 0 && { withoutSeason }) };
  if (contestant === undefined) return { comparison: { ...common, coverage: [] } };
  const forecast = await networkForecast(contestant.model, series, rows, contestant.changeScale);
  return {
    forecast,
    comparison: {
      ...common,
      model: errorsOf(series, rows, forecast),
      coverage: coverageOf(contestant.intervals, forecast, series.truth(rows)),
    },
  };
}

/** More would be a smear. */
const MOST_POINTS = 250;

/** The last forecasts of the series that is forecast last, one step ahead and the farthest. */
export function excerptsOf(series: ScaledSeries, rows: Uint32Array, forecast: StepValues, intervals: Intervals): Excerpt[] {
  const lastRow = rows.at(-1) as number;
  const sequence = sequencesOf(series.scaled).find(({ begin, end }) => begin <= lastRow && lastRow < end);
  const own = Array.from(rows.keys())
    .slice(-MOST_POINTS)
    .filter((i) => (rows[i] as number) >= (sequence?.begin ?? 0));
  const { horizon } = series.size;
  return [...new Set([1, horizon])].map((step) => excerpt(series, rows, forecast, intervals, own, step));
}

function excerpt(
  series: ScaledSeries,
  rows: Uint32Array,
  forecast: StepValues,
  intervals: Intervals,
  own: readonly number[],
  step: number,
): Excerpt {
  const { times, timeStyle, sequences } = series.original;
  const targetRows = own.map((i) => (rows[i] as number) + step - 1);
  const forecastOf = (i: number) => forecast.values[i * forecast.horizon + step - 1] as number;
  const widest = intervals.levels.length - 1;
  const edge = (side: 'low' | 'high') => intervals[side][widest]?.[step - 1] as number;
  const inUnit = (shift: number) => own.map((i, k) => series.inUnit(targetRows[k] as number, forecastOf(i) + shift));
  const sequence = sequences?.findLast(({ begin }) => begin <= (targetRows[0] as number))?.id;
  return {
    step,
    ...(sequence !== undefined && { sequence }),
    rows: targetRows,
    ...(times && timeStyle && { times: targetRows.map((row) => formatTime(times[row] as number, timeStyle)) }),
    truth: targetRows.map((row) => series.inUnit(row, series.value(row))),
    forecast: inUnit(0),
    low: inUnit(edge('low')),
    high: inUnit(edge('high')),
  };
}

export function describeData(series: ScaledSeries, source: string): DataPart {
  const { original, scaler } = series;
  const { times, timeStyle, rows } = original;
  return {
    source,
    rows,
    sequences: sequencesOf(original).length,
    columns: original.columns,
    ignored: original.ignored,
    constantColumns: [...scaler.constantColumns],
    drifting: original.columns.filter((_, c) => series.drift[c] !== null),
    target: series.targetName,
    missing: original.missing ?? 0,
    ...(times &&
      timeStyle && {
        times: [formatTime(Math.min(times[0] as number, ...firsts(series)), timeStyle), formatTime(lastTime(series), timeStyle)],
      }),
    gaps: countGaps(series),
  };
}

function firsts({ original }: ScaledSeries): number[] {
  return sequencesOf(original).map(({ begin }) => original.times?.[begin] as number);
}

function lastTime({ original }: ScaledSeries): number {
  return sequencesOf(original).reduce((latest, { end }) => Math.max(latest, original.times?.[end - 1] as number), Number.NEGATIVE_INFINITY);
}

/** Steps between rows of a series that are more than half as long again as the usual one: longer than a month is by chance. */
function countGaps({ original }: ScaledSeries): number {
  const { times } = original;
  if (times === undefined) return 0;
  const steps = sequencesOf(original).flatMap(({ begin, end }) =>
    Array.from(times.subarray(begin + 1, end), (time, i) => time - (times[begin + i] as number)),
  );
  const usual = steps.toSorted((a, b) => a - b)[steps.length >> 1] ?? 0;
  return steps.filter((step) => step > 1.5 * usual).length;
}
