/** What is said of a forecast, in words and in tables, for the page and the terminal alike. */
import { formatNumber, plural } from '../report/text';
import { type BaselineName, baselineTitles } from './baselines';
import type { ForecastErrors } from './errors';
import type { Comparison, DataPart, EvaluationResults, ForecastResults } from './results';

/** The rows of a comparison, the best baseline known. */
export interface ComparisonRow {
  name: 'model' | BaselineName;
  title: string;
  errors: ForecastErrors;
  /** against the last value, as a part of its error: −0.1 is 10 % less */
  against: number;
}

export function comparisonRows({ model, baselines }: Comparison, cell: string, season: number | null): ComparisonRow[] {
  const last = baselines.lastValue?.rmse ?? Number.NaN;
  const row = (name: ComparisonRow['name'], title: string, errors: ForecastErrors | undefined): ComparisonRow[] =>
    errors === undefined ? [] : [{ name, title, errors, against: errors.rmse / last - 1 }];
  return [
    ...row('model', cell.toUpperCase(), model),
    ...row('lastValue', baselineTitles.lastValue, baselines.lastValue),
    ...row('seasonal', `${baselineTitles.seasonal}, ${season} rows`, baselines.seasonal),
    ...row('linear', baselineTitles.linear, baselines.linear),
  ];
}

export function formatPercent(part: number): string {
  if (!Number.isFinite(part)) return '';
  const text = (Math.abs(part) * 100).toFixed(1);
  return `${Number(text) === 0 ? '' : part < 0 ? '−' : '+'}${text} %`;
}

/** One sentence: how the model did against the best of the others. */
export function verdictOn(comparison: Comparison, cell: string, season: number | null, target: string): string {
  const [model, ...others] = comparisonRows(comparison, cell, season);
  if (model?.name !== 'model') return 'No epoch of training had ended: there is no model yet.';
  const best = others.toSorted((a, b) => a.errors.rmse - b.errors.rmse)[0] as ComparisonRow;
  const difference = model.errors.rmse / best.errors.rmse - 1;
  const what = `The ${model.title} forecasts ${target} with a root mean squared error of ${formatNumber(model.errors.rmse, 3)}`;
  const other = `the best of the others, ${best.title}, ${formatNumber(best.errors.rmse, 3)}`;
  if (Math.abs(difference) < 0.005) return `${what}, the same as ${other}.`;
  return difference < 0
    ? `${what}, ${formatPercent(-difference).slice(1)} less than ${other}.`
    : `${what}, ${formatPercent(difference).slice(1)} more than ${other}: use that instead, or give more data.`;
}

export function headline({ test, options, season, data }: ForecastResults): string {
  return verdictOn(test, options.cell, season, data.target);
}

export function coverageSentence({ coverage }: Comparison, part: string): string | undefined {
  if (coverage.length === 0) return undefined;
  const parts = coverage.map(({ level, covered }) => `${(100 * covered).toFixed(1)} % in those for ${100 * level} %`);
  return `Of what came in ${part}, the prediction intervals held ${parts.join(' and ')}.`;
}

/** Where the seasonal baseline is none, or not in each window. */
export function seasonSentence({ count, withoutSeason }: Comparison, season: number | null): string | undefined {
  if (withoutSeason === undefined) return undefined;
  const name = baselineTitles.seasonal;
  if (withoutSeason === count) return `Without ${name}, which needs ${season} rows before what is forecast.`;
  return `In ${withoutSeason} of ${plural(count, 'window')} ${name} is the last value: it needs ${season} rows before what is forecast.`;
}

export const intervalRule =
  'Intervals are the quantiles of what forecasts missed by on the validation part, for each step ahead. That part also chose the epoch, so they may be a little narrow.';

export function dataSentence({ rows, sequences, columns, target, times, missing, gaps, drifting, source }: DataPart): string {
  const several = sequences > 1 ? ` in ${plural(sequences, 'series').replace(/s$/, '')}` : '';
  const span = times === undefined ? '' : `, ${times[0]} to ${times[1]}`;
  const filled = missing === 0 ? '' : ` ${plural(missing, 'cell')} were missing.`;
  const holes =
    gaps === 0 ? '' : ` ${plural(gaps, 'step')} between rows ${gaps === 1 ? 'is' : 'are'} longer than the others; windows go across.`;
  const drift =
    drifting.length === 0
      ? ''
      : ` ${drifting.join(', ')} ${drifting.length === 1 ? 'leaves its range, and is' : 'leave their range, and are'} given relative to each window’s last row.`;
  return `${source}: ${plural(rows, 'row')}${several}${span}; ${target} from ${columns.join(', ')}.${drift}${filled}${holes}`;
}

export function trainingSentence({ training, options, windows, parameters }: ForecastResults): string {
  const { bestEpoch, validationLoss, ended, clippedSteps, steps } = training;
  const epochs = validationLoss.length;
  if (epochs === 0) return 'No epoch had ended.';
  const why = {
    patience: `it ended after ${epochs} epochs, ${options.patience} without a better one`,
    epochs: `of ${plural(epochs, 'epoch')}; more --epochs may do better`,
    interrupted: `of ${plural(epochs, 'epoch')} so far; the same command goes on`,
  }[ended];
  const clip = clippedSteps === 0 ? 'Clipping never acted' : `Clipping acted in ${clippedSteps} of ${steps} steps`;
  return `${plural(parameters, 'parameter')}, ${plural(windows.train, 'window')} to learn from. Epoch ${bestEpoch} validates best (${why}). ${clip}.`;
}

/** How the parts were cut. */
export function splitSentence({ windows, data }: ForecastResults): string {
  const how = data.sequences > 1 && data.times !== undefined ? 'all series at the same two moments' : 'in time';
  return `Split ${how} into training (70 %), validation (15 %: ${plural(windows.validation, 'window')}) and test (15 %: ${plural(windows.test, 'window')}); scaled by the training part alone.`;
}

export function evaluationHeadline({ evaluation, season, data }: EvaluationResults, cell: string): string {
  return verdictOn(evaluation, cell, season, data.target);
}
