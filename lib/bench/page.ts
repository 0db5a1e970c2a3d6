/** The benchmark's page, its SVG files and its table in Markdown. */
import { writeFiles } from '../io/folder';
import { Figures } from '../report/figure';
import { renderPage } from '../report/page';
import { escapeHtml } from '../report/text';
import { chartFile, floorChart, overviewFiles, rivalChart, trialChart } from './charts';
import { formatMarkdown } from './markdown';
import { costSection } from './page/costs';
import { machineSection, methodSection } from './page/method';
import { opening } from './page/opening';
import { trialSections } from './page/trials';
import { untimedSection } from './page/untimed';
import type { BenchResults } from './results';
import { headline, verdictRule } from './summary';
import { trials } from './trials';

/** Files that a run may write. */
export const benchFiles: readonly string[] = ['results.json', 'index.html', 'table.md', ...chartFiles()];

function chartFiles(): string[] {
  return [...Object.values(overviewFiles), ...trials.map(({ id }) => chartFile(id))];
}

/**
 * Writes index.html, table.md and the charts into a folder that is there, each file whole or not at all; results.json, to which the page links, is
 * written by whoever has the results.
 * @returns the paths, the page first
 * @throws EvenkeelError ERR_FILE with the reason
 */
export async function writePage(results: BenchResults, outDir: string): Promise<string[]> {
  const { page, charts } = await renderBench(results);
  return writeFiles(outDir, new Map([['index.html', page], ['table.md', formatMarkdown(results)], ...charts]), chartFiles());
}

/** The text of index.html, and of each SVG file by its name. */
export async function renderBench(results: BenchResults): Promise<{ page: string; charts: Map<string, string> }> {
  const all = [rivalChart(results), floorChart(results), ...results.trials.map(trialChart)];
  const figures = await Figures.draw(all.filter((chart) => chart !== undefined));
  const charts = figures.files();
  const body = [
    opening(results),
    overviewSection(figures),
    trialSections(results.trials, figures),
    costSection(results.trials),
    untimedSection(results),
    machineSection(results),
    methodSection(results, [...charts.keys()]),
  ];
  return { page: renderPage(headline(results), 'benchmark', body.join('\n')), charts };
}

function overviewSection(figures: Figures<string>): string {
  const shown = [
    figures.show(
      overviewFiles.rival,
      escapeHtml(
        `Evenkeel's speed divided by that of the best rival of each trial, on a logarithmic scale; the line is the range over the rounds, p10 to p90. ${verdictRule}`,
      ),
    ),
    figures.show(
      overviewFiles.floor,
      escapeHtml(
        "The shortest time in which this machine could do each trial, divided by the time taken, with the 10th and 90th percentiles, on a logarithmic scale. The floor is the trial's operations at the machine's measured peak, or its bytes at the measured speed of memory, whichever takes longer; that each time step must wait for the one before is not counted.",
      ),
    ),
  ].filter((html) => html !== '');
  if (shown.length === 0) return '';
  return `<section>
<h2>All trials at a glance</h2>
${shown.join('\n')}
</section>`;
}
