/** The charts of depth in time and of clipping: one entry per SVG file. */
import type { ChartLine, ChartPoint } from '../report/chart';
import { type LookName, placementLooks } from '../report/theme';
import type { StudyChart, StudyFigure } from './charts';
import { clipRules } from './clip-rules';
import { growthOf } from './depth';
import type { ClippingPart, ClippingRun, DepthDesign, DepthPart } from './results';
import { meanSpectrum } from './summary';

/** None when no design has finished. */
export function depthCharts(part: DepthPart): StudyFigure[] {
  if (part.designs.length === 0) return [];
  return [gradientsChart(part), spectraChart(part)];
}

function describeGrowing(designs: readonly DepthDesign[]): string {
  const growing = designs.filter((design) => growthOf(design).interval[0] > 0);
  const names = growing.map(({ placement, initializer }) => `${placement} with ${initializer}`);
  return names.length === 0 ? 'None grows.' : `Growing: ${names.join('; ')}.`;
}

/** How far down the course of a gradient is drawn, at least: a chart of all that vanishes would show nothing else. */
const shownDepth = 30;

function gradientsChart({ designs, timeSteps }: DepthPart): StudyChart {
  const top = Math.max(...designs.flatMap(({ course }) => course.map(({ high }) => high)));
  const floor = -Math.max(shownDepth, top);
  return {
    file: 'gradients-through-time.svg',
    chart: {
      description: `Line charts, one per way to start the recurrent weights: logarithm of the gradient's norm against the distance from the last of ${timeSteps} steps, for each place of a LayerNorm. ${describeGrowing(designs)}`,
      xLabel: 'distance T − t from the loss, in steps back in time',
      yLabel: 'ln‖∂L/∂h_t‖, mean and range over seeds',
      yScale: 'linear',
      panels: startsOf(designs).map((start) => ({
        title: `W_hh ${start}`,
        lines: linesOf(designs, start, ({ course }) => {
          return course.map(({ distance, mean, low, high }) => pointAbove(floor, { x: distance, y: mean, low, high }));
        }),
      })),
    },
    wide: { width: 728, panelHeight: 200, columns: 2 },
    narrow: { width: 350, panelHeight: 200, columns: 1 },
  };
}

/** Exponents below it say that a direction is lost, and no more. */
const lowestExponent = -3;

function spectraChart({ designs, hiddenSize }: DepthPart): StudyChart {
  return {
    file: 'lyapunov-spectra.svg',
    chart: {
      description: `Line charts, one per way to start the recurrent weights: the ${hiddenSize} Lyapunov exponents for each place of a LayerNorm.`,
      xLabel: 'number of the exponent, largest first',
      yLabel: 'Lyapunov exponent per step, mean and range over seeds',
      yScale: 'linear',
      panels: startsOf(designs).map((start) => ({
        title: `W_hh ${start}`,
        lines: linesOf(designs, start, (design) => {
          return meanSpectrum(design).map(({ mean: y }, i) => {
            const values = design.spectra.map(({ exponents }) => exponents[i] ?? Number.NaN);
            return pointAbove(lowestExponent, { x: i + 1, y, low: Math.min(...values), high: Math.max(...values) });
          });
        }),
      })),
      levels: [{ y: 0, label: 'gradients explode above' }],
    },
    wide: { width: 728, panelHeight: 200, columns: 2 },
    narrow: { width: 350, panelHeight: 200, columns: 1 },
  };
}

/** A line per placement. */
function linesOf(designs: readonly DepthDesign[], start: string, points: (design: DepthDesign) => ChartPoint[]): ChartLine[] {
  return designs
    .filter(({ initializer }) => initializer === start)
    .map((design) => ({ name: design.placement, look: placementLooks[design.placement], points: points(design) }));
}

/** A point as far as it is to be seen; a line that falls below the floor ends there. */
function pointAbove(floor: number, { x, y, low = y, high = y }: ChartPoint): ChartPoint {
  const isSeen = y >= floor;
  return { x, y: isSeen ? y : Number.NaN, low: isSeen ? Math.max(low, floor) : Number.NaN, high: isSeen ? high : Number.NaN };
}

function startsOf(designs: readonly DepthDesign[]): string[] {
  return [...new Set(designs.map(({ initializer }) => initializer))];
}

/** The norm and the threshold of each rule, none when no rule has finished. */
export function clippingChart({ rules, trainingSteps }: ClippingPart): StudyChart | undefined {
  const shown = clipRules.flatMap(({ name, title }) => rules.filter(({ rule }) => rule === name).map((run) => ({ title, run })));
  if (shown.length === 0) return undefined;
  const line = (name: string, look: LookName, values: readonly number[]): ChartLine => ({
    name,
    look,
    points: values.map((y, step) => ({ x: step + 1, y })),
  });
  return {
    file: 'clip-threshold.svg',
    chart: {
      description: `Line charts, logarithmic, one per rule of clipping: total gradient norm and threshold in ${trainingSteps} training steps of a design that explodes.`,
      xLabel: 'training step',
      yLabel: 'Total gradient norm before clipping, and threshold (log scale)',
      yScale: 'log',
      panels: shown.map(({ title, run }) => ({
        title: `${title}: ${describeRule(run)}`,
        lines: [line('gradient norm', 'blue', run.gradNorm), line('threshold', 'red', run.threshold)],
      })),
    },
    wide: { width: 728, panelHeight: 150, columns: 2 },
    narrow: { width: 350, panelHeight: 150, columns: 1 },
  };
}

function describeRule({ rule, clippedSteps, clipped }: ClippingRun): string {
  return rule === 'none' ? 'nothing acts' : `acted in ${clippedSteps} of ${clipped.length} steps`;
}
