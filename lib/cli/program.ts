import { Command, CommanderError } from 'commander';
import { EvenkeelError } from '../errors';
import { printable } from '../report/text';
import { version } from '../version';
import { addBenchCommand } from './bench';
import { addBuildCommand } from './build';
import { exitStatus, exitStatusHelp } from './exit-status';
import { addInfoCommand } from './info';
import { addEvaluateCommand, addPredictCommand } from './predict';
import { addReportCommand } from './report';
import { addStudyCommand } from './study';
import { addSweepCommand } from './sweep';
import { addTrainCommand } from './train';
import { addWorkerCommand } from './worker';

function createProgram(): Command {
  const program = new Command('evenkeel')
    .description('Recurrent networks with gradients you can see.')
    .version(version)
    .addHelpText('after', exitStatusHelp)
    // An option after a command is that command's.
    .enablePositionalOptions()
    // Commands added below inherit it: instead of ending the process, commander throws.
    .exitOverride();
  addStudyCommand(program);
  addTrainCommand(program);
  addPredictCommand(program);
  addEvaluateCommand(program);
  addSweepCommand(program);
  addWorkerCommand(program);
  addReportCommand(program);
  addBenchCommand(program);
  addInfoCommand(program);
  addBuildCommand(program);
  return program;
}

/** Runs the command that the process was given. */
export async function main(): Promise<void> {
  try {
    await createProgram().parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** Says what went wrong, unless commander has said it, and returns the exit status. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.ok : exitStatus.usage;
  if (error instanceof EvenkeelError) process.stderr.write(`evenkeel: ${printable(error.message)}\n`);
  else process.stderr.write(`evenkeel: internal error, please report it\n${error instanceof Error ? error.stack : String(error)}\n`);
  return exitStatus.failure;
}
