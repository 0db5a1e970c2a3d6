/** What was not timed, and why. */
import { renderTable } from '../../report/page';
import { capitalize, escapeHtml, formatDuration } from '../../report/text';
import type { Trial, Work } from '../protocol';
import { type BenchResults, caseName, type Outcome } from '../results';
import { describeUnexpressed, sizes } from '../summary';
import { workTitles } from '../works';

const outcomeTexts: Record<Exclude<Outcome, 'timed'>, string> = {
  disagrees: 'Disagrees: it computes something else, and was not timed',
  failed: 'Failed',
  missing: 'Not installed',
  'over the limit': 'Over the limit',
  'one step': 'Over the limit, but for one step',
};

/** Whoever was not timed, the same reason said once. */
export function untimedSection(run: BenchResults): string {
  const results = run.trials;
  const groups = new Map<string, { row: string[]; trials: Set<Trial> }>();
  for (const { trial, cases } of results) {
    for (const one of cases) {
      if (one.outcome === 'timed') continue;
      const who = one.outcome === 'missing' ? one.title : caseName(one);
      const install = one.install === undefined ? '' : `<br>To install it: <code>${escapeHtml(one.install)}</code>`;
      const why =
        one.step === undefined
          ? (one.reason ?? '')
          : `It took ${formatDuration(one.step.milliseconds)}, not repeated${one.numbers === undefined ? '; it had agreed in an earlier trial' : ''}`;
      const row = [escapeHtml(who), `<strong>${outcomeTexts[one.outcome]}.</strong> ${escapeHtml(capitalize(why))}${install}`];
      const group = groups.get(row.join()) ?? { row, trials: new Set<Trial>() };
      groups.set(row.join(), group);
      group.trials.add(trial);
    }
  }
  const rows = [...groups.values()].map(({ row, trials: where }) => [
    ...row,
    where.size === results.length && where.size > 1 ? `all ${where.size}` : trialList([...where]),
  ]);
  const unexpressed = describeUnexpressed(run);
  const text =
    rows.length === 0
      ? '<p>Every case of this run computed the same as the reference and was timed.</p>'
      : renderTable('Cases without times', [{ head: 'System' }, { head: 'Why', sentences: true }, { head: 'Trials' }], rows);
  return `<section>
<h2 id="untimed">What was not timed</h2>
${text}
${unexpressed.length === 0 ? '' : `<p>What a system does not express, or not apart from other work, is no case of this run: ${escapeHtml(unexpressed.join('; '))}.</p>`}
</section>`;
}

/** By kind of work. */
function trialList(list: readonly Trial[]): string {
  const works = [...new Set(list.map(({ work }) => work))];
  const sizesOf = (work: Work) => list.filter((trial) => trial.work === work).map(sizes);
  return works.map((work) => `${escapeHtml(workTitles[work])} ${sizesOf(work).join('; ')}`).join('<br>');
}
