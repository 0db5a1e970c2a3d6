/** Series for the tests of forecasts. */
import type { SeriesFile } from '../../lib/data/csv';
import { Generator } from '../../lib/random';

/** A season of 12 rows, a slope and some noise; `x` goes before `y`. */
export function seasonalSeries(rows: number, { slope = 0, seed = 1 } = {}): SeriesFile {
  const generator = new Generator(seed);
  const values = Float64Array.from({ length: 2 * rows }, (_, i) => {
    const row = Math.floor(i / 2) + (i % 2 === 0 ? 1 : 0);
    return 10 + 3 * Math.sin((2 * Math.PI * row) / 12) + slope * row + 0.3 * generator.normal();
  });
  return { columns: ['x', 'y'], rows, values, target: 1, ignored: [] };
}

/** The same as CSV text, by days from 2024-01-01. */
export function csvOf({ columns, values, rows }: SeriesFile, from = 0): string {
  const lines = Array.from({ length: rows }, (_, row) => {
    const day = new Date(Date.UTC(2024, 0, 1 + row)).toISOString().slice(0, 10);
    return [day, ...values.subarray(row * columns.length, (row + 1) * columns.length)].join(',');
  });
  return `${[['day', ...columns].join(','), ...lines.slice(from)].join('\n')}\n`;
}
