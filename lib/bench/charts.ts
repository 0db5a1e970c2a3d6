/** The benchmark's charts: one entry per SVG file. */
import type { RangeFigure } from '../report/figure';
import type { RangeChart, RangeLayout, RangeMark, RangeRow } from '../report/range-chart';
import { formatDuration, trimZeros } from '../report/text';
import type { LookName } from '../report/theme';
import type { Work } from './protocol';
import { type BenchResults, type CaseResult, caseName, type TrialResult, type Verdict, verdict } from './results';
import { comparedTrials, countingCases, formatFactor, oneStepCases, ownCase, rivalCase, sizes, systemName, trialTitle } from './summary';
import { evenkeel } from './systems';
import { workTitles } from './works';

export type BenchChart = RangeFigure & { file: string };

const layouts: { wide: RangeLayout; narrow: RangeLayout } = {
  wide: { width: 728, labels: 'beside' },
  narrow: { width: 335, labels: 'above' },
};

/** A trial's place on the page. */
export function slug(id: string): string {
  return id.toLowerCase().replace(/[^a-z0-9]+/g, '-');
}

export function chartFile(id: string): string {
  return `${slug(id)}.svg`;
}

export const overviewFiles = { rival: 'against-best-rival.svg', floor: 'fraction-of-floor.svg' } as const;

/** The times of every system at one trial; undefined where nothing was timed. */
export function trialChart(result: TrialResult): BenchChart | undefined {
  const timed = countingCases(result.cases);
  if (timed.length === 0) return undefined;
  const { milliseconds } = result.floor;
  return {
    ...layouts,
    file: chartFile(result.trial.id),
    ranges: {
      description: `Range chart, logarithmic: time of one ${trialTitle(result.trial)} per system, the median with the 10th and 90th percentiles${
        milliseconds === undefined ? '' : ", and the machine's floor"
      }. ${timed.map((one) => `${systemName(one)} ${formatDuration(one.timing?.median ?? Number.NaN)}`).join('; ')}.`,
      // Named here too, for the file that stands alone.
      xLabel: `${workTitles[result.trial.work]} ${sizes(result.trial)}: time, log scale`,
      groups: [{ rows: [...timed.map(timedRow), ...oneStepCases(result.cases).map(oneStepRow), ...untimedRows(result.cases, timed)] }],
      levels: milliseconds === undefined ? [] : [{ x: milliseconds, label: `floor ${formatDuration(milliseconds)}` }],
      formatTick: (x) => trimZeros(formatDuration(x)),
    },
  };
}

function timedRow(one: CaseResult): RangeRow {
  const { median: value = Number.NaN, p10: low, p90: high } = one.timing ?? {};
  const strong = one.system === evenkeel.id;
  const mark: RangeMark = { name: 'time', look: strong ? 'blue' : 'slate', value, low, high, strong };
  return { label: caseName(one), strong, text: formatDuration(value), marks: [mark] };
}

function oneStepRow(one: ReturnType<typeof oneStepCases>[number]): RangeRow {
  const { milliseconds: value } = one.step;
  return {
    label: caseName(one),
    text: `${formatDuration(value)}, once`,
    marks: [{ name: 'one step, not repeated', look: 'amber', value }],
  };
}

/** What took part but could not be timed with any number of threads. */
function untimedRows(cases: readonly CaseResult[], timed: readonly CaseResult[]): RangeRow[] {
  const names = new Set([...timed, ...oneStepCases(cases)].map(systemName));
  return cases
    .filter((one) => one.outcome !== 'missing' && !names.has(systemName(one)) && names.add(systemName(one)))
    .map((one) => ({
      label: systemName(one),
      text: one.moreThanMs === undefined ? one.outcome : `over ${trimZeros(formatDuration(one.moreThanMs))}`,
      marks: [],
    }));
}

const verdictMarks: Record<Verdict, { name: string; look: LookName }> = {
  faster: { name: 'evenkeel is faster', look: 'blue' },
  draw: { name: 'a draw', look: 'slate' },
  slower: { name: 'evenkeel is slower', look: 'amber' },
  undecided: { name: 'too few rounds to say', look: 'violet' },
};

/** evenkeel's speed divided by the best rival's, of all trials; undefined where nothing is compared. */
export function rivalChart(results: BenchResults): BenchChart | undefined {
  const compared = comparedTrials(results);
  if (compared.length === 0) return undefined;
  const row = ({ trial, comparison }: (typeof compared)[number]): RangeRow => {
    const value = 1 / comparison.ratio;
    const mark = { ...verdictMarks[verdict(comparison)], value, low: 1 / comparison.high, high: 1 / comparison.low, strong: true };
    return { label: sizes(trial), text: `×${formatFactor(value)}`, marks: [mark] };
  };
  return {
    ...layouts,
    file: overviewFiles.rival,
    ranges: {
      description:
        'Range chart, logarithmic: speed of evenkeel divided by that of the best rival, per trial, with its range over the rounds.',
      xLabel: 'Speed against the best rival (more is better)',
      groups: byWork(compared, row),
      levels: [{ x: 1, label: 'as fast as the best rival' }],
    },
  };
}

/** The part of the machine's best that evenkeel and the best rival reach, of all trials that the machine bounds. */
export function floorChart({ trials }: BenchResults): BenchChart | undefined {
  const bounded = trials.filter((result) => result.floor.milliseconds !== undefined && ownCase(result) !== undefined);
  if (bounded.length === 0) return undefined;
  const row = (result: TrialResult): RangeRow => {
    const [own, rival] = [ownCase(result), rivalCase(result)];
    const marks: RangeMark[] = [
      ...(rival === undefined ? [] : [{ name: 'best rival', look: 'slate' as const, ...fractions(rival, result) }]),
      ...(own === undefined ? [] : [{ name: 'evenkeel', look: 'blue' as const, strong: true, ...fractions(own, result) }]),
    ];
    return { label: sizes(result.trial), text: formatPercent(fractionOfFloor(own, result) ?? Number.NaN), marks };
  };
  return {
    ...layouts,
    file: overviewFiles.floor,
    ranges: {
      description:
        "Range chart, logarithmic: the machine's shortest possible time divided by the time of evenkeel and of the best rival, per trial.",
      xLabel: "Part of the machine's best (more is better)",
      groups: byWork(bounded, row),
      levels: [{ x: 1, label: "the machine's floor" }],
      formatTick: (x) => trimZeros(formatPercent(x)),
    },
  };
}

function fractions({ timing }: CaseResult, { floor: { milliseconds = Number.NaN } }: TrialResult) {
  const { median = Number.NaN, p10 = Number.NaN, p90 = Number.NaN } = timing ?? {};
  return { value: milliseconds / median, low: milliseconds / p90, high: milliseconds / p10 };
}

/** The machine's shortest time divided by the case's; undefined where either is not known. */
export function fractionOfFloor(one: CaseResult | undefined, { floor: { milliseconds } }: TrialResult): number | undefined {
  return one?.timing === undefined || milliseconds === undefined ? undefined : milliseconds / one.timing.median;
}

/** Two digits, for a part of one. */
export function formatPercent(part: number): string {
  const percent = 100 * part;
  return `${percent < 9.95 ? percent.toPrecision(2) : percent.toFixed(0)} %`;
}

function byWork<Result extends TrialResult>(results: readonly Result[], row: (result: Result) => RangeRow): RangeChart['groups'] {
  const works = [...new Set(results.map(({ trial }) => trial.work))];
  const ofWork = (work: Work) => results.filter(({ trial }) => trial.work === work);
  return works.map((work) => ({ title: workTitles[work], rows: ofWork(work).map(row) }));
}
