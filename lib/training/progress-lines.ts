import { fail, readSafely } from '../check';
import type { EpochRecord, History } from './records';

/** Where progress is written, such as process.stderr. */
export interface ProgressStream {
  /** what it returns does not matter */
  write(text: string): unknown;
  /** whether it is a terminal, where one line can be written over and over */
  isTTY?: boolean;
  columns?: number;
}

/** A step under way, in words. */
interface StepNews {
  epoch: number;
  /** of the epoch, from 1 */
  number: number;
  loss: number;
}

/** How often a terminal's line changes, and how long a pipe may be silent, in milliseconds. */
const REDRAW = 100;
const SILENCE = 5000;

/** How a training goes, on a stream: a line for each epoch, and between them a line that changes on a terminal, or elsewhere one every five seconds. */
export class ProgressLines {
  readonly #stream: ProgressStream;
  readonly #epochs: number;
  readonly #begin = performance.now();
  #firstEpoch: number | undefined;
  #stepsPerEpoch: number | undefined;
  #steps = 0;
  #lastWritten = performance.now();
  /** whether the line that changes is there */
  #isOpen = false;

  constructor(stream: ProgressStream, epochs: number) {
    this.#stream = stream;
    this.#epochs = epochs;
  }

  step({ epoch, number, loss }: StepNews): void {
    this.#steps = number;
    this.#firstEpoch ??= epoch;
    const now = performance.now();
    if (now - this.#lastWritten < (this.#stream.isTTY ? REDRAW : SILENCE)) return;
    const of = this.#stepsPerEpoch === undefined ? '' : ` of ${this.#stepsPerEpoch}`;
    this.#write(
      `epoch ${epoch} of ${this.#epochs}, step ${number}${of}: loss ${digits(loss)}${this.#timeLeft(epoch)}`,
      !this.#stream.isTTY,
    );
  }

  epoch({ epoch, loss, learningRate, validation }: EpochRecord, isBest: boolean): void {
    this.#stepsPerEpoch = this.#steps;
    this.#steps = 0;
    const measured = Object.entries(validation ?? {}).map(([name, value]) => `${name} ${digits(value)}`);
    const parts = [
      `loss ${digits(loss)}`,
      ...(measured.length === 0 ? [] : [`validation ${measured.join(', ')}`]),
      `learning rate ${digits(learningRate)}`,
    ];
    this.#write(`epoch ${epoch} of ${this.#epochs}: ${parts.join('; ')}${isBest ? '; the best so far' : ''}`, true);
  }

  end({ end, best, epochs }: History): void {
    const why = end === 'patience' ? `, since nothing got better` : end === 'callback' ? ', as a callback wanted' : '';
    const which = best === undefined ? '' : `; the weights are those of epoch ${best.epoch}, the best (${digits(best.value)})`;
    this.#write(`ended after epoch ${epochs.at(-1)?.epoch ?? 0}${why}${which}`, true);
  }

  /** Leaves a terminal as it was. */
  close(): void {
    if (this.#isOpen) this.#stream.write('\r\x1b[K');
    this.#isOpen = false;
  }

  #write(text: string, isFinal: boolean): void {
    // A name of a metric may hold anything.
    const line = text.replace(/\p{Cc}/gu, ' ');
    this.close();
    this.#stream.write(isFinal ? `${line}\n` : line.slice(0, (this.#stream.columns ?? 80) - 1));
    this.#isOpen = !isFinal;
    this.#lastWritten = performance.now();
  }

  #timeLeft(epoch: number): string {
    if (this.#stepsPerEpoch === undefined || this.#firstEpoch === undefined) return '';
    const done = epoch - this.#firstEpoch + this.#steps / this.#stepsPerEpoch;
    const seconds = (((performance.now() - this.#begin) / 1000) * (this.#epochs - this.#firstEpoch + 1 - done)) / done;
    return `, about ${seconds < 100 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`} left at most`;
  }
}

/** Checks fit's option. */
export function checkProgress(value: unknown): ProgressStream | undefined {
  if (value === undefined || value === false) return undefined;
  if (value === true) return process.stderr;
  const canWrite = readSafely('progress', () => typeof (value as Partial<ProgressStream> | null)?.write === 'function');
  if (!canWrite) fail('ERR_OPTION', 'progress', 'true, false or a stream to write to', value);
  return value as ProgressStream;
}

function digits(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
}
