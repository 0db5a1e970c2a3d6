/** What was trained: in the reference set-up, on a real series. */
import type { Figures } from '../../report/figure';
import { renderSampled, renderTable } from '../../report/page';
import { escapeHtml, formatNumber } from '../../report/text';
import type { ChartFile } from '../charts';
import type { ReferencePart, ReferenceRun, SeriesPart, SeriesRun } from '../results';
import { clipOnSeries, describeClip, forecastVerdict, noteOnNormBefore, percentAgainst, seedNote, shownSteps } from '../summary';
import { systemNamed } from '../systems';

export function referenceSection(reference: ReferencePart, figures: Figures<ChartFile>): string {
  if (reference.systems.length === 0) return '';
  const both = reference.systems.some(({ system }) => system === 'after-clipped');
  const overlap = both ? ' Example 3 is the thin dashed line; where it lies on the wide line of Example 1, the two are equal.' : '';
  return `<section>
<h2>The reference set-up</h2>
<p>${setUpText(reference)} Every system starts from the same weights and sees the same data.</p>
${stepTable('Total gradient norm before clipping', reference.systems, ({ gradNorm }) => gradNorm, { head: 'verdict', cell: verdict })}
${stepTable('Loss', reference.systems, ({ loss }) => loss)}
${figures.show('loss.svg', `Loss at each training step.${overlap}`)}
${figures.show('gradient-norm.svg', `Total gradient norm at each training step, before clipping, with the threshold above which Example 3 would clip.${overlap}`)}
${figures.show('gradient-norm-per-parameter.svg', 'Gradient norm of each parameter. <code>ln</code> is a LayerNorm before or after the RNN, <code>rnn.norm</code> one within it.')}
</section>`;
}

function setUpText({ sequences, timeSteps, inputSize, hiddenSize, learningRate, trainingSteps, dtype }: ReferencePart): string {
  return `${sequences} sequences of ${timeSteps} time steps, ${inputSize} inputs, ${hiddenSize} hidden units (tanh), random normal inputs and targets, mean squared error over all time steps, ${trainingSteps} steps of Adam at ${learningRate}, ${dtype}.`;
}

function stepTable(
  caption: string,
  runs: readonly ReferenceRun[],
  values: (run: ReferenceRun) => readonly number[],
  last?: { head: string; cell(run: ReferenceRun): string },
): string {
  const columns = [{ head: 'System' }, ...shownSteps.map((step) => ({ head: `step ${step}`, numeric: true })), ...(last ? [last] : [])];
  return renderTable(
    caption,
    columns,
    runs.map((run) => [systemName(run), ...stepCells(values(run), shownSteps), ...(last ? [last.cell(run)] : [])]),
  );
}

function stepCells(values: readonly number[], steps: readonly number[]): string[] {
  return steps.map((step) => formatNumber(values[step - 1] ?? Number.NaN));
}

export function seriesSection(series: SeriesPart, figures: Figures<ChartFile>): string {
  if (series.systems.length === 0) return '';
  const best = Math.min(series.baselines.lastValue, series.baselines.trainingMean);
  const columns = [
    { head: 'Forecast by' },
    { head: 'test error', numeric: true },
    { head: 'against the better baseline', numeric: true },
    { head: 'gradients' },
    { head: 'best epoch', numeric: true },
  ];
  const baseline = (name: string, error: number) => [name, formatNumber(error, 3), percentAgainst(error, best), '', ''];
  const rows = [
    baseline('Last value again', series.baselines.lastValue),
    baseline('Mean of the training part', series.baselines.trainingMean),
    ...series.systems.map((run) => [
      systemName(run),
      formatNumber(run.testError, 3),
      percentAgainst(run.testError, best),
      verdict(run),
      `${run.bestEpoch} of ${run.validationError.length}`,
    ]),
  ];
  const target = `<code>${escapeHtml(series.target)}</code>`;
  return `<section>
<h2>A real series</h2>
<p>Data: ${escapeHtml(series.source)}. The next value of ${target} is forecast from windows of the past ${series.window} rows of ${series.columns.map((name) => `<code>${escapeHtml(name)}</code>`).join(', ')}; split in time into ${series.rows.train} rows for training, ${series.rows.validation} for validation and ${series.rows.test} for the test; standardised on the training part alone. Each system forecasts with the weights of its best validation epoch.</p>
${renderTable(`Root mean square error on the test part, in the unit of ${series.target}`, columns, rows)}
<p>${escapeHtml(joined(forecastVerdict(series), clipOnSeries(series)))}</p>
<p class="note">${escapeHtml(joined(noteOnNormBefore(series), seedNote))}</p>
${figures.show('forecast.svg', `Forecasts of ${target} one row ahead, against the truth, on the test part.`)}
${figures.show('validation-error.svg', 'Validation error after each epoch.')}
${figures.show('series-gradient-norm.svg', 'Total gradient norm before clipping, geometric mean over each epoch.')}
</section>`;
}

function joined(...sentences: (string | undefined)[]): string {
  return sentences.filter((sentence) => sentence !== undefined).join(' ');
}

/** The system with the look of its lines, and below it which example it is and what its clip did. */
function systemName(run: ReferenceRun | SeriesRun): string {
  const { title, example, look } = systemNamed(run.system);
  const clip = describeClip(run);
  const notes = [...(example ? [example] : []), ...(clip ? [`clip ${clip}`] : [])].join(': ');
  return renderSampled(look, `${escapeHtml(title)}${notes === '' ? '' : `<small>${notes}</small>`}`);
}

function verdict({ trend, trendRatio }: ReferenceRun | SeriesRun): string {
  return `<strong>${trend}</strong><small>×${formatNumber(trendRatio, 2)}</small>`;
}
