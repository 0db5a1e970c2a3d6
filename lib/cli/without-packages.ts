/** The command line where only the library is installed: two commands need nothing else, and the others say what to install. */
import { EvenkeelError } from '../errors';
import { printable } from '../report/text';
import { version } from '../version';
import { buildDescription, runBuild } from './build';
import { exitStatus } from './exit-status';
import { infoDescription, runInfo } from './info';

const elsewhere = ['study', 'train', 'predict', 'evaluate', 'sweep', 'worker', 'report', 'bench'];

const help = `Usage: evenkeel <command>

  info [--json]  ${infoDescription}
  build          ${buildDescription}

The other commands, ${elsewhere.join(', ')}, need packages that a library's user does not download:
  npm install @evenkeel/cli      then type the command again
  npx @evenkeel/cli <command>    without installing anything
`;

/** @returns the exit status */
export function runWithout([command, ...options]: readonly string[]): number {
  try {
    if (command === '--version') return print(`${version}\n`);
    if (command === '--help' || command === '-h') return print(help);
    if (command === 'info' && options.every((option) => option === '--json')) return runInfo(options.length > 0);
    if (command === 'build' && options.length === 0) {
      runBuild();
      return exitStatus.ok;
    }
  } catch (error) {
    if (!(error instanceof EvenkeelError)) throw error;
    process.stderr.write(`evenkeel: ${printable(error.message)}\n`);
    return exitStatus.failure;
  }
  process.stderr.write(elsewhere.includes(command ?? '') ? `evenkeel ${command} is not installed: only the library is.\n\n${help}` : help);
  return exitStatus.usage;
}

function print(text: string): number {
  process.stdout.write(text);
  return exitStatus.ok;
}
