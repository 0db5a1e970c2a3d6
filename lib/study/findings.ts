/**
 * The claims under examination, from "Why does normalization cause exploding gradients during network training?" (30 January 2025),
 * each beside what this run measured. What is measured is what is printed, also where it contradicts the text. Here is what the text says of
 * its three examples and of clipping; what it says of gradients through time is in claims.ts.
 */
import { formatNumber } from '../report/text';
import { claims, type Finding, type Judgement } from './claims';
import type { ClippingRun, ReferenceRun, StudyResults } from './results';
import { countRises, isSameSeries, trendMargin } from './verdicts';

export const examinedText = {
  title: 'Why does normalization cause exploding gradients during network training?',
  date: '30 January 2025',
};

/** The findings that the finished runs allow. */
export function findingsOf({ reference, depth, clipping }: Pick<StudyResults, 'reference' | 'depth' | 'clipping'>): Finding[] {
  const run = (name: string) => reference.systems.find(({ system }) => system === name);
  const after = run('after');
  const before = run('before');
  const clipped = run('after-clipped');
  const [free, limited] = ['none', 'norm'].map((name) => clipping.rules.find(({ rule }) => rule === name));
  return [
    ...(after ? [growthAfter(after)] : []),
    ...(before ? [stabilityBefore(before)] : []),
    ...(after && before ? [placementMends(after, before)] : []),
    ...claims.flatMap(({ words, meaning, judge }) => {
      const judgement = judge(depth.designs);
      return judgement === undefined ? [] : [{ words, meaning, ...judgement }];
    }),
    ...(after && clipped ? [clippingMends(after, clipped)] : []),
    ...(free && limited ? [clippingStabilizes(free, limited)] : []),
  ];
}

/** "Holds where the normalised state is fed back" */
export function verdictText({ verdict, where }: Judgement): string {
  const words = where === undefined ? verdict : `${verdict} ${where}`;
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}

export function growthAfter(after: ReferenceRun): Finding {
  const rises = countRises(after.gradNorm);
  const pairs = after.gradNorm.length - 1;
  const grew = after.trend === 'grew';
  return {
    words: 'we observe rapidly increasing gradient norms with each training step',
    meaning: 'Example 1, LayerNorm after the RNN: the gradient norm grows in most training steps.',
    ...(grew && rises <= pairs / 2 ? { verdict: 'holds where', where: 'the norm leaps' } : { verdict: grew ? 'holds' : 'does not hold' }),
    measured: `The gradient norm ${describeCourse(after)}. It rose in ${rises} of ${pairs} steps and was never above ${formatNumber(Math.max(...after.gradNorm), 3)}.`,
  };
}

export function stabilityBefore(before: ReferenceRun): Finding {
  return {
    words: 'the gradient magnitudes remains stable during training',
    meaning: 'Example 2, LayerNorm before the RNN: the gradient norm stays where it is.',
    ...(before.trend === 'shrank'
      ? { verdict: 'holds where', where: 'stable means that nothing grows' }
      : { verdict: before.trend === 'stayed' ? 'holds' : 'does not hold' }),
    measured: `The gradient norm ${describeCourse(before)}.`,
  };
}

export function placementMends(after: ReferenceRun, before: ReferenceRun): Finding {
  const grew = after.trend === 'grew';
  return {
    words: 'The same normalization technique applied before rather than after avoids the issue',
    meaning: 'Gradients grow in Example 1, and do not in Example 2.',
    verdict: grew && before.trend !== 'grew' ? 'holds' : 'does not hold',
    measured: grew
      ? `With LayerNorm after the RNN the norm grew by a factor of ${formatNumber(after.trendRatio, 2)}, with LayerNorm before it the norm ${before.trend} (a factor of ${formatNumber(before.trendRatio, 2)}).`
      : `There was no growth to avoid. The norm with LayerNorm after the RNN ${after.trend}, with LayerNorm before it the norm ${before.trend}.`,
  };
}

export function clippingMends(after: ReferenceRun, clipped: ReferenceRun): Finding {
  const steps = clipped.clipped.length;
  const acted = clipped.clippedSteps > 0;
  const largest = formatNumber(Math.max(...clipped.gradNorm), 3);
  return {
    words: 'This method prevents the gradients from becoming excessively large',
    meaning: 'Example 3, LayerNorm after the RNN: the clip at 1.0 acts.',
    ...(acted ? { verdict: 'holds' } : { verdict: 'not tested by', where: 'Example 3' }),
    measured: acted
      ? `Clipping acted in ${clipped.clippedSteps} of ${steps} steps; before clipping, the norm was at most ${largest}.`
      : `Clipping never acted: the norm was at most ${largest}, below the threshold of 1.0 in all ${steps} steps.${isSameRun(after, clipped) ? ' Loss and norm equal those of Example 1 in every single step.' : ''}`,
  };
}

/** Better by as much as makes a trend, since with gradients that explode the loss of one seed says little. */
export function clippingStabilizes(free: ClippingRun, limited: ClippingRun): Finding {
  const [first, last] = [limited.gradNorm[0], limited.gradNorm.at(-1)].map((norm = Number.NaN) => formatNumber(norm, 1));
  return {
    words: 'promoting more stable training. This approach is a mitigation',
    meaning: 'Where gradients explode (hidden, orthogonal ×1.5), training reaches a loss lower by a tenth with the clip at 1.0.',
    verdict: limited.lastLoss * (1 + trendMargin) < free.lastLoss ? 'holds' : 'does not hold',
    measured:
      `The clip acted in ${limited.clippedSteps} of ${limited.clipped.length} steps; before it, the norm was ${first} at the first and ${last} at the last. ` +
      `Mean loss of the last ten: ${formatNumber(limited.lastLoss, 3)} with the clip, ${formatNumber(free.lastLoss, 3)} without; at the first step ${formatNumber(free.loss[0] ?? Number.NaN, 3)}.`,
  };
}

/** Whether two runs agree in every loss and every norm. */
export function isSameRun(a: ReferenceRun, b: ReferenceRun): boolean {
  return isSameSeries(a.loss, b.loss) && isSameSeries(a.gradNorm, b.gradNorm);
}

/** "stayed about where it was: 0.503 at step 1, …", to follow "the gradient norm". */
export function describeCourse({ gradNorm, trend, trendRatio }: ReferenceRun): string {
  const verdict = trend === 'stayed' ? 'stayed about where it was' : `${trend} to ${formatNumber(trendRatio, 2)} times its first level`;
  return `${verdict}: ${formatNumber(gradNorm[0] ?? Number.NaN, 3)} at step 1, ${formatNumber(gradNorm.at(-1) ?? Number.NaN, 3)} at step ${gradNorm.length}`;
}
