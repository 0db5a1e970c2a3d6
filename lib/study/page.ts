/** The study's page and its SVG files. */
import { renderChart, standaloneSvg } from '../report/chart';
import { renderDefinitions, renderFigure, renderPage, renderSampled, renderTable } from '../report/page';
import { capitalize, escapeHtml, formatNumber, plural } from '../report/text';
import { referenceCharts, type StudyChart, seriesCharts } from './charts';
import { type Agreement, examinedText, type Finding } from './findings';
import type { ReferencePart, ReferenceRun, SeriesPart, SeriesRun, StudyResults } from './results';
import {
  clipOnSeries,
  describeClip,
  describeInterruption,
  forecastVerdict,
  headline,
  leadSentences,
  noteOnNormBefore,
  percentAgainst,
  seedNote,
  shownSteps,
  trendRuleText,
} from './summary';
import { systemNamed } from './systems';

/** The text of index.html, and of each SVG file by its name. */
export async function renderStudy(results: StudyResults): Promise<{ page: string; charts: Map<string, string> }> {
  const groups = [referenceCharts(results), seriesCharts(results.series)];
  const charts = new Map<string, string>();
  for (const { file, chart, wide } of groups.flatMap((group) => Object.values<StudyChart>(group ?? {}))) {
    charts.set(file, standaloneSvg(await renderChart(chart, { ...wide, padding: 12 })));
  }
  const body = [
    opening(results),
    findingsSection(results.findings),
    await referenceSection(results),
    await seriesSection(results.series),
    methodSection(results, [...charts.keys()]),
  ];
  return { page: renderPage(`${headline(results)} – evenkeel study`, body.join('\n')), charts };
}

/** The first screen: what was found, in words and in one table. */
function opening(results: StudyResults): string {
  const { reference, series } = results;
  const columns = [
    { head: 'Gradient norm' },
    { head: 'verdict' },
    { head: 'step 1', numeric: true },
    { head: `step ${reference.trainingSteps}`, numeric: true },
  ];
  const rows = reference.systems.map((run) => [systemName(run), verdict(run), ...stepCells(run.gradNorm, [1, reference.trainingSteps], 3)]);
  return `<header>
<p class="kicker">evenkeel study, ${escapeHtml(results.date.slice(0, 10))}</p>
<h1>${escapeHtml(headline(results))}</h1>
</header>
${results.interrupted ? `<p class="warning">${escapeHtml(describeInterruption(results))}</p>` : ''}
<p class="lead">${escapeHtml(leadSentences(results))}</p>
${rows.length === 0 ? '' : renderTable('What the gradients did in 100 training steps', columns, rows)}
${series.systems.length === 0 ? '' : `<p>${escapeHtml(joined(forecastVerdict(series), clipOnSeries(series)))}</p>`}`;
}

const agreementClass: Record<Agreement, string> = {
  confirmed: 'good',
  'partly confirmed': 'good',
  'not borne out': 'bad',
  contradicted: 'bad',
};

function findingsSection(findings: readonly Finding[]): string {
  if (findings.length === 0) return '';
  const items = findings.map(
    ({ about, claim, agreement, measured }) => `<li><span class="note">${escapeHtml(about)}</span>
<p><q>${escapeHtml(claim)}</q></p>
<p><strong class="${agreementClass[agreement]}">${capitalize(agreement)}.</strong> ${escapeHtml(measured)}</p></li>`,
  );
  return `<section>
<h2>What the text claims, and what was measured</h2>
<p>The examined text is “${escapeHtml(examinedText.title)}” (${examinedText.date}). Its three examples were run as they stand there.</p>
<ul class="findings">
${items.join('\n')}
</ul>
<h3>Why nothing is multiplied over time</h3>
<p>The text argues that ∂L/∂h<sub>t</sub> becomes a product of many ∂ĥ<sub>t</sub>/∂h<sub>t</sub> terms. In its code it does not: the normalised output ĥ<sub>t</sub> is not fed back into the RNN, so the derivative of LayerNorm enters the gradient once for each time step of the loss, never once per step of the recurrence.</p>
</section>`;
}

async function referenceSection(results: StudyResults): Promise<string> {
  const charts = referenceCharts(results);
  if (charts === undefined) return '';
  const { reference } = results;
  const both = reference.systems.some(({ system }) => system === 'after-clipped');
  const overlap = both ? ' Example 3 is the thin dashed line; where it lies on the wide line of Example 1, the two are equal.' : '';
  return `<section>
<h2>The reference set-up</h2>
<p>${setUpText(reference)} Every system starts from the same weights and sees the same data.</p>
${stepTable('Loss', reference.systems, ({ loss }) => loss)}
${stepTable('Total gradient norm before clipping', reference.systems, ({ gradNorm }) => gradNorm)}
${await figure(charts.loss, `Loss at each training step.${overlap}`)}
${await figure(charts.gradNorm, `Total gradient norm at each training step, before clipping, with the threshold above which Example 3 would clip.${overlap}`)}
${await figure(charts.gradNorms, 'Gradient norm of each parameter. <code>ln.weight</code> and <code>ln.bias</code> exist only where there is a LayerNorm.')}
</section>`;
}

function setUpText({ sequences, timeSteps, inputSize, hiddenSize, learningRate, trainingSteps, dtype }: ReferencePart): string {
  return `${sequences} sequences of ${timeSteps} time steps, ${inputSize} inputs, ${hiddenSize} hidden units (tanh), random normal inputs and targets, mean squared error over all time steps, ${trainingSteps} steps of Adam at ${learningRate}, ${dtype}.`;
}

function stepTable(caption: string, runs: readonly ReferenceRun[], values: (run: ReferenceRun) => readonly number[]): string {
  const columns = [{ head: 'System' }, ...shownSteps.map((step) => ({ head: `step ${step}`, numeric: true }))];
  return renderTable(
    caption,
    columns,
    runs.map((run) => [systemName(run), ...stepCells(values(run), shownSteps)]),
  );
}

function stepCells(values: readonly number[], steps: readonly number[], digits = 4): string[] {
  return steps.map((step) => formatNumber(values[step - 1] ?? Number.NaN, digits));
}

async function seriesSection(series: SeriesPart): Promise<string> {
  const charts = seriesCharts(series);
  if (charts === undefined) return '';
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
<p class="note">${escapeHtml(joined(noteOnNormBefore(series), seedNote))}</p>
${await figure(charts.forecast, `Forecasts of ${target} one row ahead, against the truth, on the test part.`)}
${await figure(charts.validation, 'Validation error after each epoch.')}
${await figure(charts.gradNorm, 'Total gradient norm before clipping, geometric mean over each epoch.')}
</section>`;
}

function methodSection({ environment, options, seconds, date }: StudyResults, files: readonly string[]): string {
  const links = ['results.json', ...files].map((file) => `<a href="${file}">${file}</a>`).join(', ');
  const rows: [string, string][] = [
    ['Verdicts', trendRuleText],
    ['Seed', String(options.seed)],
    ['Evenkeel', `${environment.evenkeel}, Node ${environment.node}, ${environment.platform}`],
    [
      'Machine',
      `${environment.cpu}; ${plural(environment.threads, 'thread')}, SIMD target ${environment.simdTarget}, BLAS ${environment.blas}`,
    ],
    ['Run', `${date}, ${seconds.toFixed(1)} s`],
  ];
  return `<section>
<h2>How it was measured</h2>
${renderDefinitions(rows)}
<p class="note">Files: ${links}</p>
</section>`;
}

function joined(...sentences: (string | undefined)[]): string {
  return sentences.filter((sentence) => sentence !== undefined).join(' ');
}

function figure({ chart, wide, narrow }: StudyChart, captionHtml: string): Promise<string> {
  return renderFigure(chart, { wide, narrow }, captionHtml);
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
