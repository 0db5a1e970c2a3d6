import type { Command } from 'commander';
import { readSeriesAsync } from '../data/csv';
import { evaluateForecaster } from '../forecast/evaluate';
import { type Forecaster, readForecaster, scaleFor } from '../forecast/forecaster';
import { type ReadingOptions, readingOf } from '../forecast/options';
import { predictionsCsv, predictNext } from '../forecast/predict';
import type { ScaledSeries } from '../forecast/scaled-series';
import { formatEvaluation } from '../forecast/terminal';
import { hashOf } from '../forecast/train';
import { trainedOn } from '../forecast/training';
import { writeFileAtomic } from '../io/atomic-file';
import { exitStatusHelp } from './exit-status';
import { addReadingOptions } from './forecast-options';
import { nonEmpty } from './options';
import { outputColumns, printResult } from './output';

type Reading = Partial<Pick<ReadingOptions, 'decimal' | 'delimiter' | 'missing'>>;

/** `evenkeel predict`: what comes after the end of a series. */
export function addPredictCommand(program: Command): void {
  const predict = program
    .command('predict <run> <new.csv>')
    .description(
      'Forecast what comes after the last row of a CSV file, by the model that train has written, with prediction intervals, as CSV.',
    );
  addReadingOptions(predict)
    .option('--out <file>', 'file for the forecasts (default: standard output)', nonEmpty)
    .option('--json', 'as JSON')
    .addHelpText('after', exitStatusHelp)
    .action(async (run: string, data: string, { out, json, ...reading }: { out?: string; json?: true } & Reading) => {
      const forecaster = readForecaster(run);
      const predictions = predictNext(forecaster, await readFor(forecaster, data, reading));
      const text = json ? `${JSON.stringify(predictions)}\n` : predictionsCsv(forecaster, predictions);
      if (out === undefined) printResult(text);
      else writeFileAtomic(out, text);
    });
}

/** `evenkeel evaluate`: how a model does on other data. */
export function addEvaluateCommand(program: Command): void {
  const evaluate = program
    .command('evaluate <run> <new.csv>')
    .description('Test the model that train has written on another CSV file, or a later one, against the same baselines.');
  addReadingOptions(evaluate)
    .option('--json', 'as JSON')
    .addHelpText('after', exitStatusHelp)
    .action(async (run: string, data: string, { json, ...reading }: { json?: true } & Reading) => {
      const forecaster = readForecaster(run);
      const results = await evaluateForecaster(forecaster, await readFor(forecaster, data, reading), data);
      if (trainedOn(run) === hashOf(data))
        process.stderr.write(
          'The model was trained on this file: its errors here say little of new data. results.json has those of the test part.\n',
        );
      printResult(json ? `${JSON.stringify(results)}\n` : formatEvaluation(results, forecaster.options.cell, outputColumns()));
    });
}

/** Another file, of the columns that the model knows, in its scale. */
async function readFor(forecaster: Forecaster, data: string, reading: Reading): Promise<ScaledSeries> {
  const { columns, target } = forecaster;
  const options = { ...readingOf(forecaster.options), ...reading };
  return scaleFor(forecaster, await readSeriesAsync(data, { ...options, columns, target }), options.missing);
}
