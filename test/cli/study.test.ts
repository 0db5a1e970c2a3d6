import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chartFiles } from '../../lib/study/charts';
import { clipPairs } from '../../lib/study/findings';
import { recurrencesOf } from '../../lib/study/placements';
import { type StudyResults, schemaVersion } from '../../lib/study/results';
import { starts } from '../../lib/study/starts';
import { systems } from '../../lib/study/systems';
import { runCli, smallCsv, startCli, useFolder } from './run-cli';

const folder = useFolder();
const inFolder = (...parts: string[]) => join(folder.path, ...parts);
const read = (...parts: string[]) => readFileSync(inFolder(...parts), 'utf8');

/** A study that takes some seconds, of a series written into the folder. */
function quickStudy(...args: string[]): string[] {
  const data = folder.write('small.csv', smallCsv());
  return ['study', '--data', data, '--window', '5', '--epochs', '2', '--length', '40', '--draws', '2', ...args];
}

/** What must not depend on when and how fast it ran. */
function numbersOf(results: StudyResults): unknown {
  return JSON.parse(JSON.stringify({ ...results, date: null }), (key, value) => (key === 'seconds' ? null : value));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** By least squares, of values one step apart. */
function slope(values: readonly number[]): number {
  const fromMiddle = values.map((_, i) => i - (values.length - 1) / 2);
  const products = values.map((value, i) => value * (fromMiddle[i] as number));
  return mean(products) / mean(fromMiddle.map((x) => x * x));
}

/** One run, which most tests look at. */
const shared = {
  status: null as number | string | null,
  stdout: '',
  stderr: '',
  file: '',
  files: [] as string[],
  results: {} as StudyResults,
};

beforeAll(async () => {
  const path = mkdtempSync(join(tmpdir(), 'evenkeel-'));
  writeFileSync(join(path, 'small.csv'), smallCsv());
  const args = ['study', '--data', 'small.csv', '--window', '5', '--epochs', '2', '--length', '40', '--draws', '2', '--seed', '7'];
  Object.assign(shared, await runCli([...args, '--columns', 'line,sine', '--target', 'sine', '--json', '--out', 'here/and/there'], path));
  shared.file = readFileSync(join(path, 'here/and/there/results.json'), 'utf8');
  shared.files = readdirSync(join(path, 'here/and/there')).sort();
  shared.results = JSON.parse(shared.stdout);
  rmSync(path, { recursive: true });
});

describe('what a study writes', () => {
  test('with --json, standard output is results.json and nothing else', () => {
    const { status, stdout, stderr, file, files, results } = shared;
    expect(status).toBe(0);
    expect(stdout).toBe(file);
    expect(results).toMatchObject({ schema: 'evenkeel/study', schemaVersion, interrupted: false });
    expect(stderr).toContain('Real series: LayerNorm after: test error');
    expect(files).toEqual(['index.html', 'results.json', ...chartFiles].sort());
  });

  test('in a pipe, the result goes to standard output and progress in plain lines to standard error; another seed gives other numbers', async () => {
    const { status, stdout, stderr } = await runCli(quickStudy('--seed', '8'), folder.path);
    expect(status).toBe(0);
    expect(stdout.split('\n')[0]).toMatch(/LayerNorm/);
    for (const words of [
      'Growth rate, input ×1',
      'Where gradients explode',
      'Example 1 in other settings',
      'step 1  step 10  step 50  step 100',
      'never acted',
      'Last value again',
      'Mean of the training part',
    ])
      expect(stdout).toContain(words);
    // On a slow machine there are lines within a run, too.
    const outcomes = stderr.split('\n').filter((line) => !/: step \d+ of \d+/.test(line));
    expect(outcomes.filter((line) => /^(Reference set-up|Real series): /.test(line))).toHaveLength(16);
    expect(outcomes.filter((line) => /^Grid: /.test(line))).toHaveLength(3);
    expect(outcomes.filter((line) => /^(Depth in time|Clipping): /.test(line))).toHaveLength(9);
    expect(stdout + stderr).not.toContain('\u001b');
    expect(existsSync(inFolder('study/index.html'))).toBe(true);
    const other: StudyResults = JSON.parse(read('study/results.json'));
    const { reference, series, grid } = shared.results;
    expect(other.reference.systems[0]?.loss[0]).not.toBe(reference.systems[0]?.loss[0]);
    expect(other.series.systems[0]?.loss[0]).not.toBe(series.systems[0]?.loss[0]);
    expect(other.grid.cells[0]?.growth.mean).not.toBe(grid.cells[0]?.growth.mean);
  });

  test('a reader that goes away does not keep the files from being written; the same seed gives the same numbers', async () => {
    const { child, outcome } = startCli(quickStudy('--columns', 'line,sine', '--target', 'sine', '--seed', '7'), folder.path);
    child.stdout.destroy();
    expect(await outcome).toMatchObject({ status: 0 });
    expect(existsSync(inFolder('study/index.html'))).toBe(true);
    expect(numbersOf(JSON.parse(read('study/results.json')))).toEqual(numbersOf(shared.results));
  });
});

test('a study in parts gives the numbers of the whole', async () => {
  const { status } = await runCli(
    quickStudy('--columns', 'line,sine', '--target', 'sine', '--seed', '7', '--parts', 'depth,reference'),
    folder.path,
  );
  expect(status).toBe(0);
  const part: StudyResults = JSON.parse(read('study/results.json'));
  const growths = ({ depth }: StudyResults) => depth.designs.map((design) => design.growths);
  expect(growths(part)).toEqual(growths(shared.results));
  expect(part.reference.systems.map(({ loss }) => loss)).toEqual(shared.results.reference.systems.map(({ loss }) => loss));
  for (const list of [part.grid.cells, part.regimes.runs, part.clipTrials.trials, part.series.systems]) expect(list).toEqual([]);
  expect(read('study/index.html')).toContain('<h1>Parts of the study: depth, reference</h1>');
  const wrong = await runCli(quickStudy('--parts', 'grid,depht'), folder.path);
  expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining('Expected some of reference, regimes, grid') });
});

describe('what a study measures', () => {
  test('the reference set-up: one entry per step, and the parts make up the total', () => {
    const { reference } = shared.results;
    expect(reference).toMatchObject({
      sequences: 32,
      timeSteps: 50,
      inputSize: 10,
      hiddenSize: 20,
      learningRate: 1e-3,
      trainingSteps: 100,
    });
    expect(reference.systems.map(({ system }) => system)).toEqual(systems.map(({ name }) => name));
    for (const { loss, gradNorm, gradNorms, clipped } of reference.systems) {
      for (const perStep of [loss, gradNorm, clipped, ...Object.values(gradNorms)]) expect(perStep).toHaveLength(100);
      for (const [step, norm] of gradNorm.entries()) {
        const squares = Object.values(gradNorms).map((norms) => (norms[step] as number) ** 2);
        expect(Math.sqrt(squares.reduce((sum, square) => sum + square, 0)) / norm).toBeCloseTo(1, 6);
      }
    }
  });

  test('the systems differ as they should and in nothing else', () => {
    const { reference } = shared.results;
    const [none, after, before, clipped] = reference.systems;
    const own = ['rnn.weight_ih_l0', 'rnn.weight_hh_l0', 'rnn.bias_ih_l0', 'rnn.bias_hh_l0'];
    expect(Object.keys(none?.gradNorms ?? {})).toEqual(own);
    expect(Object.keys(after?.gradNorms ?? {})).toEqual([...own, 'ln.weight', 'ln.bias']);
    expect(Object.keys(before?.gradNorms ?? {})).toEqual(['ln.weight', 'ln.bias', ...own]);
    expect(Object.keys(reference.systems.find(({ system }) => system === 'hidden')?.gradNorms ?? {})).toEqual([
      ...own,
      'rnn.norm.weight',
      'rnn.norm.bias',
    ]);
    // The clip never acts here, and then clipping must change nothing at all.
    expect(clipped?.clippedSteps).toBe(0);
    expect({ ...clipped, system: '', seconds: 0 }).toEqual({ ...after, system: '', seconds: 0 });
  });

  test('the grid: every place, start, number of units and size of the input, with rate, interval and theory', () => {
    const { cells } = shared.results.grid;
    const names = [20, 64, 256].flatMap((size) =>
      starts.flatMap(({ name }) =>
        [1, 0.1].flatMap((scale) => recurrencesOf().map((place) => `${place.name}, ${name}, ${size}, ${scale}`)),
      ),
    );
    expect(
      cells.map(({ placement, initializer, hiddenSize, inputScale }) => `${placement}, ${initializer}, ${hiddenSize}, ${inputScale}`),
    ).toEqual(names);
    for (const { growth, overNone, placement, initializer, meanField } of cells) {
      expect(growth.interval[0] <= growth.mean && growth.mean <= growth.interval[1]).toBe(true);
      expect(growth.draws).toBe(2);
      if (placement === 'none') expect(overNone.mean).toBe(0);
      expect(meanField === null).toBe(initializer === 'identity');
    }
  });

  test('depth in time: every design, with one growth per seed and the course that it describes', () => {
    const { depth } = shared.results;
    expect(depth).toMatchObject({ timeSteps: 40, seeds: 2 });
    const names = starts.flatMap(({ name }) => recurrencesOf().map((placement) => `${placement.name}, ${name}`));
    expect(depth.designs.map(({ placement, initializer }) => `${placement}, ${initializer}`)).toEqual(names);
    for (const { growths, course, spectra } of depth.designs) {
      expect([growths.length, spectra.length]).toEqual([2, 2]);
      for (const { exponents, standardErrors } of spectra) {
        expect([exponents.length, standardErrors.length]).toEqual([20, 20]);
        // JSON has no infinity.
        const numbers = exponents.map((exponent) => exponent ?? Number.NEGATIVE_INFINITY);
        expect(numbers).toEqual([...numbers].sort((a, b) => (a < b ? 1 : a > b ? -1 : 0)));
      }
      expect(course.map(({ distance }) => distance)).toEqual(Array.from({ length: 40 }, (_, i) => i));
      for (const point of course) expect(point.low <= point.mean && point.mean <= point.high).toBe(true);
      // The course is that of all sequences together: its slope, without the first quarter, is their rate.
      const batchRate = mean(growths.map(({ batchGrowthRate }) => batchGrowthRate));
      expect(batchRate).toBeCloseTo(slope(course.slice(10).map((point) => point.mean)), 12);
    }
  });

  test('clipping: the rules act on the same first gradient, each above its threshold', () => {
    const { clipping, clipTrials } = shared.results;
    expect(clipping.rules.map(({ rule }) => rule)).toEqual(['none', 'norm', 'autoclip', 'zclip']);
    const [none, norm, ...others] = clipping.rules;
    for (const { gradNorm } of clipping.rules) expect(gradNorm[0]).toBe(none?.gradNorm[0]);
    expect(none).toMatchObject({ clippedSteps: 0, threshold: none?.gradNorm.map(() => null) });
    expect(norm).toMatchObject({ clippedSteps: 100, threshold: norm?.gradNorm.map(() => 1) });
    for (const { gradNorm, threshold, clipped, loss, lastLoss } of [norm, ...others].filter((run) => run !== undefined)) {
      expect(clipped).toEqual(gradNorm.map((value, step) => threshold[step] !== null && value > (threshold[step] as number)));
      expect(lastLoss).toBeCloseTo(loss.slice(-10).reduce((sum, value) => sum + value, 0) / 10, 12);
    }
    // Under each optimiser the same weights and data with and without the clip, which saves steps of SGD.
    expect(clipTrials.trials).toHaveLength(12);
    for (const { free, clipped } of clipPairs(clipTrials.trials, 'exploding')) {
      expect(clipped.lnFirst).toEqual(free.lnFirst);
      expect([free.clippedShare, clipped.clippedShare > 0.9]).toEqual([0, true]);
      if (free.optimizer.startsWith('SGD')) expect([free.diverged, free.lnLast.mean ?? 1e9]).toEqual([2, expect.any(Number)]);
    }
  });

  test('Example 1 in other settings: the text’s own norm stays, that of Adam at 1.0 does not', () => {
    const { runs } = shared.results.regimes;
    const peak = (regime: string) => runs.find((run) => run.regime === regime && run.system === 'after')?.lnPeak.mean ?? Number.NaN;
    expect(Math.exp(peak('text'))).toBeLessThan(1.2);
    expect(Math.exp(peak('adam-1'))).toBeGreaterThan(100);
    expect(runs).toHaveLength(18);
  });

  test('the real series: test part, baselines and forecasts in the unit of the file', () => {
    const { series } = shared.results;
    expect(series).toMatchObject({ columns: ['line', 'sine'], target: 'sine', window: 5, rows: { train: 56, validation: 12, test: 12 } });
    const expected = Array.from({ length: 12 }, (_, i) => Number(Math.sin((68 + i) / 3).toFixed(4)));
    for (const [i, value] of expected.entries()) expect(series.truth[i]).toBeCloseTo(value, 5);
    const lastValue = expected.map((value, i) => value - Number(Math.sin((67 + i) / 3).toFixed(4)));
    expect(series.baselines.lastValue).toBeCloseTo(Math.sqrt(lastValue.reduce((sum, error) => sum + error ** 2, 0) / 12), 5);
    for (const run of series.systems) {
      expect(run.forecast).toHaveLength(12);
      expect(run.validationError).toHaveLength(2);
      expect(run.validationError[run.bestEpoch - 1]).toBe(Math.min(...run.validationError));
      const squares = run.forecast.map((value, i) => (value - (series.truth[i] as number)) ** 2);
      expect(run.testError).toBeCloseTo(Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / 12), 5);
    }
  });
});

describe('what a study refuses', () => {
  test.each([
    [['--epochs', '0'], '--epochs'],
    [['--epochs', '1e3'], '--epochs'],
    [['--window', 'ten'], '--window'],
    [['--seed', '-1'], '--seed'],
    [['--length', '9'], 'from 10 to 20000'],
    [['--length', 'long'], '--length'],
    [['--draws', '1'], 'from 2 to 1000'],
    [['--quick', '--full'], '--full'],
    [['--columns', 'a,,b'], '--columns'],
    [['--out', ''], '--out'],
    [['--epoch', '3'], 'Did you mean --epochs?'],
    [['now'], 'too many arguments'],
  ])('%j is wrong usage', async (args, message) => {
    expect(await runCli(['study', ...args], folder.path)).toEqual({ status: 2, stdout: '', stderr: expect.stringContaining(message) });
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test.each([
    ['a missing cell', smallCsv().replace('0.3272,', ','), 'line 3, column "sine": expected a number, got an empty cell'],
    ['text', smallCsv().replace('0.3272,', 'high,'), 'line 3, column "sine": expected a finite number, got "high"'],
    ['an uneven row', smallCsv().replace('0.3272,', ''), 'line 3: expected 3 cells'],
    ['too few rows', smallCsv().split('\n').slice(0, 5).join('\n'), 'rows: expected at least'],
    ['only a header', 'a,b\n', 'rows of numbers'],
  ])('a file with %s gets one line and no study', async (_, text, message) => {
    const data = folder.write('bad.csv', text);
    const { status, stdout, stderr } = await runCli(['study', '--json', '--data', data, '--window', '5'], folder.path);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^evenkeel: [^\n]*\n$/);
    expect(stderr).toContain(message);
    expect(existsSync(inFolder('study/index.html'))).toBe(false);
  });

  test.each([
    [['--data', 'missing.csv'], 'missing.csv: could not read the file'],
    [['--target', 'sin'], 'Did you mean "sine"?'],
    [['--columns', 'sine,cosin'], 'Did you mean "cosine"?'],
    [['--columns', 'sine', '--target', 'line'], 'one of the columns "sine"'],
    [['--out', 'small.csv'], 'expected a folder, got a file'],
    [['--out', 'small.csv/below'], 'small.csv/below'],
  ])('%j gets one line before any training', async (args, message) => {
    const { status, stdout, stderr } = await runCli(quickStudy(...args), folder.path);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^evenkeel: [^\n]*\n$/);
    expect(stderr).toContain(message);
  });
});

test('column names from a hostile file are text on the page and harmless in the terminal', async () => {
  const data = folder.write('evil.csv', smallCsv('"<img src=x onerror=alert(1)>","a&b","\u001b[31mred"'));
  const { status, stdout, stderr } = await runCli(
    ['study', '--data', data, '--window', '5', '--epochs', '1', '--length', '10', '--draws', '2'],
    folder.path,
  );
  expect(status).toBe(0);
  expect(stdout + stderr).not.toContain('\u001b');
  for (const file of ['index.html', ...chartFiles]) {
    expect(read('study', file)).not.toContain('<img');
    expect(read('study', file)).not.toContain('\u001b');
  }
  expect(read('study/index.html')).toContain('&lt;img src=x onerror=alert(1)&gt;');
});

describe.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s in mid-run', (signal, expected) => {
  test('ends with its status, and writes what had finished', async () => {
    mkdirSync(inFolder('out'));
    // Of an earlier study: results.json tells that the folder is evenkeel's.
    writeFileSync(inFolder('out/results.json'), '{"schema":"evenkeel/study"}');
    writeFileSync(inFolder('out/forecast.svg'), '<svg/>');
    const { child, outcome } = startCli(quickStudy('--json', '--out', 'out', '--draws', '20'), folder.path);
    let seen = '';
    child.stderr.on('data', (text) => {
      seen += text;
      // Once: a second signal would end it at once.
      if (!child.killed && /Example 1, as in the text: the norm/.test(seen)) child.kill(signal);
    });
    const { status, stdout, stderr } = await outcome;
    expect(status).toBe(expected);
    expect(stderr).toContain('Interrupted');
    expect(stdout).toBe(read('out/results.json'));
    const results: StudyResults = JSON.parse(stdout);
    expect(results.interrupted).toBe(true);
    expect(results.reference.systems).toHaveLength(8);
    expect(results.regimes.runs).toHaveLength(3);
    expect(results.grid.cells).toHaveLength(0);
    expect(results.series.systems).toHaveLength(0);
    expect(read('out/index.html')).toContain('11 runs had finished');
    expect(existsSync(inFolder('out/gradient-norm.svg'))).toBe(true);
    expect(existsSync(inFolder('out/growth-rates.svg'))).toBe(false);
    expect(existsSync(inFolder('out/forecast.svg'))).toBe(false);
  });
});
