/** The study's charts: one entry per SVG file. A chart exists once the systems it shows have finished. */
import type { ChartLayout, ChartLine, ChartPoint } from '../report/chart';
import type { HeatFigure, LineFigure } from '../report/figure';
import { formatNumber } from '../report/text';
import type { ReferencePart, ReferenceRun, SeriesPart, SeriesRun } from './results';
import { systemNamed } from './systems';
import { geometricMean } from './verdicts';

export const chartFiles = [
  'loss.svg',
  'gradient-norm.svg',
  'gradient-norm-per-parameter.svg',
  'growth-rates.svg',
  'mean-field.svg',
  'gradients-through-time.svg',
  'lyapunov-spectra.svg',
  'clip-threshold.svg',
  'forecast.svg',
  'validation-error.svg',
  'series-gradient-norm.svg',
] as const;

export type ChartFile = (typeof chartFiles)[number];

interface InFile {
  file: ChartFile;
}
export type StudyChart = InFile & LineFigure;
export type StudyHeatMap = InFile & HeatFigure;
export type StudyFigure = StudyChart | StudyHeatMap;

const wide: ChartLayout = { width: 728, panelHeight: 300, columns: 1 };
const narrow: ChartLayout = { width: 350, panelHeight: 250, columns: 1 };

/** None when no system has finished. */
export function referenceCharts({ systems: runs }: ReferencePart): StudyChart[] {
  if (runs.length === 0) return [];
  const names = runs.map(({ system }) => systemNamed(system).label).join('; ');
  return [
    {
      file: 'loss.svg',
      chart: {
        description: `Line chart: training loss at each step for ${names}.`,
        xLabel: 'training step',
        yLabel: 'Loss (mean squared error)',
        yScale: 'linear',
        panels: [{ lines: runs.map((run) => line(run, run.loss)) }],
      },
      wide,
      narrow,
    },
    {
      file: 'gradient-norm.svg',
      chart: {
        description: `Line chart, logarithmic: total gradient norm at each step for ${names}, with the clipping threshold of 1.0.`,
        xLabel: 'training step',
        yLabel: 'Total gradient norm before clipping (log scale)',
        yScale: 'log',
        panels: [{ lines: runs.map((run) => line(run, run.gradNorm)) }],
        levels: [{ y: 1, label: 'clipping threshold 1.0' }],
      },
      wide,
      narrow,
    },
    {
      file: 'gradient-norm-per-parameter.svg',
      chart: {
        description: `Small line charts, logarithmic: gradient norm of each parameter at each step for ${names}.`,
        xLabel: 'training step',
        yLabel: 'Gradient norm before clipping (log scale)',
        yScale: 'log',
        panels: parameterNames(runs).map((name) => ({
          title: name,
          lines: runs.flatMap((run) => (run.gradNorms[name] === undefined ? [] : [line(run, run.gradNorms[name])])),
        })),
      },
      wide: { width: 728, panelHeight: 150, columns: 3 },
      narrow: { width: 350, panelHeight: 130, columns: 2 },
    },
  ];
}

/** None when no system has finished. */
export function seriesCharts(series: SeriesPart): StudyChart[] {
  if (series.systems.length === 0) return [];
  const runs = series.systems;
  const from = Math.max(0, series.truth.length - forecastPoints);
  const cut = (values: readonly number[]) => points(values).slice(from);
  return [
    {
      file: 'forecast.svg',
      chart: {
        description: `Line charts, one per system: forecast of ${series.target} one step ahead against the truth in the test part.`,
        xLabel: 'row of the test part',
        yLabel: series.target,
        yScale: 'linear',
        panels: runs.map((run) => ({
          title: `${systemNamed(run.system).label}: test error ${formatNumber(run.testError, 3)}`,
          lines: [
            { name: 'truth', look: 'ink', points: cut(series.truth) },
            { name: 'forecast', look: 'blue', points: cut(run.forecast) },
          ],
        })),
      },
      wide: { width: 728, panelHeight: 150, columns: 2 },
      narrow: { ...narrow, panelHeight: 140 },
    },
    {
      file: 'validation-error.svg',
      chart: {
        description: `Line chart: validation error after each epoch.`,
        xLabel: 'epoch',
        yLabel: `Validation error in ${series.target}`,
        yScale: 'linear',
        panels: [{ lines: runs.map((run) => line(run, run.validationError)) }],
      },
      wide,
      narrow,
    },
    {
      file: 'series-gradient-norm.svg',
      chart: {
        description: `Line chart, logarithmic: total gradient norm, geometric mean over each epoch, with the clipping threshold of 1.0.`,
        xLabel: 'epoch',
        yLabel: 'Total gradient norm before clipping (log scale)',
        yScale: 'log',
        panels: [{ lines: runs.map((run) => line(run, perEpoch(run))) }],
        levels: [{ y: 1, label: 'clipping threshold 1.0' }],
      },
      wide,
      narrow,
    },
  ];
}

/** More would be a smear. */
const forecastPoints = 250;

function line(run: ReferenceRun | SeriesRun, values: readonly number[]): ChartLine {
  const { label, look } = systemNamed(run.system);
  return { name: label, look, points: points(values) };
}

/** Values numbered from 1. */
function points(values: readonly number[]): ChartPoint[] {
  return values.map((y, i) => ({ x: i + 1, y }));
}

function parameterNames(runs: readonly ReferenceRun[]): string[] {
  return [...new Set(runs.flatMap(({ gradNorms }) => Object.keys(gradNorms)))].sort(
    (a, b) => Number(a.startsWith('ln.')) - Number(b.startsWith('ln.')),
  );
}

function perEpoch({ gradNorm, validationError }: SeriesRun): number[] {
  const steps = gradNorm.length / validationError.length;
  return validationError.map((_, epoch) => geometricMean(gradNorm.slice(epoch * steps, (epoch + 1) * steps)));
}
