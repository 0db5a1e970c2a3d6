import { join } from 'node:path';
import { checkFunction, checkInteger, checkNumber, fail, readOptions, readSafely } from '../check';
import { writeFileAtomic } from '../io/atomic-file';
import { checkPath } from '../io/file';
import { runtimeInfo } from '../runtime';
import { betweenEvents } from '../slices';
import { checkSignal } from '../training/run';
import { type CheckedDefinition, definitionInSlices, type SweepDefinition } from './definition';
import { definitionFileInSlices } from './definition-file';
import type { Executor, Outcome, TrialJob } from './executors/executor';
import { localExecutor } from './executors/local';
import { trialsOf } from './grid';
import { isOutcome } from './schema';
import { SweepStore, type TrialRecord } from './store';
import { measuresCsv } from './table';
import { trialHash } from './trial';

/** Options of {@link sweep}. */
export interface SweepOptions {
  /** folder for the results; one that holds a part of this sweep is completed */
  store: string;
  /** where trials run: {@link localExecutor} unless given */
  executor?: Executor;
  /** called for each trial that has ended, when its record is safely on disk */
  onTrial?: (record: TrialRecord) => void;
  /** aborted: the sweep rejects with the signal's reason; what has finished is in the store */
  signal?: AbortSignal;
  /** seconds after which a trial has failed; unlimited unless given */
  trialTimeout?: number;
  /** how often a trial is begun again that was killed or ran out of memory or time: 1 unless given */
  retries?: number;
}

/** What a sweep has found. */
export interface SweepResult {
  /** of the whole grid, in its order, those of earlier runs included */
  records: TrialRecord[];
  /** how many of them failed; the same sweep, started again, tries these again */
  failed: number;
}

/** What someone watching wants to know beside the records. */
export interface SweepWatcher {
  /** @param pending those of all trials that have no result from earlier runs */
  begin(count: { trials: number; pending: readonly TrialJob[] }): void;
  started(job: TrialJob): void;
  finished(record: TrialRecord): void;
  notice(text: string): void;
}

const OPTIONS = ['store', 'executor', 'onTrial', 'signal', 'trialTimeout', 'retries'] as const;

/**
 * Runs every trial of a grid, each in a process of its own, and keeps the results in a folder. Started again with the same folder, it
 * runs the trials that have no result there, those that failed included. When all are there, `results.csv` has what depends on the trials
 * alone: the same bytes however often the sweep was interrupted, and wherever its trials ran.
 * @param definition the grid, or the path of a JSON or YAML file with one; CSV files are looked for in that file's folder, else in the
 * current one
 * @throws EvenkeelError ERR_OPTION for a definition or option, with its place; ERR_STATE when another sweep has the folder open; ERR_FILE
 *
 * @example
 * const { records } = await sweep(
 *   { lengths: [20, 50], placements: ['none', 'hidden'], tasks: ['adding'], seeds: [1], steps: 5 },
 *   { store: 'sweep-results' },
 * );
 * console.log(records.length); // four trials
 */
export async function sweep(definition: SweepDefinition | string, options: SweepOptions): Promise<SweepResult> {
  const given = readOptions('sweep options', options, OPTIONS);
  if (given.onTrial !== undefined) checkFunction('onTrial', given.onTrial);
  const onTrial = given.onTrial as SweepOptions['onTrial'];
  const checking = typeof definition === 'string' ? definitionFileInSlices(definition) : definitionInSlices(definition, '.');
  return runSweep(await betweenEvents(checking), {
    store: checkPath('store', given.store),
    executor: given.executor === undefined ? localExecutor() : checkExecutor(given.executor),
    signal: checkSignal(given.signal),
    limits: {
      timeoutSeconds:
        given.trialTimeout === undefined ? undefined : checkNumber('trialTimeout', given.trialTimeout, { above: 0, max: 2e6 }),
      retries: given.retries === undefined ? undefined : checkInteger('retries', given.retries, 0, 1000),
    },
    watcher: { begin() {}, started() {}, finished: (record) => onTrial?.(record), notice() {} },
  });
}

/** The same with everything checked. */
export async function runSweep(
  { grid, files }: CheckedDefinition,
  run: {
    store: string;
    executor: Executor;
    signal: AbortSignal | undefined;
    limits: { timeoutSeconds?: number; retries?: number };
    watcher: SweepWatcher;
  },
): Promise<SweepResult> {
  const { version } = runtimeInfo();
  const { signal = new AbortController().signal, limits, watcher } = run;
  const store = new SweepStore(run.store, grid, version);
  try {
    const jobs: TrialJob[] = [...trialsOf(grid)].map((trial) => ({ hash: trialHash(trial, version), trial }));
    const byHash = new Map(jobs.map((job) => [job.hash, job]));
    const pending = jobs.filter(({ hash }) => store.records.get(hash)?.status !== 'done');
    watcher.begin({ trials: jobs.length, pending });
    const finished = new Set<string>();
    if (pending.length > 0) {
      await run.executor.run({
        jobs: pending,
        files,
        sweepId: store.sweepId,
        limits,
        signal,
        started: watcher.started,
        notice: watcher.notice,
        finished(job, outcome) {
          const { hash, trial } =
            byHash.get(readSafely('executor', () => job?.hash)) ?? fail('ERR_OPTION', 'executor', 'a job of its work in finished', job);
          // A queue delivers at least once; one record is enough.
          if (finished.has(hash) || signal.aborted) return;
          const record: TrialRecord = { hash, trial, finished: new Date().toISOString(), ...checkOutcome(outcome) };
          store.append(record);
          finished.add(hash);
          watcher.finished(record);
        },
      });
    }
    signal.throwIfAborted();
    if (finished.size < pending.length)
      fail('ERR_OPTION', 'executor', `the outcomes of ${pending.length} jobs before its end`, finished.size);
    const records = jobs.flatMap(({ hash }) => store.records.get(hash) ?? []);
    writeFileAtomic(join(run.store, 'results.csv'), measuresCsv(records), 'replace');
    return { records, failed: records.filter(({ status }) => status === 'failed').length };
  } finally {
    store.close();
  }
}

/** As it will be read again: an executor may be a user's own, and where there is no number JSON has null. */
function checkOutcome(given: Outcome): Outcome {
  const outcome: unknown = readSafely('executor', () => JSON.parse(JSON.stringify(given) ?? 'null'));
  if (!isOutcome(outcome)) fail('ERR_OPTION', 'executor', 'the outcome of a trial in finished', given);
  return outcome;
}

function checkExecutor(executor: unknown): Executor {
  const works = readSafely('executor', () => typeof (executor as Partial<Executor> | null)?.run === 'function');
  if (!works) fail('ERR_OPTION', 'executor', 'an executor such as localExecutor()', executor);
  return executor as Executor;
}
