import { checkInteger, readOptions } from '../../check';
import type { Executor, SweepWork, TrialJob } from './executor';
import { TrialPool } from './trial-pool';

/** Options of {@link localExecutor}. */
export interface LocalExecutorOptions {
  /** how many trials run at once: one per core unless given, and never more than fit into memory */
  workers?: number;
}

/**
 * Runs trials on this machine in a pool of processes: with one native thread each while there are as many trials as cores, with all
 * threads when there are few.
 * @throws EvenkeelError ERR_OPTION
 */
export function localExecutor(options: LocalExecutorOptions = {}): Executor {
  const { workers } = readOptions('localExecutor options', options, ['workers']);
  const count = workers === undefined ? undefined : checkInteger('workers', workers, 1, 256);
  return { run: (work) => runLocally(work, count) };
}

async function runLocally(work: SweepWork, workers?: number): Promise<void> {
  const pool = new TrialPool(workers);
  const queue = work.jobs.values();
  let left = work.jobs.length;
  let stopped = false;
  const lane = async () => {
    for (let next = queue.next(); !stopped && !next.done; next = queue.next()) {
      const { hash, trial }: TrialJob = next.value;
      work.started(next.value);
      const file = trial.task.name === 'csv' ? work.files.get(trial.task.sha256) : undefined;
      const outcome = await pool.run(trial, file, left, work.limits);
      if (stopped) return;
      left--;
      work.finished({ hash, trial }, outcome);
    }
  };
  const aborted = new Promise<never>((_, reject) => {
    work.signal.addEventListener('abort', () => reject(work.signal.reason), { once: true });
  });
  try {
    work.signal.throwIfAborted();
    await Promise.race([aborted, Promise.all(Array.from({ length: pool.workers }, lane))]);
  } finally {
    stopped = true;
    await pool.close();
  }
}
