/** All driver processes of a run: asked one at a time, and ended together whatever happens. */
import { readFileSync } from 'node:fs';
import { type DriverCommand, DriverFailure, DriverProcess } from './driver-process';
import { isNumbers, isReady, isTimes } from './messages';
import type { MeasureMessage, Numbers, ReadyMessage, RunMessage, StartMessage, TimesMessage } from './protocol';

/** Below this part of the machine's memory the largest driver is ended, before the system ends one of its own choice. */
const memoryReserve = 0.05;
const memoryCheckMs = 250;

export class DriversAtWork {
  readonly #drivers = new Set<DriverProcess>();
  readonly #signal: AbortSignal | undefined;
  readonly #guard = setInterval(() => this.#guardMemory(), memoryCheckMs);

  /** @param signal aborted: the driver that is being asked is ended, and the reason thrown */
  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  start(command: DriverCommand): DriverProcess {
    this.#signal?.throwIfAborted();
    const driver = new DriverProcess(command);
    this.#drivers.add(driver);
    return driver;
  }

  /**
   * The driver loads what computes, and makes data and model.
   * @throws DriverFailure when it fails, answers what is not understood, or takes longer than the time limit, and has therefore ended
   */
  load(driver: DriverProcess, message: StartMessage, timeLimitMs: number): Promise<ReadyMessage> {
    return this.#ask(driver, message, timeLimitMs, isReady);
  }

  /** It works for about so long, and at least once. @throws DriverFailure as {@link load} does */
  run(driver: DriverProcess, runMs: number, timeLimitMs: number): Promise<TimesMessage> {
    return this.#ask(driver, { runMs }, timeLimitMs, isTimes);
  }

  /** Its numbers, once it has made its first call. @param first those alone that need no further step @throws DriverFailure as {@link load} does */
  async measure(driver: DriverProcess, first: boolean, timeLimitMs: number): Promise<Numbers> {
    const { loss, norm, clippedNorm, nextLoss, nextNorm } = await this.#ask(driver, { measure: true, first }, timeLimitMs, isNumbers);
    return { loss, norm, clippedNorm, nextLoss, nextNorm };
  }

  async #ask<Answer>(
    driver: DriverProcess,
    message: StartMessage | RunMessage | MeasureMessage,
    timeLimitMs: number,
    isAnswer: (answer: unknown) => answer is Answer,
  ): Promise<Answer> {
    const stop = () => driver.stop(new DriverFailure('interrupted'));
    this.#signal?.addEventListener('abort', stop);
    try {
      this.#signal?.throwIfAborted();
      const answer = await driver.ask(message, timeLimitMs);
      if (isAnswer(answer)) return answer;
      throw new DriverFailure(`an answer that is not understood: ${JSON.stringify(answer).slice(0, 200)}`);
    } catch (error) {
      this.#signal?.throwIfAborted();
      throw error;
    } finally {
      this.#signal?.removeEventListener('abort', stop);
    }
  }

  async end(driver: DriverProcess): Promise<void> {
    await driver.close();
    this.#drivers.delete(driver);
  }

  async endAll(): Promise<void> {
    clearInterval(this.#guard);
    await Promise.all([...this.#drivers].map((driver) => this.end(driver)));
  }

  #guardMemory(): void {
    const available = availablePart();
    if (available === undefined || available > memoryReserve) return;
    const sizes = [...this.#drivers].map((driver) => ({ driver, bytes: driver.residentBytes() }));
    const largest = sizes.toSorted((a, b) => b.bytes - a.bytes)[0];
    const size = `${((largest?.bytes ?? 0) / 2 ** 30).toFixed(1)} GiB`;
    largest?.driver.stop(new DriverFailure(`ended when it held ${size}, because this machine's memory was running out`));
  }
}

/** The part of memory that is available, undefined where the system does not tell. */
function availablePart(): number | undefined {
  try {
    const info = readFileSync('/proc/meminfo', 'utf8');
    const [total, available] = ['MemTotal', 'MemAvailable'].map((key) => Number(new RegExp(`^${key}:\\s*(\\d+)`, 'm').exec(info)?.[1]));
    return (available as number) / (total as number);
  } catch {
    return undefined;
  }
}
