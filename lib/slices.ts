/** Long work in slices of some milliseconds: a generator that stops after each. */
import { setImmediate } from 'node:timers/promises';

/** Gives what the work makes when it is done. */
export type Slices<T> = Generator<void, T>;

/** Does all of it now. */
export function atOnce<T>(work: Slices<T>): T {
  let slice = work.next();
  while (!slice.done) slice = work.next();
  return slice.value;
}

/** Lets the event loop go on after each slice. */
export async function betweenEvents<T>(work: Slices<T>): Promise<T> {
  let slice = work.next();
  while (!slice.done) {
    await setImmediate();
    slice = work.next();
  }
  return slice.value;
}
