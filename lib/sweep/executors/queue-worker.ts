import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Job, Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { writeFileAtomic } from '../../io/atomic-file';
import { runtimeInfo } from '../../runtime';
import { sha256Of } from '../task-files';
import type { Trial } from '../trial';
import type { Outcome } from './executor';
import { checkQueued, dataKey, outcomeQueue, prefix, type QueuedTrial, trialQueue } from './queue';
import {
  checkReachable,
  closingMs,
  lasting,
  loadQueuePackages,
  outliveErrors,
  type QueueAddress,
  type QueuePackages,
  tellOfLoss,
  within,
} from './redis';
import { TrialPool } from './trial-pool';

export interface QueueWorkerOptions {
  address: QueueAddress;
  /** how many trials run at once: one per core unless given */
  workers?: number;
  /** seconds after which a trial whose worker gives no sign of life is given to another */
  lostAfter: number;
  /** aborted: running trials are given back */
  signal: AbortSignal;
  ready(text: string): void;
  finished(trial: Trial, outcome: Outcome): void;
  notice(text: string): void;
}

/** A trial whose worker was lost this often is to blame itself. */
const maxLost = 20;

/** Takes trials from a queue and runs them, until the signal. */
export async function serveQueue(options: QueueWorkerOptions): Promise<void> {
  const packages = await loadQueuePackages();
  await checkReachable(packages, options.address);
  const server = new QueueServer(options, packages);
  await new Promise<void>((resolve) => {
    if (options.signal.aborted) resolve();
    options.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.close();
}

class QueueServer {
  readonly #options: QueueWorkerOptions;
  readonly #packages: QueuePackages;
  readonly #version = runtimeInfo().version;
  readonly #pool: TrialPool;
  readonly #client: Redis;
  readonly #worker: Worker<QueuedTrial>;
  /** one per sweep, by its id */
  readonly #outcomes = new Map<string, Queue>();
  readonly #folder = mkdtempSync(join(tmpdir(), 'evenkeel-worker-'));
  /** aborted when it closes */
  readonly #ended = new AbortController();
  readonly #connection: ReturnType<typeof lasting>;

  constructor(options: QueueWorkerOptions, packages: QueuePackages) {
    const { name } = options.address;
    this.#connection = lasting(options.address, this.#ended.signal);
    this.#options = options;
    this.#packages = packages;
    this.#pool = new TrialPool(options.workers);
    this.#client = new packages.Redis(this.#connection);
    this.#worker = new packages.bullmq.Worker<QueuedTrial>(trialQueue(this.#version), (job, token) => this.#serve(job, token), {
      connection: this.#connection,
      prefix,
      concurrency: this.#pool.workers,
      lockDuration: 1000 * options.lostAfter,
      stalledInterval: 1000 * options.lostAfter,
      // Counted here, so that its end is an outcome like any other.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
      // After a lost connection.
      runRetryDelay: 1000,
    });
    this.#worker.on('ready', () => options.ready(`taking trials from ${name}, ${this.#pool.workers} at once`));
    tellOfLoss(this.#client, options.address, this.#ended.signal, options.notice);
    outliveErrors(this.#client, this.#worker);
  }

  async #serve(job: Job<QueuedTrial>, token?: string): Promise<void> {
    const { sweepId, hash, trial, limits } = checkQueued(job.data, this.#version);
    const outcome: Outcome =
      job.stalledCounter > maxLost
        ? { status: 'failed', reason: `its worker was lost ${job.stalledCounter} times`, attempts: job.stalledCounter }
        : await this.#pool.run(trial, await this.#fileOf(trial), this.#pool.workers, limits);
    if (this.#ended.signal.aborted) {
      await job.moveToWait(token);
      throw new this.#packages.bullmq.WaitingError();
    }
    // Before the trial leaves its queue: a worker that dies in between leaves one too many, never one too few.
    await this.#outcomesOf(sweepId).add('outcome', { hash, outcome }, { jobId: hash, removeOnComplete: true, removeOnFail: true });
    this.#options.finished(trial, outcome);
  }

  /** Where the data of a CSV task lie, fetched once by their hash; no path comes from the queue. */
  async #fileOf({ task }: Trial): Promise<string | undefined> {
    if (task.name !== 'csv') return undefined;
    const path = join(this.#folder, `${task.sha256}.csv`);
    if (existsSync(path)) return path;
    const data = await this.#client.getBuffer(dataKey(task.sha256));
    // What another client has put there is none; the trial says that its file is missing.
    if (data === null || sha256Of(data) !== task.sha256) return undefined;
    writeFileAtomic(path, [data]);
    return path;
  }

  #outcomesOf(sweepId: string) {
    let queue = this.#outcomes.get(sweepId);
    if (queue === undefined) {
      queue = new this.#packages.bullmq.Queue(outcomeQueue(sweepId), { connection: this.#connection, prefix });
      outliveErrors(queue);
      this.#outcomes.set(sweepId, queue);
    }
    return queue;
  }

  async close(): Promise<void> {
    this.#ended.abort();
    await this.#pool.close();
    // Waits until running jobs are given back, unless there is nobody to take them.
    const closing = this.#worker.close(this.#client.status !== 'ready');
    await within(closingMs, Promise.all([closing, ...[...this.#outcomes.values()].map((queue) => queue.close())]));
    this.#client.disconnect();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
