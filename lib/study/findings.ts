/**
 * The claims under examination, from "Why does normalization cause exploding gradients during network training?" (30 January 2025),
 * each beside what this run measured. What is measured is what is printed, also where it contradicts the text. Here is what the text says of
 * its three examples and of clipping; what it says of gradients through time is in claims.ts.
 */
import { formatNumber } from '../report/text';
import { claims } from './claims';
import { trialRules } from './clip-trials';
import type { DrawnMean } from './draws';
import { regimes } from './regimes';
import type { ClipTrial, Evidence, Finding, Judgement, ReferenceRun, RegimeRun, StudyResults } from './results';
import { isSameSeries } from './verdicts';

export const examinedText = {
  title: 'Why does normalization cause exploding gradients during network training?',
  date: '30 January 2025',
};

/** The findings that the finished runs allow. */
export function findingsOf({
  reference,
  grid,
  regimes: { runs },
  clipTrials: { trials },
}: Pick<StudyResults, 'reference' | 'grid' | 'regimes' | 'clipTrials'>): Finding[] {
  const run = (name: string) => reference.systems.find(({ system }) => system === name);
  const [after, clipped] = [run('after'), run('after-clipped')];
  const found = [
    growthAfter(runs),
    stabilityBefore(runs),
    placementMends(runs),
    ...claims.map(({ words, meaning, judge }) => withWords(words, meaning, judge(grid.cells))),
    after && clipped && clipOfExample3(after, clipped),
    clipWhereGradientsExplode(trials),
  ];
  return found.filter((finding) => finding !== undefined);
}

function withWords(words: string, meaning: string, judgement: Judgement | undefined): Finding | undefined {
  return judgement && { words, meaning, ...judgement };
}

/** "Holds where the normalised state is fed back" */
export function verdictText({ verdict, where }: Judgement): string {
  const words = where === undefined ? verdict : `${verdict} ${where}`;
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}

/** What is large: a gradient norm that in all draws' mean comes to more than twice its first value. */
const growthFactor = 2;

/** Whether a training's gradient norm grows: the interval of its largest value, in units of its first, lies above 2. */
export function normGrows({ lnPeak }: Pick<RegimeRun, 'lnPeak'>): boolean {
  return lnPeak.interval[0] > Math.log(growthFactor);
}

function runOf(runs: readonly RegimeRun[], name: string, system: RegimeRun['system']): RegimeRun | undefined {
  return runs.find((run) => run.regime === name && run.system === system);
}

/** The regimes other than the text's in which the norm grows with LayerNorm after the RNN. */
export function growingRegimes(runs: readonly RegimeRun[]): RegimeRun[] {
  return runs.filter((run) => run.system === 'after' && run.regime !== 'text' && normGrows(run));
}

export function growthAfter(runs: readonly RegimeRun[]): Finding | undefined {
  const after = runOf(runs, 'text', 'after');
  if (after === undefined) return undefined;
  const elsewhere = growingRegimes(runs);
  const others = elsewhere.map((run) => `${regimeTitle(run)} (×${formatFactor(run.lnPeak)})`);
  return {
    words:
      'In this example, we observe rapidly increasing gradient norms with each training step. The layer normalization after the RNN output leads to the described gradient explosion problem.',
    meaning: 'Example 1 as it stands, LayerNorm after the RNN: the gradient norm comes to more than twice its first value.',
    verdict: normGrows(after) ? 'holds' : 'does not hold',
    measured:
      `${describePeak(after)} It rises in ${percent(after.rising.mean)} of the steps.` +
      (others.length === 0 ? '' : ` In other settings it does grow: ${others.join(', ')}.`),
    evidence: [peakOf('Example 1', after), ...elsewhere.map((run) => peakOf(`Example 1, ${regimeTitle(run)}`, run))],
  };
}

export function stabilityBefore(runs: readonly RegimeRun[]): Finding | undefined {
  const before = runOf(runs, 'text', 'before');
  if (before === undefined) return undefined;
  return {
    words:
      'Here, we move the layer normalization operation to normalize the input to the RNN rather than the recurrent output. We see that the gradient magnitudes remains stable during training.',
    meaning: 'Example 2 as it stands, LayerNorm before the RNN: the gradient norm does not come to twice its first value.',
    verdict: normGrows(before) ? 'does not hold' : 'holds',
    measured: `${describePeak(before)} It ends at ×${formatFactor(before.lnRatio)} of where it began.`,
    evidence: [peakOf('Example 2', before), logOf('Example 2, ln of the last norms over the first', before.lnRatio)],
  };
}

export function placementMends(runs: readonly RegimeRun[]): Finding | undefined {
  const [after, before] = [runOf(runs, 'text', 'after'), runOf(runs, 'text', 'before')];
  if (after === undefined || before === undefined) return undefined;
  const grew = normGrows(after);
  return {
    words: 'The same normalization technique applied before rather than after avoids the issue.',
    meaning: 'Gradient norms grow in Example 1, and do not in Example 2.',
    verdict: grew && !normGrows(before) ? 'holds' : 'does not hold',
    measured:
      (grew ? '' : 'There is no growth to avoid. ') +
      `The largest norm is ×${formatFactor(after.lnPeak)} of the first with LayerNorm after the RNN, ×${formatFactor(before.lnPeak)} with LayerNorm before it.`,
    evidence: [peakOf('Example 1', after), peakOf('Example 2', before)],
  };
}

const clippingWords =
  'This method prevents the gradients from becoming excessively large, promoting more stable training. This approach is a mitigation rather than a solution that involves restructuring the network.';

export function clipOfExample3(after: ReferenceRun, clipped: ReferenceRun): Finding {
  const steps = clipped.clipped.length;
  const acted = clipped.clippedSteps > 0;
  const largest = Math.max(...clipped.gradNorm);
  const same = isSameRun(after, clipped) ? ' Loss and norm equal those of Example 1 in every single step.' : '';
  return {
    words: clippingWords,
    meaning: 'Example 3 as it stands, LayerNorm after the RNN: the clip at 1.0 acts.',
    ...(acted ? { verdict: 'holds' } : { verdict: 'not tested by', where: 'Example 3' }),
    measured: acted
      ? `The clip acts in ${clipped.clippedSteps} of ${steps} steps; before clipping, the norm is at most ${formatNumber(largest, 3)}.`
      : `The clip never acts: the norm is at most ${formatNumber(largest, 3)}, below the threshold in all ${steps} steps.${same}`,
    evidence: [{ what: 'largest norm of Example 3', mean: largest, interval: [largest, largest], draws: 1 }],
  };
}

/** A pair of trainings, without a clip and with the clip at 1.0, of one optimiser and target. */
export interface ClipPair {
  free: ClipTrial;
  clipped: ClipTrial;
}

export function clipPairs(trials: readonly ClipTrial[], design: ClipTrial['design']): ClipPair[] {
  const own = trials.filter((trial) => trial.design === design);
  return own
    .filter(({ rule }) => rule === 'norm 1')
    .flatMap((clipped) => {
      const free = own.find(
        ({ rule, optimizer, target }) => rule === noClip && optimizer === clipped.optimizer && target === clipped.target,
      );
      return free === undefined ? [] : [{ free, clipped }];
    });
}

const noClip = trialRules[0]?.name;

/** Whether the clip saves a training: it ends lower, and the intervals of the two ends do not meet. */
export function clipSaves({ free, clipped }: Record<'free' | 'clipped', Pick<ClipTrial, 'lnLast'>>): boolean {
  return clipped.lnLast.interval[1] < (Number.isFinite(free.lnLast.mean) ? free.lnLast.interval[0] : Number.POSITIVE_INFINITY);
}

export function clipWhereGradientsExplode(trials: readonly ClipTrial[]): Finding | undefined {
  const pairs = clipPairs(trials, 'exploding');
  if (pairs.length === 0) return undefined;
  const saved = pairs.filter(clipSaves);
  // An optimiser counts where the clip saves it on every target.
  const optimizers = [...new Set(pairs.map(({ clipped }) => clipped.optimizer))];
  const savedOptimizers = optimizers.filter((name) => pairs.filter(({ clipped }) => clipped.optimizer === name).every(clipSaves));
  const describe = (target: ClipTrial['target']) =>
    pairs
      .filter(({ clipped }) => clipped.target === target)
      .map(({ free, clipped }) => `${clipped.optimizer} ${formatLast(free)} → ${formatLast(clipped)}`)
      .join('; ');
  const targets = [...new Set(pairs.map(({ clipped }) => clipped.target))];
  const verdict = saved.length === 0 ? 'does not hold' : saved.length === pairs.length ? 'holds' : 'holds where';
  return {
    words: clippingWords,
    meaning: 'Where gradients do explode (hidden, orthogonal ×1.5), training ends at a lower loss with the clip at 1.0 than without.',
    verdict,
    ...(verdict === 'holds where' ? { where: `the optimiser is ${savedOptimizers.join('; ') || 'one of some, on one target'}` } : {}),
    measured: `Mean of the last ten losses, without a clip → with it. ${targets.map((target) => `${target === 'noise' ? 'On noise' : 'On what can be learnt'}: ${describe(target)}.`).join(' ')}`,
    evidence: pairs.flatMap(({ free, clipped }) =>
      [free, clipped].map((trial) => logOf(`ln of the last losses, ${trial.optimizer}, ${trial.target}, ${trial.rule}`, trial.lnLast)),
    ),
  };
}

/** "1.79", or "not finite" where no mean is. */
export function formatLast({ lnLast }: Pick<ClipTrial, 'lnLast'>): string {
  return Number.isFinite(lnLast.mean) ? formatNumber(Math.exp(lnLast.mean), 2) : 'not finite';
}

/** The same with how many draws are lost. */
export function describeLast({ lnLast, diverged }: Pick<ClipTrial, 'lnLast' | 'diverged'>): string {
  const value = formatLast({ lnLast });
  return diverged === 0 ? value : `${value} (${diverged} of ${lnLast.draws} worse than at the start)`;
}

/** Whether two runs agree in every loss and every norm. */
export function isSameRun(a: ReferenceRun, b: ReferenceRun): boolean {
  return isSameSeries(a.loss, b.loss) && isSameSeries(a.gradNorm, b.gradNorm);
}

/** What is other than in the text, in words. */
export function regimeTitle({ regime }: Pick<RegimeRun, 'regime'>): string {
  return regimes.find(({ name }) => name === regime)?.title ?? regime;
}

/** "1.04": e to a mean of logarithms. */
export function formatFactor({ mean }: DrawnMean): string {
  return formatNumber(Math.exp(mean), 2);
}

export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function describePeak({ lnFirst, lnPeak }: RegimeRun): string {
  const [low, high] = lnPeak.interval.map((end) => formatNumber(Math.exp(end), 2));
  return `Over ${lnPeak.draws} draws the norm is ${formatFactor(lnFirst)} at the first step and at most ×${formatFactor(lnPeak)} of that (${low} to ${high}).`;
}

function peakOf(what: string, { lnPeak }: RegimeRun): Evidence {
  return logOf(`${what}, ln of the largest norm over the first`, lnPeak);
}

function logOf(what: string, { mean, interval, draws }: DrawnMean): Evidence {
  return { what, mean, interval, draws };
}
