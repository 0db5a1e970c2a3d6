/** The charts of a sweep: measures against the length of the sequences. */
import type { Chart, ChartLayout, ChartLine } from '../report/chart';
import { escapeHtml } from '../report/text';
import { type LookName, placementLooks } from '../report/theme';
import type { Measures } from './measures';
import type { TrialRecord } from './store';
import { describeStart, type Trial } from './trial';

export interface SweepChart {
  title: string;
  captionHtml: string;
  chart: Chart;
  wide: ChartLayout;
  narrow: ChartLayout;
}

type Done = Extract<TrialRecord, { status: 'done' }>;

interface Plan {
  title: string;
  caption: string;
  yLabel: string;
  yScale: Chart['yScale'];
  /** the number to show; null where a trial has none */
  value(record: Done): number | null;
  /** Lines of different colours, and panels. */
  line(trial: Trial): { name: string; look: LookName };
  panel(trial: Trial): string;
}

const byPlacement = ({ placement }: Trial) => ({ name: placement, look: placementLooks[placement] });
/** A second kind of the same placements has panels of its own. */
const kindOf = ({ kind }: Trial) => (kind === 'rms' ? ', rms' : '');
const byStart = (trial: Trial) => `${trial.task.name}, ${describeStart(trial)}${kindOf(trial)}`;
const bySize = (trial: Trial) => `${trial.task.name}, N ${trial.batchSize}, H ${trial.hiddenSize}${kindOf(trial)}`;

const measure = (name: keyof Measures) => (record: Done) => record.measures[name];

const plans: readonly Plan[] = [
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
    const panels = groupBy(done, ({ trial }) => plan.panel(trial));
    const shown = [...panels].slice(0, maxPanels).map(([title, members]) => ({ title, lines: linesOf(plan, members) }));
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

/** NaN of no values. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
