/**
 * The claims under examination, from "Why does normalization cause exploding gradients during network training?" (30 January 2025),
 * each beside what this run measured. What is measured is what is printed, also where it contradicts the text.
 */
import { formatNumber } from '../report/text';
import type { ReferenceRun } from './results';
import { countRises, isSameSeries } from './verdicts';

export const examinedText = {
  title: 'Why does normalization cause exploding gradients during network training?',
  date: '30 January 2025',
};

/** "not borne out": what the claim says is mended or prevented did not occur. */
export type Agreement = 'confirmed' | 'partly confirmed' | 'not borne out' | 'contradicted';

export interface Finding {
  /** where in the text */
  about: string;
  /** the text's own words */
  claim: string;
  agreement: Agreement;
  measured: string;
}

/** The findings that the finished runs allow, in the order of the text. */
export function findingsOf(runs: readonly ReferenceRun[]): Finding[] {
  const run = (name: string) => runs.find(({ system }) => system === name);
  const after = run('after');
  const before = run('before');
  const clipped = run('after-clipped');
  return [
    ...(after ? [growthAfter(after)] : []),
    ...(before ? [stabilityBefore(before)] : []),
    ...(after && before ? [placementMends(after, before)] : []),
    ...(after && clipped ? [clippingMends(after, clipped)] : []),
  ];
}

export function growthAfter(after: ReferenceRun): Finding {
  const rises = countRises(after.gradNorm);
  const pairs = after.gradNorm.length - 1;
  return {
    about: 'Example 1, LayerNorm after the RNN',
    claim: 'we observe rapidly increasing gradient norms with each training step',
    agreement: after.trend !== 'grew' ? 'contradicted' : rises > pairs / 2 ? 'confirmed' : 'partly confirmed',
    measured: `The gradient norm ${describeCourse(after)}. It rose in ${rises} of ${pairs} steps and was never above ${formatNumber(Math.max(...after.gradNorm), 3)}.`,
  };
}

export function stabilityBefore(before: ReferenceRun): Finding {
  return {
    about: 'Example 2, LayerNorm before the RNN',
    claim: 'the gradient magnitudes remains stable during training',
    agreement: { stayed: 'confirmed', shrank: 'partly confirmed', grew: 'contradicted' }[before.trend] as Agreement,
    measured: `The gradient norm ${describeCourse(before)}.${before.trend === 'shrank' ? ' It did not grow, but neither did it stay where it was.' : ''}`,
  };
}

export function placementMends(after: ReferenceRun, before: ReferenceRun): Finding {
  const mended = after.trend === 'grew' && before.trend !== 'grew';
  return {
    about: 'Example 2 against Example 1',
    claim: 'The same normalization technique applied before rather than after avoids the issue',
    agreement: mended ? 'confirmed' : after.trend === 'grew' ? 'contradicted' : 'not borne out',
    measured:
      after.trend === 'grew'
        ? `With LayerNorm after the RNN the norm grew by a factor of ${formatNumber(after.trendRatio, 2)}, with LayerNorm before it the norm ${before.trend} (a factor of ${formatNumber(before.trendRatio, 2)}).`
        : `There was no growth to avoid. The norm with LayerNorm after the RNN ${after.trend}, with LayerNorm before it the norm ${before.trend}.`,
  };
}

export function clippingMends(after: ReferenceRun, clipped: ReferenceRun): Finding {
  const steps = clipped.clipped.length;
  return {
    about: 'Example 3, LayerNorm after, clipped at 1.0',
    claim: 'This method prevents the gradients from becoming excessively large, promoting more stable training',
    agreement: clipped.clippedSteps > 0 ? 'confirmed' : 'not borne out',
    measured:
      clipped.clippedSteps > 0
        ? `Clipping acted in ${clipped.clippedSteps} of ${steps} steps; before clipping, the norm was at most ${formatNumber(Math.max(...clipped.gradNorm), 3)}.`
        : `Clipping never acted: the norm was at most ${formatNumber(Math.max(...clipped.gradNorm), 3)}, below the threshold of 1.0 in all ${steps} steps.${isSameRun(after, clipped) ? ' Loss and norm equal those of Example 1 in every single step.' : ''}`,
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
