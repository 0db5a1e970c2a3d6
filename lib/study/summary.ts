/** Sentences about a whole study, said alike on the page and in the terminal. */
import { capitalize, formatNumber, plural } from '../report/text';
import { causesGrowth, causesOf, changesAfter, describeSizes } from './claims';
import { type DrawnMean, formatRate, meanOfDraws } from './draws';
import { type ClipPair, clipPairs, clipSaves, formatFactor, formatLast, growingRegimes, regimeTitle } from './findings';
import { grows } from './grid';
import { cellNames, type DepthPlacement, placeOf, type StudyCell } from './placements';
import type { ClipTrial, DepthDesign, GridCell, GridPart, ReferenceRun, RegimeRun, SeriesPart, SeriesRun, StudyResults } from './results';
import { type SystemName, systemNamed } from './systems';
import { beats, trendMargin, trendSteps } from './verdicts';

/** Training steps of the reference set-up that tables show. */
export const shownSteps = [1, 10, 50, 100];

/** The study's answer in one sentence. */
export function headline({ grid, options }: Pick<StudyResults, 'grid' | 'options'>): string {
  if (grid.cells.length === 0 && options.parts !== undefined) return `Parts of the study: ${options.parts.join(', ')}`;
  if (grid.cells.length === 0) return 'Stopped before anything was measured of how gradients grow';
  const causes = causesOf(grid.cells).filter(({ count }) => count > 0);
  if (causes.length === 0) return `No place of a LayerNorm made ${cellNames[grid.cell]}’s gradients grow`;
  const places = causes.map(({ placement }) => placeOf(placement, grid.cell));
  const isInside = causes.every(({ placement }) => placement !== 'output');
  return isInside
    ? `LayerNorm after ${cellNames[grid.cell]} does not make its gradients explode; ${listOf(places)} it can`
    : `LayerNorm ${listOf(places)} can make ${cellNames[grid.cell]}’s gradients explode`;
}

/** "before the activation or on the state" */
function listOf(words: readonly string[]): string {
  return [words.slice(0, -1).join(', '), ...words.slice(-1)].filter((part) => part !== '').join(' or ');
}

/** The answer for a reader who has not seen the text: what it says, and point by point what was measured. */
export function leadSentences(results: Pick<StudyResults, 'grid' | 'clipTrials' | 'reference'>): [text: string, ...measured: string[]] {
  const { grid, clipTrials } = results;
  return [
    `A text on exploding gradients says that LayerNorm after a recurrent layer makes them explode, that before it, or before the activation, it does not, and that clipping mitigates. Measured${grid.cell === 'rnn' ? '' : ` with ${cellNames[grid.cell]} in place of its RNN`}:`,
    ...describeAfter(results),
    ...describeInside(grid),
    ...describeSaved(clipPairs(clipTrials.trials, 'exploding').filter(({ free }) => free.target === 'noise')),
  ];
}

/** LayerNorm after the RNN: before any training, and in the text's own training. */
function describeAfter(results: Pick<StudyResults, 'grid' | 'reference'>): string[] {
  const { cell, cells, draws } = results.grid;
  const { outputs, words } = changesAfter(cells);
  const [after, clipped] = [referenceRun(results, 'after'), referenceRun(results, 'after-clipped')];
  const caused = causesOf(cells).find(({ placement }) => placement === 'output')?.count ?? 0;
  const growth =
    outputs.length === 0
      ? []
      : [
          `gradients grow that do not without it in ${caused} of ${outputs.length} designs (${plural(draws, 'draw')} each), and the rate differs ${words}`,
        ];
  const training =
    after === undefined
      ? []
      : [`in the text’s Example 1 the norm is ${firstAndLast(after)}${clipped?.clippedSteps === 0 ? ', and its clip never acts' : ''}`];
  const parts = [...growth, ...training];
  return parts.length === 0 ? [] : [`${capitalize(placeOf('output', cell))}: ${parts.join('; ')}.`];
}

/** Every other place: in how many designs it makes gradients grow, and by how much from PyTorch's own start. */
function describeInside({ cell: kind, cells, timeSteps }: GridPart): string[] {
  const causes = causesOf(cells).filter(({ placement }) => placement !== 'output');
  const guilty = causes.filter(({ count }) => count > 0);
  const calm = causes.filter(({ count }) => count === 0);
  const sentences = guilty.map(({ placement, count, of, fastest }) => {
    const usual = fastestUsual(placement, cells) ?? fastest;
    if (usual === undefined) return '';
    const { growth, hiddenSize } = usual;
    const isUsual = fastestUsual(placement, cells) !== undefined;
    const design = isUsual ? `with ${hiddenSize} units, PyTorch’s start and standard normal input` : `of ${describeSizes(usual)},`;
    return `${capitalize(placeOf(placement, kind))}: gradients grow that do not without it, in ${count} of ${of} designs; ${design} by ${formatRate(growth)} per step back, ×${formatNumber(Math.exp(timeSteps * growth.mean), 1)} over ${timeSteps} steps.`;
  });
  const others =
    calm.length === 0
      ? []
      : [`${capitalize(listOf(calm.map(({ placement }) => placeOf(placement, kind))))}: in none of ${calm[0]?.of} designs.`];
  return [...sentences, ...others];
}

/** From PyTorch's start, with standard normal input, the design of a place that grows most and does not without it. */
function fastestUsual(placement: DepthPlacement, cells: readonly GridCell[]): GridCell | undefined {
  const usual = cells.filter(
    (cell) => cell.placement === placement && cell.initializer === 'uniform' && cell.nonlinearity === 'tanh' && cell.inputScale === 1,
  );
  return usual.filter((cell) => causesGrowth(cell, cells)).toSorted((a, b) => b.growth.mean - a.growth.mean)[0];
}

function describeSaved(pairs: readonly ClipPair[]): string[] {
  if (pairs.length === 0) return [];
  const ends = pairs.map(({ free, clipped }) => `${formatLast(clipped)} instead of ${formatLast(free)} by ${clipped.optimizer}`);
  return [`Clipping at 1.0, where gradients do explode: the loss ends at ${ends.join(', ')}.`];
}

/** "0.498 at step 1, 0.484 at step 100" */
function firstAndLast({ gradNorm }: ReferenceRun): string {
  return `${formatNumber(gradNorm[0] ?? Number.NaN, 3)} at step 1, ${formatNumber(gradNorm.at(-1) ?? Number.NaN, 3)} at step ${gradNorm.length}`;
}

/** What the text gets right, with the numbers that say so. */
export function whatHolds(results: Pick<StudyResults, 'grid' | 'clipTrials' | 'regimes'>): string[] {
  const { grid, clipTrials, regimes } = results;
  const hidden = causesOf(grid.cells).find(({ placement }) => placement === 'hidden');
  const saved = describeClipCounts(clipTrials.trials);
  const split = grid.cells.filter(({ placement, growth }) => placement === 'split-preactivation' && growth.interval[0] > 0);
  const byStart = initializerMatters(grid.cells);
  const silent = silentGrowth(regimes.runs);
  return [
    ...(hidden?.fastest === undefined
      ? []
      : [
          `It is right that a normalisation within the product of all steps’ derivatives can make it grow: on a normalised state that is fed back, which the text describes and its code does not have, gradients do explode, in ${hidden.count} of ${hidden.of} designs that are calm without it, by up to ${formatRate(hidden.fastest.growth)} per step.`,
        ]),
    ...(split.length === 0 && grid.cells.length > 0
      ? [
          'Where the normalisation stands decides: on both parts before the activation it never made gradients grow in the designs measured.',
        ]
      : []),
    ...(byStart === undefined
      ? []
      : [
          `Its advice to look at “parameter initialization” is sound: with one place and one size, gradients grow from one start of W_hh and shrink from another in ${byStart.divided} of ${byStart.all} cases.`,
        ]),
    ...(saved === undefined ? [] : [`Clipping does mitigate: where gradients explode, ${saved}.`]),
    ...(silent === undefined
      ? []
      : [
          `And something can blow up with LayerNorm after the RNN, only not where the text looks: ${silent}; neither loss nor clip sees that.`,
        ]),
  ];
}

/** In how many trainings the clip helps, where it does in any: by gradient steps, with and without momentum, and by Adam. */
export function describeClipCounts(trials: readonly ClipTrial[]): string | undefined {
  const pairs = clipPairs(trials, 'exploding');
  const byAdam = (isAdam: boolean) => {
    const own = pairs.filter(({ clipped }) => clipped.optimizer.startsWith('Adam') === isAdam);
    return `${own.filter(clipSaves).length} of ${plural(own.length, 'kind')} of training by ${isAdam ? 'Adam' : 'SGD'}`;
  };
  return pairs.some(clipSaves) ? `${byAdam(false)} and ${byAdam(true)} end lower with the clip at 1.0` : undefined;
}

/** From which size on a state has grown: what fit warns of. */
const grownState = 1e6;

type StateCourse = Pick<RegimeRun, 'regime' | 'system' | 'largestNorms' | 'largestStates' | 'notFinite' | 'lastNormsBeforeNotFinite'>;

/** States that grow while the gradient norm does not show it; undefined where none do. */
export function silentGrowth(runs: readonly StateCourse[]): string | undefined {
  const run = runs.find(({ regime, system }) => regime === 'relu-long' && system === 'after');
  const grown = run?.largestStates.filter((state) => !(state < grownState)).length ?? 0;
  if (run === undefined || grown === 0) return undefined;
  const ended =
    run.notFinite === 0
      ? ''
      : `; ${run.notFinite} ended with what is not finite, at a gradient norm of at most ${formatNumber(Math.max(...run.lastNormsBeforeNotFinite), 3)} in the step before`;
  return `with ${regimeTitle(run)} the states grew to ${formatNumber(Math.max(...run.largestStates), 1)}, in ${grown} of ${plural(run.largestStates.length, 'draw')} beyond ${grownState.toExponential(0).replace('e+', 'e')}, while no gradient norm exceeded ${formatNumber(Math.max(...run.largestNorms), 2)}${ended}`;
}

/** In which settings Example 1's gradients grow, and in which they are what LayerNorm after the RNN keeps small. */
export function describeRegimes(runs: readonly RegimeRun[]): string {
  const growing = growingRegimes(runs).map((run) => `${regimeTitle(run)} (×${formatFactor(run.lnPeak)}${describeSmallStates(run)})`);
  const first = (system: RegimeRun['system']) => runs.find((run) => run.regime === 'relu-orthogonal' && run.system === system)?.lnFirst;
  const [without, after] = [first('none'), first('after')];
  const silent = silentGrowth(runs);
  return [
    growing.length === 0
      ? 'In none of these settings does the gradient norm come to twice its first value with LayerNorm after the RNN.'
      : `With LayerNorm after the RNN the gradient norm does grow with ${growing.join('; ')}.`,
    ...(without !== undefined && after !== undefined && without.interval[0] > after.interval[1]
      ? [
          `With relu and a large W_hh it is the other way round: the first norm is ${formatFactor(without)} without a LayerNorm, and ${formatFactor(after)} with one after the RNN.`,
        ]
      : []),
    ...(silent === undefined ? [] : [`${capitalize(silent)}.`]),
  ].join(' ');
}

/** By whose size a LayerNorm after the RNN divides: where they are nearly 0, that is what grows. */
function describeSmallStates({ largestStates }: RegimeRun): string {
  const largest = Math.max(...largestStates);
  return largest < smallState ? `, where no state exceeds ${formatNumber(largest, 3)}` : '';
}

/** A tenth of what tanh can give. */
const smallState = 0.1;

/** Of all places and sizes, in how many gradients grow from one start and shrink from another. */
function initializerMatters(cells: readonly GridCell[]): { divided: number; all: number } | undefined {
  const groups = new Map<string, GridCell[]>();
  for (const cell of cells) {
    const key = [cell.placement, cell.nonlinearity, cell.hiddenSize, cell.inputScale, cell.timeSteps].join();
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  if (groups.size === 0) return undefined;
  const divided = [...groups.values()].filter((group) => group.some(grows) && group.some(({ growth }) => growth.interval[1] < 0));
  return { divided: divided.length, all: groups.size };
}

/** Each exponent's mean over seeds. */
export function meanSpectrum({ spectra }: DepthDesign): DrawnMean[] {
  const count = spectra[0]?.exponents.length ?? 0;
  return Array.from({ length: count }, (_, i) => meanOfDraws(spectra.map(({ exponents }) => exponents[i] ?? Number.NEGATIVE_INFINITY)));
}

/** "+0.098 ± 0.004" */
export function formatLargestExponent(design: DepthDesign): string {
  const [largest] = meanSpectrum(design);
  return largest === undefined ? '' : formatRate(largest);
}

/** "grows", of a design or a cell of the grid. */
export function describeGrowth({ interval: [low, high] }: DrawnMean): 'grows' | 'shrinks' | 'open' {
  return low > 0 ? 'grows' : high < 0 ? 'shrinks' : 'open';
}

/** Steps until ‖∂L/∂h_t‖ leaves the range of float32, in the middle draw. */
export function medianHorizon({ growths }: DepthDesign): number {
  const horizons = growths.map(({ horizon }) => horizon).sort((a, b) => a - b);
  return horizons[Math.floor(horizons.length / 2)] ?? Number.NaN;
}

/** How far theory and measurement lie apart at most, with as many units as were measured and a W_hh that is orthogonal. */
export function theoryGap(cells: readonly GridCell[]): { hiddenSize: number; largest: number; count: number } | undefined {
  const hiddenSize = Math.max(...cells.map((cell) => cell.hiddenSize));
  const own = cells.filter(
    (cell) =>
      cell.hiddenSize === hiddenSize &&
      cell.initializer.startsWith('orthogonal') &&
      cell.nonlinearity === 'tanh' &&
      cell.meanField !== null,
  );
  if (own.length === 0) return undefined;
  return {
    hiddenSize,
    count: own.length,
    largest: Math.max(...own.map(({ growth, meanField }) => Math.abs(growth.mean - (meanField as number)))),
  };
}

export function growthRuleText(cell: StudyCell): string {
  const twins =
    cell === 'gru'
      ? ''
      : ' LayerNorm on what is fed back (recurrent-input) and on the state (hidden) are one recurrence, and counted once.';
  return `${growthRule}${twins}`;
}

const growthRule =
  'A gradient grows or shrinks when 0 lies outside of the 95 % interval of its rate, by Student’s t over the draws of weights and data; else the question is open. ' +
  'By chance one in forty of those whose rate is 0 is called growing. ± is half of the interval. Each draw gives all places of a LayerNorm the same weights and data.';

/** Says that runs are missing, and how many. */
export function describeInterruption({ reference, grid, regimes, depth, clipTrials, clipping, series }: StudyResults): string {
  const finished = [reference.systems, regimes.runs, grid.cells, depth.designs, clipTrials.trials, clipping.rules, series.systems];
  const count = finished.reduce((sum, { length }) => sum + length, 0);
  return `Interrupted: ${plural(count, 'run')} had finished, and only these are shown.`;
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

function referenceRun({ reference }: Pick<StudyResults, 'reference'>, name: SystemName): ReferenceRun | undefined {
  return reference.systems.find(({ system }) => system === name);
}
