/** The benchmark's result as plain text. */
import { formatNumber, plural, printable, wrap } from '../report/text';
import { formatTable } from '../text-table';
import {
  type BenchResults,
  type CaseResult,
  type Comparison,
  caseName,
  type Outcome,
  type TrialResult,
  type Verdict,
  verdict,
} from './results';
import { enoughRounds } from './statistics';
import {
  againstRival,
  countingCases,
  describeAbsent,
  describeBound,
  describeInterruption,
  describeOneSteps,
  describeRounds,
  describeThreads,
  describeUncompared,
  headline,
  standings,
  whyNotCompared,
} from './summary';

/** Longer lines of prose are hard to read. */
const widest = 110;

/** @param columns of the terminal, where there is one */
export function formatBench(results: BenchResults, columns = Number.POSITIVE_INFINITY): string {
  const width = Math.min(widest, columns);
  const sections = [headline(results), formatEnvironment(results)].map((text) => wrapLines(text, columns));
  sections.push(...results.trials.map((trial) => formatTrial(trial, columns)));
  const score = standings(results).map(({ label, text }) => wrap(`${label}: ${text}`, width));
  const notes = [results.interrupted ? describeInterruption(results) : undefined, describeUncompared(results), describeAbsent(results)];
  return `${[...sections, ...score, ...notes.map((note) => note && wrapLines(note, columns))].filter((section) => section !== undefined).join('\n\n')}\n`;
}

function formatEnvironment({ environment: machine, floor, date }: BenchResults): string {
  const caches = machine.caches.map(({ level, type, bytes }) => `L${level} ${type.toLowerCase()} ${bytes / 1024} KiB`);
  return [
    `${machine.cpu}, ${machine.threads} threads, ${caches.join(', ')}`,
    `${machine.platform} ${machine.kernel}, Node ${machine.node}, evenkeel ${machine.evenkeel}, SIMD target ${machine.simdTarget}, ${machine.blas}, ${date.slice(0, 10)}`,
    ...floor.map(
      ({ threads, fmaGflops, gemmGflops, readGBs, copyGBs }) =>
        `Floor, ${plural(threads, 'thread')}: multiply-add ${fmaGflops.toFixed(0)} GFLOP/s, OpenBLAS ${gemmGflops.toFixed(0)} GFLOP/s, reading ${readGBs.toFixed(1)} GB/s, copying ${copyGBs.toFixed(1)} GB/s`,
    ),
  ]
    .map(printable)
    .join('\n');
}

/** Each line by itself. */
function wrapLines(text: string, columns: number): string {
  return text
    .split('\n')
    .map((line) => wrap(line, columns))
    .join('\n');
}

function formatTrial(result: TrialResult, columns: number): string {
  const { trial, cases, floor, comparison } = result;
  const shown = countingCases(cases);
  const best = shown[0]?.timing?.median ?? Number.NaN;
  const header = [trial.id, 'ms', 'p10–p90', 'to the best', 'of the floor', 'memory MiB', 'first call ms'];
  const table =
    shown.length === 0 ? trial.id : formatTable([header, ...shown.map((one) => caseRow(one, best, floor.milliseconds))], columns);
  const notes = [
    ...(shown.some(({ timing }) => timing?.slow)
      ? [`* measured in fewer than ${enoughRounds} rounds, because one call takes so long`]
      : []),
    ...describeOneSteps(result).map((text) => `${text}.`),
    ...cases.filter(({ outcome }) => outcome !== 'timed' && outcome !== 'one step').map((one) => otherLine(one, result)),
    ...[describeThreads(result)].filter((line) => line !== undefined),
    comparison === undefined ? `Not compared: ${whyNotCompared(result)}.` : describe(comparison),
  ];
  return [...table.split('\n').map(printable), ...notes.map((note) => wrap(printable(note), columns))].join('\n');
}

const leads: Record<Verdict, string> = {
  faster: 'Faster: evenkeel is',
  draw: 'A draw: evenkeel takes',
  slower: 'Slower: evenkeel takes',
  undecided: 'Undecided: evenkeel takes',
};

function describe(comparison: Comparison): string {
  return `${leads[verdict(comparison)]} ${againstRival(comparison)} (${describeRounds(comparison)}).`;
}

function caseRow(one: CaseResult, best: number, floorMs: number | undefined): string[] {
  const { median, p10, p90, slow, peakBytes, baseBytes, firstCallMs } = one.timing as NonNullable<CaseResult['timing']>;
  return [
    caseName(one),
    `${formatNumber(median, 3)}${slow ? '*' : ''}`,
    `${formatNumber(p10, 3)}–${formatNumber(p90, 3)}`,
    `×${formatNumber(median / best, 2)}`,
    floorMs === undefined ? '–' : `${Number(((100 * floorMs) / median).toPrecision(2))} %`,
    Math.max(0, (peakBytes - baseBytes) / 2 ** 20).toFixed(0),
    formatNumber(firstCallMs, 2),
  ];
}

const outcomeWords: Record<Outcome, string> = {
  timed: '',
  disagrees: 'disagrees and was not timed',
  missing: 'is not installed',
  'over the limit': 'is over the limit',
  'one step': '',
  failed: 'failed',
};

function otherLine(one: CaseResult, result: TrialResult): string {
  const who = one.outcome === 'missing' ? one.title : caseName(one);
  const how = outcomeWords[one.outcome];
  const install = one.install === undefined ? '' : ` To install it: ${one.install}`;
  const bound = describeBound(one, result);
  const least = bound === undefined ? '' : ` (${bound})`;
  return printable(`${who} ${how}: ${one.reason?.replace(/\.$/, '')}${least}.${install}`);
}
