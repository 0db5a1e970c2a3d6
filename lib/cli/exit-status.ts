/** What the process says to the shell. */
export const exitStatus = {
  ok: 0,
  /** the data, a file or the machine did not allow it */
  failure: 1,
  /** the command line is wrong */
  usage: 2,
  /** by Ctrl-C: 128 plus the signal's number, as shells count */
  SIGINT: 130,
  SIGTERM: 143,
} as const;

export type StopSignal = 'SIGINT' | 'SIGTERM';

export const exitStatusHelp = `
Exit status: ${exitStatus.ok} done, ${exitStatus.failure} failed, ${exitStatus.usage} wrong usage, ${exitStatus.SIGINT} interrupted (Ctrl-C), ${exitStatus.SIGTERM} terminated.`;

/**
 * A signal that is aborted at the first Ctrl-C or SIGTERM, whose name is its reason; a second one ends the process at once.
 * `release` gives both back to the system's default.
 */
export function stopOnSignal(): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const names: StopSignal[] = ['SIGINT', 'SIGTERM'];
  const release = () => {
    for (const name of names) process.removeListener(name, stop);
  };
  const stop = (name: NodeJS.Signals) => {
    release();
    controller.abort(name);
  };
  for (const name of names) process.on(name, stop);
  return { signal: controller.signal, release };
}
