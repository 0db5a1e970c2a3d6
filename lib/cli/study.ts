import type { Command } from 'commander';
import type { StudyOptions } from '../study/results';
import { runStudy } from '../study/run';
import { prepareSeries } from '../study/series';
import { formatStudy } from '../study/terminal';
import { prepareFolder, writeStudy } from '../study/write';
import { exitStatus, exitStatusHelp, type StopSignal, stopOnSignal } from './exit-status';
import { integer, names, nonEmpty } from './options';
import { createProgress } from './progress';

interface StudyArguments extends StudyOptions {
  out: string;
  json?: true;
}

/** `evenkeel study`: the reference systems and a real series, as numbers, words and pictures. */
export function addStudyCommand(program: Command): void {
  program
    .command('study')
    .description(
      'Train four systems (no normalisation, LayerNorm after the RNN, before it, and after it with clipping), first on random data as the ' +
        'examined text does, then on a real series, and write what their gradients did as a page, charts and results.json.',
    )
    .option('--out <dir>', 'folder for the files', nonEmpty, 'study')
    .option('--json', 'print results.json on standard output, and nothing else there')
    .option('--data <file.csv>', 'a CSV file with a header, the earliest row first (default: daily weather in Seattle)', nonEmpty)
    .option('--columns <a,b>', 'columns to use (default: all that hold numbers)', names)
    .option('--target <name>', 'column to forecast (default: temp_max in the default data, else the first column)', nonEmpty)
    .option('--window <rows>', 'past rows that a forecast sees', integer(1, 100_000), 50)
    .option('--epochs <n>', 'passes through the training part of the series', integer(1), 60)
    .option('--seed <n>', 'seed of weights, random data and batch order', integer(0), 1)
    .addHelpText('after', `\nCtrl-C ends early and writes what has finished; a second Ctrl-C ends at once.${exitStatusHelp}`)
    .action(study);
}

async function study({ out, json, ...options }: StudyArguments): Promise<void> {
  prepareFolder(out);
  const series = prepareSeries(options);
  const progress = createProgress(process.stderr);
  const stop = stopOnSignal();
  // At once, so that even a second Ctrl-C finds the terminal in order.
  stop.signal.addEventListener('abort', () => progress.close());
  const results = await runStudy(options, series, progress, stop.signal).finally(() => {
    progress.close();
    stop.release();
  });
  if (results.interrupted) {
    process.stderr.write('Interrupted: writing what has finished.\n');
    process.exitCode = exitStatus[stop.signal.reason as StopSignal];
  }
  const files = await writeStudy(out, results);
  process.stdout.write(json ? `${JSON.stringify(results)}\n` : formatStudy(results));
  process.stderr.write(`Written: ${files.join(', ')}\n`);
}
