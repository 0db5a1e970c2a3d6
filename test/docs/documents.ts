/** Takes documents apart and runs what they hold, in a folder where `evenkeel` is this package as an installing user would see it. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import ts from 'typescript';

export const root = join(__dirname, '../..');

export interface Block {
  language: string;
  code: string;
  /** of the block's first line, from 1 */
  line: number;
}

/** The fenced code blocks of a Markdown text. */
export function codeBlocks(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w*).*\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1] ?? '',
    code: match[2] ?? '',
    line: markdown.slice(0, match.index).split('\n').length + 1,
  }));
}

/** What the rows of the table right below a block say, its head left out: one text per row, in the words of a program's output. */
export function tableBelow(markdown: string, { code, line }: Block): string[] {
  const below = markdown.split('\n').slice(line + code.split('\n').length - 1);
  const [first = '', ...rest] = below.slice(below.findIndex((text) => text.trim() !== ''));
  if (!first.startsWith('|')) return [];
  const end = rest.findIndex((text) => !text.startsWith('|'));
  return rest.slice(1, end).map((row) =>
    row
      .replace(/[|`'±]|\bsteps\b|\+(?=\d)/g, ' ')
      .replaceAll('−', '-')
      .replaceAll('∞', 'Infinity')
      .trim()
      .replace(/\s+/g, ' '),
  );
}

/** Whether a row says what a program printed in a line: the same words, and its numbers rounded to the row's digits. */
export function saysSame(row: string, printed: string): boolean {
  const [said, found] = [row.split(' '), printed.trim().split(/\s+/)];
  const decimals = (word: string) => /\.(\d+)$/.exec(word)?.[1]?.length ?? 0;
  const isSame = (word: string, other = '') => word === other || word === Number(other).toFixed(decimals(word));
  return said.length === found.length && said.every((word, i) => isSame(word, found[i]));
}

/** The files of the repository that a Markdown text links to. */
export function relativeLinks(markdown: string): string[] {
  const targets = [...markdown.matchAll(/\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"/g)].map((match) => match[1] ?? match[2] ?? '');
  return targets.filter((target) => !/^([a-z]+:|#)/.test(target)).map((target) => target.replace(/#.*$/, ''));
}

/** A temporary folder in which programs find this package by its name. */
export function userFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'evenkeel-docs-'));
  mkdirSync(join(path, 'node_modules/@types'), { recursive: true });
  symlinkSync(root, join(path, 'node_modules/evenkeel'));
  symlinkSync(join(root, 'node_modules/@types/node'), join(path, 'node_modules/@types/node'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Runs a JavaScript or TypeScript program from a file of its own in `folder`; throws with all that it printed when it fails. */
export function runProgram(folder: string, name: string, code: string, options: readonly string[] = []): string {
  const extension = /\brequire\(/.test(code) ? 'cjs' : 'mjs';
  const file = join(folder, `${name}.${extension}`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(
    file,
    ts.transpileModule(code, { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 } }).outputText,
  );
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [file, ...options], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 280_000,
  });
  if (status !== 0) throw new Error(`${name} ended with ${error?.message ?? status}:\n${stdout}${stderr}`);
  return stdout;
}

/** What the compiler, in strict mode, has to say about TypeScript programs in `folder`. */
export function typeErrors(folder: string, programs: Record<string, string>): string[] {
  const files = Object.entries(programs).map(([name, code]) => {
    const file = join(folder, `${name}.mts`);
    writeFileSync(file, code);
    return file;
  });
  const program = ts.createProgram(files, {
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    module: ts.ModuleKind.Node20,
    moduleResolution: ts.ModuleResolutionKind.Node16,
    target: ts.ScriptTarget.ES2023,
    types: ['node'],
    typeRoots: [join(folder, 'node_modules/@types')],
  });
  return ts
    .getPreEmitDiagnostics(program)
    .map((diagnostic) =>
      ts.formatDiagnostic(diagnostic, { getCanonicalFileName: (name) => name, getCurrentDirectory: () => folder, getNewLine: () => '\n' }),
    );
}

const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

/** What is wrong with a line that a reader is told to type, or undefined. Knows the commands that this project's documents use. */
export function commandProblem(line: string): string | undefined {
  const words = line
    .replace(/(^|\s)#.*$/, '')
    .replace(/^\$ /, '')
    .trim()
    .split(/\s+/);
  const [command = '', first = '', second = ''] = words;
  if (command === '') return undefined;
  if (['cd', 'sudo', 'apt-get', 'redis-server'].includes(command) || (command === 'git' && first === 'clone')) return undefined;
  if (command === 'npm' && ['install', 'rebuild'].includes(first)) return undefined;
  if (command === 'npm') return npmProblem(first === 'run' ? second : first, words);
  if (command === 'npx' && first === 'tsx') return existsSync(join(root, second)) ? undefined : `there is no file ${second}`;
  if (command === 'npx' && first === 'evenkeel') return cliProblem(words.slice(2));
  if (command === 'evenkeel') return cliProblem(words.slice(1));
  const script = ['node', 'bash'].includes(command) ? first : command;
  if (/^[\w.][\w./-]*\/[\w.-]+$/.test(script)) return existsSync(join(root, script)) ? undefined : `there is no file ${script}`;
  return `test/docs does not know how to check the command "${line}"`;
}

function npmProblem(script: string, words: string[]): string | undefined {
  const text = scripts[script];
  if (text === undefined) return `package.json has no script "${script}"`;
  const cli = /^node dist\/cli\/main\.js (.*)$/.exec(text)?.[1];
  return cli === undefined ? undefined : cliProblem([...cli.split(' '), ...words.slice(words.indexOf('--') + 1)]);
}

/** Asks the command's own --help for every option used. */
function cliProblem(words: string[]): string | undefined {
  const subcommand = words[0]?.startsWith('-') === false ? [words[0]] : [];
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), ...subcommand, '--help'], {
    encoding: 'utf8',
  });
  if (status !== 0) return `evenkeel ${subcommand.join(' ')} --help fails: ${stderr}`;
  const unknown = words
    .map((word) => /^--[\w-]+/.exec(word)?.[0])
    .find((option) => option !== undefined && !new RegExp(`${option}\\b`).test(stdout));
  return unknown === undefined ? undefined : `evenkeel ${subcommand.join(' ')} has no option ${unknown}`;
}
