/** The study's result as plain text. */
import { formatNumber, printable, wrap } from '../report/text';
import { formatTable } from '../report/text-table';
import { formatRate, meanRate } from './claims';
import { clipRules } from './clip-rules';
import { examinedText, verdictText } from './findings';
import { placements } from './placements';
import type { ClippingPart, DepthPart, ReferenceRun, SeriesPart, SeriesRun, StudyResults } from './results';
import {
  clipOnSeries,
  depthRuleText,
  describeClip,
  describeHorizon,
  describeInterruption,
  forecastVerdict,
  formatLargestExponent,
  fullName,
  headline,
  leadSentences,
  noteOnNormBefore,
  percentAgainst,
  seedNote,
  shownSteps,
  trendRuleText,
} from './summary';

/** Longer lines of prose are hard to read. */
const widest = 96;

/** @param columns of the terminal, where there is one */
export function formatStudy(results: StudyResults, columns = Number.POSITIVE_INFINITY): string {
  const { reference, depth, clipping, series, findings, interrupted } = results;
  const width = Math.min(widest, columns);
  const sections = [wrap(headline(results), columns), wrap(leadSentences(results), width)];
  if (interrupted) sections.push(wrap(describeInterruption(results), width));
  if (depth.designs.length > 0) sections.push(depthSection(depth, columns));
  if (clipping.rules.length > 0) sections.push(clippingTable(clipping, columns));
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
    sections.push(wrap(`What "${examinedText.title}" claims, and what was measured`, width), ...items);
  }
  if (series.systems.length > 0) sections.push(forecastSection(series, columns));
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function depthSection({ designs, timeSteps }: DepthPart, columns: number): string {
  const starts = [...new Set(designs.map(({ initializer }) => initializer))];
  const rows = placements.flatMap(({ name }) => {
    const own = designs.filter(({ placement }) => placement === name);
    return [
      [name, ...own.map((design) => formatRate(meanRate(design)))],
      ['', ...own.map(describeHorizon)],
      ['', ...own.map((design) => `λ₁ ${formatLargestExponent(design)}`)],
    ];
  });
  const table = formatTable([[`Growth rate over ${timeSteps} steps`, ...starts], ...rows], columns);
  return `${table}\n${wrap(`${depthRuleText} λ₁ is the largest Lyapunov exponent.`, Math.min(widest, columns))}`;
}

function clippingTable({ rules, placement, initializer, gain }: ClippingPart, columns: number): string {
  const rows = rules.map(({ rule, clippedSteps, clipped, gradNorm, loss, lastLoss }) => [
    clipRules.find(({ name }) => name === rule)?.title ?? rule,
    rule === 'none' ? '' : `${clippedSteps} of ${clipped.length} steps`,
    ...[gradNorm[0], gradNorm.at(-1)].map((norm = Number.NaN) => formatNumber(norm)),
    ...[loss[0], lastLoss].map((value = Number.NaN) => formatNumber(value, 3)),
  ]);
  return formatTable(
    [
      [`Training of ${placement}, ${initializer} ×${gain}`, 'clip acted in', 'first norm', 'last norm', 'first loss', 'last losses'],
      ...rows,
    ],
    columns,
  );
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
