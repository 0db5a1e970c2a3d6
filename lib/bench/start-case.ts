/** One case on its way to being timed: its process, its first call, and whether it computes what the others compute. */
import { disagreement } from './agreement';
import { DriverFailure, type DriverProcess } from './driver-process';
import type { DriversAtWork } from './drivers-at-work';
import { agreementKey, type Experience, expectOverLimit } from './experience';
import { makeFirstCall, OverLimit, ofFirstStep, patienceMs } from './first-call';
import type { Numbers, StartMessage } from './protocol';
import type { CaseResult } from './results';
import { type Case, evenkeel } from './systems';
import type { Contender } from './turns';

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
    const { system: version, baseBytes } = await drivers.load(driver, message, patienceMs);
    result.version = version;
    const { milliseconds: firstCallMs } = await makeFirstCall(driver, drivers, experience.limitSeconds);
    const first = message.trial.allThreadsOnly === true;
    const numbers = await drivers.measure(driver, first, patienceMs);
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
  await drivers.load(driver, message, patienceMs);
  // It may compile beside others that wait for their turn.
  await makeFirstCall(driver, drivers, Math.max(limitSeconds, patienceMs / 1000));
  return driver;
}

/** All its ways and thread counts are missing, so the one case stands for all. */
function asMissing(result: CaseResult, { message, install }: DriverFailure): CaseResult {
  return Object.assign(result, { tier: undefined, outcome: 'missing', reason: message, install });
}
