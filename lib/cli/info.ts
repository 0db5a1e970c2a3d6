import type { Command } from 'commander';
import { runtimeInfo } from '../runtime';
import { exitStatus, exitStatusHelp } from './exit-status';
import { selfTest } from './self-test';

export const infoDescription =
  'Show binary, versions, threads, vector instructions and BLAS, and test whether it computes right: what to add to a bug report.';

/** `evenkeel info`: what computes here, and whether it does so right. */
export function addInfoCommand(program: Command): void {
  program
    .command('info')
    .description(infoDescription)
    .option('--json', 'as JSON')
    .addHelpText('after', exitStatusHelp)
    .action(({ json }: { json?: true }) => {
      process.exitCode = runInfo(json === true);
    });
}

/** @returns the exit status */
export function runInfo(json: boolean): number {
  const { libc, ...info } = runtimeInfo();
  const test = selfTest();
  const all = { ...info, libc: libc ?? null, selfTest: test };
  const words = `${test.passed ? 'passed' : `FAILED, off by ${test.error.toPrecision(2)} times what rounding explains`} in ${test.milliseconds.toFixed(1)} ms`;
  const lines = Object.entries({ ...info, libc: libc ?? 'the system’s own', selfTest: words });
  process.stdout.write(
    json ? `${JSON.stringify(all)}\n` : lines.map(([key, value]) => `${key.padEnd(12)} ${[value].flat().join(', ')}\n`).join(''),
  );
  return test.passed ? exitStatus.ok : exitStatus.failure;
}
