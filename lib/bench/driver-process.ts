/** One driver in a process of its own: one JSON line to it, one JSON line from it, and an end to it whatever it does. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { FailMessage } from './protocol';

export interface DriverCommand {
  file: string;
  args: readonly string[];
  /** beside what this process has */
  env?: Record<string, string>;
}

/** Why a case is not timed. */
export class DriverFailure extends Error {
  override readonly name = 'DriverFailure';

  /** the command that would install what is missing */
  readonly install: string | undefined;
  /** of the system, when the process could not be started */
  readonly code: string | undefined;

  constructor(message: string, { install, code }: { install?: string; code?: string } = {}) {
    super(message);
    this.install = install;
    this.code = code;
  }
}

/** It took longer to answer than it was given. */
export class DriverTimeout extends DriverFailure {
  constructor(timeoutMs: number) {
    super(`no answer within the time limit of ${Math.round(timeoutMs / 1000)} s`);
  }
}

interface Question {
  resolve(answer: object): void;
  reject(failure: DriverFailure): void;
}

/** How much of what a driver says on standard error is kept, to quote its last line when it fails. */
const stderrKept = 4000;

export class DriverProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<void>;
  #stderr = '';
  #question: Question | undefined;
  #failure: DriverFailure | undefined;

  constructor({ file, args, env }: DriverCommand) {
    // Its own process group: Ctrl-C reaches the benchmark alone, and the group can be killed with all that it started.
    this.#child = spawn(file, args, { detached: true, env: { ...process.env, ...env } });
    this.#child.stderr.on('data', (text) => {
      this.#stderr = (this.#stderr + text).slice(-stderrKept);
    });
    // A driver that is gone says so by its exit.
    this.#child.stdin.on('error', () => {});
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#answer(line));
    this.#child.on('error', ({ message, code }: NodeJS.ErrnoException) => this.#fail(new DriverFailure(message, { code })));
    this.#ended = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        this.#fail(new DriverFailure(describeEnd(code, signal, this.#stderr)));
        resolve();
      });
    });
  }

  /**
   * Sends one message and waits for its answer.
   * @throws DriverFailure when the driver answers that it failed, ends, or takes longer than `timeoutMs`; it has ended then
   */
  async ask(message: object, timeoutMs: number): Promise<object> {
    const timer = setTimeout(() => this.stop(new DriverTimeout(timeoutMs)), timeoutMs);
    try {
      return await new Promise<object>((resolve, reject) => {
        if (this.#failure !== undefined) return reject(this.#failure);
        this.#question = { resolve, reject };
        this.#child.stdin.write(`${JSON.stringify(message)}\n`);
      });
    } catch (failure) {
      this.stop(failure as DriverFailure);
      await this.#ended;
      throw failure;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Kills the process and what it started; a question that waits for its answer fails with this failure. */
  stop(failure: DriverFailure): void {
    this.#fail(failure);
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }

  /** Kills the process and waits for its end. */
  async close(): Promise<void> {
    this.stop(new DriverFailure('stopped'));
    await this.#ended;
  }

  /** Resident memory, or 0 where the system does not tell. */
  residentBytes(): number {
    try {
      return Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
    } catch {
      return 0;
    }
  }

  #answer(line: string): void {
    const message = parseObject(line);
    // Libraries greet on standard output too.
    if (message === undefined || this.#question === undefined) return;
    const { error, install } = message as Partial<FailMessage>;
    if (error === undefined) this.#question.resolve(message);
    else this.#fail(new DriverFailure(firstLine(String(error)), { install }));
    this.#question = undefined;
  }

  #fail(failure: DriverFailure): void {
    this.#failure ??= failure;
    this.#question?.reject(this.#failure);
    this.#question = undefined;
  }
}

function parseObject(line: string): object | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as object;
  } catch {
    return undefined;
  }
}

function describeEnd(code: number | null, signal: string | null, stderr: string): string {
  if (signal === 'SIGKILL') return 'killed by SIGKILL, as the system does when memory runs out';
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const last = lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1);
  return `${signal === null ? `exit status ${code}` : `crashed with ${signal}`}${last === undefined ? '' : `: ${firstLine(last)}`}`;
}

function firstLine(text: string): string {
  return (text.trim().split('\n')[0] ?? '').slice(0, 300);
}
