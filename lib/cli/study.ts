import { type Command, InvalidArgumentError, Option } from 'commander';
import { runCellState } from '../study/cell-state/experiment';
import { cellStateFiles, formatCellState, writeCellState } from '../study/cell-state/page';
import { fullCellState, quickCellState } from '../study/cell-state/set-up';
import { runFlossing } from '../study/flossing/experiment';
import { flossingFiles, formatFlossing, writeFlossing } from '../study/flossing/page';
import { fullFlossing, quickFlossing } from '../study/flossing/set-up';
import { studyCells } from '../study/placements';
import { type StudyOptions, type StudyPart, studyParts } from '../study/results';
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
  experiment?: 'cell-state' | 'flossing';
  quick?: true;
}

/** `evenkeel study`: the reference systems and a real series, as numbers, words and pictures. */
export function addStudyCommand(program: Command): void {
  program
    .command('study')
    .description(
      'Measure how gradients grow through time by place of a LayerNorm, start of the recurrent weights, number of units and size of the input, train eight systems (no ' +
        'normalisation, LayerNorm in each place, and after the RNN with clipping) on random data as the examined text does and on a real series, and ' +
        'write what their gradients did, and which of the text’s claims hold, as a page, charts and results.json.',
    )
    .option('--out <dir>', 'folder for the files', nonEmpty, 'study')
    .option('--force', forceHelp)
    .option('--json', 'print results.json on standard output, and nothing else there')
    .addOption(new Option('--quick', 'what takes less than a minute: up to 256 units (the default)').conflicts('full'))
    .option(
      '--full',
      'what the published figures are from: up to 512 units, relu, ten times the length, more optimisers and rules of clipping, which takes a quarter of an hour; of an experiment, an hour or so',
    )
    .option(
      '--parts <a,b>',
      `what to run of it: ${studyParts.join(', ')}; a full study can be run in parts, at different times, and put together by scripts/publish-study.mjs`,
      parts,
    )
    .addOption(
      new Option('--cell <name>', 'the recurrent layer: of lstm and gru no claims are judged, which are about an RNN')
        .choices(studyCells)
        .default('rnn'),
    )
    .option('--length <steps>', 'time steps through which gradients are followed back', integer(10, 20_000), 200)
    .option('--draws <n>', 'draws of weights and data for each design, over which means and intervals are taken', integer(2, 1000), 10)
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
    .addOption(
      new Option(
        '--experiment <name>',
        'an experiment instead: cell-state, of a LayerNorm LSTM that carries its raw cell state or the normalised one; flossing, of an RNN whose Lyapunov exponents are pushed to 0 before it learns delays (of the options above --out, --force, --json, --full and --seed count)',
      ).choices(['cell-state', 'flossing']),
    )
    .addHelpText('after', `\nCtrl-C ends early and writes what has finished; a second Ctrl-C ends at once.${exitStatusHelp}`)
    .action(study);
}

async function study({ out, json, force, experiment, quick: _, ...options }: StudyArguments): Promise<void> {
  if (experiment === 'cell-state') {
    prepareOut(out, cellStateFiles, force);
    const setUp = options.full ? fullCellState : quickCellState;
    const results = await longRun((progress, signal) => runCellState(setUp, options.seed, progress, signal));
    return publish({ results, out, json, format: formatCellState, writePage: writeCellState });
  }
  if (experiment === 'flossing') {
    prepareOut(out, flossingFiles, force);
    const setUp = options.full ? fullFlossing : quickFlossing;
    const results = await longRun((progress, signal) => runFlossing(setUp, options.seed, progress, signal));
    return publish({ results, out, json, format: formatFlossing, writePage: writeFlossing });
  }
  prepareOut(out, studyFiles, force);
  const series = await prepareSeries(options);
  const results = await longRun((progress, signal) => runStudy(options, series, progress, signal));
  await publish({ results, out, json, format: formatStudy, writePage: writeStudy });
}

function parts(text: string): StudyPart[] {
  const list = names(text);
  const unknown = list.find((name) => !(studyParts as readonly string[]).includes(name));
  if (unknown !== undefined) throw new InvalidArgumentError(`Expected some of ${studyParts.join(', ')}, got ${JSON.stringify(unknown)}.`);
  return list as StudyPart[];
}
