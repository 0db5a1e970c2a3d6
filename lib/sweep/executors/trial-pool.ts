import { join } from 'node:path';
import { pool } from 'workerpool';
import { usableCores } from '../../cgroup';
import type { ErrorCode } from '../../errors';
import { availableMemory } from '../../memory';
import { estimateBytes } from '../cost';
import type { TrialResult } from '../measures';
import type { Trial } from '../trial';
import type { Outcome, TrialLimits } from './executor';
import { MemoryBudget } from './memory-budget';

/** What one trial is given, in its worker process. */
export interface TrialRequest {
  trial: Trial;
  /** where the CSV file of its task lies */
  file: string | undefined;
  threads: number;
}

/** Processes that run one trial each, so that a trial which crashes, hangs or is killed takes nothing with it. */
export class TrialPool {
  /** how many trials may run at once */
  readonly workers: number;
  readonly #pool: ReturnType<typeof pool>;
  readonly #memory = new MemoryBudget(0.9 * availableMemory());
  #closed = false;

  /** @param workers one per core unless given */
  constructor(workers = usableCores()) {
    this.workers = workers;
    this.#pool = pool(join(__dirname, 'trial-process.js'), {
      workerType: 'process',
      maxWorkers: workers,
      // A process busy in native code hears nothing but a signal.
      workerTerminateTimeout: 100,
      // What a crash prints is the reason to report, and no text for the terminal.
      emitStdStreams: true,
      forkOpts: {
        // Ctrl-C reaches every process of the terminal's group: the trials are for their owner to end.
        detached: true,
        execArgv: ['--expose-gc'],
      },
    });
  }

  /**
   * Runs one trial, again when it may be bad luck that it failed. Waits while the memory it needs is taken by others.
   * @param sharers how many trials there are for the cores, this one included
   */
  async run(trial: Trial, file: string | undefined, sharers: number, limits: TrialLimits): Promise<Outcome> {
    const bytes = estimateBytes(trial);
    const release = await this.#memory.take(bytes);
    try {
      const atOnce = Math.min(this.workers, sharers, this.#memory.count(bytes));
      const request = { trial, file, threads: Math.max(1, Math.floor(usableCores() / atOnce)) };
      const { retries = 1 } = limits;
      for (let attempts = 1; ; attempts++) {
        // An ended pool would start a process anew.
        if (this.#closed) return { status: 'failed', reason: 'stopped', attempts };
        const result = await this.#attempt(request, limits.timeoutSeconds);
        if ('measures' in result) return { status: 'done', ...result, attempts };
        if (!result.transient || attempts > retries) return { status: 'failed', reason: result.reason, attempts };
      }
    } finally {
      release();
    }
  }

  /** Ends all processes at once, whatever they do. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool.terminate(true);
  }

  async #attempt(request: TrialRequest, timeoutSeconds?: number): Promise<TrialResult | Failure> {
    let printed = '';
    const on = ({ stderr = '' }: { stderr?: string }) => {
      printed = (printed + stderr).slice(-printedKept);
    };
    const task = this.#pool.exec('runTrial', [request], { on });
    try {
      return await (timeoutSeconds === undefined ? task : task.timeout(1000 * timeoutSeconds));
    } catch (error) {
      return failureOf(error as Error, printed, timeoutSeconds);
    }
  }
}

/** How much of what a process prints is kept, to find in it why it crashed. */
const printedKept = 4000;

interface Failure {
  reason: string;
  /** whether another attempt may go better */
  transient: boolean;
}

function failureOf(error: Error & { code?: ErrorCode }, printed: string, timeoutSeconds?: number): Failure {
  if (error.name === 'TimeoutError' || error.constructor.name === 'TimeoutError') {
    return { reason: `took longer than the time limit of ${timeoutSeconds} s`, transient: true };
  }
  // workerpool tells of a process that ended in the text of its error alone.
  const [, exitCode, signal] = /exitCode: `(\w+)`\s+signalCode: `(\w+)`/.exec(error.message) ?? [];
  if (signal === undefined) return { reason: error.message, transient: error.code === 'ERR_MEMORY' };
  if (/heap out of memory/.test(printed)) return { reason: 'out of memory: the heap of its process was full', transient: true };
  if (signal === 'SIGKILL') return { reason: 'killed by SIGKILL, as the system does when memory runs out', transient: true };
  const how = signal === 'null' ? `ended with exit status ${exitCode}` : `was killed by ${signal}`;
  const said = printed.split('\n').findLast((line) => /error/i.test(line));
  return { reason: `its process ${how}${said === undefined ? '' : `: ${said.trim().slice(0, 300)}`}`, transient: true };
}
