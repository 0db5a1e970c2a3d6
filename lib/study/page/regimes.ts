/** The text's Example 1 in other settings, with and without its LayerNorm. */
import { renderTable } from '../../report/page';
import { escapeHtml, formatNumber } from '../../report/text';
import { formatFactor, normGrows, regimeTitle } from '../findings';
import { regimeSystems } from '../regimes';
import type { RegimeRun, RegimesPart } from '../results';
import { describeRegimes } from '../summary';

export function regimesSection({ runs, draws, sequences, timeSteps, hiddenSize, trainingSteps, dtype }: RegimesPart): string {
  if (runs.length === 0) return '';
  const columns = [
    { head: 'Example 1' },
    { head: 'LayerNorm' },
    { head: 'first norm', numeric: true },
    { head: 'largest, × the first', numeric: true },
    { head: 'largest |h<sub>T</sub>|', numeric: true },
    { head: 'not finite in', numeric: true },
  ];
  const rows = [...new Set(runs.map(({ regime }) => regime))].flatMap((regime) =>
    regimeSystems.flatMap((system, i) =>
      runs.filter((run) => run.regime === regime && run.system === system).map((run) => rowOf(run, i === 0)),
    ),
  );
  return `<section>
<h2>Example 1 in other settings</h2>
<p>As the text has it (${sequences} sequences of ${timeSteps} steps, ${hiddenSize} units, ${trainingSteps} steps of Adam, ${dtype}), and with one thing changed; ${draws} draws each. ${escapeHtml(describeRegimes(runs))}</p>
${renderTable('The gradient norm over training, mean of the draws; the states, largest of all', columns, rows)}
</section>`;
}

function rowOf(run: RegimeRun, isFirst: boolean): string[] {
  const { lnFirst, lnPeak, largestStates, notFinite, system } = run;
  const [low, high] = lnPeak.interval.map((end) => formatNumber(Math.exp(end), 2));
  const peak = `${formatFactor(lnPeak)}<small>${low} to ${high}</small>`;
  return [
    isFirst ? escapeHtml(regimeTitle(run)) : '',
    { none: 'none', before: 'before the RNN', after: 'after the RNN' }[system],
    formatFactor(lnFirst),
    normGrows(run) ? `<strong class="bad">${peak}</strong>` : peak,
    formatNumber(Math.max(...largestStates), 2),
    `${notFinite} of ${lnPeak.draws}`,
  ];
}
