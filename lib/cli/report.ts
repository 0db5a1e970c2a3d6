import type { Command } from 'commander';
import { writeReport } from '../sweep/report';
import { readStore, recordsInOrder } from '../sweep/store';
import { fullCsv } from '../sweep/table';
import { exitStatusHelp } from './exit-status';
import { forceHelp, prepareOut } from './out-folder';

/** `evenkeel report`: what a sweep has found so far. */
export function addReportCommand(program: Command): void {
  program
    .command('report <dir>')
    .description("Write the page of a sweep's results, index.html in its folder, also while the sweep runs.")
    .option('--csv', 'print all that was measured as CSV on standard output instead')
    .option('--json', 'print it as JSON instead')
    .option('--force', forceHelp)
    .addHelpText('after', exitStatusHelp)
    .action(async (folder: string, { csv, json, force }: { csv?: true; json?: true; force?: true }) => {
      if (csv) process.stdout.write(fullCsv(recordsInOrder(readStore(folder))));
      else if (json) process.stdout.write(`${JSON.stringify(recordsInOrder(readStore(folder)))}\n`);
      else {
        // Not made where there is no sweep.
        readStore(folder);
        prepareOut(folder, ['index.html'], force);
        process.stdout.write(`Written: ${await writeReport(folder)}\n`);
      }
    });
}
