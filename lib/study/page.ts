/** The study's page and its SVG files. */
import { Figures } from '../report/figure';
import { renderDefinitions, renderPage } from '../report/page';
import { escapeHtml, plural } from '../report/text';
import { type ChartFile, referenceCharts, seriesCharts } from './charts';
import { clippingChart, depthCharts } from './depth-charts';
import { depthSection } from './page/depth';
import { findingsSection } from './page/findings';
import { clippingSection, referenceSection, seriesSection } from './page/training';
import type { StudyResults } from './results';
import { depthRuleText, describeInterruption, headline, leadSentences, trendRuleText } from './summary';

/** The text of index.html, and of each SVG file by its name. */
export async function renderStudy(results: StudyResults): Promise<{ page: string; charts: Map<string, string> }> {
  const clipping = clippingChart(results.clipping);
  const figures = await Figures.draw([
    ...depthCharts(results.depth),
    ...(clipping === undefined ? [] : [clipping]),
    ...referenceCharts(results.reference),
    ...seriesCharts(results.series),
  ]);
  const charts = figures.files();
  const body = [
    opening(results, figures),
    findingsSection(results.findings),
    depthSection(results.depth, figures),
    clippingSection(results.clipping, figures),
    referenceSection(results.reference, figures),
    seriesSection(results.series, figures),
    methodSection(results, [...charts.keys()]),
  ];
  return { page: renderPage(headline(results), 'study', body.join('\n')), charts };
}

/** The first screen: what was found, in words and in one picture. */
function opening(results: StudyResults, figures: Figures<ChartFile>): string {
  return `<header>
<p class="kicker">evenkeel study, ${escapeHtml(results.date.slice(0, 10))}</p>
<h1>${escapeHtml(headline(results))}</h1>
</header>
${results.interrupted ? `<p class="warning">${escapeHtml(describeInterruption(results))}</p>` : ''}
<p class="lead">${escapeHtml(leadSentences(results))}</p>
${figures.show('growth-rates.svg', escapeHtml(`Rows: where the LayerNorm stands (input: before the RNN, as in the text's Example 2; output: after it, as in Example 1); columns: how W_hh starts. Means over ${plural(results.depth.seeds, 'seed')}, with standard errors. ${depthRuleText}`))}`;
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
