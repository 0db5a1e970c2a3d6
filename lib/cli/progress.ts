import { type GenericFormatter, SingleBar } from 'cli-progress';
import type { Progress } from '../progress';
import { barLine } from './bar-line';

/** A line at least this often, in milliseconds, so that a log shows life. */
const lineInterval = 5000;

/**
 * Progress on a stream: on a terminal as a bar that gives way to one line of outcome, elsewhere as lines alone.
 * `close` leaves the terminal as it was, whatever was going on.
 */
export function createProgress(stream: NodeJS.WriteStream): Progress & { close(): void } {
  let title = '';
  let total = 0;
  let lastLine = performance.now();
  let bar: SingleBar | undefined;
  const line = (text: string) => {
    stream.write(`${title}: ${text}\n`);
    lastLine = performance.now();
  };
  const close = () => {
    bar?.stop();
    bar = undefined;
  };
  const formatBar: GenericFormatter = (_, { progress, value }, { left }) =>
    barLine(progress, title, `${value}/${total}${left}`, stream.columns || 80);
  return {
    begin(nextTitle, nextTotal) {
      title = nextTitle;
      total = nextTotal;
      if (!stream.isTTY) return;
      bar = new SingleBar({ stream, format: formatBar, clearOnComplete: true, hideCursor: true });
      bar.start(total, 0, { left: '' });
    },
    advance(done, secondsLeft) {
      const left = secondsLeft === undefined ? '' : `, about ${formatTimeLeft(secondsLeft)} left`;
      if (bar !== undefined) bar.update(done, { left });
      else if (performance.now() - lastLine > lineInterval) line(`step ${done} of ${total}${left}`);
    },
    end(outcome) {
      close();
      line(outcome);
    },
    close,
  };
}

/** Coarse, for an estimate. */
function formatTimeLeft(seconds: number): string {
  return seconds < 60 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}
