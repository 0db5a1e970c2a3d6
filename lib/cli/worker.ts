import type { Command } from 'commander';
import { formatDuration, printable } from '../report/text';
import { serveQueue } from '../sweep/executors/queue-worker';
import { queueAddress } from '../sweep/executors/redis';
import { describeTrial } from '../sweep/trial';
import { exitStatus, exitStatusHelp, type StopSignal, stopOnSignal } from './exit-status';
import { integer, nonEmpty } from './options';

interface WorkerArguments {
  queue?: string;
  workers?: number;
  lostAfter: number;
}

/** `evenkeel worker`: runs the trials of sweeps that were put into a queue, on as many servers as there are. */
export function addWorkerCommand(program: Command): void {
  program
    .command('worker')
    .description('Take trials of evenkeel sweep --queue from a queue on Redis or Valkey and run them, until it is stopped.')
    .option(
      '--queue <url>',
      'redis:// or rediss:// (TLS); without it EVENKEEL_REDIS_URL, which keeps a password out of the list of processes',
      nonEmpty,
    )
    .option('--workers <n>', 'trials that run at once (default: one per core, as far as memory goes)', integer(1, 256))
    .option('--lost-after <seconds>', 'a trial of a worker that gave no sign of life for so long is given to another', integer(1, 3600), 30)
    .addHelpText('after', `\nCtrl-C gives the running trials back to the queue.${exitStatusHelp}`)
    .action(run);
}

async function run({ queue, workers, lostAfter }: WorkerArguments): Promise<void> {
  const stop = stopOnSignal();
  const line = (text: string) => process.stderr.write(`worker: ${printable(text)}\n`);
  try {
    await serveQueue({
      address: queueAddress(queue),
      workers,
      lostAfter,
      signal: stop.signal,
      ready: line,
      notice: line,
      finished: (trial, outcome) => {
        const how = outcome.status === 'done' ? `done in ${formatDuration(1000 * outcome.cost.seconds)}` : `failed: ${outcome.reason}`;
        line(`${describeTrial(trial)}: ${how}`);
      },
    });
  } finally {
    stop.release();
  }
  process.exitCode = exitStatus[stop.signal.reason as StopSignal];
}
