/** A page of a training: all in one file, without scripts. */
import { writeFileAtomic } from '../io/atomic-file';
import { Figures } from '../report/figure';
import { type Column, renderDefinitions, renderPage, renderTable } from '../report/page';
import { escapeHtml, formatNumber, plural } from '../report/text';
import { version } from '../version';
import { trainingCharts } from './page-charts';
import type { EpochRecord, History } from './records';
import type { Run } from './run';
import type { Training } from './training';

/**
 * Writes what has happened in a training so far; nothing where that is nothing, since an earlier page may tell more.
 * @throws EvenkeelError ERR_FILE, ERR_STATE where the packages that draw charts are missing
 */
export async function writeTrainingPage(path: string, run: Run, { records, step }: Training): Promise<void> {
  if (records.steps > 0) writeFileAtomic(path, await renderTraining(records.history, { lastStep: step, facts: factsOf(run) }));
}

/** @param about the number of the last step, and terms about the training with what is said of them */
export async function renderTraining(
  history: History,
  { lastStep, facts }: { lastStep: number; facts: readonly [string, string][] },
): Promise<string> {
  const charts = trainingCharts(history, lastStep - history.loss.length + 1);
  const figures = await Figures.draw(charts);
  const shown = charts.map(({ file, caption }) => figures.show(file, escapeHtml(caption)));
  const body = [
    opening(history),
    ...shown,
    epochTable(history),
    `<section>\n<h2>How it was made</h2>\n${renderDefinitions(facts)}\n</section>`,
  ];
  return renderPage(headline(history), 'training', body.join('\n'));
}

function factsOf({ parameters, frozen, optimizer, accumulate }: Run): [string, string][] {
  const count = (list: Run['parameters']) => list.reduce((sum, { value }) => sum + value.size, 0);
  return [
    ['Parameters', `${count(parameters)} trained${frozen.length === 0 ? '' : `, ${count(frozen)} frozen`}`],
    ['Optimiser', optimizer.constructor.name],
    ...(accumulate === 1 ? [] : [['Step', `of ${accumulate} batches`] as [string, string]]),
    ['Evenkeel', `${version}, Node ${process.version.slice(1)}`],
    ['Written', new Date().toISOString()],
  ];
}

/** By the means of the first and the last epoch, where there are several, else by the first and the last step. */
function headline({ epochs, loss }: History): string {
  const [first, last] = epochs.length > 1 ? [epochs[0]?.loss, epochs.at(-1)?.loss] : [loss[0], loss.at(-1)];
  return `Training loss from ${number(first)} to ${number(last)} in ${plural(loss.length, 'step')}`;
}

const END = {
  epochs: 'It ended after its last epoch.',
  patience: 'It ended since nothing got better.',
  callback: 'A callback ended it.',
};

function opening(history: History): string {
  const { epochs, best, end, clipped, skipped, warnings } = history;
  const [clippedSteps, skippedSteps] = [clipped, skipped].map((list) => list.filter(Boolean).length);
  const sentences = [
    `${plural(epochs.length, 'whole epoch')}.`,
    ...(end === undefined ? [] : [END[end]]),
    ...(best === undefined ? [] : [`Epoch ${best.epoch} is the best, with ${number(best.value)}; the model has its weights.`]),
    clippedSteps === 0 ? 'Clipping never acted.' : `Clipping acted in ${clippedSteps} of ${plural(clipped.length, 'step')}.`,
    ...(skippedSteps === 0
      ? []
      : [`${plural(skippedSteps as number, 'step')} left out, for a loss, gradients or new weights that were not finite.`]),
  ];
  const faults = [
    ...(end === undefined ? ['The training was ended early, by an abort or an error. This is what had happened.'] : []),
    ...warnings.map(({ message }) => message),
  ];
  return `<header>
<p class="kicker">evenkeel training</p>
<h1>${escapeHtml(headline(history))}</h1>
</header>
${faults.map((text) => `<p class="warning">${escapeHtml(text)}</p>`).join('\n')}
<p class="lead">${escapeHtml(sentences.join(' '))}</p>`;
}

/** More rows would be no table to read. */
const MOST_ROWS = 20;

/** Some of the epochs, among them the best and the last. */
function epochTable({ epochs, best }: History): string {
  if (epochs.length === 0) return '';
  const stride = Math.ceil(epochs.length / MOST_ROWS);
  const shown = epochs.filter((record, i) => i % stride === 0 || record === epochs.at(-1) || record.epoch === best?.epoch);
  const names = [...new Set(shown.flatMap(({ validation = {} }) => Object.keys(validation)))];
  const columns: Column[] = [
    { head: 'Epoch' },
    ...['last step', 'loss', ...names.map((name) => `validation ${escapeHtml(name)}`), 'learning rate'].map((head) => ({
      head,
      numeric: true,
    })),
  ];
  const rows = shown.map(({ epoch, step, loss, validation, learningRate }: EpochRecord) => [
    epoch === best?.epoch ? `${epoch}, the best` : String(epoch),
    String(step),
    number(loss),
    ...names.map((name) => (validation === undefined ? '' : number(validation[name]))),
    number(learningRate),
  ]);
  const which = shown.length === epochs.length ? 'Epochs' : `${shown.length} of ${epochs.length} epochs`;
  return renderTable(which, columns, rows);
}

function number(value = Number.NaN): string {
  return formatNumber(value, 4);
}
