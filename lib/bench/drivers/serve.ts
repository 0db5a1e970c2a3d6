import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { isMeasure, isRun, isStart } from '../messages';
import type { FailMessage, Numbers, ReadyMessage, StartMessage, TimesMessage } from '../protocol';
import { MissingRivalError } from './rival-module';

/** A driver that has loaded what computes, and has made data and model. */
export interface Started extends Omit<ReadyMessage, 'ready'> {
  /** Does the work once. What it returns is the time in milliseconds of the part that counts; without that the whole call counts. */
  runOnce(): TimedWork;
  /** The numbers that must agree; called once, after one call of the work. `first`: loss and norm are enough, where others need another step. */
  measure(first: boolean): Numbers | Promise<Numbers>;
}

// biome-ignore lint/suspicious/noConfusingVoidType: most work returns nothing
type TimedWork = void | number | Promise<void | number>;

export type Start = (message: StartMessage) => Promise<Started>;

/** Makes this process a driver: answers the lines of standard input until its end or a failure, and exits. */
export function serve(start: Start): void {
  // Standard output is for the protocol alone, and rivals print banners.
  console.log = console.info = console.debug = console.error;
  // A rival's threads would keep the process alive.
  converse(start, process.stdin, process.stdout).then(() => process.exit());
}

/** The line loop of {@link serve}. Ends with the input, or after having answered with a {@link FailMessage}. */
export async function converse(start: Start, input: Readable, output: Writable): Promise<void> {
  const send = (message: ReadyMessage | TimesMessage | Numbers | FailMessage) => output.write(`${JSON.stringify(message)}\n`);
  let started: Started | undefined;
  try {
    for await (const line of createInterface({ input })) {
      const message: unknown = JSON.parse(line);
      if (started === undefined && isStart(message)) {
        started = await start(message);
        send({ ready: true, system: started.system, baseBytes: started.baseBytes });
      } else if (started !== undefined && isMeasure(message)) send(await started.measure(message.first === true));
      else if (started !== undefined && isRun(message)) send({ timesMs: await repeat(started, message.runMs), peakBytes: peakBytes() });
      else throw new Error(`a message that is not understood: ${line.slice(0, 200)}`);
    }
  } catch (error) {
    send(failMessage(error));
  }
}

/** The time of one call in milliseconds: its own measure, if it has one. */
export async function timeOnce(started: Pick<Started, 'runOnce'>): Promise<number> {
  const begin = performance.now();
  const result = started.runOnce();
  // Waiting for what is there already would add the microtask queue to the time.
  const own = result instanceof Promise ? await result : result;
  return own ?? performance.now() - begin;
}

async function repeat(started: Started, runMs: number): Promise<number[]> {
  const end = performance.now() + runMs;
  const times: number[] = [];
  do times.push(await timeOnce(started));
  while (performance.now() < end);
  return times;
}

/** The largest resident memory of this process so far. */
function peakBytes(): number {
  try {
    // On Linux getrusage counts what the parent had resident when it forked; this figure begins anew with each program.
    const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (kibibytes !== undefined) return Number(kibibytes) * 1024;
  } catch {
    // There is no such file on other systems.
  }
  return process.resourceUsage().maxRSS * 1024;
}

function failMessage(error: unknown): FailMessage {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof MissingRivalError ? { error: message, install: error.install } : { error: message };
}
