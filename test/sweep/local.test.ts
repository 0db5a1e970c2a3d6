import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
// The compiled package: its trials run in processes of their own, which know no TypeScript.
import type * as api from '../../lib/index';
import { estimateBytes } from '../../lib/sweep/cost';
import type { SweepDefinition } from '../../lib/sweep/definition';
import { useFolder } from '../cli/run-cli';
import { evenkeelError } from '../helpers/errors';

const { localExecutor, sweep } = require('../../dist/index') as typeof api;

const folder = useFolder();
const store = (name = 'store') => join(folder.path, name);
const results = (name = 'store') => readFileSync(join(store(name), 'results.csv'), 'utf8');

const small = { lengths: [5, 20], placements: ['none', 'output'] as const, seeds: [1, 2], sizes: [{ hiddenSize: 4 }], steps: 3 };
/** Several seconds of work. */
const long = { lengths: [2000], sizes: [{ hiddenSize: 64, batchSize: 32 }], steps: 1000 };

/** The worker processes of this one. */
function workers(): number[] {
  try {
    return execFileSync('pgrep', ['-P', String(process.pid), '-f', 'trial-process'], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(Number);
  } catch {
    return [];
  }
}

async function until<T>(find: () => T | undefined): Promise<T> {
  for (;;) {
    const found = find();
    if (found !== undefined) return found;
    await sleep(20);
  }
}

test('runs every trial, with the same results for any number of workers, and tells of each', async () => {
  const seen: string[] = [];
  const { records, failed } = await sweep(small, {
    store: store('one'),
    executor: localExecutor({ workers: 1 }),
    onTrial: ({ hash }) => seen.push(hash),
  });
  expect(records).toHaveLength(8);
  expect(failed).toBe(0);
  expect(seen.sort()).toEqual(records.map(({ hash }) => hash).sort());
  for (const record of records) {
    if (record.status !== 'done') throw new Error('failed');
    const { measures, cost } = record;
    expect(measures.lossLast).toBeLessThan(measures.lossFirst ?? 0);
    expect(measures.gradNormFirst).toBeGreaterThan(0);
    expect(measures.divergedAt).toBeNull();
    expect(cost.peakMemoryBytes).toBeGreaterThan(20e6);
    expect(cost.peakMemoryBytes).toBeLessThan(500e6);
    expect(cost.stepsPerSecond).toBeGreaterThan(0);
  }
  await sweep(small, { store: store('three'), executor: localExecutor({ workers: 3 }) });
  expect(results('three')).toBe(results('one'));
  expect(workers()).toEqual([]);
});

test('resumes: what is done is not done again, and a wider grid takes over what it shares', async () => {
  await sweep({ ...small, seeds: [1] }, { store: store() });
  const again: string[] = [];
  await sweep(small, { store: store(), onTrial: ({ hash }) => again.push(hash) });
  expect(again).toHaveLength(4);
  await sweep(small, { store: store(), onTrial: ({ hash }) => again.push(hash) });
  expect(again).toHaveLength(4);
  await sweep(small, { store: store('whole') });
  expect(results()).toBe(results('whole'));
});

test('a trial whose process is killed is begun again, and the others are not touched', async () => {
  const running = sweep({ ...long, lengths: [500], steps: 300 }, { store: store(), retries: 1 });
  process.kill((await until(() => workers()[0])) as number, 'SIGKILL');
  const { records } = await running;
  expect(records).toEqual([expect.objectContaining({ status: 'done', attempts: 2 })]);
});

test('a trial past its time is a failure with its reason, the sweep goes on, and the next start tries it again', async () => {
  // Minutes of work in little memory; of the short ones mostly the start of a process, which takes seconds on a busy machine.
  const definition = { lengths: [5, 100_000, 6], sizes: [{ hiddenSize: 64, batchSize: 1 }], steps: 1000 };
  const first = await sweep(definition, { store: store(), trialTimeout: 15, retries: 0 });
  expect(first.records.map(({ status }) => status)).toEqual(['done', 'failed', 'done']);
  expect(first.records[1]).toMatchObject({ reason: 'took longer than the time limit of 15 s', attempts: 1 });
  expect(first.failed).toBe(1);
  const tried: number[] = [];
  await sweep(definition, { store: store(), trialTimeout: 3, retries: 0, onTrial: ({ trial }) => tried.push(trial.length) });
  expect(tried).toEqual([100_000]);
});

test('a trial that no memory can hold fails alone, before anything of it is allocated', async () => {
  const definition = { lengths: [10_000_000, 5], sizes: [{ batchSize: 200, inputSize: 1000, hiddenSize: 1000 }], steps: 1 };
  const { records } = await sweep(definition, { store: store(), retries: 0, trialTimeout: 100 });
  expect(records.map(({ status }) => status)).toEqual(['failed', 'done']);
  expect(records[0]).toMatchObject({ reason: expect.stringMatching(/^the trial: needs 24,000 GB .* are available\. Make its length/) });
});

test.each<[string, SweepDefinition]>([
  ['large weights', { lengths: [10], sizes: [{ hiddenSize: 1600, batchSize: 4 }] }],
  ['many sequences', { lengths: [6], sizes: [{ hiddenSize: 20, batchSize: 50_000 }] }],
  ['long sequences', { lengths: [5000], sizes: [{ hiddenSize: 96 }], tasks: ['adding'] }],
])('the estimate of memory is near what a trial with %s takes', async (_, definition) => {
  const { records } = await sweep({ ...definition, steps: 1 }, { store: store() });
  const [record] = records;
  if (record?.status !== 'done') throw new Error('failed');
  const share = record.cost.peakMemoryBytes / estimateBytes(record.trial);
  expect(share).toBeGreaterThan(0.6);
  // What is freed in native memory counts until the collector has run.
  expect(share).toBeLessThan(1.3);
});

test('training that leaves the range of numbers is a result', async () => {
  const { records } = await sweep({ lengths: [10], steps: 50, learningRate: 1e38, sizes: [{ hiddenSize: 4 }] }, { store: store() });
  expect(records[0]).toMatchObject({ status: 'done', measures: { divergedAt: expect.any(Number) } });
});

test('an aborted sweep rejects with the reason, keeps what has finished and leaves no process', async () => {
  const abort = new AbortController();
  const running = sweep(
    { ...long, lengths: [5, 2000], steps: 200 },
    { store: store(), signal: abort.signal, executor: localExecutor({ workers: 1 }), onTrial: () => abort.abort(new Error('enough')) },
  );
  await expect(running).rejects.toThrow('enough');
  expect(readFileSync(join(store(), 'trials.jsonl'), 'utf8').trim().split('\n')).toHaveLength(1);
  await until(() => (workers().length === 0 ? true : undefined));
  await expect(sweep(long, { store: store(), signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
});

test('a second sweep on the same store is refused while the first runs', async () => {
  const abort = new AbortController();
  const running = sweep(long, { store: store(), signal: abort.signal });
  await expect(sweep(long, { store: store() })).rejects.toEqual(evenkeelError('ERR_STATE', 'another process has open'));
  abort.abort();
  await expect(running).rejects.toThrow('abort');
});

test('an outcome of a user’s executor is checked before it is stored', async () => {
  const giving = (outcome: unknown, hash?: string) => ({
    async run({ jobs, finished }: Parameters<api.Executor['run']>[0]) {
      for (const job of jobs) finished({ ...job, hash: hash ?? job.hash }, outcome as never);
    },
  });
  const failed = { status: 'failed', reason: 'why', attempts: 1 };
  await expect(sweep(small, { store: store(), executor: giving({ ...failed, more: 1 }) })).rejects.toEqual(
    evenkeelError('ERR_OPTION', 'executor: expected the outcome of a trial'),
  );
  await expect(sweep(small, { store: store(), executor: giving(undefined) })).rejects.toEqual(evenkeelError('ERR_OPTION', 'executor'));
  await expect(sweep(small, { store: store(), executor: giving(failed, 'x') })).rejects.toEqual(evenkeelError('ERR_OPTION', 'executor'));
  await expect(sweep(small, { store: store(), executor: { run: async () => {} } })).rejects.toEqual(
    evenkeelError('ERR_OPTION', 'executor: expected the outcomes of 8 jobs before its end, got 0.'),
  );
  const jobless = { run: async ({ finished }: Parameters<api.Executor['run']>[0]) => finished(null as never, failed as never) };
  await expect(sweep(small, { store: store(), executor: jobless })).rejects.toEqual(
    evenkeelError('ERR_OPTION', 'executor: expected a job'),
  );
  expect(await sweep(small, { store: store(), executor: giving(failed) })).toMatchObject({ failed: 8 });
});

test('an executor that is none, and options that are wrong', async () => {
  await expect(sweep(small, { store: store(), executor: {} as never })).rejects.toEqual(evenkeelError('ERR_OPTION', 'executor: expected'));
  await expect(sweep(small, {} as never)).rejects.toEqual(evenkeelError('ERR_OPTION', 'store: expected'));
  await expect(sweep(small, { store: store(), retries: -1 })).rejects.toEqual(evenkeelError('ERR_OPTION', 'retries: expected'));
  await expect(sweep({ lengths: [0] }, { store: store() })).rejects.toEqual(evenkeelError('ERR_OPTION', 'lengths[0]: expected'));
  expect(() => localExecutor({ workers: 0 })).toThrow(evenkeelError('ERR_OPTION', 'workers: expected'));
});
