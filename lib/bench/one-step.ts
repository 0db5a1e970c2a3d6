/** One step of a system that is over the limit in all its ways. */
import { disagreement } from './agreement';
import { DriverFailure } from './driver-process';
import type { DriversAtWork } from './drivers-at-work';
import { agreementKey, type Experience } from './experience';
import { makeFirstCall, OverLimit, ofFirstStep, patienceMs } from './first-call';
import type { Numbers, StartMessage } from './protocol';
import type { CaseResult } from './results';
import type { Case } from './systems';

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
    const { system: version, baseBytes } = await drivers.load(driver, message, patienceMs);
    const { milliseconds, peakBytes } = await makeFirstCall(driver, drivers, seconds);
    atLeast = milliseconds / 1000;
    const isKnown = agreed.has(agreementKey(one, message.trial));
    const numbers = isKnown ? undefined : await drivers.measure(driver, true, patienceMs);
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
