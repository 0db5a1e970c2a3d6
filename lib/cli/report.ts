import type { Command } from 'commander';
import { writeReport } from '../sweep/report';
import { readStore, recordsInOrder } from '../sweep/store';
import { fullCsv } from '../sweep/table';
import { exitStatusHelp } from './exit-status';

/** `evenkeel report`: what a sweep has found so far. */
export function addReportCommand(program: Command): void {
  program
    .command('report <dir>')
    .description("Write the page of a sweep's results, index.html in its folder, also while the sweep runs.")
    .option('--csv', 'print all that was measured as CSV on standard output instead')
    .option('--json', 'print it as JSON instead')
    .addHelpText('after', exitStatusHelp)
    .action(async (folder: string, { csv, json }: { csv?: true; json?: true }) => {
      if (csv) process.stdout.write(fullCsv(recordsInOrder(readStore(folder))));
      else if (json) process.stdout.write(`${JSON.stringify(recordsInOrder(readStore(folder)))}\n`);
      else process.stdout.write(`Written: ${await writeReport(folder)}\n`);
    });
}
