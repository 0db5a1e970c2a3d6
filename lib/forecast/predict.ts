/** What comes next: forecasts beyond the end of a series, with prediction intervals, as a CSV file. */

import { formatTime, nextTimes } from '../data/times';
import { latestWindows } from '../data/windows';
import { csvCell } from '../io/csv-cell';
import type { Forecaster } from './forecaster';
import type { ScaledSeries } from './scaled-series';

/** One forecast value. */
export interface Prediction {
  /** which of several series */
  sequence?: string;
  /** how many rows after the last one, from 1 */
  step: number;
  time?: string;
  forecast: number;
  /** the ends of the intervals, of each level in turn */
  intervals: { level: number; low: number; high: number }[];
}

/** What the series of a file go on with, in the target's own unit. @throws EvenkeelError ERR_SHAPE where none has a whole window */
export function predictNext(forecaster: Forecaster, series: ScaledSeries): Prediction[] {
  const file = series.original;
  const { window, horizon } = forecaster.options;
  const { sequences } = latestWindows(series.scaled, { window });
  const changes = forecaster.model.predict(series.inputs(Uint32Array.from(sequences, ({ end }) => end))).data;
  const { times, timeStyle } = file;
  return sequences.flatMap(({ id, begin, end }, n) => {
    const last = series.value(end - 1);
    const ahead = times && timeStyle && end - begin > 1 ? nextTimes(times.subarray(begin, end), horizon) : undefined;
    return Array.from({ length: horizon }, (_, step): Prediction => {
      const value = last + forecaster.changeScale * (changes[n * horizon + step] as number);
      const { levels, low, high } = forecaster.intervals;
      const shifted = (table: number[][], level: number) => series.inUnit(end - 1, value + (table[level]?.[step] as number));
      return {
        ...(file.sequences && { sequence: id }),
        step: step + 1,
        ...(ahead && timeStyle && { time: formatTime(ahead[step] as number, timeStyle) }),
        forecast: series.inUnit(end - 1, value),
        intervals: levels.map((level, l) => ({ level, low: shifted(low, l), high: shifted(high, l) })),
      };
    });
  });
}

/** As CSV, with a header: the columns of the file that was read by their names there. */
export function predictionsCsv({ target, options, intervals }: Forecaster, predictions: readonly Prediction[]): string {
  const hasTimes = predictions.some(({ time }) => time !== undefined);
  const head = [
    ...(options.sequenceId === undefined ? [] : [options.sequenceId]),
    ...(hasTimes ? [options.time] : []),
    'step',
    target,
    ...intervals.levels.flatMap((level) => [`low_${100 * level}`, `high_${100 * level}`]),
  ];
  const rows = predictions.map(({ sequence, time, step, forecast, intervals: own }) => [
    ...(options.sequenceId === undefined ? [] : [sequence]),
    ...(hasTimes ? [time] : []),
    step,
    significant(forecast),
    ...own.flatMap(({ low, high }) => [significant(low), significant(high)]),
  ]);
  return [head, ...rows].map((row) => `${row.map(csvCell).join(',')}\n`).join('');
}

/** A model in float32 knows no more digits. */
function significant(value: number): number {
  return Number(value.toPrecision(7));
}
