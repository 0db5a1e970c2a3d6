/** The first call of a case, with whatever is compiled or set up in it. */
import { DriverFailure, type DriverProcess, DriverTimeout } from './driver-process';
import type { DriversAtWork } from './drivers-at-work';
import type { Numbers } from './protocol';

/** How long a driver may take to load, to make data and model, and to measure its numbers in several calls. */
export const patienceMs = 120_000;

/** Its first call takes longer than it was given. */
export class OverLimit extends DriverFailure {}

/** @throws OverLimit when it takes longer than the limit; else as the driver does */
export async function makeFirstCall(driver: DriverProcess, drivers: DriversAtWork, limitSeconds: number) {
  try {
    const { timesMs, peakBytes } = await drivers.run(driver, 0, limitSeconds * 1000);
    return { milliseconds: timesMs[0] as number, peakBytes };
  } catch (error) {
    if (!(error instanceof DriverTimeout)) throw error;
    throw new OverLimit(`its first call takes more than ${limitSeconds} s`);
  }
}

/** Those that need no further step. */
export function ofFirstStep({ loss, norm }: Numbers): Numbers {
  return { loss, norm };
}
