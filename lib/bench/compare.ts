/** What changed from one run of the benchmark to another, beyond the noise of either. */
import { EvenkeelError } from '../errors';
import { checkPath, fileFault, readWhole } from '../io/file';
import { formatNumber, printable, wrap } from '../report/text';
import { formatTable } from '../text-table';
import { type BenchResults, type CaseResult, schemaVersion, type TrialResult } from './results';
import { isBenchResults } from './schema';
import { centralRange, differs, enoughRounds, type Range } from './statistics';

/** Two runs of the same build should not differ by more in a ratio. */
const steadyPercent = 15;

/** `changed`: the ranges over the rounds of both runs do not meet; undefined: too few rounds to tell. */
export interface Change {
  before: number;
  after: number;
  changed: boolean | undefined;
}

export interface TrialChange {
  trial: string;
  /** evenkeel's time divided by that of the best rival; left out unless both runs have it */
  ratio?: Change & { rivals: [string, string] };
  /** median times in milliseconds, of those that both runs timed */
  times: (Change & { system: string; tier?: string })[];
}

export interface BenchChanges {
  trials: TrialChange[];
  /** ids of trials that only one of the runs has */
  onlyBefore: string[];
  onlyAfter: string[];
}

/** Compares runs trial by trial, of each system and tier the case that counts. */
export function compareRuns(before: BenchResults, after: BenchResults): BenchChanges {
  const pairs = before.trials.map((one) => [one, after.trials.find(({ trial }) => trial.id === one.trial.id)] as const);
  const both = pairs.filter((pair): pair is [TrialResult, TrialResult] => pair[1] !== undefined);
  const common = new Set(both.map(([{ trial }]) => trial.id));
  const others = ({ trials }: BenchResults) => trials.map(({ trial }) => trial.id).filter((id) => !common.has(id));
  return { trials: both.map(([one, other]) => compareTrial(one, other)), onlyBefore: others(before), onlyAfter: others(after) };
}

function compareTrial(before: TrialResult, after: TrialResult): TrialChange {
  const times = before.cases.flatMap((one) => {
    const other = after.cases.find((candidate) => candidate.counts && candidate.system === one.system && candidate.tier === one.tier);
    return one.counts && other !== undefined ? [timeChange(one, other)] : [];
  });
  const [a, b] = [before.comparison, after.comparison];
  if (a === undefined || b === undefined) return { trial: before.trial.id, times };
  return { trial: before.trial.id, ratio: { ...change(a.ratio, b.ratio, a, b), rivals: [a.rival.title, b.rival.title] }, times };
}

function timeChange(before: CaseResult, after: CaseResult): TrialChange['times'][number] {
  const [a, b] = [before.timing, after.timing];
  if (a === undefined || b === undefined) throw new EvenkeelError('ERR_FILE', `${before.system}: a case that counts has no times.`);
  return { system: before.title, tier: before.tier, ...change(a.median, b.median, centralRange(a.rounds), centralRange(b.rounds)) };
}

function change(before: number, after: number, rangeBefore: Range, rangeAfter: Range): Change {
  return { before, after, changed: differs(rangeBefore, rangeAfter) };
}

/** @param columns of the terminal, where there is one */
export function formatChanges({ trials, onlyBefore, onlyAfter }: BenchChanges, columns = Number.POSITIVE_INFINITY): string {
  const header = ['Trial', 'before', 'after', 'change', 'beyond noise'];
  const rows = trials.flatMap(({ trial, ratio, times }) => [
    [trial, '', '', '', ''],
    ...(ratio === undefined ? [] : [row(`  evenkeel / best rival (${[...new Set(ratio.rivals)].join(', then ')})`, ratio)]),
    ...times.map((one) => row(`  ${one.system}${one.tier === undefined ? '' : ` (${one.tier})`}, ms`, one)),
  ]);
  const notes = [
    ...(trials.length === 0 ? ['The runs have no trial in common.'] : []),
    ...(onlyBefore.length === 0 ? [] : [`Only in the first: ${onlyBefore.join('; ')}`]),
    ...(onlyAfter.length === 0 ? [] : [`Only in the second: ${onlyAfter.join('; ')}`]),
    ...steadiness(trials),
    `Beyond noise: the ranges over the rounds of both runs do not meet; ? stands for fewer than ${enoughRounds} rounds.`,
  ];
  const table = trials.length === 0 ? [] : [formatTable([header, ...rows], columns)];
  return `${[...table, ...notes.map((note) => wrap(note, columns))].join('\n')}\n`;
}

/** How far the ratios to the best rival moved, since they are what a run is believed for. */
function steadiness(trials: readonly TrialChange[]): string[] {
  const moves = trials.flatMap(({ trial, ratio }) => {
    if (ratio === undefined) return [];
    const sameRival = ratio.rivals[0] === ratio.rivals[1];
    return [{ trial, percent: 100 * (Math.max(ratio.before, ratio.after) / Math.min(ratio.before, ratio.after) - 1), sameRival }];
  });
  const worst = moves.toSorted((a, b) => b.percent - a.percent)[0];
  if (worst === undefined) return [];
  const steady = moves.filter(({ percent }) => percent < steadyPercent).length;
  return [
    `Ratios to the best rival: ${steady} of ${moves.length} moved by less than ${steadyPercent} %; the most, by ${worst.percent.toFixed(1)} %, ${worst.trial}${worst.sameRival ? '' : ' (another rival was best)'}.`,
  ];
}

function row(label: string, { before, after, changed }: Change): string[] {
  const percent = 100 * (after / before - 1);
  const words = changed === undefined ? '?' : changed ? (after < before ? 'faster' : 'slower') : 'no';
  return [
    printable(label),
    formatNumber(before, 3),
    formatNumber(after, 3),
    `${percent < 0 ? '−' : '+'}${Math.abs(percent).toFixed(1)} %`,
    words,
  ];
}

/** A run of all trials beside all rivals has less than a megabyte. */
const MAX_BYTES = 2 ** 28;

/**
 * Reads a results.json.
 * @throws EvenkeelError ERR_FILE when it cannot be read or is none of this version
 */
export function readBench(path: string): BenchResults {
  let results: unknown;
  try {
    results = JSON.parse(readWhole(checkPath('path', path), MAX_BYTES).toString('utf8'));
  } catch (cause) {
    if (cause instanceof SyntaxError) fileFault(path, 'a results.json of evenkeel bench', 'something that is not JSON');
    throw cause;
  }
  const { schema, schemaVersion: version, trials } = (results ?? {}) as Partial<BenchResults>;
  if (schema !== 'evenkeel/bench' || !Array.isArray(trials)) fileFault(path, 'a results.json of evenkeel bench', 'other JSON');
  if (version !== schemaVersion) {
    fileFault(path, `schema version ${schemaVersion}`, `${version}`, 'Run the benchmark again with this version.');
  }
  if (!isBenchResults(results))
    fileFault(path, 'the results of a run', 'other values', 'The file is damaged, or was not written by evenkeel bench.');
  return results;
}
