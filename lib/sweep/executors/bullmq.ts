import type { Queue, QueueEvents, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { readOptions } from '../../check';
import { EvenkeelError } from '../../errors';
import { plural } from '../../report/text';
import { runtimeInfo } from '../../runtime';
import { readTaskFile } from '../task-files';
import type { Executor, SweepWork, TrialJob } from './executor';
import { checkQueuedOutcome, dataKey, dataLifetime, jobId, outcomeQueue, prefix, type QueuedOutcome, trialQueue } from './queue';
import {
  checkReachable,
  closingMs,
  lasting,
  loadQueuePackages,
  outliveErrors,
  type QueueAddress,
  type QueuePackages,
  queueAddress,
  tellOfLoss,
  within,
} from './redis';

/** Options of {@link bullmqExecutor}. */
export interface BullmqExecutorOptions {
  /** `redis://` or `rediss://` (TLS) with host, port, credentials and database; the environment's EVENKEEL_REDIS_URL unless given */
  url?: string;
}

/**
 * Puts trials into a queue on Redis or Valkey, from which `evenkeel worker` takes them on any number of servers, and collects their
 * outcomes. Needs the packages bullmq and ioredis.
 *
 * Nothing is lost and nothing counted twice: a trial is in its queue until its outcome is in the queue of outcomes, that one until it is
 * in the store; both queues give again what was taken and not finished, and the store wants each trial once. When the connection comes
 * back, trials without an outcome are put in again, which changes nothing unless the server has lost them.
 * @throws EvenkeelError ERR_OPTION for a URL that is none
 */
export function bullmqExecutor(options: BullmqExecutorOptions = {}): Executor {
  const address = queueAddress(readOptions('bullmqExecutor options', options, ['url']).url);
  return { run: (work) => runQueued(work, address) };
}

const chunk = 1000;

async function runQueued(work: SweepWork, address: QueueAddress): Promise<void> {
  const packages = await loadQueuePackages();
  await checkReachable(packages, address);
  work.signal.throwIfAborted();
  const dispatch = new Dispatch(work, packages, address);
  const aborted = new Promise<never>((_, reject) => {
    work.signal.addEventListener('abort', () => reject(work.signal.reason), { once: true });
  });
  try {
    await Promise.race([aborted, dispatch.finished]);
  } finally {
    await dispatch.close();
  }
}

/** One sweep's side of the queue. */
class Dispatch {
  /** when every trial has its outcome */
  readonly finished: Promise<void>;
  readonly #work: SweepWork;
  readonly #outstanding: Map<string, TrialJob>;
  readonly #client: Redis;
  readonly #trials: Queue;
  readonly #outcomes: Queue;
  readonly #collector: Worker<QueuedOutcome>;
  readonly #events: QueueEvents;
  readonly #ended = new AbortController();
  #finish = () => {};
  #fail = (_: unknown) => {};

  constructor(work: SweepWork, { bullmq, Redis }: QueuePackages, address: QueueAddress) {
    this.finished = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.#work = work;
    this.#outstanding = new Map(work.jobs.map((job) => [job.hash, job]));
    const connection = lasting(address, this.#ended.signal);
    const shared = { connection, prefix };
    const { version } = runtimeInfo();
    this.#trials = new bullmq.Queue(trialQueue(version), shared);
    this.#outcomes = new bullmq.Queue(outcomeQueue(work.sweepId), shared);
    this.#collector = new bullmq.Worker<QueuedOutcome>(outcomeQueue(work.sweepId), async ({ data }) => this.#receive(data), {
      ...shared,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
      maxStalledCount: 1000,
    });
    this.#events = new bullmq.QueueEvents(trialQueue(version), shared);
    this.#events.on('active', ({ jobId: id }) => {
      const job = id.startsWith(work.sweepId) ? this.#outstanding.get(id.slice(work.sweepId.length + 1)) : undefined;
      if (job !== undefined) work.started(job);
    });
    this.#client = new Redis(connection);
    this.#client.on('ready', () => this.#enqueue().catch((cause) => this.#fail(refused(cause, address))));
    tellOfLoss(this.#client, address, this.#ended.signal, work.notice);
    outliveErrors(this.#client, this.#trials, this.#outcomes, this.#collector, this.#events);
  }

  /** Puts in every trial without an outcome; one that is there already stays as it is. */
  async #enqueue(): Promise<void> {
    const { files, limits, sweepId } = this.#work;
    for (const [sha256, path] of files) await this.#client.set(dataKey(sha256), readTaskFile(path, sha256), 'EX', dataLifetime);
    const jobs = [...this.#outstanding.values()];
    for (let start = 0; start < jobs.length; start += chunk) {
      await this.#trials.addBulk(
        jobs.slice(start, start + chunk).map(({ hash, trial }) => ({
          name: 'trial',
          data: { sweepId, hash, trial, limits },
          opts: { jobId: jobId(sweepId, hash), removeOnComplete: true, removeOnFail: true },
        })),
      );
    }
    const workers = await this.#trials.getWorkersCount();
    const help = workers === 0 ? ': start some with evenkeel worker' : '';
    this.#work.notice(`${plural(jobs.length, 'trial')} in the queue, ${plural(workers, 'worker')} connected${help}`);
  }

  /** What another client has put in is no outcome: the trial's own is still to come. */
  #receive(data: unknown): void {
    try {
      this.#collect(checkQueuedOutcome(data));
    } catch (error) {
      this.#work.notice((error as Error).message);
      throw error;
    }
  }

  #collect({ hash, outcome }: QueuedOutcome): void {
    const job = this.#outstanding.get(hash);
    if (job === undefined || this.#work.signal.aborted) return;
    try {
      this.#work.finished(job, outcome);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    this.#outstanding.delete(hash);
    if (this.#outstanding.size === 0) this.#finish();
  }

  /** Takes back what no worker has begun, and what an earlier start of this sweep may have left behind it. */
  async #withdraw(): Promise<void> {
    const { jobs, sweepId } = this.#work;
    await this.#collector.close(true);
    for (let start = 0; start < jobs.length; start += chunk) {
      const ids = jobs.slice(start, start + chunk).map(({ hash }) => jobId(sweepId, hash));
      // One that a worker has taken is locked, and stays.
      await Promise.allSettled(ids.map((id) => this.#trials.remove(id)));
    }
    if (this.#outstanding.size === 0) await this.#outcomes.obliterate({ force: true });
  }

  /** Ends every connection; where the server is away, it keeps what is in its queues. */
  async close(): Promise<void> {
    if (this.#client.status === 'ready') await within(closingMs, this.#withdraw());
    this.#ended.abort();
    this.#client.disconnect();
    const parts = [this.#events, this.#trials, this.#outcomes];
    await within(closingMs, Promise.all([this.#collector.close(true), ...parts.map((part) => part.close())]));
  }
}

/** What the server does not take, such as one whose memory is full. */
function refused(cause: unknown, { name }: QueueAddress): EvenkeelError {
  if (cause instanceof EvenkeelError) return cause;
  return new EvenkeelError('ERR_STATE', `queue: ${name} took no trials: ${(cause as Error).message}`, { cause });
}
