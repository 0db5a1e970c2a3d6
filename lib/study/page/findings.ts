/** What the text claims, beside what was measured. */
import { renderTable } from '../../report/page';
import { escapeHtml } from '../../report/text';
import { changesAfter } from '../claims';
import { examinedText, verdictText } from '../findings';
import type { Finding, Judgement, StudyResults } from '../results';
import { whatHolds } from '../summary';

const verdictClass: Record<Judgement['verdict'], string> = {
  holds: 'good',
  'holds where': 'part',
  'does not hold': 'bad',
  'not tested by': 'part',
};

export function findingsSection(results: StudyResults): string {
  const findings: readonly Finding[] = results.findings;
  if (findings.length === 0) return '';
  const columns = [{ head: 'The text' }, { head: 'verdict', sentences: true }, { head: 'measured', sentences: true }];
  const rows = findings.map((finding) => [
    `<q>${escapeHtml(finding.words)}</q><small>${escapeHtml(finding.meaning)}</small>`,
    `<strong class="${verdictClass[finding.verdict]}">${escapeHtml(verdictText(finding))}</strong>`,
    escapeHtml(finding.measured),
  ]);
  return `<section>
<h2>What the text claims, and what was measured</h2>
<p>The examined text is “${escapeHtml(examinedText.title)}” (${examinedText.date}). Sentences are quoted whole. Its three examples were run as they stand there. Rates are growth of ln‖∂L/∂h<sub>t</sub>‖ per step back in time.</p>
${renderTable('Claims', columns, rows)}
<h3>What the text gets right</h3>
<p>${escapeHtml(whatHolds(results).join(' '))}</p>
<h3>Why nothing is multiplied over time in its examples</h3>
<p>The text argues that ∂L/∂h<sub>t</sub> becomes a product of many ∂ĥ<sub>t</sub>/∂h<sub>t</sub> terms. In its code it does not: the normalised output ĥ<sub>t</sub> is not fed back into the RNN, so the derivative of LayerNorm enters the gradient once for each time step of the loss, never once per step of the recurrence.${why(results)}</p>
</section>`;
}

/** What follows of it for the rates. */
function why({ grid }: StudyResults): string {
  const { outputs, words } = changesAfter(grid.cells);
  return outputs.length === 0 ? '' : ` Measured: with it the rate differs from that without ${words}.`;
}
