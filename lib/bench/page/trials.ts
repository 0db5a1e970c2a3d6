/** Every trial with its chart and the table of all systems. */
import type { Figures } from '../../report/figure';
import { type Column, renderTable } from '../../report/page';
import { capitalize, escapeHtml, formatBytes, formatDuration, plural, threeDigits } from '../../report/text';
import { chartFile, formatPercent, fractionOfFloor, slug } from '../charts';
import type { GatedCell, GatedPart, Work } from '../protocol';
import { type CaseResult, caseName, type TrialResult, verdict } from '../results';
import { enoughRounds } from '../statistics';
import {
  countingCases,
  describeFactor,
  describeOneSteps,
  describeRounds,
  describeThreads,
  formatFactor,
  oneStepCases,
  ownCase,
  rivalCase,
  sizes,
  systemName,
  trialTitle,
  whyNotCompared,
} from '../summary';
import { evenkeel } from '../systems';
import { forGatedWorks, workTitles } from '../works';
import { memory, time } from './cells';

const gatedTexts: Record<GatedPart, string> = {
  train: 'The cell, mean squared error on all steps, backward, clipping at norm 1.0, Adam.',
  forward: 'The cell over all steps, without gradients.',
  step: 'A stream: T steps, each a call of its own that goes on from the state before, without gradients.',
};
const cellTexts: Partial<Record<GatedCell, string>> = {
  'gru-reset-before': ' The GRU of Cho et al. 2014, of TF.js, of Keras with reset_after = False: PyTorch has none.',
  'layer-norm-lstm':
    ' LayerNorm on both products and on the cell state that is put out (Ba et al. 2016, supplement): in PyTorch a scripted loop, in Keras a cell of its own.',
};

const workTexts: Record<Work, string> = {
  train: 'Zero gradients, RNN (tanh), LayerNorm over its outputs, mean squared error on all steps, backward, clipping at norm 1.0, Adam.',
  forward: 'RNN (tanh) and LayerNorm over its outputs, without gradients.',
  backward: 'The gradients of all parameters from the loss of one forward pass, which is not timed itself.',
  rnn: 'The RNN (tanh) alone, forward and backward with a given output gradient: the gradients of the input and of all parameters.',
  'layer-norm': 'LayerNorm over the rows, forward and backward with a given output gradient.',
  placement:
    'A training step with LayerNorm within the recurrence and none after it: RNN (tanh), mean squared error on all steps, backward, clipping at norm 1.0, Adam. PyTorch runs a loop in Python over its own operations, JAX lax.scan, TF.js its autodiff loop.',
  ...forGatedWorks(({ cell, part }) => gatedTexts[part] + (cellTexts[cell] ?? '')),
};

/** One section per kind of work, in the order of the run. */
export function trialSections(results: readonly TrialResult[], figures: Figures<string>): string {
  const works = [...new Set(results.map(({ trial }) => trial.work))];
  const sections: string[] = [];
  for (const work of works) {
    const parts = results.filter(({ trial }) => trial.work === work).map((result) => trialPart(result, figures));
    sections.push(`<section>\n<h2>${escapeHtml(workTitles[work])}</h2>\n<p>${workTexts[work]}</p>\n${parts.join('\n')}\n</section>`);
  }
  return sections.join('\n');
}

function trialPart(result: TrialResult, figures: Figures<string>): string {
  const { trial, floor } = result;
  const bound = floor.milliseconds === undefined ? 'nothing bounds it' : formatDuration(floor.milliseconds);
  return `<h3 id="${slug(trial.id)}">${escapeHtml(workTitles[trial.work])} ${sizes(trial)}</h3>
<p>${escapeHtml([sentence(result), describeThreads(result) ?? '', ...describeOneSteps(result).map((text) => `${text}.`)].join(' '))} <span class="note">${escapeHtml(capitalize(trial.why))}. The machine's floor: ${bound} (${amount(floor.flop, 'FLOP')}, ${amount(floor.bytes, 'B')}).</span></p>
${figures.show(chartFile(trial.id), 'Median of each system, with the 10th and 90th percentiles.')}
${caseTable(result)}`;
}

/** Who is faster, said of a win, a draw and a loss alike. */
function sentence(result: TrialResult): string {
  const { comparison } = result;
  const [own, rival] = [ownCase(result), rivalCase(result)];
  if (comparison === undefined || own === undefined || rival === undefined) return `Not compared: ${whyNotCompared(result)}.`;
  const words = { faster: 'Evenkeel is faster', draw: 'A draw', slower: 'Evenkeel is slower', undecided: 'Undecided' }[verdict(comparison)];
  return `${words}: ${time(own)} against ${time(rival)} by ${caseName(rival)}, ${describeFactor(comparison)} (${describeRounds(comparison)}).`;
}

function caseTable(result: TrialResult): string {
  const own = ownCase(result);
  const rows = countingCases(result.cases).map((one) => {
    const { median, p10, p90, slow, firstCallMs } = one.timing as NonNullable<CaseResult['timing']>;
    const part = fractionOfFloor(one, result);
    return [
      caseLabel(one),
      `${formatDuration(median)}${slow ? '*' : ''}<small>${formatDuration(p10)} – ${formatDuration(p90)}</small>`,
      one === own ? '–' : againstEvenkeel(one, result),
      part === undefined ? '–' : formatPercent(part),
      formatBytes(memory(one)),
      formatDuration(firstCallMs),
    ];
  });
  if (rows.length === 0) return '';
  rows.push(...oneStepCases(result.cases).map((one) => oneStepRow(one, own)), ...boundRows(result));
  const heads = ['median <small>p10 – p90</small>', 'time against evenkeel', 'of the floor', 'memory', 'first call'];
  const columns: Column[] = [{ head: 'System' }, ...heads.map((head) => ({ head, numeric: true }))];
  const slow = countingCases(result.cases).some(({ timing }) => timing?.slow);
  const note = `<p class="note">* Its calls are so long that it was measured in fewer than ${enoughRounds} rounds: its noise is not known.</p>`;
  return `<details>
<summary>All systems: spread, memory, first call</summary>
${renderTable(`All systems, ${trialTitle(result.trial)}`, columns, rows)}
${slow ? note : ''}
</details>`;
}

function oneStepRow(one: ReturnType<typeof oneStepCases>[number], own: CaseResult | undefined): string[] {
  const { milliseconds, baseBytes, peakBytes } = one.step;
  const ratio = own?.timing === undefined ? '–' : `×${formatFactor(milliseconds / own.timing.median)}`;
  const memory = formatBytes(Math.max(0, peakBytes - baseBytes));
  return [caseLabel(one), `${formatDuration(milliseconds)}<small>one step, not repeated</small>`, ratio, '–', memory, '–'];
}

/** Of those that no number of threads brought below the limit: the least that they take. */
function boundRows(result: TrialResult): string[][] {
  const own = ownCase(result)?.timing?.median;
  const told = new Set(result.cases.filter(({ timing, step }) => (timing ?? step) !== undefined).map(systemName));
  return result.cases
    .filter((one) => one.moreThanMs !== undefined && !told.has(systemName(one)) && told.add(systemName(one)))
    .map((one) => {
      const least = one.moreThanMs as number;
      const ratio = own === undefined ? '–' : `over ×${formatFactor(least / own)}`;
      return [caseLabel(one), `over ${formatDuration(least)}<small>over the limit</small>`, ratio, '–', '–', '–'];
    });
}

/** With the look of its range in the charts. */
function caseLabel(one: CaseResult): string {
  const threads = plural(one.threads, 'thread');
  const name = `${escapeHtml(systemName(one))}<small>${threads}</small>`;
  return one.system === evenkeel.id ? `<strong>${name}</strong>` : name;
}

/** Of the best rival as it is compared, round by round; the others have no rounds in common with evenkeel's that count. */
function againstEvenkeel(one: CaseResult, result: TrialResult): string {
  const own = ownCase(result)?.timing;
  if (one.timing === undefined || own === undefined) return '–';
  const isCompared = one === rivalCase(result) && result.comparison !== undefined;
  return `×${formatFactor(isCompared ? 1 / (result.comparison?.ratio ?? 1) : one.timing.median / own.median)}`;
}

const prefixes = ['', 'k', 'M', 'G', 'T', 'P'];

/** Such as `1.23 GFLOP`. */
function amount(value: number, unit: string): string {
  const power = Math.min(prefixes.length - 1, Math.max(0, Math.floor(Math.log10(value || 1) / 3)));
  return `${threeDigits(value / 1000 ** power)} ${prefixes[power]}${unit}`;
}
