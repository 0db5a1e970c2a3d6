import type { Progress } from '../progress';
import { exitStatus, type StopSignal, stopOnSignal } from './exit-status';
import { createProgress } from './progress';

/**
 * Work that shows its progress on standard error and that Ctrl-C stops: the process's exit status says so, and the results hold what had
 * finished.
 */
export async function longRun<Results extends { interrupted: boolean }>(
  work: (progress: Progress, signal: AbortSignal) => Promise<Results>,
): Promise<Results> {
  const progress = createProgress(process.stderr);
  const stop = stopOnSignal();
  // At once, so that even a second Ctrl-C finds the terminal in order.
  stop.signal.addEventListener('abort', () => progress.close());
  const results = await work(progress, stop.signal).finally(() => {
    progress.close();
    stop.release();
  });
  if (results.interrupted) {
    process.stderr.write('Interrupted: writing what has finished.\n');
    process.exitCode = exitStatus[stop.signal.reason as StopSignal];
  }
  return results;
}
