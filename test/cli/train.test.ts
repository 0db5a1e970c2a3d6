/** evenkeel train, predict and evaluate as a user's shell runs them. */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, lstatSync, mkdirSync, openSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { ForecastResults } from '../../lib/forecast/results';
import { loadState } from '../../lib/io/safetensors';
import { csvOf, seasonalSeries } from '../forecast/series';
import { runCli, startCli, useFolder } from './run-cli';

const folder = useFolder();
const inFolder = (...parts: string[]) => join(folder.path, ...parts);
const series = seasonalSeries(240);
const quick = ['--target', 'y', '--time', 'day', '--window', '8', '--hidden', '8'];
const writeData = (name: string, text = csvOf(series)) => folder.write(name, text);

describe('evenkeel train', () => {
  test('writes a model that predict and evaluate use', async () => {
    writeData('data.csv');
    folder.write('model.yaml', 'horizon: 2\ncell: gru\nepochs: 50\n');
    const train = await runCli(['train', 'data.csv', ...quick, '--config', 'model.yaml', '--epochs', '2'], folder.path);
    expect(train.status).toBe(0);
    expect(train.stdout).toMatch(/^The GRU forecasts y with a root mean squared error of /);
    expect(train.stderr).toContain(
      'Written: run/results.json, run/model.safetensors, run/forecaster.json, run/index.html, run/error-by-horizon.svg',
    );
    for (const file of ['model.safetensors', 'forecaster.json', 'index.html']) expect(existsSync(inFolder('run', file))).toBe(true);

    writeData('later.csv', csvOf(series, 200));
    const predict = await runCli(['predict', 'run', 'later.csv'], folder.path);
    expect(predict).toMatchObject({ status: 0, stderr: '' });
    expect(predict.stdout.split('\n').map((line) => line.split(',').slice(0, 2).join())).toEqual([
      'day,step',
      '2024-08-28,1',
      '2024-08-29,2',
      '',
    ]);
    expect(await runCli(['predict', 'run', 'later.csv', '--out', 'next.csv'], folder.path)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(readFileSync(inFolder('next.csv'), 'utf8')).toBe(predict.stdout);

    // The same numbers as people in Germany write them.
    writeData('deutsch.csv', `\ufeff${csvOf(series, 200).replaceAll(',', ';').replaceAll('.', ',').replaceAll('\n', '\r\n')}`);
    expect((await runCli(['predict', 'run', 'deutsch.csv', '--decimal', ','], folder.path)).stdout).toBe(predict.stdout);

    const evaluate = await runCli(['evaluate', 'run', 'later.csv', '--json'], folder.path);
    expect(JSON.parse(evaluate.stdout)).toMatchObject({ schema: 'evenkeel/forecast-evaluation', evaluation: { count: 40 - 8 - 1 } });
    expect((await runCli(['evaluate', 'run', 'later.csv'], folder.path)).stdout).toContain('Error on the same windows');
    expect(evaluate.stderr).toBe('');
    expect((await runCli(['evaluate', 'run', 'data.csv'], folder.path)).stderr).toContain('The model was trained on this file');
  });

  test('ends at Ctrl-C with what was computed, and goes on after a kill, to the bits of an undisturbed run', async () => {
    writeData('data.csv');
    const args = (out: string) => [
      'train',
      'data.csv',
      ...quick,
      '--epochs',
      '12',
      '--patience',
      '12',
      '--batch-size',
      '2',
      '--json',
      '--out',
      out,
    ];
    const whole = runCli(args('whole'), folder.path);
    for (const [signal, epochs] of [
      ['SIGKILL', 2],
      ['SIGINT', 4],
    ] as const) {
      const { child, outcome } = startCli(args('part'), folder.path);
      while (epochsIn('part') < epochs && child.exitCode === null) await setTimeout(5);
      child.kill(signal);
      const { status, stdout } = await outcome;
      if (status === 0) continue;
      expect(status).toBe(signal === 'SIGINT' ? 130 : 'SIGKILL');
      if (signal === 'SIGINT') {
        const results = JSON.parse(stdout) as ForecastResults;
        expect(results.interrupted).toBe(true);
        expect(results.training.validationLoss.length).toBeGreaterThanOrEqual(epochs);
        expect(readFileSync(inFolder('part', 'index.html'), 'utf8')).toContain('The training was interrupted');
      }
    }
    const { status, stdout } = await runCli(args('part'), folder.path);
    const expected = JSON.parse((await whole).stdout) as ForecastResults;
    const { training, test: compared, interrupted } = JSON.parse(stdout) as ForecastResults;
    expect([status, interrupted]).toEqual([0, false]);
    expect(training).toEqual(expected.training);
    expect(compared).toEqual(expected.test);
    const model = (name: string) => readFileSync(inFolder(name, 'model.safetensors'));
    expect(model('part').equals(model('whole'))).toBe(true);
  });

  test('replaces links in its folder, and leaves what they lead to', async () => {
    writeData('data.csv');
    folder.write('precious', 'precious');
    mkdirSync(inFolder('run'));
    const names = ['model', 'checkpoint', 'checkpoint.1', 'checkpoint.best'].map((name) => `${name}.safetensors`);
    for (const name of names) symlinkSync('../precious', inFolder('run', name));
    const args = ['train', 'data.csv', ...quick, '--epochs', '2'];
    expect((await runCli(args, folder.path)).status).toBe(0);
    expect(readFileSync(inFolder('precious'), 'utf8')).toBe('precious');
    expect(lstatSync(inFolder('run', 'model.safetensors')).isFile()).toBe(true);
  });

  (existsSync('/dev/full') ? test : test.skip)(
    'has failed where standard output, the result of predict and evaluate, cannot be written',
    async () => {
      writeData('data.csv');
      expect((await runCli(['train', 'data.csv', ...quick, '--epochs', '1'], folder.path)).status).toBe(0);
      const main = join(__dirname, '../../dist/cli/main.js');
      for (const command of ['predict', 'evaluate']) {
        for (const json of [[], ['--json']]) {
          const full = openSync('/dev/full', 'w');
          const { status, stderr } = spawnSync(process.execPath, [main, command, 'run', 'data.csv', ...json], {
            cwd: folder.path,
            stdio: ['ignore', full, 'pipe'],
            encoding: 'utf8',
          });
          closeSync(full);
          expect(stderr).toContain('standard output could not be written: ENOSPC');
          expect(status).toBe(1);
        }
      }
    },
  );

  test('of other data needs another folder, or --restart', async () => {
    writeData('data.csv');
    const args = ['train', 'data.csv', ...quick, '--epochs', '1'];
    expect((await runCli(args, folder.path)).status).toBe(0);
    const other = await runCli([...args, '--seed', '2'], folder.path);
    expect(other).toMatchObject({ status: 1, stdout: '' });
    expect(other.stderr).toContain('evenkeel: run: expected a training with --seed 2, got one with --seed 1.');
    expect((await runCli([...args, '--seed', '2', '--restart'], folder.path)).status).toBe(0);
  });

  test.each([
    [
      'an empty cell',
      'day,y\n2024-01-01,1\n2024-01-02,\n',
      [],
      'bad.csv, line 3, column "y": expected a number, got an empty cell. Fill it in, remove the row, choose other columns, or say what to do: missing: \'forward\' (--missing forward).',
    ],
    ['a word', 'day,y\n2024-01-01,1\n2024-01-02,two\n', [], 'bad.csv, line 3, column "y": expected a finite number, got "two".'],
    [
      'a decimal comma',
      'day;y\n2024-01-01;1,5\n',
      [],
      'bad.csv, line 2, column "y": expected a finite number, got "1,5". Write numbers with a decimal point (or give decimal: \',\', which is --decimal ,)',
    ],
    ['no date', 'day,y\nsoon,1\n', ['--time', 'day'], 'bad.csv, line 2, column "day": expected a date or time'],
    ['too few rows', 'day,y\n2024-01-01,1\n2024-01-02,2\n', [], 'rows: expected at least'],
    ['too few cells', 'day,y\n2024-01-01,1\n2024-01-02\n', [], 'bad.csv, line 3: expected 2 cells as in the header, got 1.'],
    ['no column', 'day,y\n2024-01-01,1\n', ['--target', 'z'], 'target: there is no column "z" in bad.csv.'],
  ])('says what is wrong, and makes no folder: %s', async (_, text, options, message) => {
    writeData('bad.csv', text);
    const { status, stderr } = await runCli(['train', 'bad.csv', ...options], folder.path);
    expect(status).toBe(1);
    expect(stderr).toContain(`evenkeel: ${message}`);
    expect(existsSync(inFolder('run'))).toBe(false);
  });

  test('writes over no page of others', async () => {
    writeData('data.csv');
    folder.write('index.html', '<title>mine</title>');
    const { status, stderr } = await runCli(['train', 'data.csv', ...quick, '--out', '.'], folder.path);
    expect(status).toBe(1);
    expect(stderr).toContain('index.html, which evenkeel did not write');
  });

  /** How many have ended so far. */
  function epochsIn(name: string): number {
    try {
      return (loadState(inFolder(name, 'checkpoint.safetensors'))['position.epoch']?.data[0] as number) - 1;
    } catch {
      return 0;
    }
  }
});
