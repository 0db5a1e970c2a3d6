import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { compareRuns, formatChanges, readBench } from '../bench/compare';
import { machineFloor } from '../bench/floor';
import { formatBriefTable, formatFloorTable, formatMarkdown } from '../bench/markdown';
import { benchFiles, writePage } from '../bench/page';
import type { Work } from '../bench/protocol';
import type { BenchResults } from '../bench/results';
import { runBench } from '../bench/runner';
import { type System, systems } from '../bench/systems';
import { formatBench } from '../bench/terminal';
import { selectTrials, trials } from '../bench/trials';
import { workTitles } from '../bench/works';
import { nearestName } from '../check';
import { EvenkeelError } from '../errors';
import { writeFileAtomic } from '../io/atomic-file';
import { printable } from '../report/text';
import { exitStatusHelp } from './exit-status';
import { longRun } from './long-run';
import { integer, names, nonEmpty } from './options';
import { forceHelp, prepareOut } from './out-folder';
import { outputColumns, publish } from './output';

interface BenchArguments {
  filter?: string;
  quick?: true;
  systems: readonly System[];
  python: string;
  rivals?: string;
  budget?: number;
  limit: number;
  oneStep: number;
  json?: true;
  out: string;
  force?: true;
}

/** Seconds of measuring per trial. Starting and checking the cases of a trial takes several times as long. */
const budgets = { full: 5, quick: 3 };

/** Enough for PyTorch at a hundred thousand steps through time. */
const oneStepSeconds = 90;

/** `evenkeel bench`: this library, its rivals and the machine's own limits, measured in one run. */
export function addBenchCommand(program: Command): void {
  const bench = program
    .command('bench')
    // `--json` after compare is compare's.
    .enablePositionalOptions()
    .description(
      'Measure evenkeel and every installed rival on the same work, in turns, after checking that they compute the same thing; ' +
        'write a page and results.json. All trials beside all rivals take some 40 minutes on two cores.',
    )
    .option('--filter <text>', 'only the trial of this name, or those whose name contains the text, such as train or 512', filter)
    .option('--quick', 'a short run, under a minute')
    .addOption(
      // Without words of its own the default would be shown as JSON, and that is a screenful.
      new Option('--systems <a,b>', 'who takes part').argParser(systemList).default(systems, systems.map(({ id }) => id).join(',')),
    )
    .option('--python <path>', 'the Python that has PyTorch and JAX', nonEmpty, 'python3')
    .option(
      '--rivals <dir>',
      "folder where the JavaScript rivals are installed (default: evenkeel's bench folder, then this one)",
      nonEmpty,
    )
    .option('--budget <seconds>', `measuring time per trial (default: ${budgets.full}, with --quick ${budgets.quick})`, integer(1, 86_400))
    .option(
      '--limit <seconds>',
      "a case whose first call takes longer than this, and than four times evenkeel's, is shown as such and not timed",
      integer(1, 86_400),
      5,
    )
    .option(
      '--one-step <seconds>',
      'how long one training step of a system may take that is over the limit in all its ways, to be shown as such; all of a run together four times as long; 0: none',
      integer(0, 86_400),
      oneStepSeconds,
    )
    .option('--out <dir>', 'folder for the files', nonEmpty, 'bench-results')
    .option('--force', forceHelp)
    .option('--json', 'print results.json on standard output, and nothing else there')
    .addHelpText('after', `\nCtrl-C ends early and writes the trials that have finished; a second Ctrl-C ends at once.${exitStatusHelp}`)
    .action(run);
  bench
    .command('compare <before> <after>')
    .description('Say what changed from one results.json to another beyond the noise of either.')
    .option('--json', 'as JSON')
    .action((before: string, after: string, { json }: { json?: true }) => {
      const changes = compareRuns(readBench(before), readBench(after));
      process.stdout.write(json ? `${JSON.stringify(changes)}\n` : formatChanges(changes, outputColumns()));
    });
  addTableCommand(bench);
}

function addTableCommand(bench: Command): void {
  bench
    .command('table <results>')
    .description("Print the table of a run's results.json in Markdown.")
    .option('--works <a,b>', `only these kinds of work, of ${workNames.join(', ')}`, workList)
    .option('--floor', 'evenkeel alone, with each number of threads, in percent of what the machine can do')
    .option('--brief <N,T,I,H ...>', 'only sizes, times and factor, of trials with these sizes', (text) => text.split(' '))
    .action((file: string, { works: only, floor, brief }: { works?: Work[]; floor?: true; brief?: string[] }) => {
      const results = readBench(file);
      const text = brief ? formatBriefTable(results, only, brief) : (floor ? formatFloorTable : formatMarkdown)(results, only);
      process.stdout.write(text);
    });
}

const workNames = Object.keys(workTitles) as Work[];

function workList(text: string): Work[] {
  const wanted = names(text);
  const unknown = wanted.find((name) => !workNames.some((known) => known === name));
  if (unknown !== undefined) throw new InvalidArgumentError(`There is no "${unknown}". Kinds of work: ${workNames.join(', ')}.`);
  return wanted as Work[];
}

function filter(text: string): string {
  nonEmpty(text);
  if (!trials.some(({ id }) => id.includes(text))) {
    throw new InvalidArgumentError(`No trial contains it. Trials: ${trials.map(({ id }) => id).join('; ')}.`);
  }
  return text;
}

function systemList(text: string): System[] {
  const wanted = names(text);
  const ids = systems.map(({ id }) => id);
  for (const name of wanted) {
    if (ids.includes(name)) continue;
    const nearest = nearestName(name, ids);
    throw new InvalidArgumentError(
      `There is no "${name}".${nearest === undefined ? '' : ` Did you mean "${nearest}"?`} Systems: ${ids.join(', ')}.`,
    );
  }
  return systems.filter(({ id }) => wanted.includes(id));
}

async function run({ out, json, force, ...options }: BenchArguments): Promise<void> {
  const quick = options.quick === true;
  const chosen = selectTrials({ filter: options.filter, quick });
  if (chosen.length === 0) throw new EvenkeelError('ERR_OPTION', `--filter: no trial of --quick contains "${options.filter}".`);
  prepareOut(out, benchFiles, force);
  const budgetSeconds = options.budget ?? (quick ? budgets.quick : budgets.full);
  const results = await longRun((progress, signal) =>
    runBench(
      {
        ...options,
        quick,
        trials: chosen,
        budgetSeconds,
        limitSeconds: options.limit,
        oneStepSeconds: options.oneStep,
        paths: options,
        floor: machineFloor(),
      },
      { progress, signal, onTrial: (results) => keep(results, out) },
    ),
  );
  await publish({ results, out, json, format: formatBench, writePage });
}

/** What has been measured so far, as far as the disk takes it: hours of measuring go on, and all is written at their end. */
function keep(results: BenchResults, out: string): void {
  try {
    writeFileAtomic(join(out, 'results.json'), `${JSON.stringify(results)}\n`, 'replace');
  } catch (error) {
    process.stderr.write(`bench: ${printable((error as Error).message)} The run goes on.\n`);
  }
}
