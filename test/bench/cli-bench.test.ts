import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchResults } from '../../lib/bench/results';
import { runCli, startCli, useFolder } from '../cli/run-cli';

const folder = useFolder();
const small = ['bench', '--filter', 'train 32,50,10,20', '--budget', '1'];
const readResults = (out = 'bench-results') => JSON.parse(readFileSync(join(folder.path, out, 'results.json'), 'utf8')) as BenchResults;

test('the table, the files and their figures', async () => {
  const { status, stdout } = await runCli([...small, '--systems', 'evenkeel'], folder.path);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^Floor, 1 thread: multiply-add \d+ GFLOP\/s/m);
  expect(stdout).toMatch(/^train 32,50,10,20 +ms +p10–p90/m);
  expect(stdout).toMatch(/^evenkeel, \d+ threads? +\d/m);
  const { environment, floor, trials, interrupted } = readResults();
  expect(interrupted).toBe(false);
  expect(environment).toMatchObject({ node: process.version, cpu: expect.any(String), kernel: expect.any(String) });
  expect(floor[0]).toMatchObject({ threads: 1, fmaGflops: expect.any(Number) });
  const [{ cases, reference } = { cases: [], reference: undefined }] = trials;
  expect(reference).toMatchObject({ loss: expect.any(Number), nextNorm: expect.any(Number) });
  for (const { outcome, timing } of cases) {
    expect(outcome).toBe('timed');
    expect(timing?.rounds.length).toBeGreaterThanOrEqual(3);
    expect(timing?.of).toBeGreaterThanOrEqual(timing?.rounds.length ?? Infinity);
    expect(timing?.min).toBeLessThanOrEqual(timing?.median ?? 0);
    expect(timing?.peakBytes).toBeGreaterThan(timing?.baseBytes ?? Infinity);
  }
  // The field has three rounds; whoever is fastest on a busy machine, the final adds to them.
  expect(Math.max(...cases.map(({ timing }) => timing?.of ?? 0))).toBeGreaterThan(3);
});

test('with --json, standard output is results.json; rivals that are not there are named with their command', async () => {
  const nothing = ['--rivals', folder.path, '--python', 'no-such-python'];
  const { status, stdout } = await runCli(
    [...small, '--json', '--out', 'here', '--systems', 'evenkeel,tfjs-wasm,jax', ...nothing],
    folder.path,
  );
  expect(status).toBe(0);
  expect(stdout).toBe(readFileSync(join(folder.path, 'here/results.json'), 'utf8'));
  const [trial] = (JSON.parse(stdout) as BenchResults).trials;
  expect(trial?.comparison).toBeUndefined();
  const missing = trial?.cases.filter(({ outcome }) => outcome === 'missing');
  expect(missing?.map(({ system }) => system)).toEqual(['tfjs-wasm', 'jax']);
  for (const { install } of missing ?? []) expect(install).toMatch(/^(npm|python3 -m pip) install/);
});

describe('what it refuses', () => {
  test.each([
    [['--filter', 'nothing'], 'train 32,50,10,20'],
    [['--filter', ''], 'Expected some text'],
    [['--systems', 'evenkeel,torhc'], 'Did you mean "torch"?'],
    [['--budget', '0'], '--budget'],
    [['--quik'], 'Did you mean --quick?'],
    [['compare', 'a.json'], "missing required argument 'after'"],
    [['compare', 'a.json', 'b.json', 'c.json'], 'too many arguments'],
  ])('%j is wrong usage', async (args, message) => {
    expect(await runCli(['bench', ...args], folder.path)).toEqual({ status: 2, stdout: '', stderr: expect.stringContaining(message) });
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test('a filter that leaves nothing of the short run', async () => {
    const { status, stderr } = await runCli(['bench', '--quick', '--filter', 'backward'], folder.path);
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining('no trial of --quick contains "backward"') });
  });
});

test('compare takes two runs', async () => {
  for (const out of ['one', 'two']) await runCli([...small, '--systems', 'evenkeel', '--out', out], folder.path);
  const { status, stdout } = await runCli(['bench', 'compare', 'one/results.json', 'two/results.json'], folder.path);
  expect(status).toBe(0);
  expect(stdout).toMatch(/ {2}evenkeel, ms +\S+ +\S+ +[+−]\S+ % +(no|faster|slower)\n/);
  const json = await runCli(['bench', 'compare', '--json', 'one/results.json', 'two/results.json'], folder.path);
  expect(JSON.parse(json.stdout)).toMatchObject({ trials: [{ trial: 'train 32,50,10,20' }], onlyBefore: [], onlyAfter: [] });
  const none = await runCli(['bench', 'compare', 'one/results.json', 'none.json'], folder.path);
  expect(none).toEqual({ status: 1, stdout: '', stderr: expect.stringContaining('none.json: could not read') });
});

test('Ctrl-C ends it with 130 and writes what had finished', async () => {
  const { child, outcome } = startCli(['bench', '--filter', '32,50,10,20', '--budget', '1', '--systems', 'evenkeel'], folder.path);
  child.stderr.on('data', (text) => {
    // The first trial's last line; a second signal would end it at once.
    if (!child.killed && String(text).includes('cases timed')) child.kill('SIGINT');
  });
  const { status, stderr } = await outcome;
  expect(status).toBe(130);
  expect(stderr).toContain('Interrupted');
  expect(existsSync(join(folder.path, 'bench-results/results.json'))).toBe(true);
  const { interrupted, trials } = readResults();
  expect(interrupted).toBe(true);
  expect(trials.map(({ trial }) => trial.id)).toEqual(['train 32,50,10,20']);
});
