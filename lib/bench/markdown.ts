/** The benchmark's table in Markdown, for a README or an issue: made by the run that measured it, never by hand. */
import { formatDuration, plural, printable } from '../report/text';
import type { Work } from './protocol';
import { type BenchResults, type CaseResult, caseName, type TrialResult, verdict } from './results';
import { againstRival, describeRounds, ownCase, rivalCase, sizes, verdictWords, whyNotCompared, workTitles } from './summary';

/** @param works the kinds of work to show; all unless given */
export function formatMarkdown(results: BenchResults, works?: readonly Work[]): string {
  const { cpu, threads, simdTarget, node, blas, evenkeel } = results.environment;
  const rows = [
    ['trial', 'evenkeel', 'best rival', 'evenkeel against it'],
    ['---', '---', '---', '---'],
    ...results.trials.filter(({ trial }) => works?.includes(trial.work) ?? true).map(trialRow),
  ].map((cells) => `| ${cells.map(escapeCell).join(' | ')} |`);
  const machine = `${cpu}, ${plural(threads, 'thread')}, SIMD target ${simdTarget}, Node ${node}, ${blas}, evenkeel ${evenkeel}, ${results.date.slice(0, 10)}.`;
  return `${rows.join('\n')}\n\n${printable(machine)}\n`;
}

function trialRow(result: TrialResult): string[] {
  const { trial, comparison } = result;
  const said =
    comparison === undefined
      ? `not compared: ${whyNotCompared(result)}`
      : `${verdictWords[verdict(comparison)]}: ${againstRival(comparison)}, ${describeRounds(comparison)}`;
  return [`${workTitles[trial.work]} ${sizes(trial)}`, time(ownCase(result)), time(rivalCase(result)), said];
}

function time(one: CaseResult | undefined): string {
  return one?.timing === undefined ? '–' : `${formatDuration(one.timing.median)} (${caseName(one)})`;
}

function escapeCell(text: string): string {
  return printable(text).replaceAll('|', '\\|');
}
