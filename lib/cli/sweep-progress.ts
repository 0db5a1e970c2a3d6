import { MultiBar, Presets, type SingleBar } from 'cli-progress';
import { formatDuration, plural, printable, threeDigits } from '../report/text';
import { workOf } from '../sweep/cost';
import type { TrialJob } from '../sweep/executors/executor';
import type { SweepWatcher } from '../sweep/sweep';
import { describeTrial } from '../sweep/trial';
import { barLine, joinFitting } from './bar-line';

/** A line at least this often, in milliseconds, so that a log shows life. */
const lineInterval = 5000;
const redrawInterval = 500;

/**
 * How a sweep goes, on a stream: on a terminal as one live block, elsewhere as plain lines. Failures and notices are lines in both.
 * `close` leaves the terminal as it was.
 */
export class SweepProgress implements SweepWatcher {
  readonly #stream: NodeJS.WriteStream;
  readonly #running = new Map<string, { job: TrialJob; since: number }>();
  #totalWork = 0;
  #trials = 0;
  #done = 0;
  #failed = 0;
  #finishedHere = 0;
  #workDone = 0;
  #begin = performance.now();
  #lastLine = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #block: { bars: MultiBar; count: SingleBar; slowest: SingleBar } | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  begin({ trials, pending }: { trials: number; pending: readonly TrialJob[] }): void {
    this.#trials = trials;
    this.#done = trials - pending.length;
    this.#totalWork = pending.reduce((sum, { trial }) => sum + workOf(trial), 0);
    this.#begin = performance.now();
    this.#line(`${plural(trials, 'trial')}${this.#done === 0 ? '' : `, ${this.#done} of them done before`}`);
    if (pending.length === 0) return;
    if (this.#stream.isTTY) this.#openBlock();
    this.#timer = setInterval(() => this.#tick(), redrawInterval);
  }

  started = (job: TrialJob): void => {
    this.#running.delete(job.hash);
    this.#running.set(job.hash, { job, since: performance.now() });
  };

  finished: SweepWatcher['finished'] = (record) => {
    this.#running.delete(record.hash);
    this.#finishedHere++;
    this.#workDone += workOf(record.trial);
    if (record.status === 'done') {
      this.#done++;
      const { statesGrewAt, largestState } = record.measures;
      if (statesGrewAt !== null) {
        const size = largestState === null ? 'beyond all numbers' : threeDigits(largestState);
        this.#line(`growing states: ${describeTrial(record.trial)}: at step ${statesGrewAt}, up to ${size}`);
      }
    } else {
      this.#failed++;
      this.#line(`failed: ${describeTrial(record.trial)}: ${record.reason}`);
    }
    this.#tick();
  };

  notice = (text: string): void => this.#line(text);

  close(): void {
    clearInterval(this.#timer);
    this.#block?.bars.stop();
    this.#block = undefined;
  }

  #openBlock(): void {
    const bars = new MultiBar(
      {
        stream: this.#stream,
        format: (_, { progress }, { text }) => barLine(progress, '', text, this.#columns()),
        clearOnComplete: true,
        hideCursor: true,
      },
      Presets.legacy,
    );
    const count = bars.create(this.#trials, this.#done, { text: '' });
    const slowest = bars.create(1, 0, { text: '' }, { format: '{text}' });
    this.#block = { bars, count, slowest };
    this.#tick();
  }

  #tick(): void {
    if (this.#block === undefined) {
      if (performance.now() - this.#lastLine > lineInterval) this.#line([this.#counts(), this.#slowest()].filter(Boolean).join('; '));
      return;
    }
    const width = this.#columns() - 1;
    this.#block.count.update(this.#done, { text: this.#counts(width) });
    this.#block.slowest.update(0, { text: this.#slowest().slice(0, width) });
  }

  #columns(): number {
    return this.#stream.columns || 80;
  }

  #counts(width = Number.POSITIVE_INFINITY): string {
    const seconds = (performance.now() - this.#begin) / 1000;
    const parts = [`${this.#done} of ${this.#trials} done`];
    // By the work in them: a long sequence takes as long as many short ones.
    if (this.#workDone > 0) parts.push(`${formatTime((seconds * (this.#totalWork - this.#workDone)) / this.#workDone)} left`);
    if (this.#failed > 0) parts.push(`${this.#failed} failed`);
    parts.push(`${this.#running.size} running`);
    if (this.#finishedHere > 0) parts.push(`${threeDigits(this.#finishedHere / seconds)} a second`);
    return joinFitting(parts, width);
  }

  #slowest(): string {
    const [first] = this.#running.values();
    if (first === undefined) return '';
    return `slowest now, ${formatTime((performance.now() - first.since) / 1000)}: ${describeTrial(first.job.trial)}`;
  }

  #line(text: string): void {
    const line = `sweep: ${printable(text)}\n`;
    if (this.#block === undefined) this.#stream.write(line);
    else this.#block.bars.log(line);
    this.#lastLine = performance.now();
  }
}

/** "3.20 s", "12 min", "4.5 h": as exact as a person wants it. */
export function formatTime(seconds: number): string {
  if (seconds < 100) return formatDuration(1000 * seconds);
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
