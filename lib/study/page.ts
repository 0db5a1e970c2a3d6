/** The study's page and its SVG files. */
import { renderChart, standaloneSvg } from '../report/chart';
import { renderHeatMap } from '../report/heat-map';
import { renderDefinitions, renderFigure, renderHeatFigure, renderPage, renderSampled, renderTable } from '../report/page';
import { escapeHtml, formatNumber, plural } from '../report/text';
import { placementLooks } from '../report/theme';
import { referenceCharts, type StudyChart, seriesCharts } from './charts';
import type { Finding } from './claims';
import { commonVerdict, formatRate, type Judgement, meanRate, medianHorizon } from './claims';
import { clipRules } from './clip-rules';
import { clippingChart, depthCharts, type StudyHeatMap } from './depth-charts';
import { examinedText, verdictText } from './findings';
import type { ClippingPart, DepthPart, ReferencePart, ReferenceRun, SeriesPart, SeriesRun, StudyResults } from './results';
import {
  clipOnSeries,
  depthRuleText,
  describeClip,
  describeInterruption,
  forecastVerdict,
  formatLargestExponent,
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
  const all: StudyFigure[] = [
    ...Object.values({ ...depthCharts(results.depth) }),
    ...[clippingChart(results.clipping)].filter((chart) => chart !== undefined),
    ...Object.values({ ...referenceCharts(results) }),
    ...Object.values({ ...seriesCharts(results.series) }),
  ];
  const charts = new Map<string, string>();
  for (const chart of all) charts.set(chart.file, standaloneSvg(await renderAlone(chart)));
  const body = [
    await opening(results),
    findingsSection(results.findings),
    await depthSection(results.depth),
    await clippingSection(results.clipping),
    await referenceSection(results),
    await seriesSection(results.series),
    methodSection(results, [...charts.keys()]),
  ];
  return { page: renderPage(headline(results), 'study', body.join('\n')), charts };
}

type StudyFigure = StudyChart | StudyHeatMap;

/** With air around it, for a file. */
function renderAlone(figure: StudyFigure): Promise<string> {
  const padding = 12;
  return 'map' in figure ? renderHeatMap(figure.map, { ...figure.wide, padding }) : renderChart(figure.chart, { ...figure.wide, padding });
}

/** The first screen: what was found, in words and in one picture. */
async function opening(results: StudyResults): Promise<string> {
  const rates = depthCharts(results.depth)?.rates;
  return `<header>
<p class="kicker">evenkeel study, ${escapeHtml(results.date.slice(0, 10))}</p>
<h1>${escapeHtml(headline(results))}</h1>
</header>
${results.interrupted ? `<p class="warning">${escapeHtml(describeInterruption(results))}</p>` : ''}
<p class="lead">${escapeHtml(leadSentences(results))}</p>
${rates === undefined ? '' : await figure(rates, escapeHtml(`Rows: where the LayerNorm stands (input: before the RNN, as in the text's Example 2; output: after it, as in Example 1); columns: how W_hh starts. Means over ${plural(results.depth.seeds, 'seed')}, with standard errors. ${depthRuleText}`))}`;
}

const verdictClass: Record<Judgement['verdict'], string> = {
  holds: 'good',
  'holds where': 'part',
  'does not hold': 'bad',
  'not tested by': 'part',
};

function findingsSection(findings: readonly Finding[]): string {
  if (findings.length === 0) return '';
  const columns = [{ head: 'The text' }, { head: 'verdict', sentences: true }, { head: 'measured', sentences: true }];
  const rows = findings.map((finding) => [
    `<q>${escapeHtml(finding.words)}</q><small>${escapeHtml(finding.meaning)}</small>`,
    `<strong class="${verdictClass[finding.verdict]}">${escapeHtml(verdictText(finding))}</strong>`,
    escapeHtml(finding.measured),
  ]);
  return `<section>
<h2>What the text claims, and what was measured</h2>
<p>The examined text is “${escapeHtml(examinedText.title)}” (${examinedText.date}). Its three examples were run as they stand there. Rates are growth of ln‖∂L/∂h<sub>t</sub>‖ per step back in time.</p>
${renderTable('Claims', columns, rows)}
<h3>Why nothing is multiplied over time in its examples</h3>
<p>The text argues that ∂L/∂h<sub>t</sub> becomes a product of many ∂ĥ<sub>t</sub>/∂h<sub>t</sub> terms. In its code it does not: the normalised output ĥ<sub>t</sub> is not fed back into the RNN, so the derivative of LayerNorm enters the gradient once for each time step of the loss, never once per step of the recurrence.</p>
</section>`;
}

/** ε of a LayerNorm that is not told otherwise. */
const normEps = 1e-5;

async function depthSection(depth: DepthPart): Promise<string> {
  const charts = depthCharts(depth);
  if (charts === undefined) return '';
  const { sequences, timeSteps, inputSize, hiddenSize, seeds, dtype } = depth;
  return `<section>
<h2>Depth in time</h2>
<p>${sequences} sequences of ${timeSteps} time steps, ${inputSize} inputs, ${hiddenSize} hidden units (tanh), random normal inputs and targets, mean squared error on the last step alone, before any training, ${dtype}. For each of ${plural(seeds, 'seed')}, all designs that start alike have the same weights, and all have the same data.</p>
${await figure(charts.gradients, 'A line that falls to the lower edge goes on falling. A gradient that explodes rises.')}
${await figure(charts.spectra, `All Lyapunov exponents: the mean growth per step, over all sequences, of a small change of the state in each of ${hiddenSize} directions. A line that falls to the lower edge goes on below it; a LayerNorm in the recurrence loses some directions altogether.`)}
${depthTable(depth)}
<p class="note">The largest Lyapunov exponent λ<sub>1</sub> is where a gradient’s growth rate tends to over long times, as a mean over sequences; the norm of the gradient follows the sequences whose gradients are largest. It counts the first step as well, from a state of zeros, which the LayerNorm of recurrent-input multiplies by 1/√ε: over ${timeSteps} steps, ${formatNumber(-Math.log(normEps) / 2 / timeSteps, 3)} of its λ<sub>1</sub>.</p>
</section>`;
}

/** All designs, what grows fastest first. */
function depthTable({ designs }: DepthPart): string {
  const columns = [
    { head: 'Design' },
    { head: 'verdict' },
    { head: 'growth rate', numeric: true },
    { head: 'Lyapunov λ<sub>1</sub>', numeric: true },
    { head: 'steps within float32', numeric: true },
  ];
  const rows = [...designs]
    .sort((a, b) => meanRate(b).rate - meanRate(a).rate)
    .map((design) => [
      renderSampled(placementLooks[design.placement], escapeHtml(`${design.placement}, ${design.initializer}`)),
      `<strong class="${{ exploding: 'bad', stable: 'good', vanishing: 'part' }[commonVerdict(design)]}">${commonVerdict(design)}</strong>`,
      formatRate(meanRate(design)),
      formatLargestExponent(design),
      commonVerdict(design) === 'stable' ? '–' : String(medianHorizon(design)),
    ]);
  return renderTable('Every design, the fastest growth first', columns, rows);
}

async function clippingSection(clipping: ClippingPart): Promise<string> {
  const chart = clippingChart(clipping);
  if (chart === undefined) return '';
  const { placement, initializer, gain, timeSteps, trainingSteps, learningRate, dtype } = clipping;
  const columns = [
    { head: 'Rule' },
    { head: 'acted in' },
    { head: 'first norm', numeric: true },
    { head: 'last norm', numeric: true },
    { head: 'first loss', numeric: true },
    { head: 'last losses', numeric: true },
  ];
  const rows = clipRules.flatMap(({ name, title }) =>
    clipping.rules
      .filter(({ rule }) => rule === name)
      .map(({ loss, gradNorm, clipped, clippedSteps, lastLoss }) => [
        title,
        name === 'none' ? '' : `${clippedSteps} of ${plural(clipped.length, 'step')}`,
        ...[gradNorm[0], gradNorm.at(-1)].map((norm = Number.NaN) => formatNumber(norm)),
        ...[loss[0], lastLoss].map((value = Number.NaN) => formatNumber(value, 3)),
      ]),
  );
  return `<section>
<h2>Clipping where gradients explode</h2>
<p>The design that the text warns of (${placement}, ${initializer} ×${gain}), trained on random data with the loss on the last of ${timeSteps} steps: ${trainingSteps} steps of Adam at ${learningRate}, ${dtype}, the same weights and data under each rule. Norms are those before clipping; the last losses are the mean of ten. Adam divides each gradient by its own running size, so that a clip which only makes all of them smaller changes little. With such gradients training is chaotic: sizes can be compared, last digits cannot.</p>
${renderTable('What each rule did', columns, rows)}
${await figure(chart, 'The gradient norm before clipping, and the threshold above which the rule acts. ZClip has none while it warms up.')}
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
${stepTable('Total gradient norm before clipping', reference.systems, ({ gradNorm }) => gradNorm, { head: 'verdict', cell: verdict })}
${stepTable('Loss', reference.systems, ({ loss }) => loss)}
${await figure(charts.loss, `Loss at each training step.${overlap}`)}
${await figure(charts.gradNorm, `Total gradient norm at each training step, before clipping, with the threshold above which Example 3 would clip.${overlap}`)}
${await figure(charts.gradNorms, 'Gradient norm of each parameter. <code>ln</code> is a LayerNorm before or after the RNN, <code>rnn.norm</code> one within it.')}
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
<p>${escapeHtml(joined(forecastVerdict(series), clipOnSeries(series)))}</p>
<p class="note">${escapeHtml(joined(noteOnNormBefore(series), seedNote))}</p>
${await figure(charts.forecast, `Forecasts of ${target} one row ahead, against the truth, on the test part.`)}
${await figure(charts.validation, 'Validation error after each epoch.')}
${await figure(charts.gradNorm, 'Total gradient norm before clipping, geometric mean over each epoch.')}
</section>`;
}

function methodSection({ environment, options, seconds, date }: StudyResults, files: readonly string[]): string {
  const links = ['results.json', ...files].map((file) => `<a href="${file}">${file}</a>`).join(', ');
  const rows: [string, string][] = [
    ['Designs', depthRuleText],
    ['Training', trendRuleText],
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

function figure(figure: StudyFigure, captionHtml: string): Promise<string> {
  return 'map' in figure ? renderHeatFigure(figure.map, figure, captionHtml) : renderFigure(figure.chart, figure, captionHtml);
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
