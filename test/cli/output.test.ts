import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { barLine, joinFitting } from '../../lib/cli/bar-line';
import { prepareOut } from '../../lib/cli/out-folder';
import { publish } from '../../lib/cli/output';
import { isOwnPage, renderPage } from '../../lib/report/page';
import { evenkeelError } from '../helpers/errors';
import { runCli, useFolder } from './run-cli';

const folder = useFolder();
const file = (name: string) => join(folder.path, name);
const main = join(__dirname, '../../dist/cli/main.js');
const small = 'lengths: [5]\nsizes: [{hiddenSize: 2, batchSize: 1}]\nseeds: [1, 2]\nsteps: 1\n';

/** Runs the command in a shell, with redirections; returns its status. */
function shell(args: string): number {
  try {
    execFileSync('bash', ['-c', `set -o pipefail; ${process.execPath} ${main} ${args}`], { cwd: folder.path, stdio: 'pipe' });
    return 0;
  } catch (error) {
    return (error as { status: number }).status;
  }
}

describe('the work goes on, and its files are whole, with', () => {
  const full = existsSync('/dev/full') ? [['a full disk behind both outputs', '> /dev/full 2> /dev/full']] : [];
  test.each([
    ['both outputs closed', '>&- 2>&-'],
    ['a reader of standard error that is gone', '2> >(true)'],
    ['a reader of standard output that stops', '--json | head -c 1'],
    ...full,
  ])('%s', (_, redirection) => {
    folder.write('grid.yaml', small);
    expect(shell(`sweep grid.yaml --out out ${redirection}`)).toBe(0);
    expect(readFileSync(file('out/results.csv'), 'utf8').trimEnd().split('\n')).toHaveLength(3);
    expect(isOwnPage(readFileSync(file('out/index.html'), 'utf8'))).toBe(true);
  });
});

(existsSync('/dev/full') ? test : test.skip)('standard output on a full disk is told on standard error', () => {
  expect(shell('info > /dev/full 2> said')).toBe(0);
  expect(readFileSync(file('said'), 'utf8')).toMatch(/^evenkeel: standard output could not be written: ENOSPC.*\n$/);
});

test('what a long run found is on standard output even where its file cannot be written, and results.json is there before the page', async () => {
  const printed = jest.spyOn(process.stdout, 'write').mockReturnValue(true);
  jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  const failing = () => Promise.reject(new Error('the page fails'));
  const run = { results: { found: 7 }, json: true as const, format: () => '', writePage: failing };
  try {
    mkdirSync(file('results.json'));
    await expect(publish({ ...run, out: folder.path })).rejects.toEqual(evenkeelError('ERR_FILE', 'results.json'));
    mkdirSync(file('other'));
    await expect(publish({ ...run, out: file('other') })).rejects.toThrow('the page fails');
    expect(printed.mock.calls).toEqual([['{"found":7}\n'], ['{"found":7}\n']]);
  } finally {
    jest.restoreAllMocks();
  }
  expect(readFileSync(file('other/results.json'), 'utf8')).toBe('{"found":7}\n');
});

describe('--out', () => {
  const files = ['index.html', 'results.json', 'chart.svg'];
  const page = renderPage('Title', 'study', '');

  test.each(['index.html', 'results.json', 'chart.svg'])('refuses a folder with %s of someone else, unless forced', (name) => {
    folder.write(name, '<title>My site</title>');
    expect(() => prepareOut(folder.path, files)).toThrow(
      evenkeelError(
        'ERR_FILE',
        `expected no files of others, got ${name}, which evenkeel did not write. Choose another folder, or write over it with --force.`,
      ),
    );
    prepareOut(folder.path, files, true);
    folder.write('index.html', page);
    if (name !== 'results.json') prepareOut(folder.path, files);
  });

  test('takes a folder of its own, one with a link, which is replaced, and one with other files', () => {
    writeFileSync(file('mine'), '<title>My site</title>');
    symlinkSync(file('mine'), file('index.html'));
    folder.write('notes.txt', '');
    prepareOut(folder.path, files);
    folder.write('results.json', '{"schema":"evenkeel/study"}');
    folder.write('chart.svg', '');
    prepareOut(folder.path, files);
    expect(lstatSync(file('index.html')).isSymbolicLink()).toBe(true);
  });

  test('of each command', async () => {
    folder.write('index.html', 'mine');
    folder.write('grid.yaml', small);
    for (const command of [['study'], ['bench', '--quick'], ['sweep', 'grid.yaml']]) {
      expect(await runCli([...command, '--out', '.'], folder.path)).toMatchObject({
        status: 1,
        stderr:
          'evenkeel: .: expected no files of others, got index.html, which evenkeel did not write. Choose another folder, or write over it with --force.\n',
      });
    }
    expect((await runCli(['sweep', 'grid.yaml', '--out', '.', '--force'], folder.path)).status).toBe(0);
    folder.write('index.html', 'mine');
    expect((await runCli(['report', '.'], folder.path)).status).toBe(1);
    expect(readFileSync(file('index.html'), 'utf8')).toBe('mine');
    expect((await runCli(['report', '.', '--force'], folder.path)).status).toBe(0);
  });
});

describe('a line of progress', () => {
  test.each([20, 40, 60, 80, 200])('keeps the time left in %i columns, and leaves the last one empty', (columns) => {
    const line = barLine(0.5, 'Training step 32,200,256,256 in several systems', '5/10, 3 min left', columns);
    expect(line.length).toBeLessThan(columns);
    expect(line).toContain('3 min left');
  });

  test('has a bar where there is room', () => {
    expect(barLine(0.5, 'a', 'b', 80)).toBe(`a [${'='.repeat(20)}${'-'.repeat(20)}] b`);
    expect(barLine(0.5, 'a', 'b', 20)).toBe('a [=======------] b');
    expect(barLine(Number.NaN, '', 'b', 12)).toBe('b');
  });

  test('takes the first parts', () => {
    expect(joinFitting(['12 of 99 done', '3 min left', '2 running'], 26)).toBe('12 of 99 done, 3 min left');
    expect(joinFitting(['12 of 99 done', '3 min left', '2 running'], 99)).toBe('12 of 99 done, 3 min left, 2 running');
  });
});
