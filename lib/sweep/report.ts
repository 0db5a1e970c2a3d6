/** The page of a sweep, from what its folder holds at the moment. */
import { join } from 'node:path';
import { writeFileAtomic } from '../io/atomic-file';
import { drawFigure, type Figure, renderFigure } from '../report/figure';
import { renderPage, renderTable } from '../report/page';
import { escapeHtml, formatDuration, formatNumber, plural } from '../report/text';
import { growthMaps, sweepCharts } from './charts';
import { describeDesigns, designsOf, headline } from './findings';
import { countTrials } from './grid';
import { type DoneRecord, readStore, recordsInOrder, type StoredSweep, type TrialRecord } from './store';
import { describeStart, describeTask, describeTrial } from './trial';

/** Files for people, beside those of the store. */
export const sweepFiles = ['index.html', 'results.csv'] as const;

/**
 * Writes index.html into the folder of a sweep, which may be running.
 * @returns its path
 * @throws EvenkeelError ERR_FILE
 */
export async function writeReport(folder: string): Promise<string> {
  const path = join(folder, 'index.html');
  writeFileAtomic(path, await renderSweep(readStore(folder)), 'replace');
  return path;
}

/** The text of the page. */
export async function renderSweep(sweep: StoredSweep): Promise<string> {
  const records = recordsInOrder(sweep);
  const total = countTrials(sweep.grid);
  const done = records.filter((record): record is DoneRecord => record.status === 'done');
  const failed = records.filter(({ status }) => status === 'failed');
  const designs = designsOf(done);
  const title = headline(designs, done.length === total) ?? `${done.length} of ${plural(total, 'trial')}`;
  const figures = await Promise.all([...growthMaps(done), ...sweepCharts(done)].map(figureSection));
  const body = `<header>
<p class="kicker">evenkeel sweep, ${done.length} of ${plural(total, 'trial')}</p>
<h1>${escapeHtml(title)}</h1>
</header>
${designs.length === 0 ? '' : `<p class="lead">${escapeHtml(describeDesigns(designs))}</p>\n`}<p>${escapeHtml(statusText(total, done, failed.length))}</p>
${figures.join('\n')}
${growingStatesTable(done)}
${failureTable(failed)}
<section>
<h2>The grid</h2>
${gridTable(sweep)}
</section>
<section>
<h2>How it was measured</h2>
<p>Each trial ran in a process of its own, from its seed. All numbers but time and memory depend on the trial alone: they are the same, bit for bit, wherever it runs on one kind of CPU. Lines are medians over what their chart does not tell apart, such as seeds. Memory is the most that the process of a trial held, Node included. Evenkeel ${escapeHtml(sweep.version)}.</p>
${cpuText(done)}
</section>`;
  return renderPage(title, 'sweep', body);
}

function statusText(total: number, done: readonly DoneRecord[], failed: number): string {
  const left = total - done.length - failed;
  const diverged = done.filter(({ measures }) => measures.divergedAt !== null).length;
  const grown = done.filter(hasGrown).length;
  const seconds = done.reduce((sum, { cost }) => sum + cost.seconds, 0);
  return [
    left === 0 ? 'The sweep is complete.' : `${plural(left, 'trial')} ${left === 1 ? 'has' : 'have'} not ended yet.`,
    failed === 0 ? '' : `${failed} failed; the same sweep, started again, tries them again.`,
    diverged === 0 ? '' : `In ${plural(diverged, 'trial')} the loss or a gradient left the range of numbers.`,
    grown === 0 ? '' : `In ${plural(grown, 'trial')} the states grew until they were close to overflow, which the loss need not show.`,
    done.length === 0 ? '' : `The trials took ${formatDuration(1000 * seconds)} in all.`,
  ]
    .filter((sentence) => sentence !== '')
    .join(' ');
}

function gridTable({ grid }: StoredSweep): string {
  const listed = (values: readonly (string | number)[]) =>
    escapeHtml(values.length > 12 ? `${values.slice(0, 11).join(', ')} … ${values.at(-1)}` : values.join(', '));
  const rows = [
    ['Lengths T', listed(grid.lengths)],
    ['Placements', listed(grid.normalizations.map(({ placement, kind }) => (kind === undefined ? placement : `${placement} (${kind})`)))],
    ['Initialisers', listed(grid.initializers.map(describeStart))],
    ['Clipping', listed(grid.clips.map(({ rule, ...limit }) => [rule, ...Object.values(limit)].join(' ')))],
    ['Cells', listed(grid.recurrences.map(({ cell, nonlinearity }) => (nonlinearity === undefined ? cell : `${cell} (${nonlinearity})`)))],
    [
      'Tasks and sizes',
      listed(
        grid.shapes.map(
          ({ task, batchSize, inputSize, hiddenSize }) => `${describeTask(task)} N ${batchSize}, I ${inputSize}, H ${hiddenSize}`,
        ),
      ),
    ],
    ['Seeds', listed(grid.seeds)],
    ['Training', escapeHtml(`${grid.steps} steps of Adam at ${grid.learningRate}, ${grid.dtype}`)],
  ];
  return renderTable('Axes and their values', [{ head: 'Axis' }, { head: 'values', sentences: true }], rows);
}

async function figureSection(figure: Figure & { title: string; captionHtml: string }): Promise<string> {
  return `<section>\n<h2>${escapeHtml(figure.title)}</h2>\n${renderFigure(await drawFigure(figure), figure.captionHtml)}\n</section>`;
}

/** What computed, and a warning where it was not the same for all. */
function cpuText(done: readonly DoneRecord[]): string {
  const counts = new Map<string, number>();
  for (const record of done) {
    const { cpu, simdTarget, blas } = record.cpuKind;
    const kind = `${cpu}, ${simdTarget}, ${blas}`;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const [[only] = []] = counts;
  if (only === undefined) return '';
  if (counts.size === 1) return `<p>All trials ran on one kind of CPU: ${escapeHtml(only)}.</p>`;
  const listed = [...counts].map(([kind, count]) => `<li>${escapeHtml(kind)}: ${plural(count, 'trial')}</li>`).join('\n');
  return `<div class="warning"><p>These trials ran on ${counts.size} kinds of CPU, between which the last bits of a result may differ:</p>
<ul>
${listed}
</ul></div>`;
}

/** A page with every one of very many would not open. */
const rowsShown = 200;

function hasGrown({ measures }: DoneRecord): boolean {
  return measures.statesGrewAt !== null;
}

function growingStatesTable(done: readonly DoneRecord[]): string {
  const grown = done.filter(hasGrown);
  if (grown.length === 0) return '';
  const rows = grown
    .slice(0, rowsShown)
    .map(({ trial, measures }) => [
      escapeHtml(describeTrial(trial)),
      escapeHtml(String(measures.statesGrewAt)),
      escapeHtml(measures.largestState === null ? 'not finite' : formatNumber(measures.largestState)),
      escapeHtml(measures.lossLast === null ? '–' : formatNumber(measures.lossLast)),
    ]);
  const columns = [
    { head: 'Trial' },
    { head: 'at step', numeric: true },
    { head: 'largest state', numeric: true },
    { head: 'last loss', numeric: true },
  ];
  return `<section>
<h2>Where states grow</h2>
<p>States of the recurrent layer at the ends of the sequences that became 10⁶ times as large as after the first step, or so large that their squares overflow. A LayerNorm after the layer hides this from loss and gradients until numbers end. A lower learning rate, tanh or a cell with gates in place of relu, or a normalisation inside the layer keeps them small.</p>
${renderTable('Trials whose states grew', columns, rows)}
${moreNote(grown.length)}
</section>`;
}

function failureTable(failed: readonly TrialRecord[]): string {
  if (failed.length === 0) return '';
  const rows = failed
    .slice(0, rowsShown)
    .map((record) => [
      escapeHtml(describeTrial(record.trial)),
      escapeHtml(record.status === 'failed' ? record.reason : ''),
      escapeHtml(String(record.attempts)),
    ]);
  const columns = [{ head: 'Trial' }, { head: 'reason', sentences: true }, { head: 'attempts', numeric: true }];
  return `<section>\n<h2>What failed</h2>\n${renderTable('Trials without a result', columns, rows)}\n${moreNote(failed.length)}\n</section>`;
}

function moreNote(count: number): string {
  return count > rowsShown ? `<p class="note">and ${count - rowsShown} more: evenkeel report --csv lists all.</p>` : '';
}
