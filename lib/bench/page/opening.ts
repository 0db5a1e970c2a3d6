/** The first screen: where evenkeel wins, draws and loses, and by how much. */
import { renderTable } from '../../report/page';
import { escapeHtml } from '../../report/text';
import { slug } from '../charts';
import { type BenchResults, type Comparison, type TrialResult, type Verdict, verdict } from '../results';
import {
  describeAbsent,
  describeFactor,
  describeInterruption,
  describeRounds,
  describeUncompared,
  headline,
  ownCase,
  rivalCase,
  sizes,
  standings,
  systemName,
  verdictRule,
  verdictWords,
  whyNotCompared,
} from '../summary';
import { workTitles } from '../works';
import { time } from './cells';

const verdictClass: Record<Verdict, string> = { faster: 'good', draw: '', slower: 'bad', undecided: '' };

export function opening(results: BenchResults): string {
  const items = standings(results).map(
    ({ verdict: name, label, text }) => `<li><strong class="${verdictClass[name]}">${escapeHtml(label)}:</strong> ${escapeHtml(text)}</li>`,
  );
  const uncompared = describeUncompared(results);
  const absent = describeAbsent(results);
  return `<header>
<p class="kicker">evenkeel benchmark, ${escapeHtml(results.date.slice(0, 10))}, ${escapeHtml(results.environment.cpu)}</p>
<h1>${escapeHtml(headline(results))}</h1>
</header>
${results.interrupted ? `<p class="warning">${escapeHtml(describeInterruption(results))}</p>` : ''}
${items.length === 0 ? '' : `<ul>\n${items.join('\n')}\n</ul>`}
${uncompared === undefined ? '' : `<p>${escapeHtml(uncompared)}</p>`}
${absent === undefined ? '' : `<p class="warning">${escapeHtml(absent)} <a href="#untimed">Which, and why.</a></p>`}
${verdictTable(results.trials)}`;
}

function verdictTable(results: readonly TrialResult[]): string {
  if (results.length === 0) return '';
  const columns = [
    { head: 'Trial' },
    { head: 'against the best rival', sentences: true },
    { head: 'evenkeel', numeric: true },
    { head: 'best rival', numeric: true },
  ];
  const rows = results.map((result) => {
    const { trial, comparison } = result;
    const [own, rival] = [ownCase(result), rivalCase(result)];
    const name = `<a href="#${slug(trial.id)}">${escapeHtml(workTitles[trial.work])}</a><small>${sizes(trial)}</small>`;
    const rivalCell = rival === undefined ? '–' : `${time(rival)}<small>${escapeHtml(systemName(rival))}</small>`;
    const verdictText =
      comparison === undefined ? `not compared<small>${escapeHtml(whyNotCompared(result))}</small>` : verdictCell(comparison);
    return [name, verdictText, time(own), rivalCell];
  });
  return `${renderTable('Time of each trial, median', columns, rows)}
<p class="note">Sizes: sequences, time steps, inputs, hidden units; for LayerNorm: rows, size. Each system counts with the better number of threads. ${verdictRule}</p>`;
}

function verdictCell(comparison: Comparison): string {
  const name = verdict(comparison);
  return `<strong class="${verdictClass[name]}">${verdictWords[name]}</strong>, ${describeFactor(comparison)}<small>${describeRounds(comparison)}</small>`;
}
