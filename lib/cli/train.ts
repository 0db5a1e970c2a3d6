import { join } from 'node:path';
import type { Command } from 'commander';
import { forecasterFile } from '../forecast/forecaster';
import { readForecastOptions } from '../forecast/options';
import { forecastFiles, writeForecast } from '../forecast/page';
import type { ForecastResults } from '../forecast/results';
import { formatForecast } from '../forecast/terminal';
import { forgetTraining, prepareTraining, runTraining } from '../forecast/train';
import { modelFile } from '../forecast/training';
import { exitStatusHelp } from './exit-status';
import { addReadingOptions, cellOption, normalizationOption, number } from './forecast-options';
import { longRun } from './long-run';
import { integer, names, nonEmpty } from './options';
import { forceHelp, prepareOut } from './out-folder';
import { publish } from './output';

interface TrainArguments extends Readonly<Record<string, unknown>> {
  config?: string;
  out: string;
  restart?: true;
  force?: true;
  json?: true;
}

/** `evenkeel train`: from a table to a model in use. */
export function addTrainCommand(program: Command): void {
  const train = program
    .command('train <data.csv>')
    .description(
      'Train a recurrent network to forecast a column of a CSV file, test it against the last value, the season and linear regression on the latest part, ' +
        'and write the model, what it takes to use it (predict, evaluate), a page and results.json.',
    )
    .option('--target <name>', 'column to forecast (default: the first that is neither constant nor a time)', nonEmpty)
    .option('--columns <a,b>', 'columns to forecast from, the target among them (default: all that hold numbers)', names)
    .option('--time <name>', 'the column of dates or times, by which rows are put in order', nonEmpty)
    .option('--sequence-id <name>', 'the column that says which of several series a row belongs to', nonEmpty)
    .option('--window <rows>', 'past rows that a forecast sees (default: 30)', integer(1, 100_000))
    .option('--horizon <rows>', 'how many rows are forecast (default: 1)', integer(1, 10_000))
    .addOption(cellOption)
    .option('--layers <n>', 'recurrent layers on each other (default: 1)', integer(1, 100))
    .option('--hidden <n>', 'units of each (default: 32)', integer(1, 100_000))
    .addOption(normalizationOption)
    .option('--dropout <p>', 'between layers (default: 0)', number)
    .option('--season <rows>', 'rows of a season, for the seasonal baseline (default: found in the training part)', integer(2))
    .option('--epochs <n>', 'at most so many passes through the training part (default: 100)', integer(1))
    .option('--patience <epochs>', 'ends when the validation error has not become smaller for so many (default: 10)', integer(1))
    .option('--batch-size <n>', 'windows of a training step (default: 32)', integer(1))
    .option('--learning-rate <rate>', 'of Adam (default: 0.002)', number)
    .option('--clip <norm>', 'the gradient norm above which steps are clipped (default: 1)', number)
    .option('--seed <n>', 'seed of weights and batch order (default: 1)', integer(0));
  addReadingOptions(train)
    .option(
      '--config <model.yaml>',
      'a file with these options by name, such as "batchSize: 64"; those of the command line go before',
      nonEmpty,
    )
    .option('--out <dir>', 'folder for the files', nonEmpty, 'run')
    .option('--restart', 'train anew where the folder has a training, also another one')
    .option('--force', forceHelp)
    .option('--json', 'print results.json on standard output, and nothing else there')
    .addHelpText(
      'after',
      `\nCtrl-C ends early and writes what has finished;\nthe same command goes on from there, also after a kill. A second Ctrl-C ends at once.${exitStatusHelp}`,
    )
    .action(run);
}

async function run(data: string, { config, out, restart, force, json, ...given }: TrainArguments): Promise<void> {
  const options = readForecastOptions(given, config);
  const job = await prepareTraining(data, options, out);
  prepareOut(out, forecastFiles, force);
  if (restart) forgetTraining(out);
  const results = await longRun((progress, signal) => runTraining(job, progress, signal));
  await publish({ results, out, json, format: formatForecast, writePage: writeRest });
}

/** The page; the model is there already. @returns the paths of all */
async function writeRest(results: ForecastResults, out: string): Promise<string[]> {
  const model = results.training.bestEpoch > 0 ? [modelFile, forecasterFile].map((file) => join(out, file)) : [];
  return [...model, ...(await writeForecast(results, out))];
}
