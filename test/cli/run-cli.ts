import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const main = join(__dirname, '../../dist/cli/main.js');

export interface Outcome {
  /** exit status, or the name of the signal that ended it */
  status: number | string | null;
  stdout: string;
  stderr: string;
}

/** Starts the compiled command, as a user's shell would, with more in its environment. */
export function startCli(
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): { child: ChildProcessWithoutNullStreams; outcome: Promise<Outcome> } {
  if (!existsSync(main)) throw new Error(`${main} is missing: compile with npx tsc`);
  const child = spawn(process.execPath, [main, ...args], { cwd, env: { ...process.env, ...env } });
  const outcome: Outcome = { status: null, stdout: '', stderr: '' };
  child.stdout.on('data', (text) => {
    outcome.stdout += text;
  });
  child.stderr.on('data', (text) => {
    outcome.stderr += text;
  });
  return {
    child,
    outcome: new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ ...outcome, status: code ?? signal }));
    }),
  };
}

export function runCli(args: readonly string[], cwd: string): Promise<Outcome> {
  return startCli(args, cwd).outcome;
}

/** A folder of its own for each test, removed after it. */
export function useFolder(): { readonly path: string; write(name: string, text: string): string } {
  let path = '';
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'evenkeel-'));
  });
  afterEach(() => rmSync(path, { recursive: true, force: true }));
  return {
    get path() {
      return path;
    },
    write(name, text) {
      writeFileSync(join(path, name), text);
      return name;
    },
  };
}

/** A short series of three columns: two waves and a line. */
export function smallCsv(header = 'sine,cosine,line'): string {
  const rows = Array.from({ length: 80 }, (_, i) => `${Math.sin(i / 3).toFixed(4)},${Math.cos(i / 5).toFixed(4)},${i}`);
  return `${header}\n${rows.join('\n')}\n`;
}
