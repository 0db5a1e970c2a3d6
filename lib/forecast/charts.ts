/** The charts of a forecast: one entry per SVG file. */
import type { ChartLayout, ChartLine, ChartPoint } from '../report/chart';
import type { LineFigure } from '../report/figure';
import type { LookName } from '../report/theme';
import type { Excerpt, ForecastResults } from './results';
import { type ComparisonRow, comparisonRows } from './summary';

export const chartFiles = ['error-by-horizon.svg', 'forecast.svg', 'learning-curve.svg', 'gradient-norm.svg'] as const;
export type ChartFile = (typeof chartFiles)[number];
export type ForecastChart = LineFigure & { file: ChartFile };

const wide: ChartLayout = { width: 728, panelHeight: 260, columns: 1 };
const narrow: ChartLayout = { width: 350, panelHeight: 220, columns: 1 };

export const lookOf: Record<ComparisonRow['name'], LookName> = { model: 'blue', lastValue: 'slate', seasonal: 'green', linear: 'amber' };

export function forecastCharts(results: ForecastResults): ForecastChart[] {
  return [...errorCharts(results), ...excerptCharts(results), ...trainingCharts(results)];
}

/** Where there are several steps. */
function errorCharts({ test, options, season, data }: ForecastResults): ForecastChart[] {
  if (options.horizon === 1) return [];
  const lines = comparisonRows(test, options.cell, season).map(
    ({ name, title, errors }): ChartLine => ({ name: title, look: lookOf[name], points: numbered(errors.rmseBySteps) }),
  );
  return [
    {
      file: 'error-by-horizon.svg',
      chart: {
        description: `Line chart: error of the forecast of ${data.target} at each step ahead, of the model and of each baseline.`,
        xLabel: 'steps ahead',
        yLabel: `Root mean squared error in ${data.target}, test part`,
        yScale: 'linear',
        panels: [{ lines }],
      },
      wide,
      narrow,
    },
  ];
}

function excerptCharts({ excerpts, data, options }: ForecastResults): ForecastChart[] {
  if (excerpts.length === 0) return [];
  const hasTimes = excerpts.every(({ times }) => times?.every((time) => Number.isFinite(clockOf(time))));
  return [
    {
      file: 'forecast.svg',
      chart: {
        description: `Line chart: forecasts of ${data.target} with their prediction intervals, against what came, in the test part.`,
        xLabel: hasTimes ? `${options.time ?? 'time'}, ${spanOf(excerpts)}` : 'row',
        yLabel: data.target,
        xScale: hasTimes ? 'time' : 'linear',
        yScale: 'linear',
        panels: excerpts.map((excerpt) => ({ title: excerptTitle(excerpt), lines: excerptLines(excerpt, hasTimes) })),
      },
      wide: { ...wide, panelHeight: 220 },
      narrow: { ...narrow, panelHeight: 190 },
    },
  ];
}

/** The days that forecasts are of: an axis of some weeks does not show the year. */
function spanOf(excerpts: readonly Excerpt[]): string {
  const days = excerpts.flatMap(({ times = [] }) => times.map((time) => time.slice(0, 10))).sort();
  return `${days[0]} to ${days.at(-1)}`;
}

/** What the clock of the file's own zone shows, as milliseconds since 1970. @param time in ISO 8601 */
function clockOf(time: string): number {
  const local = time.replace(/(?:Z|[+-]\d\d:\d\d)$/, '');
  // A date alone is read as UTC, a time of day only with a zone.
  return Date.parse(local.includes('T') ? `${local}Z` : local);
}

function excerptTitle({ step, sequence }: Excerpt): string {
  return `${step} ${step === 1 ? 'step' : 'steps'} ahead${sequence === undefined ? '' : `, ${sequence}`}`;
}

function excerptLines({ rows, times, truth, forecast, low, high }: Excerpt, hasTimes: boolean): ChartLine[] {
  const places = hasTimes && times !== undefined ? times.map(clockOf) : rows;
  const points = (values: readonly number[]): ChartPoint[] => values.map((y, i) => ({ x: places[i] as number, y }));
  const band = points(forecast).map((point, i) => ({ ...point, low: low[i] as number, high: high[i] as number }));
  return [
    { name: 'forecast', look: 'blue', points: band },
    { name: 'what came', look: 'ink', points: points(truth) },
  ];
}

function trainingCharts({ training, options }: ForecastResults): ForecastChart[] {
  if (training.validationLoss.length === 0) return [];
  return [
    {
      file: 'learning-curve.svg',
      chart: {
        description: 'Line chart: mean squared error over the training and the validation part after each epoch.',
        xLabel: 'epoch',
        yLabel: 'Mean squared error in units of the training part’s changes',
        yScale: 'linear',
        panels: [
          {
            lines: [
              { name: 'training', look: 'slate', points: numbered(training.trainLoss) },
              { name: 'validation', look: 'blue', points: numbered(training.validationLoss) },
            ],
          },
        ],
      },
      wide,
      narrow,
    },
    {
      file: 'gradient-norm.svg',
      chart: {
        description:
          'Line chart, logarithmic: total gradient norm before clipping, geometric mean over each epoch, with the clipping threshold.',
        xLabel: 'epoch',
        yLabel: 'Total gradient norm before clipping (log scale)',
        yScale: 'log',
        panels: [{ lines: [{ name: options.cell.toUpperCase(), look: 'blue', points: numbered(training.gradNorm) }] }],
        levels: [{ y: options.clip, label: `clipping threshold ${options.clip}` }],
      },
      wide,
      narrow,
    },
  ];
}

/** Values numbered from 1. */
function numbered(values: readonly number[]): ChartPoint[] {
  return values.map((y, i) => ({ x: i + 1, y }));
}
