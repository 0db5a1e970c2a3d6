import type { Command } from 'commander';
import { runtimeInfo } from '../runtime';
import { exitStatusHelp } from './exit-status';

/** `evenkeel info`: what computes here. */
export function addInfoCommand(program: Command): void {
  program
    .command('info')
    .description('Show versions, threads, vector instructions and BLAS: what to add to a bug report.')
    .option('--json', 'as JSON')
    .addHelpText('after', exitStatusHelp)
    .action(({ json }: { json?: true }) => {
      const info = runtimeInfo();
      const lines = Object.entries(info).map(([key, value]) => `${key.padEnd(12)} ${[value].flat().join(', ')}\n`);
      process.stdout.write(json ? `${JSON.stringify(info)}\n` : lines.join(''));
    });
}
