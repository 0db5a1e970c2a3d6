/** The charts of a training's page. */
import type { ChartLayout, ChartLine, ChartPoint } from '../report/chart';
import type { LineFigure } from '../report/figure';
import { plural } from '../report/text';
import type { LookName } from '../report/theme';
import type { History } from './records';

/** A chart, by the name that the page shows it by. */
export type TrainingChart = LineFigure & { file: string; caption: string };

const wide: ChartLayout = { width: 728, panelHeight: 220, columns: 1 };
const narrow: ChartLayout = { width: 350, panelHeight: 190, columns: 1 };

/** @param first number of the history's first step */
export function trainingCharts(history: History, first: number): TrainingChart[] {
  if (history.loss.length === 0) return [];
  return [
    lossChart(history, first),
    ...metricCharts(history),
    normChart(history, first),
    rateChart(history, first),
    ...stateCharts(history, first),
    ...flowCharts(history),
  ];
}

function lossChart(history: History, first: number): TrainingChart {
  const validation = history.epochs.flatMap(({ step, validation }) =>
    validation === undefined ? [] : [{ x: step, y: validation.loss as number }],
  );
  const training: ChartLine = { name: 'training', look: 'slate', points: pointsOf(history.loss, first) };
  return chart({
    file: 'loss',
    what: 'Loss',
    more: validation.length === 0 ? '' : ', and over the validation after each epoch',
    lines: [training, ...(validation.length === 0 ? [] : [{ name: 'validation', look: 'blue' as const, points: validation }])],
    over: history.loss,
  });
}

/** Of what is measured in validations besides the loss, one for each: their units differ. */
function metricCharts({ epochs }: History): TrainingChart[] {
  const names = new Set(epochs.flatMap(({ validation = {} }) => Object.keys(validation)).filter((name) => name !== 'loss'));
  return [...names].map((name) => {
    const points = epochs.flatMap(({ step, validation }) => (validation === undefined ? [] : [{ x: step, y: validation[name] as number }]));
    return chart({
      file: `validation.${name}`,
      what: `${name} of the validation`,
      more: ', after each epoch',
      lines: [{ name, look: 'blue', points }],
      scale: 'linear',
    });
  });
}

function normChart({ gradNorm, clippedGradNorm, clipped }: History, first: number): TrainingChart {
  const hasClipped = clipped.includes(true);
  const before: ChartLine = { name: hasClipped ? 'before clipping' : 'of all gradients', look: 'slate', points: pointsOf(gradNorm, first) };
  const after: ChartLine = { name: 'after clipping', look: 'blue', points: pointsOf(clippedGradNorm, first) };
  return chart({
    file: 'gradient-norm',
    what: 'Gradient norm',
    more: hasClipped ? '' : '. Clipping never acted',
    lines: hasClipped ? [before, after] : [before],
    over: gradNorm,
    scale: 'log',
  });
}

function rateChart({ learningRate }: History, first: number): TrainingChart {
  const lines: ChartLine[] = [{ name: 'learning rate', look: 'blue', points: pointsOf(learningRate, first) }];
  return chart({ file: 'learning-rate', what: 'Learning rate', lines, over: learningRate, scale: 'linear' });
}

/** None of a model without recurrent layers. */
function stateCharts({ largestState }: History, first: number): TrainingChart[] {
  if (!largestState.some(Number.isFinite)) return [];
  const lines: ChartLine[] = [{ name: 'largest state', look: 'blue', points: pointsOf(largestState, first) }];
  const more = ', at the ends of the sequences';
  return [chart({ file: 'largest-state', what: 'Largest magnitude in the states of recurrent layers', more, lines, over: largestState })];
}

const LOOKS: readonly LookName[] = ['blue', 'amber', 'green', 'rose', 'sienna', 'violet', 'red', 'navy'];

/** Where fit recorded how the gradient flowed. */
function flowCharts({ gradientFlow = [] }: History): TrainingChart[] {
  const names = [...new Set(gradientFlow.flatMap(({ layers }) => layers.map(({ name }) => name)))];
  const lines = names.map((name, i): ChartLine => {
    const points = gradientFlow.flatMap(({ step, layers }) => {
      const layer = layers.find((each) => each.name === name);
      if (layer === undefined) return [];
      const { growthRate: y, growthRateError: error } = layer;
      return [{ x: step, y, low: y - error, high: y + error }];
    });
    return { name, look: LOOKS[i % LOOKS.length] as LookName, points };
  });
  if (lines.length === 0) return [];
  const made = chart({
    file: 'growth-rate',
    what: 'Growth rate of ln‖∂L/∂h_t‖ per time step backwards',
    more: ', with its standard error. Above 0 the gradient explodes on its way back, below 0 it vanishes',
    lines,
    scale: 'linear',
  });
  return [{ ...made, chart: { ...made.chart, levels: [{ y: 0, label: '0' }] } }];
}

interface ChartParts {
  file: string;
  /** what is shown, which begins the caption too */
  what: string;
  /** what ends the caption's first sentence */
  more?: string;
  lines: readonly ChartLine[];
  /** the value of each step, where a line shows them */
  over?: readonly number[];
  /** logarithmic where all values are above 0, unless given */
  scale?: 'linear' | 'log';
}

function chart({ file, what, more = '', lines, over = [], scale }: ChartParts): TrainingChart {
  const values = lines.flatMap(({ points }) => points.map(({ y, low = y }) => low)).filter(Number.isFinite);
  const yScale = scale ?? (values.every((value) => value > 0) ? 'log' : 'linear');
  const size = binSize(over.length);
  const lost = over.filter((value) => !Number.isFinite(value)).length;
  const missing = lost === 0 ? '' : ` It is not finite in ${plural(lost, 'step')}, which the line leaves out.`;
  const binned = size === 1 ? '' : ` Each point of a line over steps is the mean of ${size}, in a band from the smallest to the largest.`;
  return {
    file,
    caption: `${what}${over.length > 0 ? ' in each step' : ''}${more}.${missing}${binned}`,
    chart: {
      description: `Line chart${yScale === 'log' ? ', logarithmic' : ''}: ${what} over the steps of the training.`,
      xLabel: 'step',
      yLabel: `${what}${yScale === 'log' ? ' (log scale)' : ''}`,
      yScale,
      panels: [{ lines }],
    },
    wide,
    narrow,
  };
}

/** More would be a smear, and a file that no one can open. */
const MOST_POINTS = 400;

function binSize(steps: number): number {
  return Math.max(1, Math.ceil(steps / MOST_POINTS));
}

/** A value of each step; of many steps the mean of some at a time, and their range. What is not finite is left out. */
function pointsOf(values: readonly number[], first: number): ChartPoint[] {
  const size = binSize(values.length);
  if (size === 1) return values.map((y, i) => ({ x: first + i, y }));
  return Array.from({ length: Math.ceil(values.length / size) }, (_, bin) => {
    const all = values.slice(bin * size, (bin + 1) * size);
    const finite = all.filter(Number.isFinite);
    const mean = finite.reduce((sum, value) => sum + value, 0) / finite.length;
    return { x: first + bin * size + (all.length - 1) / 2, y: mean, low: Math.min(...finite), high: Math.max(...finite) };
  });
}
