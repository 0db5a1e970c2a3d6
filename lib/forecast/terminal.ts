/** Forecasts as plain text. */
import { formatNumber, printable, wrap } from '../report/text';
import { formatTable } from '../text-table';
import type { Comparison, EvaluationResults, ForecastResults } from './results';
import {
  comparisonRows,
  coverageSentence,
  dataSentence,
  evaluationHeadline,
  formatPercent,
  headline,
  seasonSentence,
  splitSentence,
  trainingSentence,
} from './summary';

/** Longer lines of prose are hard to read. */
const widest = 96;

/** @param columns of the terminal, where there is one */
export function formatForecast(results: ForecastResults, columns = Number.POSITIVE_INFINITY): string {
  const { test, options, season, data } = results;
  return join(columns, [
    headline(results),
    dataSentence(data),
    splitSentence(results),
    trainingSentence(results),
    { table: comparisonTable(test, options.cell, season, options.horizon, columns) },
    seasonSentence(test, season),
    coverageSentence(test, 'the test part'),
  ]);
}

export function formatEvaluation(results: EvaluationResults, cell: string, columns = Number.POSITIVE_INFINITY): string {
  const { evaluation, season, horizon, data } = results;
  return join(columns, [
    evaluationHeadline(results, cell),
    dataSentence(data),
    { table: comparisonTable(evaluation, cell, season, horizon, columns) },
    seasonSentence(evaluation, season),
    coverageSentence(evaluation, 'this data'),
  ]);
}

function join(columns: number, parts: readonly (string | { table: string } | undefined)[]): string {
  const width = Math.min(widest, columns);
  const texts = parts
    .filter((part) => part !== undefined)
    .map((part) => (typeof part === 'string' ? wrap(printable(part), width) : part.table));
  return `${texts.join('\n\n')}\n`;
}

function comparisonTable(comparison: Comparison, cell: string, season: number | null, horizon: number, columns: number): string {
  const steps = shownSteps(horizon);
  const head = [
    'Error on the same windows',
    'RMSE',
    'MAE',
    'against last value',
    ...(horizon > 1 ? steps.map((step) => `RMSE step ${step}`) : []),
  ];
  const rows = comparisonRows(comparison, cell, season).map(({ title, errors, against }) => [
    title,
    formatNumber(errors.rmse, 3),
    formatNumber(errors.mae, 3),
    formatPercent(against),
    ...(horizon > 1 ? steps.map((step) => formatNumber(errors.rmseBySteps[step - 1] as number, 3)) : []),
  ]);
  return formatTable([head, ...rows], columns);
}

/** The first, the middle and the last. */
export function shownSteps(horizon: number): number[] {
  return [...new Set([1, Math.ceil(horizon / 2), horizon])];
}
