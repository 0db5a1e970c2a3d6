/** The charts of a sweep: measures against the length of the sequences. */
import type { Chart, ChartLine } from '../report/chart';
import type { HeatFigure, LineFigure } from '../report/figure';
import type { HeatCell } from '../report/heat-map';
import { escapeHtml, formatNumber, shorten } from '../report/text';
import { type LookName, placementLooks } from '../report/theme';
import { designName, taskAndSize } from './findings';
import { groupBy, median } from './groups';
import type { Measures } from './measures';
import type { DoneRecord as Done, TrialRecord } from './store';
import { describeStart, describeTask, type Trial, variantsOf } from './trial';

interface Section {
  title: string;
  captionHtml: string;
}
export type SweepChart = Section & LineFigure;
export type SweepHeatMap = Section & HeatFigure;

interface Plan {
  title: string;
  caption: string;
  yLabel: string;
  yScale: Chart['yScale'];
  /** the number to show; null where a trial has none */
  value(record: Done): number | null;
  /** Lines of different colours, and panels. */
  line(trial: Trial): { name: string; look: LookName };
  panel(trial: Trial): PanelName;
}

/** A panel is of one task, in one form: a size or a start. */
interface PanelName {
  task: string;
  form: string;
}

/** Characters of a panel's title for which there is room. */
const titleLength = 46;
const titleOf = ({ task, form }: PanelName) => `${shorten(task, Math.max(12, titleLength - form.length - 2))}, ${form}`;

const byPlacement = ({ placement }: Trial) => ({ name: placement, look: placementLooks[placement] });
/** What has panels and rows of its own beside what most sweeps have. */
const variantOf = (trial: Trial) =>
  variantsOf(trial)
    .map((word) => `, ${word}`)
    .join('');
const formOf = ({ batchSize, inputSize, hiddenSize }: Trial) => `N ${batchSize}, I ${inputSize}, H ${hiddenSize}`;
const byStart = (trial: Trial) => ({ task: describeTask(trial.task), form: `${describeStart(trial)}${variantOf(trial)}` });
const bySize = (trial: Trial) => ({ task: describeTask(trial.task), form: `${formOf(trial)}${variantOf(trial)}` });

type NumberName = { [Name in keyof Measures]: Measures[Name] extends number | null ? Name : never }[keyof Measures];
const measure = (name: NumberName) => (record: Done) => record.measures[name] ?? null;

const plans: readonly Plan[] = [
  {
    title: 'Growth rate against length',
    caption:
      'Growth of ln‖∂L/∂h_t‖ per step back in time, before training, with the loss on the last step: above 0 the gradient grows on its way to earlier steps, below 0 it vanishes.',
    yLabel: 'Growth rate per step back in time',
    yScale: 'linear',
    value: measure('growthRate'),
    line: byPlacement,
    panel: byStart,
  },
  {
    title: 'Lyapunov exponent against length',
    caption:
      'The largest one of the RNN before training, per time step: above 0 a small difference between two states grows, below 0 it fades.',
    yLabel: 'Largest Lyapunov exponent',
    yScale: 'linear',
    value: measure('lyapunovLeader'),
    line: byPlacement,
    panel: byStart,
  },
  {
    title: 'Gradient norm against length',
    caption: 'The 2-norm of all gradients in the first training step, before clipping.',
    yLabel: 'Gradient norm at the first step (log scale)',
    yScale: 'log',
    value: measure('gradNormFirst'),
    line: byPlacement,
    panel: byStart,
  },
  {
    title: 'Loss reached against length',
    caption: 'The smallest training loss.',
    yLabel: 'Smallest loss',
    yScale: 'linear',
    value: measure('lossMin'),
    line: byPlacement,
    panel: byStart,
  },
  {
    title: 'Throughput against length',
    caption: 'Time steps of all sequences that training goes through in a second, forward, backward and update.',
    yLabel: 'Time steps per second (log scale)',
    yScale: 'log',
    value: ({ trial, cost }) => (cost.stepsPerSecond === null ? null : cost.stepsPerSecond * trial.length * trial.batchSize),
    line: byPlacement,
    panel: bySize,
  },
  {
    title: 'Memory against length',
    caption: 'The most memory that the process of a trial held, in MiB.',
    yLabel: 'Peak memory in MiB (log scale)',
    yScale: 'log',
    value: ({ cost }) => cost.peakMemoryBytes / 2 ** 20,
    line: byPlacement,
    panel: bySize,
  },
];

/** More would not be looked at. */
const maxPanels = 12;

/** A chart per plan for which there is anything to show. */
export function sweepCharts(records: readonly TrialRecord[]): SweepChart[] {
  const done = records.filter((record): record is Done => record.status === 'done');
  return plans.flatMap((plan) => {
    const panels = groupBy(done, ({ trial }) => JSON.stringify(plan.panel(trial)));
    const shown = [...panels.values()]
      .slice(0, maxPanels)
      .map((members) => ({ title: titleOf(plan.panel((members as [Done])[0].trial)), lines: linesOf(plan, members) }));
    if (!shown.some(({ lines }) => lines.length > 0)) return [];
    const columns = shown.length > 1 ? 2 : 1;
    const chart: Chart = {
      description: `Line chart: ${plan.title.toLowerCase()}, a line per placement of the normalisation.`,
      xLabel: 'length T of the sequences (log scale)',
      xScale: 'log',
      yLabel: plan.yLabel,
      yScale: plan.yScale,
      panels: shown.length === 1 ? shown.map(({ lines }) => ({ lines })) : shown,
    };
    const rest = panels.size > maxPanels ? ` The first ${maxPanels} of ${panels.size} combinations.` : '';
    return [
      {
        title: plan.title,
        captionHtml: escapeHtml(plan.caption + rest),
        chart,
        wide: { width: 728, panelHeight: columns > 1 ? 180 : 280, columns },
        narrow: { width: 350, panelHeight: 200, columns: 1 },
      },
    ];
  });
}

function linesOf(plan: Plan, records: readonly Done[]): ChartLine[] {
  return [...groupBy(records, ({ trial }) => plan.line(trial).name)].flatMap(([name, members]) => {
    const points = [...groupBy(members, ({ trial }) => trial.length)]
      .map(([x, group]) => ({ x, y: median(group.map(plan.value).filter((value) => value !== null)) }))
      .filter(({ y }) => Number.isFinite(y))
      .sort((a, b) => a.x - b.x);
    const [first] = members as [Done];
    return points.length === 0 ? [] : [{ name, look: plan.line(first.trial).look, points }];
  });
}

/** More rows, columns and maps would not be looked at. */
const mostOfMaps = { rows: 42, columns: 6, maps: 6 };
/** Columns that leave a cell room for words. */
const mostOfWords = 4;
/** From which rate on the colour is full: what multiplies a gradient by 1.1 per step. */
const fullRate = 0.1;

/** Growth rates of every placement and start over the lengths: one map per task and size, none where there is no rate. */
export function growthMaps(records: readonly TrialRecord[]): SweepHeatMap[] {
  const measured = records.filter((record): record is Done => record.status === 'done' && record.measures.verdict !== null);
  const groups = [...groupBy(measured, ({ trial }) => taskAndSize(trial))];
  return groups.slice(0, mostOfMaps.maps).map(([title, members]) => growthMap(title, members));
}

function growthMap(title: string, records: readonly Done[]): SweepHeatMap {
  const all = [...groupBy(records, ({ trial }) => trial.length).keys()].sort((a, b) => a - b);
  const lengths = spread(all, mostOfMaps.columns);
  const rows = [...groupBy(records, ({ trial }) => designName(trial))];
  const isShort = rows.length > mostOfMaps.rows || all.length > lengths.length;
  const cut = isShort
    ? ` ${Math.min(rows.length, mostOfMaps.rows)} of ${rows.length} rows, ${lengths.length} of ${all.length} lengths.`
    : '';
  return {
    title: `Growth rates: ${title}`,
    captionHtml: escapeHtml(
      `Colour and first number: the rate, a median over what the map does not tell apart, such as seeds. Below it whether the gradient explodes (↑) or vanishes (↓), which takes a factor of 100 over the sequence and a rate of twice its error, and after how many steps back in time it leaves the range of float32; where trials differ, in how many. Nothing below: neither.${cut}`,
    ),
    map: {
      description: `Heat map: growth rate of the gradient per step back in time for ${rows.length} combinations of placement and start, at ${lengths.length} lengths of the sequences.`,
      heading: 'Growth of ln‖∂L/∂h_t‖ per step back in time',
      columns: lengths.map((length) => `T ${length.toLocaleString('en-US')}`),
      rows: rows.slice(0, mostOfMaps.rows).map(([label, members]) => ({
        label,
        cells: lengths.map((length) =>
          growthCell(
            members.filter(({ trial }) => trial.length === length),
            lengths.length > mostOfWords,
          ),
        ),
      })),
      limit: fullRate,
      key: { negative: 'vanishes', positive: 'explodes', limit: String(fullRate) },
    },
    wide: { width: 728, labels: 'beside' },
    narrow: { width: 350, labels: 'above' },
  };
}

function growthCell(records: readonly Done[], isNarrow: boolean): HeatCell {
  if (records.length === 0) return { value: Number.NaN, lines: [] };
  const values = (name: NumberName, none: number) => median(records.map(({ measures }) => measures[name] ?? none));
  const value = values('growthRate', Number.NEGATIVE_INFINITY);
  const rate = (Number.isFinite(value) ? value.toFixed(3) : '−∞').replace(/^-/, '−');
  const [long, short] = cellWords(records, values('horizon', Number.POSITIVE_INFINITY));
  const lines = (words: string) => [rate, words].filter((line) => line !== '');
  return { value, lines: lines(isNarrow ? short : long), narrowLines: lines(short), strong: /explode/.test(long) };
}

/** "1.01K" */
const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 });

/** For wide and for narrow cells. */
function cellWords(records: readonly Done[], horizon: number): [string, string] {
  const count = (verdict: string) => records.filter(({ measures }) => measures.verdict === verdict).length;
  const [exploding, vanishing] = [count('exploding'), count('vanishing')];
  const steps = Number.isFinite(horizon) ? formatNumber(horizon, 1) : '';
  const fewDigits = Number.isFinite(horizon) ? compact.format(horizon) : '';
  if (exploding === records.length) return [`explodes in ${steps}`, `↑ ${fewDigits}`];
  if (vanishing === records.length) return [`vanishes${steps === '' ? '' : ` in ${steps}`}`, `↓ ${fewDigits}`.trimEnd()];
  if (exploding > 0) return [`${exploding} of ${records.length} explode`, `${exploding}/${records.length} ↑`];
  return vanishing > 0 ? [`${vanishing} of ${records.length} vanish`, `${vanishing}/${records.length} ↓`] : ['', ''];
}

/** At most so many values, the first and the last among them, at even distances. */
function spread<T>(values: readonly T[], most: number): T[] {
  if (values.length <= most) return [...values];
  return Array.from({ length: most }, (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))] as T);
}
