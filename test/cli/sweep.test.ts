import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readStore, recordsInOrder } from '../../lib/sweep/store';
import { fullCsv } from '../../lib/sweep/table';
import { runCli, startCli, useFolder } from './run-cli';

const folder = useFolder();
const file = (name: string) => join(folder.path, name);

const small = 'lengths: [5, 20]\nplacements: [none, output]\nsizes: [{hiddenSize: 4}]\nsteps: 3\n';
/** Minutes of work, after two short trials, in a hundred megabytes. */
const long = 'lengths: [5, 6, 20000, 20001]\nsizes: [{hiddenSize: 128, batchSize: 4}]\nsteps: 1000\n';

const journal = () => (existsSync(file('out/trials.jsonl')) ? readFileSync(file('out/trials.jsonl'), 'utf8').split('\n').length - 1 : 0);

test('a dry run says how many trials there are and what they cost, and writes nothing', async () => {
  folder.write('grid.yaml', small);
  const { status, stdout, stderr } = await runCli(['sweep', 'grid.yaml', '--dry-run'], folder.path);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^4 trials +least +most +in all\ntime, about .*s\nmemory, about .* MiB\nWith \d+ at once/);
  expect(existsSync(file('sweep-results'))).toBe(false);
  const json = await runCli(['sweep', 'grid.yaml', '--dry-run', '--json', '--workers', '3'], folder.path);
  expect(JSON.parse(json.stdout)).toMatchObject({
    trials: 4,
    workers: 3,
    seconds: { most: expect.any(Number) },
    totalBytes: expect.any(Number),
  });
});

test('--dry-run warns of trials that no memory can hold', async () => {
  folder.write('grid.json', JSON.stringify({ lengths: [5, 10_000_000], sizes: [{ batchSize: 200, inputSize: 1000, hiddenSize: 10 }] }));
  const { status, stdout } = await runCli(['sweep', 'grid.json', '--dry-run'], folder.path);
  expect(status).toBe(0);
  expect(stdout).toContain('\n1 trial will fail here: memory does not hold even the data and weights.\n');
});

test('runs, writes the page and the tables, and has nothing to do the second time', async () => {
  folder.write('grid.json', JSON.stringify({ lengths: [5, 20], placements: ['none', 'output'], sizes: [{ hiddenSize: 4 }], steps: 3 }));
  const first = await runCli(['sweep', 'grid.json', '--out', 'out', '--json'], folder.path);
  expect(first.status).toBe(0);
  const records = JSON.parse(first.stdout);
  expect(records).toHaveLength(4);
  expect(first.stderr).toContain('sweep: 4 trials\n');
  const page = readFileSync(file('out/index.html'), 'utf8');
  expect(page).toContain('evenkeel sweep, 4 of 4 trials');
  const results = readFileSync(file('out/results.csv'), 'utf8');
  expect(results.trimEnd().split('\n')).toHaveLength(5);

  const second = await runCli(['sweep', 'grid.json', '--out', 'out'], folder.path);
  expect(second).toMatchObject({ status: 0, stdout: '4 of 4 trials have a result.\n' });
  expect(second.stderr).toContain('4 trials, 4 of them done before');
  expect(readFileSync(file('out/results.csv'), 'utf8')).toBe(results);

  const csv = await runCli(['report', 'out', '--csv'], folder.path);
  expect(csv.stdout).toBe(fullCsv(recordsInOrder(readStore(file('out')))));
  expect(csv.stdout).toContain('peakMemoryBytes');
  const json = await runCli(['report', 'out', '--json'], folder.path);
  expect(JSON.parse(json.stdout)).toEqual(records);
});

test('Ctrl-C ends it at once, keeps what has finished, says how to go on; the report works meanwhile', async () => {
  folder.write('grid.yaml', long);
  const { child, outcome } = startCli(['sweep', 'grid.yaml', '--out', 'out', '--workers', '1'], folder.path);
  while (journal() < 2) await sleep(50);
  const report = await runCli(['report', 'out'], folder.path);
  expect(report).toMatchObject({ status: 0, stdout: 'Written: out/index.html\n' });
  expect(readFileSync(file('out/index.html'), 'utf8')).toContain('2 trials have not ended yet.');
  const refused = await runCli(['sweep', 'grid.yaml', '--out', 'out'], folder.path);
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('another process has open') });
  child.kill('SIGINT');
  const { status, stderr } = await outcome;
  expect(status).toBe(130);
  expect(stderr).toContain('Interrupted: what has finished is kept in out. To go on, give the same command again.');
  expect(journal()).toBe(2);
});

test('a parent killed by SIGKILL leaves a store that the next run completes', async () => {
  folder.write('grid.yaml', `${small}seeds: [1, 2, 3, 4, 5, 6, 7, 8]\n`);
  expect((await runCli(['sweep', 'grid.yaml', '--out', 'calm'], folder.path)).status).toBe(0);
  const { child, outcome } = startCli(['sweep', 'grid.yaml', '--out', 'out'], folder.path);
  while (journal() < 3) await sleep(5);
  child.kill('SIGKILL');
  await outcome;
  expect(journal()).toBeLessThan(32);
  expect((await runCli(['sweep', 'grid.yaml', '--out', 'out'], folder.path)).status).toBe(0);
  expect(journal()).toBe(32);
  expect(readFileSync(file('out/results.csv'), 'utf8')).toBe(readFileSync(file('calm/results.csv'), 'utf8'));
});

test('failures are named, in the exit status and on the page', async () => {
  folder.write('grid.yaml', 'lengths: [5, 100000]\nsizes: [{hiddenSize: 64, batchSize: 1}]\nsteps: 1000\n');
  const { status, stdout, stderr } = await runCli(
    ['sweep', 'grid.yaml', '--out', 'out', '--trial-timeout', '15', '--retries', '0'],
    folder.path,
  );
  expect(status).toBe(1);
  expect(stdout).toBe('1 of 2 trials have a result.\n');
  expect(stderr).toContain('T 100000');
  expect(stderr).toContain('took longer than the time limit of 15 s');
  expect(readFileSync(file('out/index.html'), 'utf8')).toContain('took longer than the time limit of 15 s');
});

test('what is wrong with a definition is one line with its place, and status 1', async () => {
  folder.write('grid.yaml', 'lengths: [10, 20, -5]');
  expect(await runCli(['sweep', 'grid.yaml'], folder.path)).toEqual({
    status: 1,
    stdout: '',
    stderr: 'evenkeel: grid.yaml: lengths[2]: expected an integer from 1 to 10000000, got -5.\n',
  });
  expect(await runCli(['sweep', 'none.yaml'], folder.path)).toMatchObject({ status: 1, stderr: expect.stringContaining('no such file') });
  expect(await runCli(['report', 'none'], folder.path)).toMatchObject({ status: 1, stderr: expect.stringContaining('definition.json') });
  expect(await runCli(['sweep', 'grid.yaml', '--trial-timeout', 'soon'], folder.path)).toMatchObject({ status: 2 });
  expect(await runCli(['sweep'], folder.path)).toMatchObject({ status: 2 });
});

// The `script` of other systems takes other options.
(process.platform === 'linux' ? test : test.skip)('a terminal shows one live block and gets its cursor back', async () => {
  folder.write('grid.yaml', small);
  const command = `${process.execPath} ${join(__dirname, '../../dist/cli/main.js')} sweep grid.yaml --out out`;
  const shown = execFileSync('script', ['-qec', command, '/dev/null'], { cwd: folder.path, encoding: 'utf8' });
  expect(shown).toMatch(/\d of 4 done/);
  expect(shown).toContain('\u001b[?25h');
  expect(shown).toContain('4 of 4 trials have a result.');
  rmSync(file('out'), { recursive: true });
});
