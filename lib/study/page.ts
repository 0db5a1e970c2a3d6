/** The study's page and its SVG files. */
import { Figures } from '../report/figure';
import { renderDefinitions, renderPage } from '../report/page';
import { escapeHtml, plural } from '../report/text';
import { type ChartFile, referenceCharts, seriesCharts } from './charts';
import { clippingChart, depthCharts } from './depth-charts';
import { gridCharts } from './grid-charts';
import { clippingSection } from './page/clipping';
import { depthSection } from './page/depth';
import { findingsSection } from './page/findings';
import { gridSection } from './page/grid';
import { regimesSection } from './page/regimes';
import { referenceSection, seriesSection } from './page/training';
import type { StudyResults } from './results';
import { describeInterruption, growthRuleText, headline, leadSentences, trendRuleText } from './summary';

/** The text of index.html, and of each SVG file by its name. */
export async function renderStudy(results: StudyResults): Promise<{ page: string; charts: Map<string, string> }> {
  const clipping = clippingChart(results.clipping);
  const figures = await Figures.draw([
    ...gridCharts(results.grid),
    ...depthCharts(results.depth),
    ...(clipping === undefined ? [] : [clipping]),
    ...referenceCharts(results.reference),
    ...seriesCharts(results.series),
  ]);
  const charts = figures.files();
  const body = [
    opening(results, figures),
    gridSection(results.grid, figures),
    findingsSection(results),
    regimesSection(results.regimes),
    clippingSection(results.clipTrials, results.clipping, figures),
    depthSection(results.depth, figures),
    referenceSection(results.reference, figures),
    seriesSection(results.series, figures),
    methodSection(results, [...charts.keys()]),
  ];
  return { page: renderPage(headline(results), 'study', body.join('\n')), charts };
}

/** The first screen: what was found, in words and in one picture. */
function opening(results: StudyResults, figures: Figures<ChartFile>): string {
  const [text, ...measured] = leadSentences(results);
  return `<header>
<p class="kicker">evenkeel study, ${escapeHtml(results.date.slice(0, 10))}</p>
<h1>${escapeHtml(headline(results))}</h1>
</header>
${results.interrupted ? `<p class="warning">${escapeHtml(describeInterruption(results))}</p>` : ''}
<p class="lead">${escapeHtml(text)}</p>
<ul>
${measured.map((sentence) => `<li>${escapeHtml(sentence)}</li>`).join('\n')}
</ul>
${figures.show('growth-rates.svg', escapeHtml(`Above 0 the gradient grows on its way to earlier steps (bold: 0 lies below the 95 % interval of ${plural(results.grid.draws, 'draw')}). Rows: where the LayerNorm stands (input: before the RNN, as in the text’s Example 2; output: after it, as in Example 1; hidden: on the state that is fed back). Inputs are standard normal.`))}`;
}

function methodSection(results: StudyResults, files: readonly string[]): string {
  const { environment, options, seconds, date } = results;
  const links = ['results.json', ...files].map((file) => `<a href="${file}">${file}</a>`).join(', ');
  const rows: [string, string][] = [
    ['Growth', growthRuleText(results.grid.cell)],
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
