import { type Command, Option } from 'commander';
import type { StudyOptions } from '../study/results';
import { runStudy } from '../study/run';
import { prepareSeries } from '../study/series';
import { formatStudy } from '../study/terminal';
import { studyFiles, writeStudy } from '../study/write';
import { exitStatusHelp } from './exit-status';
import { longRun } from './long-run';
import { integer, names, nonEmpty } from './options';
import { forceHelp, prepareOut } from './out-folder';
import { publish } from './output';

interface StudyArguments extends StudyOptions {
  out: string;
  force?: true;
  json?: true;
}

/** `evenkeel study`: the reference systems and a real series, as numbers, words and pictures. */
export function addStudyCommand(program: Command): void {
  program
    .command('study')
    .description(
      'Measure how gradients grow through time for every place of a LayerNorm and every start of the recurrent weights, train eight systems (no ' +
        'normalisation, LayerNorm in each place, and after the RNN with clipping) on random data as the examined text does and on a real series, and ' +
        'write what their gradients did, and which of the text’s claims hold, as a page, charts and results.json.',
    )
    .option('--out <dir>', 'folder for the files', nonEmpty, 'study')
    .option('--force', forceHelp)
    .option('--json', 'print results.json on standard output, and nothing else there')
    .option('--length <steps>', 'time steps through which gradients are followed back', integer(10, 20_000), 200)
    .option('--data <file.csv>', 'a CSV file with a header, the earliest row first (default: daily weather in Seattle)', nonEmpty)
    .option('--columns <a,b>', 'columns to use (default: all that hold numbers)', names)
    .option(
      '--target <name>',
      'column to forecast (default: temp_max in the default data, else the first column that is neither constant nor a time)',
      nonEmpty,
    )
    .addOption(new Option('--decimal <mark>', 'the character before a fraction in the data').choices(['.', ',']))
    .option(
      '--delimiter <character>',
      'the character between its cells (default: comma, semicolon or tab, whichever the header has)',
      nonEmpty,
    )
    .addOption(new Option('--missing <way>', 'what becomes of its missing cells').choices(['error', 'forward', 'mean', 'drop']))
    .option('--window <rows>', 'past rows that a forecast sees', integer(1, 100_000), 50)
    .option('--epochs <n>', 'passes through the training part of the series', integer(1), 60)
    .option('--seed <n>', 'seed of weights, random data and batch order', integer(0), 1)
    .addHelpText('after', `\nCtrl-C ends early and writes what has finished; a second Ctrl-C ends at once.${exitStatusHelp}`)
    .action(study);
}

async function study({ out, json, force, ...options }: StudyArguments): Promise<void> {
  prepareOut(out, studyFiles, force);
  const series = prepareSeries(options);
  const results = await longRun((progress, signal) => runStudy(options, series, progress, signal));
  await publish({ results, out, json, format: formatStudy, writePage: writeStudy });
}
