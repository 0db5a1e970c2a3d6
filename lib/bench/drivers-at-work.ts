/** All driver processes of a run: asked one at a time, and ended together whatever happens. */
import { readFileSync } from 'node:fs';
import { type DriverCommand, DriverFailure, DriverProcess } from './driver-process';

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

  /** @throws DriverFailure when it fails, or takes longer than the time limit, and has therefore ended */
  async ask(driver: DriverProcess, message: object, timeLimitMs: number): Promise<object> {
    const stop = () => driver.stop(new DriverFailure('interrupted'));
    this.#signal?.addEventListener('abort', stop);
    try {
      this.#signal?.throwIfAborted();
      return await driver.ask(message, timeLimitMs);
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
