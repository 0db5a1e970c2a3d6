/** The benchmark's table in Markdown, for a README or an issue: made by the run that measured it, never by hand. */
import { capitalize, formatDuration, plural, printable } from '../report/text';
import type { Work } from './protocol';
import { type BenchResults, type CaseResult, caseName, type TrialResult, verdict } from './results';
import {
  againstRival,
  describeAbsent,
  describeFactor,
  describeInterruption,
  describeOneSteps,
  describeRounds,
  describeUncompared,
  headline,
  ownCase,
  rivalCase,
  sizes,
  type ThreadsAtWork,
  threadsAtWork,
  trialTitle,
  verdictWords,
  whyNotCompared,
} from './summary';
import { workTitles } from './works';

/**
 * Evenkeel against the best of its rivals; below the table of a whole run stands what is missing in it, and below any that it was interrupted.
 * @param works the kinds of work to show; all unless given
 */
export function formatMarkdown(results: BenchResults, works?: readonly Work[]): string {
  const rows = trialsOf(results, works).map(trialRow);
  const notes = [
    ...(works === undefined ? [`${headline(results)}.`, ...oneSteps(results), describeUncompared(results), describeAbsent(results)] : []),
    results.interrupted ? describeInterruption(results) : undefined,
    machine(results),
  ].filter((note) => note !== undefined);
  return `${table(['trial', 'evenkeel', 'best rival', 'evenkeel against it'], rows)}\n\n${notes.map(printable).join('\n\n')}\n`;
}

/** Sizes, times and how many times as fast, for a README: of the trials with these sizes, such as `'32,50,10,20'`. */
export function formatBriefTable(results: BenchResults, works?: readonly Work[], shapes?: readonly string[]): string {
  const shown = trialsOf(results, works).filter(({ trial }) => shapes?.includes(sizes(trial)) ?? true);
  const rows = shown.map((result) => {
    const said = result.comparison === undefined ? `not compared: ${whyNotCompared(result)}` : describeFactor(result.comparison);
    return [sizes(result.trial), time(ownCase(result)), time(rivalCase(result)), said];
  });
  return `${table(['N,T,I,H', 'evenkeel', 'best rival', 'evenkeel is'], rows)}\n\n${machine(results)}\n`;
}

/** Of those over the limit, in one sentence per trial. */
function oneSteps({ trials }: BenchResults): string[] {
  const trialsWithSome = trials.filter(({ cases }) => cases.some(({ step }) => step !== undefined));
  return trialsWithSome.map((result) => `${capitalize(trialTitle(result.trial))}, over the limit: ${describeOneSteps(result).join('; ')}.`);
}

/** Evenkeel alone, with each number of threads, in percent of what so many threads of the machine can do. */
export function formatFloorTable(results: BenchResults, works?: readonly Work[]): string {
  const counts = results.floor.map(({ threads }) => threads);
  const rows = trialsOf(results, works).map((result) => {
    const atWork = threadsAtWork(result);
    return [title(result), ...counts.map((threads) => percent(atWork.find((one) => one.threads === threads)))];
  });
  return `${table(['trial', ...counts.map((threads) => plural(threads, 'thread'))], rows)}\n\n${machine(results)}\n`;
}

function trialsOf({ trials }: BenchResults, works?: readonly Work[]): TrialResult[] {
  return trials.filter(({ trial }) => works?.includes(trial.work) ?? true);
}

function table(head: string[], rows: string[][]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(escapeCell).join(' | ')} |`).join('\n');
}

function machine({ date, environment }: BenchResults): string {
  const { cpu, threads, simdTarget, node, blas, evenkeel } = environment;
  return printable(
    `${cpu}, ${plural(threads, 'thread')}, SIMD target ${simdTarget}, Node ${node}, ${blas}, evenkeel ${evenkeel}, ${date.slice(0, 10)}.`,
  );
}

function title({ trial }: TrialResult): string {
  return `${workTitles[trial.work]} ${sizes(trial)}`;
}

function percent(one: ThreadsAtWork | undefined): string {
  if (one === undefined) return '–';
  return `${formatDuration(one.timing.median)}, ${(100 * one.part).toFixed(0)} % (fastest round ${(100 * one.best).toFixed(0)} %)`;
}

function trialRow(result: TrialResult): string[] {
  const { comparison } = result;
  const said =
    comparison === undefined
      ? `not compared: ${whyNotCompared(result)}`
      : `${verdictWords[verdict(comparison)]}: ${againstRival(comparison)}, ${describeRounds(comparison)}`;
  return [title(result), time(ownCase(result)), time(rivalCase(result)), said];
}

function time(one: CaseResult | undefined): string {
  return one?.timing === undefined ? '–' : `${formatDuration(one.timing.median)} (${caseName(one)})`;
}

function escapeCell(text: string): string {
  return printable(text).replaceAll('|', '\\|');
}
