/** The page of a forecast and its SVG files. */
import { writeFiles } from '../io/folder';
import { Figures } from '../report/figure';
import { type Column, renderDefinitions, renderPage, renderSampled, renderTable } from '../report/page';
import { escapeHtml, formatNumber } from '../report/text';
import { type ChartFile, chartFiles, forecastCharts, lookOf } from './charts';
import { forecasterFile } from './forecaster';
import type { ForecastResults } from './results';
import {
  comparisonRows,
  coverageSentence,
  dataSentence,
  formatPercent,
  headline,
  intervalRule,
  seasonSentence,
  splitSentence,
  trainingSentence,
} from './summary';
import { shownSteps } from './terminal';
import { modelFile, trainingFiles } from './training';

/** Files that a training may write. */
export const forecastFiles = ['results.json', 'index.html', forecasterFile, ...trainingFiles, ...chartFiles] as const;

/** The text of index.html, and of each SVG file by its name. */
export async function renderForecast(results: ForecastResults): Promise<{ page: string; charts: Map<string, string> }> {
  const figures = await Figures.draw(forecastCharts(results));
  const charts = figures.files();
  const body = [opening(results, figures), trainingSection(results, figures), methodSection(results, [...charts.keys()])];
  return { page: renderPage(headline(results), 'forecast', body.join('\n')), charts };
}

/**
 * Writes the page and its charts, each file whole or not at all.
 * @returns the paths, the page first
 * @throws EvenkeelError ERR_FILE with the reason
 */
export async function writeForecast(results: ForecastResults, folder: string): Promise<string[]> {
  const { page, charts } = await renderForecast(results);
  return writeFiles(folder, new Map([['index.html', page], ...charts]), chartFiles);
}

function opening(results: ForecastResults, figures: Figures<ChartFile>): string {
  const { test, data, options } = results;
  const season = seasonSentence(test, results.season);
  const coverage = coverageSentence(test, 'the test part');
  return `<header>
<p class="kicker">evenkeel forecast, ${escapeHtml(results.date.slice(0, 10))}</p>
<h1>${escapeHtml(headline(results))}</h1>
</header>
${results.interrupted ? '<p class="warning">The training was interrupted; the same command goes on.</p>' : ''}
<p class="lead">${escapeHtml(dataSentence(data))}</p>
${comparisonTable(results)}
${season === undefined ? '' : `<p>${escapeHtml(season)}</p>`}
${figures.show('error-by-horizon.svg', escapeHtml(`Error of the forecasts of ${data.target} by how many rows ahead they are, on the test part.`))}
${figures.show('forecast.svg', escapeHtml(`Forecasts against what came, on the test part${options.horizon === 1 ? '' : ', of the next row and of the farthest'}. The band is the 95 % prediction interval.`))}
${coverage === undefined ? '' : `<p>${escapeHtml(`${coverage} ${intervalRule}`)}</p>`}`;
}

function comparisonTable({ test, options, season, data }: ForecastResults): string {
  const steps = options.horizon === 1 ? [] : shownSteps(options.horizon);
  const columns: Column[] = [
    { head: 'Forecast by' },
    ...['RMSE', 'MAE', 'against last value', ...steps.map((step) => `RMSE at step ${step}`)].map((head) => ({ head, numeric: true })),
  ];
  const rows = comparisonRows(test, options.cell, season).map(({ name, title, errors, against }) => [
    renderSampled(lookOf[name], escapeHtml(title)),
    formatNumber(errors.rmse, 3),
    formatNumber(errors.mae, 3),
    formatPercent(against),
    ...steps.map((step) => formatNumber(errors.rmseBySteps[step - 1] as number, 3)),
  ]);
  return renderTable(`Error on the test part, in the unit of ${data.target}`, columns, rows);
}

function trainingSection(results: ForecastResults, figures: Figures<ChartFile>): string {
  return `<section>
<h2>The training</h2>
<p>${escapeHtml(`${splitSentence(results)} ${trainingSentence(results)}`)}</p>
${figures.show('learning-curve.svg', 'Error after each epoch. 1 is about the error of the last value on the training part.')}
${figures.show('gradient-norm.svg', 'Total gradient norm before clipping, geometric mean over each epoch.')}
</section>`;
}

function methodSection({ environment, options, seconds, date, data }: ForecastResults, charts: readonly string[]): string {
  const links = ['results.json', modelFile, forecasterFile, ...charts].map((file) => `<a href="${file}">${file}</a>`).join(', ');
  const rows: [string, string][] = [
    [
      'Model',
      `${options.layers} × ${options.cell.toUpperCase()} of ${options.hidden} units, normalisation ${options.normalization}, dropout ${options.dropout}; a linear layer to ${options.horizon} values, added to the last one`,
    ],
    [
      'Training',
      `Adam at ${options.learningRate}, batches of ${options.batchSize}, clipped at ${options.clip}, at most ${options.epochs} epochs, patience ${options.patience}, seed ${options.seed}`,
    ],
    ['Window', `${options.window} rows`],
    ['Linear', 'ridge regression over the window to the change from the last value, its penalty by the validation part'],
    ...(data.ignored.length === 0 ? [] : [['Left out', `columns without numbers: ${data.ignored.join(', ')}`] as [string, string]]),
    ...(data.constantColumns.length === 0 ? [] : [['Constant', data.constantColumns.join(', ')] as [string, string]]),
    [
      'Evenkeel',
      `${environment.version}, Node ${environment.node}, ${environment.platform} ${environment.arch}, ${environment.simdTarget}, ${environment.blas}, ${environment.threads} threads`,
    ],
    ['Run', `${date}, ${seconds.toFixed(1)} s`],
  ];
  return `<section>
<h2>How it was made</h2>
${renderDefinitions(rows)}
<p class="note">Files: ${links}</p>
</section>`;
}
