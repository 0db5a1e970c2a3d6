/** What starting costs, and memory. */
import { renderTable } from '../../report/page';
import { escapeHtml, formatBytes, formatDuration } from '../../report/text';
import type { CaseResult, TrialResult } from '../results';
import { countingCases, ownCase, sizes, systemName } from '../summary';
import { evenkeel } from '../systems';
import { workTitles } from '../works';
import { memory } from './cells';

/** Evenkeel beside the least and the most that others need. */
export function costSection(results: readonly TrialResult[]): string {
  const shown = results.filter(({ cases }) => countingCases(cases).length > 0);
  if (shown.length === 0) return '';
  return `<section>
<h2>Memory and first call</h2>
${costTable('Largest memory of the process, less what it held before the data and the model were made', shown, memory, formatBytes)}
${costTable('The first call, with whatever is compiled or set up in it', shown, ({ timing }) => timing?.firstCallMs ?? Number.NaN, formatDuration)}
</section>`;
}

function costTable(
  caption: string,
  results: readonly TrialResult[],
  cost: (one: CaseResult) => number,
  format: (value: number) => string,
): string {
  const columns = ['evenkeel', 'least of the others', 'most of the others'].map((head) => ({ head, numeric: true }));
  const rows = results.map((result) => {
    const own = ownCase(result);
    const others = countingCases(result.cases).filter(({ system }) => system !== evenkeel.id);
    const order = others.toSorted((a, b) => cost(a) - cost(b));
    const cell = (one: CaseResult | undefined) =>
      one === undefined ? '–' : `${format(cost(one))}<small>${escapeHtml(systemName(one))}</small>`;
    return [
      `${escapeHtml(workTitles[result.trial.work])}<small>${sizes(result.trial)}</small>`,
      own === undefined ? '–' : format(cost(own)),
      cell(order[0]),
      cell(order.at(-1)),
    ];
  });
  return renderTable(caption, [{ head: 'Trial' }, ...columns], rows);
}
