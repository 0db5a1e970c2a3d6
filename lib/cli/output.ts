/** Standard output and error, which may be a terminal, a file on a full disk, or a pipe that nobody reads any more. */
import { join } from 'node:path';
import { writeFileAtomic } from '../io/atomic-file';
import { printable } from '../report/text';
import { exitStatus } from './exit-status';

/** Writes on: the files of a command are worth writing, whatever becomes of what it says. */
export function outliveOutput(): void {
  // Who hears of an error on standard error?
  process.stderr.on('error', () => {});
  let told = false;
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    // A reader that stops, such as `| head`, has what it wanted.
    if (told || code === 'EPIPE') return;
    told = true;
    process.stderr.write(`evenkeel: standard output could not be written: ${printable(message)}\n`);
  });
}

/** Writes what a command was called for, which is nowhere else: the command has failed where it cannot be written. */
export function printResult(text: string): void {
  process.stdout.write(text, (error) => {
    if (error && (error as NodeJS.ErrnoException).code !== 'EPIPE') process.exitCode = exitStatus.failure;
  });
}

/** How many columns standard output has: as many as it wants where it is no terminal. */
export function outputColumns(): number {
  return (process.stdout.isTTY && process.stdout.columns) || Number.POSITIVE_INFINITY;
}

/** What became of a run, and where it goes. */
export interface Publication<Results> {
  results: Results;
  /** the folder */
  out: string;
  /** print results.json in place of the text */
  json?: true;
  format(results: Results, columns: number): string;
  /** @returns the paths */
  writePage(results: Results, out: string): Promise<string[]>;
}

/**
 * Writes and prints what a long run has found, what is dearest first: results.json, then standard output, even if the disk is full, then the page.
 * @throws EvenkeelError ERR_FILE
 */
export async function publish<Results>({ results, out, json, format, writePage }: Publication<Results>): Promise<void> {
  const file = join(out, 'results.json');
  const text = `${JSON.stringify(results)}\n`;
  try {
    writeFileAtomic(file, text, 'replace');
  } finally {
    process.stdout.write(json ? text : format(results, outputColumns()));
  }
  const pages = await writePage(results, out);
  process.stderr.write(`Written: ${[file, ...pages].join(', ')}\n`);
}
