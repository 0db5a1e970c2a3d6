/** What a sweep and the workers of its queue say to each other. */

import { isPlainObject } from '../../check';
import { EvenkeelError } from '../../errors';
import { isOutcome, isSweepId, isTrial, isTrialLimits } from '../schema';
import { type Trial, trialHash } from '../trial';
import type { Outcome, TrialLimits } from './executor';

/** One trial in the queue of all sweeps. */
export interface QueuedTrial {
  sweepId: string;
  hash: string;
  trial: Trial;
  limits: TrialLimits;
}

/** One outcome in the queue of one sweep. */
export interface QueuedOutcome {
  hash: string;
  outcome: Outcome;
}

/** Before every key in Redis; the braces keep all of them on one node of a cluster. */
export const prefix = '{evenkeel}';

/** Workers of another version compute another trial: they have another queue. */
export const trialQueue = (version: string) => `trials-${version}`;
export const outcomeQueue = (sweepId: string) => `outcomes-${sweepId}`;
/** How long the server keeps a file's contents, in seconds: sweeps may share them, so that none of these can take them back. */
export const dataLifetime = 90 * 24 * 3600;
export const dataKey = (sha256: string) => `${prefix}:data:${sha256}`;
export const jobId = (sweepId: string, hash: string) => `${sweepId}-${hash}`;

/** Whoever reaches the server can put anything into a queue: what is not exactly a trial is refused. */
export function checkQueued(data: unknown, version: string): QueuedTrial {
  const { sweepId, hash, trial, limits } = (isPlainObject(data) ? data : {}) as Partial<QueuedTrial>;
  if (!isSweepId(sweepId) || !isTrial(trial) || !isTrialLimits(limits) || hash !== trialHash(trial, version)) {
    throw new EvenkeelError('ERR_STATE', 'the queue: expected a trial of this version, got something else.');
  }
  return { sweepId, hash, trial, limits };
}

/** The same of what is not exactly an outcome. */
export function checkQueuedOutcome(data: unknown): QueuedOutcome {
  const { hash, outcome } = (isPlainObject(data) ? data : {}) as Partial<QueuedOutcome>;
  if (typeof hash !== 'string' || !isOutcome(outcome)) {
    throw new EvenkeelError('ERR_STATE', 'the queue: expected the outcome of a trial, got something else.');
  }
  return { hash, outcome };
}
