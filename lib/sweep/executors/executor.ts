import type { TrialResult } from '../measures';
import type { Trial } from '../trial';

/** A trial and its key. */
export interface TrialJob {
  hash: string;
  trial: Trial;
}

/** How a trial ended. */
export type Outcome =
  | ({ status: 'done'; attempts: number } & TrialResult)
  /** it was killed, ran out of memory or time, or threw: why */
  | { status: 'failed'; reason: string; attempts: number };

/** What happens to a trial that does not end well. */
export interface TrialLimits {
  /** after which a trial has failed; unlimited unless given */
  timeoutSeconds?: number;
  /** how often a trial is begun again that was killed or ran out of memory or time; 1 unless given */
  retries?: number;
}

/** The work of one sweep, and who is told of its progress. */
export interface SweepWork {
  jobs: readonly TrialJob[];
  /** path of each CSV file by the SHA-256 of its contents */
  files: ReadonlyMap<string, string>;
  /** names the sweep to those who share a queue with others */
  sweepId: string;
  limits: TrialLimits;
  /** May be called again for one job, when it is begun again. */
  started(job: TrialJob): void;
  /** Called as trials end, in any order, and possibly more than once for one job; what it throws ends the run. */
  finished(job: TrialJob, outcome: Outcome): void;
  /** says how things stand, such as that a connection is lost */
  notice(text: string): void;
  /** aborted: nothing new is begun, what runs is given up, and `run` rejects with its reason */
  signal: AbortSignal;
}

/** Runs trials somewhere. */
export interface Executor {
  /** Resolves when every job has finished. */
  run(work: SweepWork): Promise<void>;
}
