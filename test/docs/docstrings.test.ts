// Every @example in a docstring is right in its types and runs, with all of the package's names at hand.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as evenkeel from '../../lib';
import { root, runProgram, typeErrors, userFolder } from './documents';

interface Example {
  /** such as `layers/gru` */
  file: string;
  code: string;
}

/** The examples of a source text: what follows `@example` in a docstring, to its end or to the next tag. */
function examplesOf(file: string, text: string): Example[] {
  return [...text.matchAll(/\/\*\*[\s\S]*?\*\//g)].flatMap(([docstring]) => {
    const lines = docstring.split('\n').map((line) => line.replace(/^\s*\*\/?( |$)/, ''));
    return lines.flatMap((line, begin) => {
      if (line.trim() !== '@example') return [];
      const rest = lines.slice(begin + 1);
      const end = rest.findIndex((other) => /^(@|```$|\/$)/.test(other.trim()));
      return [{ file, code: rest.slice(0, end === -1 ? undefined : end).join('\n') }];
    });
  });
}

const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const examples = sources.flatMap((file) => examplesOf(file.replace(/\.ts$/, ''), readFileSync(join(root, 'lib', file), 'utf8')));

/** As a module of its own: with the names that it uses, and types for what it leaves unused. */
function program({ code }: Example): string {
  const names = Object.keys(evenkeel).filter((name) => new RegExp(`\\b${name}\\b`).test(code));
  return `import { ${names.join(', ')} } from 'evenkeel';\n${code}\n`;
}

const folder = userFolder();
afterAll(() => folder.remove());

test('the main names have one', () => {
  const documented = examples.map(({ file }) => file);
  const main = ['tensor', 'random', 'layers/rnn', 'layers/lstm', 'layers/gru', 'layers/sequential', 'losses/mse', 'optimizers/adam'];
  const measured = [
    'clipping/clip-grad-norm',
    'stability/gradient-flow',
    'stability/lyapunov',
    'sweep/sweep',
    'data/batches',
    'io/safetensors',
  ];
  expect([...main, ...measured].filter((file) => !documented.includes(file))).toEqual([]);
});

test('they are right in their types', () => {
  const programs = examples.map((example, i) => [`example-${i}-${example.file.replaceAll('/', '-')}`, program(example)]);
  expect(typeErrors(folder.path, Object.fromEntries(programs))).toEqual([]);
});

test('they run, one after the other in one process', () => {
  const files = examples.map((example, i) => {
    const file = join(folder.path, `run-${i}.mjs`);
    writeFileSync(file, program(example));
    return { file, of: example.file };
  });
  const wrap = `for (const { file, of } of ${JSON.stringify(files)}) await import(file).catch((error) => { throw new Error('the example of ' + of, { cause: error }); });\n`;
  expect(() => runProgram(folder.path, 'all', wrap)).not.toThrow();
});
