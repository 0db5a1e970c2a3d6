/** Sentences about a whole study, said alike on the page and in the terminal. */
import { formatNumber, plural } from '../report/text';
import { commonVerdict, explodes, explosionCauses, formatRate, meanOverSeeds, meanRate, medianHorizon, type Rate } from './claims';
import { clipRules } from './clip-rules';
import { initializers } from './depth';
import { describeCourse, isSameRun } from './findings';
import { placements, placeOf } from './placements';
import type { DepthDesign, DepthPart, ReferenceRun, SeriesPart, SeriesRun, StudyResults } from './results';
import { type SystemName, systemNamed, systems } from './systems';
import { beats, trendMargin, trendSteps } from './verdicts';

/** Training steps of the reference set-up that tables show. */
export const shownSteps = [1, 10, 50, 100];

/** The study's answer in one sentence. */
export function headline(results: StudyResults): string {
  if (results.depth.designs.length === initializers.length * placements.length) return depthHeadline(results.depth);
  const after = referenceRun(results, 'after');
  if (after === undefined) return 'Stopped before the examined systems had finished';
  if (after.trend === 'grew') return `With LayerNorm after the RNN, gradients grew by a factor of ${formatNumber(after.trendRatio, 2)}`;
  return 'LayerNorm after the RNN did not make gradients explode';
}

function depthHeadline({ designs, timeSteps }: DepthPart): string {
  const causes = explosionCauses(designs);
  if (causes.length === 0) return `No place of a LayerNorm made gradients explode over ${timeSteps} steps`;
  const places = causes.map(placeOf).join(' or ');
  return `Gradients can explode with LayerNorm ${places}${causes.includes('output') ? '' : ', not with LayerNorm after the RNN'}`;
}

/** The answer's numbers: which designs explode, what Example 1 did, and what the clip did. */
export function leadSentences(results: StudyResults): string {
  const after = referenceRun(results, 'after');
  const clipped = referenceRun(results, 'after-clipped');
  const same = after !== undefined && clipped !== undefined && isSameRun(after, clipped);
  return [
    ...(results.depth.designs.length > 0 ? [describeDepth(results.depth)] : []),
    ...(after ? [`In the text's Example 1, LayerNorm after the RNN, the total gradient norm ${describeCourse(after)}.`] : []),
    ...(clipped
      ? [`Clipping at 1.0 (Example 3) ${describeClip(clipped)}${same ? ', so that Example 3 equals Example 1 at every step' : ''}.`]
      : []),
  ].join(' ');
}

/** How many designs to name: a list of them all would not be read. */
const namedDesigns = 3;

/** Which designs explode, the fastest first. */
function describeDepth({ designs, timeSteps, seeds }: DepthPart): string {
  const fastest = designs.filter(explodes).sort((a, b) => meanRate(b).rate - meanRate(a).rate);
  const named = fastest.slice(0, namedDesigns).map((design) => {
    return `${designName(design)} (×${Math.exp(meanRate(design).rate).toFixed(2)} per step, beyond float32 in ${medianHorizon(design)} steps)`;
  });
  const rest = fastest.length > namedDesigns ? [`${fastest.length - namedDesigns} more`] : [];
  const of = `Of ${designs.length} designs, ${plural(seeds, 'seed')} each, with the loss on the last of ${timeSteps} steps`;
  return fastest.length === 0
    ? `${of}, none explodes.`
    : `${of}, ${fastest.length} ${fastest.length === 1 ? 'explodes' : 'explode'}: ${[...named, ...rest].join(', ')}.`;
}

/** "hidden with orthogonal ×1.5" */
function designName({ placement, initializer }: DepthDesign): string {
  return `${placement} with ${initializer}`;
}

/** Each exponent's mean over seeds, with its standard error. */
export function meanSpectrum({ spectra }: DepthDesign): Rate[] {
  const count = spectra[0]?.exponents.length ?? 0;
  return Array.from({ length: count }, (_, i) =>
    meanOverSeeds(
      spectra.map(({ exponents, standardErrors }) => ({ rate: exponents[i] ?? Number.NaN, error: standardErrors[i] ?? Number.NaN })),
    ),
  );
}

/** "+0.098 ± 0.004" */
export function formatLargestExponent(design: DepthDesign): string {
  const [largest] = meanSpectrum(design);
  return largest === undefined ? '' : formatRate(largest);
}

/** "explodes", of a design. */
export function describeVerdict(design: DepthDesign): string {
  return { exploding: 'explodes', vanishing: 'vanishes', stable: 'stable' }[commonVerdict(design)];
}

/** "explodes, 812 steps": until float32 is left. */
export function describeHorizon(design: DepthDesign): string {
  const isStable = commonVerdict(design) === 'stable';
  return isStable ? describeVerdict(design) : `${describeVerdict(design)}, ${plural(medianHorizon(design), 'step')}`;
}

export const depthRuleText =
  'A design explodes or vanishes when 0 lies outside of the 95 % interval of its growth rate, the mean over the sequences, and the rate makes more than a factor of 100 over the ' +
  'whole sequence, in most seeds; else it is stable. This holds for the size measured: with 64 hidden units and more, more designs explode. Steps are those until ‖∂L/∂h_t‖ leaves the range of float32, in the middle seed.';

/** Says that runs are missing, and how many. */
export function describeInterruption({ reference, depth, clipping, series }: StudyResults): string {
  const finished = reference.systems.length + depth.designs.length + clipping.rules.length + series.systems.length;
  const all = 2 * systems.length + initializers.length * placements.length + clipRules.length;
  return `Interrupted: ${finished} of ${all} runs had finished, and only these are shown.`;
}

/** "never acted" or "acted in 3 of 100 steps"; undefined for a system without a clip. */
export function describeClip(run: ReferenceRun | SeriesRun): string | undefined {
  if (systemNamed(run.system).clip === undefined) return undefined;
  return run.clippedSteps === 0 ? 'never acted' : `acted in ${run.clippedSteps} of ${run.clipped.length} steps`;
}

export const trendRuleText =
  `A gradient norm grew when its geometric mean over the last ${trendSteps} steps is more than ${1 + trendMargin} times that over the first ${trendSteps}, ` +
  `shrank when it is less than 1/${1 + trendMargin} of it, and else stayed. On the real series the last epoch is compared with the first.`;

/** How the forecasts stand beside the better of the two baselines. */
export function forecastVerdict({ systems: runs, baselines }: SeriesPart): string {
  const simplest = baselines.lastValue <= baselines.trainingMean ? 'repeating the last value' : 'predicting the training mean';
  const baseline = Math.min(baselines.lastValue, baselines.trainingMean);
  const losers = runs.filter(({ testError }) => !beats(testError, baseline));
  const than = `the real series better than ${simplest} (test error ${formatNumber(baseline, 3)})`;
  if (losers.length === runs.length) return `No system forecasts ${than}: here the networks are not worth their training.`;
  if (losers.length === 0) return `Every system forecasts ${than}.`;
  return `${runs.length - losers.length} of ${runs.length} systems forecast ${than}; not so: ${losers.map(fullName).join(', ')}.`;
}

/** "LayerNorm after (Example 1)". */
export function fullName({ system }: ReferenceRun | SeriesRun): string {
  const { title, example } = systemNamed(system);
  return example === undefined ? title : `${title} (${example})`;
}

/** What the clip did on the series, where Example 1 is there to compare with. */
export function clipOnSeries({ systems: runs }: SeriesPart): string | undefined {
  const [after, clipped] = ['after', 'after-clipped'].map((name) => runs.find(({ system }) => system === name));
  if (after === undefined || clipped === undefined) return undefined;
  const errors = `test error ${formatNumber(clipped.testError, 3)} with it, ${formatNumber(after.testError, 3)} without`;
  return `On the series the clip ${describeClip(clipped)}${clipped.clippedSteps === 0 ? '' : ` (${errors})`}.`;
}

/** Why Example 2 may do badly on a series, where it does worse than no normalisation. */
export function noteOnNormBefore({ systems: runs, columns }: SeriesPart): string | undefined {
  const error = (name: SystemName) => runs.find(({ system }) => system === name)?.testError ?? Number.NaN;
  if (!beats(error('none'), error('before'))) return undefined;
  const loss = columns.length === 1 ? 'with a single column, nothing of it is left' : 'what the common level of the columns says is lost';
  return `LayerNorm before the RNN brings every row to mean 0 and spread 1 across its columns: ${loss}.`;
}

/** How far an error lies from a baseline's in percent, signed; a dash for the baseline itself. */
export function percentAgainst(error: number, baseline: number): string {
  if (error === baseline) return '–';
  const difference = 100 * (error / baseline - 1);
  return `${difference > 0 ? '+' : '−'}${Math.abs(difference).toFixed(1)} %`;
}

export const seedNote = 'Errors a few percent apart may change places with another seed: try --seed.';

function referenceRun({ reference }: StudyResults, name: SystemName): ReferenceRun | undefined {
  return reference.systems.find(({ system }) => system === name);
}
