import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { formatBytes, plural } from '../report/text';
import { betweenEvents } from '../slices';
import { CLIP_RULES, DTYPES, INITIALIZERS, KINDS, NONLINEARITIES, PLACEMENTS } from '../sweep/definition';
import { definitionFileInSlices } from '../sweep/definition-file';
import { estimateSweep, type SweepEstimate } from '../sweep/estimate';
import { bullmqExecutor } from '../sweep/executors/bullmq';
import { localExecutor } from '../sweep/executors/local';
import { sweepFiles, writeReport } from '../sweep/report';
import { runSweep, type SweepResult } from '../sweep/sweep';
import { CELLS } from '../sweep/trial';
import { formatTable } from '../text-table';
import { exitStatus, exitStatusHelp, type StopSignal, stopOnSignal } from './exit-status';
import { integer, nonEmpty, seconds } from './options';
import { forceHelp, prepareOut } from './out-folder';
import { outputColumns } from './output';
import { formatTime, SweepProgress } from './sweep-progress';

interface SweepArguments {
  out: string;
  force?: true;
  dryRun?: true;
  json?: true;
  trialTimeout?: number;
  retries: number;
  workers?: number;
  queue?: string | true;
}

const definitionHelp = `
A definition, such as {"lengths": [10, 100, 1000], "placements": ["none", "hidden"]}, has lists of
  lengths        time steps of the sequences; the only list that must be there
  placements     ${PLACEMENTS.join(', ')}
  kinds          ${KINDS.join(', ')}
  recurrentInitializers
                 ${INITIALIZERS.join(', ')}, {name: orthogonal, gain: 1.5}
  inputInitializers
                 the same of the input's weights
  gains          numbers above 0, of recurrentInitializers given by their names
  clips          ${CLIP_RULES.join(', ')}, {maxNorm: 1}, {clipValue: 1}, {stateGradientLimit: 1}
  cells          ${CELLS.join(', ')}
  nonlinearities ${NONLINEARITIES.join(', ')} (of rnn)
  sizes          {batchSize: 32, inputSize: 10, hiddenSize: 20}
  tasks          reference, adding, copy, {csv: file, columns: [names], target: name,
                 decimal: ',', delimiter: ;, missing: forward}
  seeds          integers
and, the same for all trials, steps (100), learningRate (0.001) and dtype (${DTYPES.join(', ')}).
`;

/** `evenkeel sweep`: a grid of trials, however long it takes and whatever happens meanwhile. */
export function addSweepCommand(program: Command): void {
  program
    .command('sweep <definition>')
    .description(
      'Run every trial of a grid (sequence lengths, placements, initialisers, clipping rules, seeds …) that a JSON or YAML file defines, and keep ' +
        'what was measured in a folder. The same command again completes what was interrupted, and tries again what failed.',
    )
    .option('--out <dir>', 'folder for the results', nonEmpty, 'sweep-results')
    .option('--dry-run', 'only check the definition, and estimate time and memory')
    .option('--trial-timeout <seconds>', 'a trial that takes longer has failed', seconds)
    .option('--retries <n>', 'how often a trial is begun again that was killed or ran out of memory or time', integer(0, 1000), 1)
    .addOption(
      new Option('--workers <n>', 'trials that run at once (default: one per core, as far as memory goes)')
        .argParser(integer(1, 256))
        // Those of a queue run where its workers are.
        .conflicts('queue'),
    )
    .option('--queue [url]', 'put the trials into a queue on Redis or Valkey, for evenkeel worker (default: EVENKEEL_REDIS_URL)', nonEmpty)
    .option('--force', forceHelp)
    .option('--json', 'print the records on standard output, and nothing else there')
    .addHelpText('after', `${definitionHelp}\nCtrl-C ends it at once; what has finished is kept.${exitStatusHelp}`)
    .action(run);
}

async function run(path: string, options: SweepArguments): Promise<void> {
  const definition = await betweenEvents(definitionFileInSlices(path));
  const { out, json, workers, queue } = options;
  if (options.dryRun) {
    const estimate = await estimateSweep(definition, workers);
    process.stdout.write(json ? `${JSON.stringify(estimate)}\n` : formatEstimate(estimate, outputColumns()));
    return;
  }
  prepareOut(out, sweepFiles, options.force);
  const progress = new SweepProgress(process.stderr);
  const stop = stopOnSignal();
  // At once, so that even a second Ctrl-C finds the terminal in order.
  stop.signal.addEventListener('abort', () => progress.close());
  try {
    const result = await runSweep(definition, {
      store: out,
      executor: queue === undefined ? localExecutor({ workers }) : bullmqExecutor({ url: queue === true ? undefined : queue }),
      signal: stop.signal,
      limits: { timeoutSeconds: options.trialTimeout, retries: options.retries },
      watcher: progress,
    });
    progress.close();
    await finish(result, options);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stderr.write(`Interrupted: what has finished is kept in ${out}. To go on, give the same command again.\n`);
    process.exitCode = exitStatus[stop.signal.reason as StopSignal];
  } finally {
    progress.close();
    stop.release();
  }
}

async function finish({ records, failed }: SweepResult, { out, json }: SweepArguments): Promise<void> {
  const done = records.length - failed;
  process.stdout.write(
    json
      ? `${JSON.stringify(records)}\n`
      : `${done} of ${plural(records.length, 'trial')} ${records.length === 1 ? 'has' : 'have'} a result.\n`,
  );
  const page = await writeReport(out);
  process.stderr.write(`Written: ${page}, ${join(out, 'results.csv')}\n`);
  if (failed === 0) return;
  process.stderr.write(`${failed} failed, which the same command tries again; the page lists the reasons.\n`);
  process.exitCode = exitStatus.failure;
}

function formatEstimate(
  { trials, workers, seconds, totalSeconds, wallSeconds, bytes, totalBytes, tooLarge }: SweepEstimate,
  columns: number,
): string {
  const warning = tooLarge === 0 ? '' : `${plural(tooLarge, 'trial')} will fail here: memory does not hold even the data and weights.\n`;
  return `${formatTable(
    [
      [plural(trials, 'trial'), 'least', 'most', 'in all'],
      ['time, about', formatTime(seconds.least), formatTime(seconds.most), formatTime(totalSeconds)],
      ['memory, about', formatBytes(bytes.least), formatBytes(bytes.most), formatBytes(totalBytes)],
    ],
    columns,
  )}
With ${workers} at once on this machine: about ${formatTime(wallSeconds)}. Memory in all is that of the ${workers} largest.
${warning}`;
}
