/** The study's result as plain text. */
import { formatNumber, printable, wrap } from '../report/text';
import { formatTable } from '../text-table';
import { formatSigned } from './draws';
import { clipPairs, describeLast, examinedText, formatFactor, percent, regimeTitle, verdictText } from './findings';
import { grows } from './grid';
import { recurrencesOf } from './placements';
import type { ClipTrialsPart, GridPart, ReferenceRun, RegimesPart, SeriesPart, SeriesRun, StudyResults } from './results';
import {
  clipOnSeries,
  describeClip,
  describeInterruption,
  forecastVerdict,
  fullName,
  growthRuleText,
  headline,
  leadSentences,
  noteOnNormBefore,
  percentAgainst,
  seedNote,
  shownSteps,
  trendRuleText,
  whatHolds,
} from './summary';

/** Longer lines of prose are hard to read. */
const widest = 96;

/** @param columns of the terminal, where there is one */
export function formatStudy(results: StudyResults, columns = Number.POSITIVE_INFINITY): string {
  const { reference, grid, regimes, clipTrials, series, findings, interrupted } = results;
  const width = Math.min(widest, columns);
  const sections = [
    wrap(headline(results), columns),
    leadSentences(results)
      .map((sentence, i) => wrap(`${i === 0 ? '' : '- '}${sentence}`, width))
      .join('\n'),
  ];
  if (interrupted) sections.push(wrap(describeInterruption(results), width));
  if (grid.cells.length > 0) sections.push(...gridSections(grid, columns), wrap(`* grows. ${growthRuleText(grid.cell)}`, width));
  if (regimes.runs.length > 0) sections.push(regimesTable(regimes, columns));
  if (clipTrials.trials.length > 0) sections.push(trialsTable(clipTrials, columns));
  if (reference.systems.length > 0) {
    sections.push(
      stepTable('Reference set-up, loss', reference.systems, ({ loss }) => loss, columns),
      stepTable('Reference set-up, gradient norm', reference.systems, ({ gradNorm }) => gradNorm, columns),
      `${formatTable([['Verdict', 'gradients', 'clip'], ...reference.systems.map((run) => [fullName(run), ...verdict(run)])], columns)}\n${wrap(trendRuleText, width)}`,
    );
  }
  if (findings.length > 0) {
    const items = findings.map((finding) => {
      return `${wrap(`"${finding.words}"`, width, '  ')}\n${wrap(`${verdictText(finding)}. ${finding.measured}`, width, '  ')}`;
    });
    sections.push(
      wrap(`What "${examinedText.title}" claims, and what was measured`, width),
      ...items,
      wrap(`What the text gets right. ${whatHolds(results).join(' ')}`, width),
    );
  }
  if (series.systems.length > 0) sections.push(forecastSection(series, columns));
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

/** Of one nonlinearity, size of input and length, a row per place and a column per start and number of units. */
function gridSections({ cell, cells, timeSteps }: GridPart, columns: number): string[] {
  const scales = [...new Set(cells.map(({ inputScale }) => inputScale))];
  return scales.flatMap((scale) => {
    const own = cells.filter((each) => each.inputScale === scale && each.nonlinearity === 'tanh' && each.timeSteps === timeSteps);
    const heads = [...new Set(own.map(({ initializer, hiddenSize }) => `${initializer} H ${hiddenSize}`))];
    const rows = recurrencesOf(cell).map(({ name }) => [
      name,
      ...own.filter(({ placement }) => placement === name).map((each) => `${formatSigned(each.growth.mean, 3)}${grows(each) ? '*' : ''}`),
    ]);
    return [formatTable([[`Growth rate, input ×${scale}`, ...heads], ...rows], columns)];
  });
}

function trialsTable({ trials }: ClipTrialsPart, columns: number): string {
  const rows = clipPairs(trials, 'exploding').map(({ free, clipped }) => [
    `${clipped.optimizer}, ${clipped.target}`,
    describeLast(free),
    describeLast(clipped),
    percent(clipped.clippedShare),
  ]);
  return formatTable([['Where gradients explode', 'no clip', 'norm clipped at 1', 'acts in'], ...rows], columns);
}

function regimesTable({ runs }: RegimesPart, columns: number): string {
  const rows = runs.map((run) => [
    `${regimeTitle(run)}, ${run.system}`,
    formatFactor(run.lnFirst),
    formatFactor(run.lnPeak),
    formatNumber(Math.max(...run.largestStates), 2),
  ]);
  return formatTable([['Example 1 in other settings', 'first norm', 'largest ×', 'largest state'], ...rows], columns);
}

function stepTable(
  title: string,
  runs: readonly ReferenceRun[],
  values: (run: ReferenceRun) => readonly number[],
  columns: number,
): string {
  return formatTable(
    [
      [title, ...shownSteps.map((step) => `step ${step}`)],
      ...runs.map((run) => [fullName(run), ...shownSteps.map((step) => formatNumber(values(run)[step - 1] ?? Number.NaN))]),
    ],
    columns,
  );
}

function forecastSection(series: SeriesPart, columns: number): string {
  const width = Math.min(widest, columns);
  const { source, target, baselines, systems } = series;
  const best = Math.min(baselines.lastValue, baselines.trainingMean);
  const row = (who: string, error: number, ...rest: string[]) => [who, formatNumber(error, 3), percentAgainst(error, best), ...rest];
  const table = formatTable(
    [
      ['Forecast by', 'test error', 'against baseline', 'best epoch', 'gradients', 'clip'],
      row('Last value again', baselines.lastValue),
      row('Mean of the training part', baselines.trainingMean),
      ...systems.map((run) => row(fullName(run), run.testError, `${run.bestEpoch} of ${run.validationError.length}`, ...verdict(run))),
    ],
    columns,
  );
  const notes = [forecastVerdict(series), clipOnSeries(series), noteOnNormBefore(series), seedNote].filter((note) => note !== undefined);
  return [
    wrap(`Real series: ${printable(source)}`, width),
    wrap(
      `Root mean square error of the next ${printable(target)} on the test part, in its own unit; the baseline is the better of two`,
      width,
    ),
    `${table}\n`,
    ...notes.map((note) => wrap(note, width)),
  ].join('\n');
}

/** What the gradients did, and the clip. */
function verdict(run: ReferenceRun | SeriesRun): string[] {
  return [`${run.trend} (×${formatNumber(run.trendRatio, 2)})`, describeClip(run) ?? ''];
}
