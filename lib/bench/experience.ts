/** What the cases of a run tell of those to come: what is missing, what is over the limit, and how long a step takes. */
import { plural } from '../report/text';
import type { DriverFailure } from './driver-process';
import { trialFloor } from './floor';
import type { Trial } from './protocol';
import type { CaseResult } from './results';
import type { Case, System, SystemPaths } from './systems';

/** What is known of all cases of a run. */
export interface Experience {
  paths: SystemPaths;
  /** for the first call of a case */
  limitSeconds: number;
  /** what was found missing once is not looked for again */
  missing: Map<System, DriverFailure>;
  overLimit: { trial: Trial; one: Case; limitSeconds: number }[];
  /** the ways of systems that agreed in a kind of work, as {@link agreementKey} names them */
  agreed: Set<string>;
  /** `seconds`: what the step took, at least; `spentSeconds`: with starting and checking it */
  oneSteps: { trial: Trial; one: Case; seconds: number; spentSeconds: number }[];
}

/** A way of a system and a kind of work. */
export function agreementKey({ system, tier }: Case, { work }: Trial): string {
  return [system.id, tier, work].join();
}

/** Whether a step of a case fits into so many seconds, by what a smaller trial took. */
export function mayFit({ system }: Case, trial: Trial, seconds: number, { oneSteps }: Pick<Experience, 'oneSteps'>): boolean {
  const known = oneSteps.filter((step) => step.one.system === system && asksNoMore(step.trial, trial));
  return known.every((step) => step.seconds * growth(step.trial, trial) < seconds);
}

/**
 * Why a case need not be tried: it was over the limit in a trial of the same work that asks for no more operations and steps, with as many
 * threads, or in this trial with another number of them.
 */
export function expectOverLimit(
  { system, tier, threads }: Case,
  trial: Trial,
  { overLimit, limitSeconds }: Experience,
): Pick<CaseResult, 'reason' | 'moreThanMs'> | undefined {
  const known = overLimit.find(
    ({ trial: earlier, one, limitSeconds: earlierLimit }) =>
      one.system === system &&
      one.tier === tier &&
      (earlier === trial ||
        (one.threads === threads &&
          earlier.work === trial.work &&
          asksNoMore(earlier, trial) &&
          slackOfGrowth * earlierLimit * growth(earlier, trial) >= limitSeconds)),
  );
  if (known === undefined) return undefined;
  const sameTrial = known.trial === trial;
  const where = sameTrial ? `with ${plural(known.one.threads, 'thread')}` : `at the smaller ${known.trial.id}`;
  const reason = `not tried, since its first call takes more than ${known.limitSeconds} s ${where}`;
  // With another number of threads it might take a little less.
  return { reason, moreThanMs: sameTrial ? undefined : 1000 * known.limitSeconds };
}

/** A limit that follows evenkeel's first call may grow this much faster than the trial's operations, and a hopeless case is hopeless still. */
const slackOfGrowth = 2;

function asksNoMore(one: Trial, other: Trial): boolean {
  const [least, most] = [trialFloor(one), trialFloor(other)];
  return one.t <= other.t && least.flop <= most.flop && (most.flop > 0 || least.bytes <= most.bytes);
}

/** How many times as many operations the larger of two trials asks for. */
function growth(one: Trial, other: Trial): number {
  const [least, most] = [trialFloor(one).flop, trialFloor(other).flop];
  return least > 0 ? most / least : 1;
}
