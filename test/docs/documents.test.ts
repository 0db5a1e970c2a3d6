import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readDefinition } from '../../lib/sweep/definition-file';
import { countTrials } from '../../lib/sweep/grid';
import { readStore } from '../../lib/sweep/store';
import { RedisServer, redisIsMissing } from '../sweep/redis-server';
import {
  type Block,
  codeBlocks,
  commandProblem,
  relativeLinks,
  root,
  runProgram,
  saysSame,
  tableBelow,
  typeErrors,
  userFolder,
} from './documents';

const read = (file: string): string => (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '');
const guides = readdirSync(join(root, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);
const documents = ['README.md', 'CONTRIBUTING.md', ...guides];
const inLanguages = (blocks: Block[], ...languages: string[]): Block[] => blocks.filter(({ language }) => languages.includes(language));
const examples = existsSync(join(root, 'examples')) ? readdirSync(join(root, 'examples')).filter((name) => /\.[cm]?[jt]s$/.test(name)) : [];

/** Options that make a long example short. */
const shortened: Record<string, string[]> = {
  'adding-problem': ['--steps', '20'],
  'adding-lengths': ['--steps', '10'],
  'language-of-names': ['--epochs', '1', '--names', '300'],
  'character-model': ['--epochs', '1', '--characters', '12000'],
  weather: ['--epochs', '1'],
  serving: ['--port', '0', '--seconds', '3'],
};

const folder = userFolder();
afterAll(() => folder.remove());

// In each document its programs run one after the other in one folder: a later one may read what an earlier one has written.
describe.each(documents)('the programs in %s', (file) => {
  const text = read(file);
  const programs = inLanguages(codeBlocks(text), 'ts', 'js');
  const own = join(folder.path, file.replace(/\W/g, '-'));

  for (const block of programs) {
    const { line, code } = block;
    const rows = tableBelow(text, block);
    const isWithFigures = rows.length > 0 && /\d/.test(rows[0] ?? '');
    test(`the one at line ${line} runs${isWithFigures ? ', and prints the figures of the table below it' : ''}`, () => {
      const printed = runProgram(own, `line-${line}`, code).trimEnd().split('\n');
      if (!isWithFigures) return;
      expect(printed).toHaveLength(rows.length);
      const wrong = rows.flatMap((row, i) => (saysSame(row, printed[i] ?? '') ? [] : [{ row, printed: printed[i] }]));
      expect(wrong).toEqual([]);
    });
  }

  test('are right in their types', () => {
    const typed = inLanguages(programs, 'ts').map(({ line, code }) => [`${file.replace(/\W/g, '-')}-${line}`, code]);
    if (typed.length > 0) expect(typeErrors(folder.path, Object.fromEntries(typed))).toEqual([]);
  });
});

test('README has a program, and a guide figures beside one', () => {
  expect(inLanguages(codeBlocks(read('README.md')), 'ts', 'js')).not.toEqual([]);
  const report = read('docs/stability-report.md');
  expect(inLanguages(codeBlocks(report), 'js').flatMap((block) => tableBelow(report, block))).not.toEqual([]);
});

test('the sweep definitions in docs/sweeps.md are sound', () => {
  const definitions = inLanguages(codeBlocks(read('docs/sweeps.md')), 'yaml');
  expect(definitions.length).toBeGreaterThan(0);
  for (const { code, line } of definitions) {
    const file = join(folder.path, `sweep-${line}.yaml`);
    writeFileSync(file, code);
    expect(countTrials(readDefinition(file).grid)).toBeGreaterThan(1);
  }
});

describe.each(documents)('%s', (file) => {
  const text = read(file);

  test('has only code blocks in languages that are known here', () => {
    // `javascript` and `python` are programs of other libraries, which are not run.
    const known = ['ts', 'js', 'bash', 'text', 'yaml', 'json', 'csv', 'javascript', 'python'];
    expect(codeBlocks(text).filter(({ language }) => !known.includes(language))).toEqual([]);
  });

  test('names commands that exist', () => {
    const lines = inLanguages(codeBlocks(text), 'bash').flatMap(({ code }) => code.split('\n'));
    expect(lines.map(commandProblem).filter((problem) => problem !== undefined)).toEqual([]);
  });

  test('links to files and headings that exist', () => {
    const from = dirname(join(root, file));
    expect(relativeLinks(text).filter((target) => !existsSync(join(from, target)))).toEqual([]);
    const headings = (path: string) => [...readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => anchorOf(title));
    const anchored = [...text.matchAll(/\]\(([\w./-]*\.md)?#([^)\s]+)\)/g)];
    const lost = anchored.filter(
      ([, target, anchor = '']) => !headings(target === undefined ? join(root, file) : join(from, target)).includes(anchor),
    );
    expect(lost.map(([link]) => link)).toEqual([]);
  });
});

/** A heading's anchor, as Markdown readers make it. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

test('README leads to every guide', () => {
  const links = relativeLinks(read('README.md'));
  expect(guides.filter((guide) => !links.includes(guide))).toEqual([]);
});

describe('examples/', () => {
  test('has the three reference systems in TypeScript and in JavaScript', () => {
    const inTypeScript = examples.filter((name) => /\.m?ts$/.test(name)).length;
    expect(inTypeScript).toBeGreaterThanOrEqual(3);
    expect(examples.length - inTypeScript).toBeGreaterThanOrEqual(3);
  });

  // It takes a server.
  const byQueue = 'sweep-by-queue.mts';

  for (const name of examples.filter((other) => other !== byQueue)) {
    test(`${name} runs and says something`, () => {
      const options = shortened[name.replace(/\.\w+$/, '')];
      expect(runProgram(folder.path, `examples/${name}`, read(`examples/${name}`), options)).not.toBe('');
    });
  }

  const missing = redisIsMissing();
  (missing === undefined ? test : test.skip)(
    `${byQueue} runs on a real redis-server${missing === undefined ? '' : ` (${missing})`}`,
    async () => {
      const own = join(folder.path, 'by-queue');
      mkdirSync(own);
      const redis = new RedisServer(own);
      await redis.start();
      try {
        const options = ['--queue', `redis://127.0.0.1:${redis.port}`, '--lengths', '5,6', '--steps', '3'];
        const said = runProgram(own, 'example', read(`examples/${byQueue}`), options);
        expect(said).toMatch(/^18 of 18 trials have a result.*\n.*\ncell +T 5 +T 6\n(\w+ +\d\.\d{5} +\d\.\d{5}\n){3}/);
        expect(countTrials(readStore(join(own, 'sweep-by-queue')).grid)).toBe(18);
      } finally {
        await redis.kill();
      }
    },
  );

  test('in TypeScript are right in their types', () => {
    const typed = examples.filter((name) => name.endsWith('.mts')).map((name) => [name.slice(0, -4), read(`examples/${name}`)]);
    expect(typeErrors(folder.path, Object.fromEntries(typed))).toEqual([]);
  });

  test('adding-problem says what it did, against the baseline, and refuses an impossible number of steps', () => {
    const code = read('examples/adding-problem.mts');
    const output = runProgram(folder.path, 'adding', code, ['--steps', '20', '--seed', '3']);
    for (const name of ['identity, relu', 'tanh']) {
      expect(output).toMatch(new RegExp(`${name}: error [\\d.]+ on new sequences; the answer 1 has 0\\.1667: `));
    }
    expect(output).toContain('After 20 steps this does not agree with the paper');
    expect(() => runProgram(folder.path, 'adding', code, ['--steps', '0'])).toThrow(
      '--steps: expected a whole number of at least 1, got "0"',
    );
  });
});

describe('these checks', () => {
  test('find the blocks, and their lines', () => {
    expect(codeBlocks('a\n```js\nlet a;\n```\nb\n\n```bash title\nnpm test\n\nls\n```\n')).toEqual([
      { language: 'js', code: 'let a;\n', line: 3 },
      { language: 'bash', code: 'npm test\n\nls\n', line: 8 },
    ]);
  });

  test('see a figure that a program does not print', () => {
    const text = "```js\nlet a;\n```\n\n| a | b |\n| --- | --- |\n| `'x'` | +0.10 ± 0.02 |\n| y | −1 | ∞ |\n\nend\n";
    const [block] = codeBlocks(text) as [Block];
    expect(tableBelow(text, block)).toEqual(['x 0.10 0.02', 'y -1 Infinity']);
    expect(tableBelow(text.replace(/^\|.*\n/gm, ''), block)).toEqual([]);
    expect(saysSame('x 0.10 0.02', 'x 0.1049 0.0151')).toBe(true);
    expect(saysSame('x 0.10 0.02', 'x 0.1051 0.0151')).toBe(false);
    expect(saysSame('x 0.10 0.02', 'x 0.1049')).toBe(false);
    expect(saysSame('y -1 Infinity', 'y -0.7 Infinity')).toBe(true);
    expect(saysSame('y -1 Infinity', 'z -1 Infinity')).toBe(false);
  });

  test('run a program as a user would, from ES modules and from CommonJS', () => {
    const say = 'console.log(Tensor.zeros([2, 3]).shape.join())';
    expect(runProgram(folder.path, 'esm', `import { Tensor } from 'evenkeel';\n${say}`)).toBe('2,3\n');
    expect(runProgram(folder.path, 'cjs', `const { Tensor } = require('evenkeel');\n${say}`)).toBe('2,3\n');
    expect(() => runProgram(folder.path, 'wrong', `import { Tensor } from 'evenkeel';\nTensor.zeros('x')`)).toThrow('ERR_SHAPE');
  });

  test('see a mistake in types', () => {
    const call = (argument: string) => `import { Tensor } from 'evenkeel';\nTensor.zeros(${argument});`;
    expect(typeErrors(folder.path, { right: call('[2]'), wrong: call('"2"') })).toEqual([expect.stringContaining('wrong.mts')]);
  });

  test.each([
    'npm run nothing',
    'npx evenkeel study --no-such-option',
    'node examples/none.mjs',
    'rm -rf /',
    'npm start -- --no-such-option',
  ])('refuse "%s"', (line) => {
    expect(commandProblem(line)).toBeDefined();
  });

  test.each([
    'npm test',
    'bash .ci/run',
    'node scripts/setup.mjs',
    '',
    '# a remark',
    'npm start -- --out here  # a remark',
    'npx evenkeel study --help',
  ])('let "%s" through', (line) => {
    expect(commandProblem(line)).toBeUndefined();
  });

  test('find links to files', () => {
    expect(relativeLinks('[a](docs/a.md#part) ![b](b.svg) [c](https://c.org) [d](#d) <img src="e.png">')).toEqual([
      'docs/a.md',
      'b.svg',
      'e.png',
    ]);
  });
});
