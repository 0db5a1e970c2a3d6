/** One case on its way to being timed: its process, its first call, and whether it computes what the others compute. */
import { plural } from '../report/text';
import { disagreement } from './agreement';
import { DriverFailure, type DriverProcess, DriverTimeout } from './driver-process';
import type { DriversAtWork } from './drivers-at-work';
import { trialFloor } from './floor';
import type { Numbers, StartMessage, Trial } from './protocol';
import type { CaseResult } from './results';
import { type Case, evenkeel, type System, type SystemPaths } from './systems';
import { type Contender, checkReady, checkTimes } from './turns';

/** How long a driver may take to load, to make data and model, and to measure its numbers in several calls. */
export const patienceMs = 120_000;

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

export interface StartedCase {
  result: CaseResult;
  /** undefined for those that are not to be timed */
  contender?: Contender;
}

export async function startCase(
  one: Case,
  message: StartMessage,
  reference: Numbers,
  drivers: DriversAtWork,
  experience: Experience,
): Promise<StartedCase> {
  const { system, tier, threads } = one;
  const result: CaseResult = { system: system.id, title: system.title, tier, threads, outcome: 'failed', counts: false };
  const knownMissing = experience.missing.get(system);
  if (knownMissing !== undefined) return { result: asMissing(result, knownMissing) };
  const expected = expectOverLimit(one, message.trial, experience);
  if (expected !== undefined) return { result: { ...result, outcome: 'over the limit', ...expected } };
  const driver = drivers.start(system.command(experience.paths));
  try {
    const { system: version, baseBytes } = checkReady(await drivers.ask(driver, message, patienceMs));
    result.version = version;
    const { milliseconds: firstCallMs } = await makeFirstCall(driver, drivers, experience.limitSeconds);
    const first = message.trial.allThreadsOnly === true;
    const numbers = await askNumbers(driver, drivers, { first });
    const reason = disagreement(numbers, first ? ofFirstStep(reference) : reference);
    Object.assign(result, { numbers, reason });
    const restart = async (old: DriverProcess) => {
      await drivers.end(old);
      return startAgain(drivers.start(system.command(experience.paths)), message, drivers, experience.limitSeconds);
    };
    if (reason === undefined) experience.agreed.add(agreementKey(one, message.trial));
    if (reason === undefined) return { result, contender: { driver, restart, own: system === evenkeel, firstCallMs, baseBytes } };
    result.outcome = 'disagrees';
  } catch (error) {
    if (!(error instanceof DriverFailure)) throw error;
    result.reason = error.message;
    if (error instanceof OverLimit) {
      Object.assign(result, { outcome: 'over the limit', moreThanMs: 1000 * experience.limitSeconds });
      experience.overLimit.push({ trial: message.trial, one, limitSeconds: experience.limitSeconds });
    }
    const install = error.install ?? (error.code === 'ENOENT' ? system.install : undefined);
    if (install !== undefined) {
      const missing = new DriverFailure(error.message, { install });
      experience.missing.set(system, missing);
      asMissing(result, missing);
    }
  }
  await drivers.end(driver);
  return { result };
}

async function startAgain(driver: DriverProcess, message: StartMessage, drivers: DriversAtWork, limitSeconds: number) {
  checkReady(await drivers.ask(driver, message, patienceMs));
  // It may compile beside others that wait for their turn.
  await makeFirstCall(driver, drivers, Math.max(limitSeconds, patienceMs / 1000));
  return driver;
}

/**
 * The first step of a case that is over the limit, since how hopeless it is tells a user most: never repeated, and checked by its loss and norm
 * unless its way has agreed before, since to some systems that is two steps more.
 * Its result becomes that of the step, or says how long it was waited for in vain.
 * @param seconds at most
 */
export async function takeOneStep(
  { result, one }: { result: CaseResult; one: Case },
  message: StartMessage,
  reference: Numbers,
  drivers: DriversAtWork,
  { paths, agreed, oneSteps, seconds }: Pick<Experience, 'paths' | 'agreed' | 'oneSteps'> & { seconds: number },
): Promise<void> {
  const begin = performance.now();
  const driver = drivers.start(one.system.command(paths));
  let atLeast = 0;
  try {
    const { system: version, baseBytes } = checkReady(await drivers.ask(driver, message, patienceMs));
    const { milliseconds, peakBytes } = await makeFirstCall(driver, drivers, seconds);
    atLeast = milliseconds / 1000;
    const isKnown = agreed.has(agreementKey(one, message.trial));
    const numbers = isKnown ? undefined : await askNumbers(driver, drivers, { first: true });
    const reason = numbers === undefined ? undefined : disagreement(numbers, ofFirstStep(reference));
    const outcome = reason === undefined ? 'one step' : 'disagrees';
    Object.assign(result, { version, numbers, outcome, reason, moreThanMs: undefined });
    if (reason === undefined) result.step = { milliseconds, baseBytes, peakBytes };
  } catch (error) {
    if (!(error instanceof DriverFailure)) throw error;
    if (error instanceof OverLimit) {
      atLeast = seconds;
      Object.assign(result, { reason: error.message, moreThanMs: 1000 * seconds });
    } else Object.assign(result, { outcome: 'failed', reason: error.message, moreThanMs: undefined });
  } finally {
    await drivers.end(driver);
  }
  oneSteps.push({ trial: message.trial, one, seconds: atLeast, spentSeconds: (performance.now() - begin) / 1000 });
}

function agreementKey({ system, tier }: Case, { work }: Trial): string {
  return [system.id, tier, work].join();
}

/** Whether a step of a case fits into so many seconds, by what a smaller trial took. */
export function mayFit({ system }: Case, trial: Trial, seconds: number, { oneSteps }: Pick<Experience, 'oneSteps'>): boolean {
  const known = oneSteps.filter((step) => step.one.system === system && asksNoMore(step.trial, trial));
  return known.every((step) => step.seconds * growth(step.trial, trial) < seconds);
}

class OverLimit extends DriverFailure {}

/** @throws OverLimit when it takes longer than the limit; else as the driver does */
async function makeFirstCall(driver: DriverProcess, drivers: DriversAtWork, limitSeconds: number) {
  try {
    const { timesMs, peakBytes } = checkTimes(await drivers.ask(driver, { runMs: 0 }, limitSeconds * 1000));
    return { milliseconds: timesMs[0] as number, peakBytes };
  } catch (error) {
    if (!(error instanceof DriverTimeout)) throw error;
    throw new OverLimit(`its first call takes more than ${limitSeconds} s`);
  }
}

function ofFirstStep({ loss, norm }: Numbers): Numbers {
  return { loss, norm };
}

/** The numbers of a driver that has made its first call. `first`: those that need no further step. */
export async function askNumbers(driver: DriverProcess, drivers: DriversAtWork, { first = false } = {}): Promise<Numbers> {
  const { loss, norm, clippedNorm, nextLoss, nextNorm } = (await drivers.ask(driver, { measure: true, first }, patienceMs)) as Numbers;
  return { loss, norm, clippedNorm, nextLoss, nextNorm };
}

/**
 * Why a case need not be tried: it was over the limit in a trial of the same work that asks for no more operations and steps, with as many
 * threads, or in this trial with another number of them.
 */
function expectOverLimit(
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

/** All its ways and thread counts are missing, so the one case stands for all. */
function asMissing(result: CaseResult, { message, install }: DriverFailure): CaseResult {
  return Object.assign(result, { tier: undefined, outcome: 'missing', reason: message, install });
}
