/** The maps of the grid: where gradients grow, by number of units, and theory beside measurement. */
import type { HeatCell, HeatMap } from '../report/heat-map';
import type { StudyHeatMap } from './charts';
import { formatSigned } from './draws';
import { grows } from './grid';
import { type MeanFieldDesign, meanFieldRate } from './mean-field';
import { recurrencesOf } from './placements';
import type { GridCell, GridPart } from './results';
import { starts } from './starts';

/** From which rate on the colour is full: what multiplies a gradient by 1.1 per step. */
const fullRate = 0.1;

const layouts = { wide: { width: 728, labels: 'beside' }, narrow: { width: 350, labels: 'above' } } as const;

/** More would not fit in. */
const shownStarts = ['uniform', 'orthogonal ×1.0'];

/** None before anything is measured. */
export function gridCharts(part: GridPart): StudyHeatMap[] {
  const own = part.cells.filter(({ nonlinearity, timeSteps }) => nonlinearity === 'tanh' && timeSteps === part.timeSteps);
  const names = shownStarts.filter((name) => own.some(({ initializer }) => initializer === name));
  if (names.length === 0) return [];
  // Of a cell with gates there is no theory here.
  return part.cell === 'rnn' ? [ratesMap(own, names, part), theoryMap(own, names, part)] : [ratesMap(own, names, part)];
}

/** The first picture: one size of input, what is measured. */
function ratesMap(cells: readonly GridCell[], startNames: readonly string[], part: GridPart): StudyHeatMap {
  const shown = cells.filter(({ inputScale }) => inputScale === 1);
  const rows = recurrencesOf(part.cell).map(({ name }) => ({ label: name, placement: name, inputScale: 1 }));
  const map = mapOf(shown, rows, startNames, part, (cell) => [formatSigned(cell.growth.mean, 3)]);
  const growing = shown.filter((cell) => startNames.includes(cell.initializer) && grows(cell));
  const names = growing.map(({ placement, initializer, hiddenSize }) => `${placement} with ${hiddenSize} units, ${initializer}`);
  return {
    file: 'growth-rates.svg',
    map: {
      ...map,
      description: `Heat map: growth rate of the gradient per step back in time, for ${rows.length} places of a LayerNorm and ${map.columns.length} numbers of units and starts of the recurrent weights. ${names.length === 0 ? 'None grows.' : `Growing: ${names.join('; ')}.`}`,
    },
    ...layouts,
  };
}

/** By size of the input, with the rates that theory predicts. */
function theoryMap(cells: readonly GridCell[], startNames: readonly string[], part: GridPart): StudyHeatMap {
  const scales = [...new Set(cells.map(({ inputScale }) => inputScale))];
  const rows = (['none', 'preactivation', 'split-preactivation', 'hidden'] as const).flatMap((placement) =>
    scales.map((inputScale) => ({ label: `${placement}, x ×${inputScale}`, placement, inputScale })),
  );
  const lines = ({ growth, meanField }: GridCell) => [
    formatSigned(growth.mean, 3),
    ...(meanField === null ? [] : [formatSigned(meanField, 3)]),
  ];
  const map = mapOf(cells, rows, startNames, part, lines);
  return {
    file: 'mean-field.svg',
    map: {
      ...map,
      heading: 'Growth per step back: measured, and below it ½ ln χ of mean-field theory',
      description: `Heat map: growth rate of the gradient per step back in time as measured and as mean-field theory predicts it, by number of units, size of the input and place of a LayerNorm.`,
    },
    ...layouts,
  };
}

interface Row {
  label: string;
  placement: GridCell['placement'];
  inputScale: number;
}

function mapOf(
  cells: readonly GridCell[],
  rows: readonly Row[],
  startNames: readonly string[],
  part: GridPart,
  lines: (cell: GridCell) => string[],
): Omit<HeatMap, 'description'> {
  const sizes = [...new Set(cells.map(({ hiddenSize }) => hiddenSize))].sort((a, b) => a - b);
  const find = (row: Row, initializer: string, hiddenSize: number) =>
    cells.find(
      (cell) =>
        cell.placement === row.placement &&
        cell.inputScale === row.inputScale &&
        cell.initializer === initializer &&
        cell.hiddenSize === hiddenSize,
    );
  return {
    heading: 'Growth of ln‖∂L/∂h_t‖ per step back in time',
    columns: startNames.flatMap(() => sizes.map((size) => `H = ${size}`)),
    groups: startNames.map((name) => ({ label: name === 'uniform' ? 'uniform, PyTorch’s start' : name, columns: sizes.length })),
    rows: rows.map((row) => ({
      label: row.label,
      cells: startNames.flatMap((name) => sizes.map((size) => heatCell(find(row, name, size), lines))),
      lines: startNames.flatMap((name, group) => {
        const at = crossing(row, name, sizes, part);
        return at === undefined ? [] : [group * sizes.length + at];
      }),
    })),
    limit: fullRate,
    key: {
      negative: 'vanishes',
      positive: 'grows',
      limit: String(fullRate),
      ...(part.cell === 'rnn' ? { line: 'χ = 1 by mean-field theory: growth to the right' } : {}),
    },
  };
}

function heatCell(cell: GridCell | undefined, lines: (cell: GridCell) => string[]): HeatCell {
  if (cell === undefined) return { value: Number.NaN, lines: [] };
  const [low, high] = cell.growth.interval;
  const short = formatSigned(cell.growth.mean, 2).replace('0.', '.');
  return {
    value: low <= 0 && high >= 0 ? 0 : cell.growth.mean,
    lines: lines(cell),
    narrowLines: [
      short,
      ...lines(cell)
        .slice(1)
        .map(() => (cell.meanField === null ? '' : formatSigned(cell.meanField, 2).replace('0.', '.'))),
    ],
    strong: grows(cell),
  };
}

/** Where, in columns, the rate of theory goes from below 0 to above; columns are of equal width, in between ln H is linear. */
function crossing(
  { placement, inputScale }: Row,
  startName: string,
  sizes: readonly number[],
  { inputSize, cell }: GridPart,
): number | undefined {
  const start = starts.find(({ name }) => name === startName);
  // Theory is of an RNN.
  if (cell !== 'rnn' || start === undefined || !('variance' in start) || sizes.length === 0) return undefined;
  const design = { placement, inputScale, inputSize, nonlinearity: 'tanh', recurrentVariance: start.variance } as const;
  const size = criticalSize(design);
  if (size === undefined) return undefined;
  return columnOf(size, sizes);
}

/** The number of units at which χ = 1, undefined where it is so at none between 2 and a million. */
export function criticalSize(design: Omit<MeanFieldDesign, 'hiddenSize'>): number | undefined {
  const rate = (hiddenSize: number) => meanFieldRate({ ...design, hiddenSize });
  let [low, high] = [2, 1e6];
  if (rate(low) > 0 || rate(high) < 0) return undefined;
  for (let i = 0; i < 60; i++) {
    const middle = Math.sqrt(low * high);
    if (rate(middle) > 0) high = middle;
    else low = middle;
  }
  return high;
}

function columnOf(size: number, sizes: readonly number[]): number | undefined {
  const last = sizes.length - 1;
  if (size < (sizes[0] as number)) return 0;
  if (size > (sizes[last] as number)) return undefined;
  const next = Math.max(
    1,
    sizes.findIndex((other) => other >= size),
  );
  const [a, b] = [sizes[next - 1] as number, sizes[next] as number];
  return next - 0.5 + Math.log(size / a) / Math.log(b / a);
}
