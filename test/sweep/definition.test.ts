import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { betweenEvents } from '../../lib/slices';
import { checkDefinition } from '../../lib/sweep/definition';
import { definitionFileInSlices, readDefinition } from '../../lib/sweep/definition-file';
import { countTrials, trialsOf } from '../../lib/sweep/grid';
import { isGrid } from '../../lib/sweep/schema';
import { canonicalJson, describeStart, trialHash } from '../../lib/sweep/trial';
import { smallCsv, useFolder } from '../cli/run-cli';
import { evenkeelError, expectRefused } from '../helpers/errors';

const folder = useFolder();

const read = (text: string, name = 'sweep.yaml') => readDefinition(join(folder.path, folder.write(name, text)));
const check = (definition: unknown) => checkDefinition(definition, folder.path);
const trials = (definition: unknown) => [...trialsOf(check(definition).grid)];

test('a list of lengths is a whole definition: the rest is the reference set-up', () => {
  expect(trials({ lengths: [50] })).toEqual([
    {
      task: { name: 'reference' },
      length: 50,
      batchSize: 32,
      inputSize: 10,
      hiddenSize: 20,
      cell: 'rnn',
      nonlinearity: 'tanh',
      placement: 'none',
      initializer: 'uniform',
      gain: 1,
      clip: { rule: 'none' },
      seed: 1,
      steps: 100,
      learningRate: 0.001,
      dtype: 'float32',
    },
  ]);
});

test('cells are an axis; nonlinearities are of an RNN alone, and make no second trial of the others', () => {
  const made = trials({ lengths: [5], cells: ['rnn', 'lstm', 'gru'], nonlinearities: ['tanh', 'relu'] });
  expect(made.map(({ cell, nonlinearity }) => [cell, nonlinearity])).toEqual([
    ['rnn', 'tanh'],
    ['rnn', 'relu'],
    ['lstm', undefined],
    ['gru', undefined],
  ]);
  const { grid } = check({ lengths: [5], cells: ['lstm'] });
  expect(isGrid(JSON.parse(JSON.stringify(grid)))).toBe(true);
  expect(isGrid({ ...grid, recurrences: [{ cell: 'transformer' }] })).toBe(false);
});

test('every combination is one trial, seeds first and lengths last; where no normalisation stands, its kind makes no second trial', () => {
  const definition = {
    lengths: [10, 20],
    placements: ['none', 'output'],
    kinds: ['layer', 'rms'],
    recurrentInitializers: ['uniform', 'orthogonal'],
    gains: [1, 1.5],
    clips: ['none', { maxNorm: 1 }, { clipValue: 0.5 }],
    sizes: [{ hiddenSize: 4 }, { hiddenSize: 4, inputSize: 2, batchSize: 1 }],
    seeds: [1, 2],
    steps: 0,
  };
  const all = trials(definition);
  expect(all).toHaveLength(2 * 3 * (2 * 2) * 3 * 2 * 2);
  expect(countTrials(check(definition).grid)).toBe(all.length);
  expect(new Set(all.map(canonicalJson)).size).toBe(all.length);
  expect(all.slice(0, 3).map(({ seed }) => seed)).toEqual([1, 2, 1]);
  expect(all.map(({ length }) => length)).toEqual(all.map((_, i) => (i < all.length / 2 ? 10 : 20)));
  expect(trials(definition)).toEqual(all);
});

test("an initialiser without a gain has its own, and kaiming's is the square root of 2", () => {
  expect(trials({ lengths: [1], recurrentInitializers: ['kaiming', 'identity'] }).map(({ gain }) => gain)).toEqual([Math.SQRT2, 1]);
  const starts = trials({ lengths: [1], recurrentInitializers: ['uniform', { name: 'orthogonal', gain: 1.5 }], gains: [1, 2] });
  expect(starts.map(({ initializer, gain }) => [initializer, gain])).toEqual([
    ['uniform', 1],
    ['uniform', 2],
    ['orthogonal', 1.5],
  ]);
});

test('initialisers of W_ih are an axis with gains of their own; where none are given, trials are as they were', () => {
  const recurrentInitializers = ['uniform', { name: 'orthogonal', gain: 1.5 }];
  const definition = { lengths: [1], recurrentInitializers, gains: [1, 2], inputInitializers: ['kaiming', { name: 'glorot', gain: 3 }] };
  const { grid } = check(definition);
  expect(countTrials(grid)).toBe(6);
  expect([...trialsOf(grid)].map(describeStart)).toEqual([
    'uniform ×1, W_ih kaiming ×1.41',
    'uniform ×1, W_ih glorot ×3',
    'uniform ×2, W_ih kaiming ×1.41',
    'uniform ×2, W_ih glorot ×3',
    'orthogonal ×1.5, W_ih kaiming ×1.41',
    'orthogonal ×1.5, W_ih glorot ×3',
  ]);
  expect(isGrid(JSON.parse(JSON.stringify(grid)))).toBe(true);
  expect(isGrid({ ...grid, initializers: [{ initializer: 'uniform', gain: 1, inputInitializer: 'zeros', inputGain: 1 }] })).toBe(false);
  expect(trials({ lengths: [1] })[0]).not.toHaveProperty('inputInitializer');
});

test('a grid of more values than a list may have, from several lists, is one that its store takes', () => {
  const gains = Array.from({ length: 6000 }, (_, i) => i + 1);
  const { grid } = check({ lengths: [1], recurrentInitializers: ['uniform', 'identity'], gains });
  expect(countTrials(grid)).toBe(12_000);
  expect(isGrid(JSON.parse(JSON.stringify(grid)))).toBe(true);
});

describe('the hash of a trial', () => {
  const [trial] = trials({ lengths: [50] });
  if (trial === undefined) throw new Error('no trial');

  test('does not depend on the order of keys', () => {
    const reversed = Object.fromEntries(Object.entries(trial).reverse()) as unknown as typeof trial;
    expect(trialHash(reversed, '1')).toBe(trialHash(trial, '1'));
    expect(trialHash(trial, '1')).toMatch(/^[0-9a-f]{64}$/);
  });

  test('depends on every value and on the version', () => {
    const changed = Object.entries(trial).map(([key, value]) => ({ ...trial, [key]: typeof value === 'number' ? value + 1 : 'other' }));
    const hashes = [trial, ...changed].map((other) => trialHash(other as typeof trial, '1'));
    expect(new Set([...hashes, trialHash(trial, '2')]).size).toBe(hashes.length + 1);
  });
});

describe('what is refused, with its place', () => {
  test.each<[string, unknown, string]>([
    ['a negative length', { lengths: [10, 20, -5] }, 'lengths[2]: expected an integer from 1 to 10000000, got -5.'],
    ['a length of text', { lengths: ['10'] }, 'lengths[0]: expected an integer from 1 to 10000000, got "10".'],
    ['a list that claims to be long', { lengths: new Array(2e8) }, 'lengths: expected a list of 1 to 10000 values'],
    ['too great a length', { lengths: [1e9] }, 'lengths[0]: expected an integer'],
    ['no lengths', {}, 'lengths: expected a list of 1 to 10000 values, got undefined.'],
    ['an empty list', { lengths: [] }, 'lengths: expected a list of 1 to 10000 values, got an array of length 0.'],
    ['one value without a list', { lengths: 10 }, 'lengths: expected a list'],
    ['a value twice', { lengths: [10, 10] }, 'lengths[1]: expected a value that is not in the list already, got 10.'],
    ['an unknown key', { lenghts: [10] }, 'unknown option "lenghts". Did you mean "lengths"?'],
    ['an unknown key within', { lengths: [1], sizes: [{ hidden: 3 }] }, 'sizes[0]: unknown option "hidden"'],
    [
      'a size of zero',
      { lengths: [1], sizes: [{}, { hiddenSize: 0 }] },
      'sizes[1].hiddenSize: expected an integer from 1 to 65536, got 0.',
    ],
    ['a misspelt placement', { lengths: [1], placements: ['none', 'hiden'] }, 'placements[1]: expected one of'],
    ['an unknown cell', { lengths: [1], cells: ['gated'] }, 'cells[0]: expected one of "rnn", "lstm", "gru", got "gated".'],
    ['a clip of two rules', { lengths: [1], clips: [{ maxNorm: 1, clipValue: 1 }] }, 'stateGradientLimit, got maxNorm and clipValue.'],
    ['a clip of no rule', { lengths: [1], clips: [{}] }, 'clips[0]: expected one of maxNorm, clipValue and stateGradientLimit, got none.'],
    [
      'a clip without a number',
      { lengths: [1], clips: [{ maxNorm: 'big' }] },
      'clips[0].maxNorm: expected a finite number above 0, got "big".',
    ],
    ['an unknown initialiser of W_ih', { lengths: [1], inputInitializers: ['zeros'] }, 'inputInitializers[0]: expected one of'],
    ['a gain of zero', { lengths: [1], gains: [1, 0] }, 'gains[1]: expected a finite number above 0, got 0.'],
    ['an unknown task', { lengths: [1], tasks: ['referense'] }, 'tasks[0]: expected one of'],
    ['too many steps', { lengths: [1], steps: 1e12 }, 'steps: expected an integer from 0 to 1000000, got 1000000000000.'],
    [
      'more rows than BLAS can count',
      { lengths: [1, 1e7], sizes: [{ batchSize: 1000 }] },
      'lengths[1] with a batch size of 1000: expected',
    ],
    ['no object', [1], 'the definition: expected an options object'],
    ['nothing', null, 'the definition: expected an options object'],
  ])('%s', (_, definition, message) => {
    expect(() => check(definition)).toThrow(expect.objectContaining({ message: expect.stringContaining(message) }));
  });

  test('a million million trials, without counting them one by one', () => {
    const thousand = Array.from({ length: 10_000 }, (_, i) => i + 1);
    expectRefused(
      () => check({ lengths: thousand, gains: thousand, seeds: thousand }),
      'ERR_OPTION',
      'expected at most 100,000 trials, got 1,000,000,000,000',
    );
    const inputInitializers = thousand.map((gain) => ({ name: 'uniform', gain }));
    expectRefused(() => check({ lengths: [1], gains: thousand, inputInitializers }), 'ERR_OPTION', 'trials, got 100,000,000');
  });
});

describe('a file', () => {
  test('is YAML or JSON', () => {
    expect(read('lengths: [10, 100]\nplacements:\n  - none\n  - output\n').grid).toEqual(
      read('{"lengths": [10, 100], "placements": ["none", "output"]}', 'sweep.json').grid,
    );
  });

  test('names itself and the place in what is wrong', () => {
    expect(() => read('lengths: [10, 100, -5]')).toThrow(evenkeelError('ERR_OPTION', 'sweep.yaml: lengths[2]: expected an integer'));
  });

  test.each([
    ['broken YAML', 'lengths: [10\nseeds: [1]', 'sweep.yaml, line'],
    ['a key twice', '{"lengths": [10], "lengths": [20]}', 'Map keys must be unique'],
    ['a tag that makes objects', 'lengths: !!js/function "() => 1"', 'line 1, column 10'],
    [
      'an alias bomb',
      `a: &a [1,1,1,1,1,1,1,1,1]\n${[...'bcdefghi'].map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`)}]`).join('\n')}`,
      'alias',
    ],
    ['a merge bomb of keys', `lengths: [${Array(200).fill('*x')}]\nx: &x 1`, 'expected'],
    ['lists nested without end', '['.repeat(190_000), 'at most 20 levels'],
    ['objects nested without end', `${'{"a":'.repeat(30_000)}1${'}'.repeat(30_000)}`, 'at most 20 levels'],
    ['a prototype', '__proto__: {lengths: [1]}', 'unknown option "__proto__"'],
    ['another kind of file', '\u0000\u0001\u0002', 'sweep.yaml'],
    ['nothing', '', 'got a file without one'],
    ['nothing but a comment', '# later\n', 'got a file without one'],
    ['a second document', 'lengths: [10]\n---\nlengths: [20]', 'sweep.yaml, line 2, column 1: expected one definition, got a second one.'],
  ])('refuses %s', (_, text, message) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ name: 'EvenkeelError', message: expect.stringContaining(message) }));
  });

  test('refuses other bytes than text', () => {
    writeFileSync(join(folder.path, 'utf16.yaml'), Buffer.from('\ufefflengths: [10]', 'utf16le'));
    expect(() => readDefinition(join(folder.path, 'utf16.yaml'))).toThrow(
      evenkeelError('ERR_FILE', 'expected JSON or YAML as text in UTF-8'),
    );
  });

  test('refuses one that is too large', () => {
    expect(() => read(`# ${'x'.repeat(200_000)}\nlengths: [1]`)).toThrow(evenkeelError('ERR_FILE', 'at most 200000 bytes'));
  });

  test('refuses a folder and a missing file', () => {
    expect(() => readDefinition(folder.path)).toThrow(evenkeelError('ERR_FILE', 'a directory'));
    expect(() => readDefinition(join(folder.path, 'none.yaml'))).toThrow(evenkeelError('ERR_FILE', 'no such file'));
  });
});

describe('a CSV task', () => {
  test('is known by its contents, and gives the input size', () => {
    folder.write('waves.csv', smallCsv());
    const { grid, files } = read('lengths: [5]\ntasks: [{csv: waves.csv, target: cosine}]');
    const [trial] = trialsOf(grid);
    expect(trial).toMatchObject({
      inputSize: 3,
      task: { name: 'csv', file: 'waves.csv', target: 'cosine', columns: ['sine', 'cosine', 'line'] },
    });
    expect([...files]).toEqual([[trial?.task.name === 'csv' && trial.task.sha256, expect.stringContaining('waves.csv')]]);
  });

  test('is read in slices, between which the event loop goes on', async () => {
    folder.write('long.csv', `a,b\n${'1.25,2.5\n-3.75,4.125\n'.repeat(100_000)}`);
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const reading = definitionFileInSlices(
      join(folder.path, folder.write('long.yaml', 'lengths: [5]\ntasks: [{csv: long.csv, target: b}]')),
    );
    const { grid } = await betweenEvents(reading);
    clearInterval(timer);
    expect(grid.shapes[0]?.task).toMatchObject({ name: 'csv', file: 'long.csv' });
    expect(turns).toBeGreaterThan(5);
  });

  test('may be written with decimal commas and gaps, which every trial reads alike', () => {
    const rows = Array.from({ length: 40 }, (_, i) => `${i % 7 === 0 ? 'NA' : i % 5},5;${i}`);
    folder.write('gaps.csv', ['a|b', ...rows.map((row) => row.replace('NA,5', 'NA').replace(';', '|'))].join('\n'));
    const csv = { csv: 'gaps.csv', decimal: ',', delimiter: '|', missing: 'drop' };
    const { grid } = check({ lengths: [5], tasks: [csv] });
    const [trial] = trialsOf(grid);
    expect(trial?.task).toMatchObject({ columns: ['a', 'b'], target: 'a', decimal: ',', delimiter: '|', missing: 'drop' });
    expect(isGrid(JSON.parse(JSON.stringify(grid)))).toBe(true);
    expect(() => check({ lengths: [5], tasks: [{ ...csv, missing: 'error' }] })).toThrow(
      evenkeelError('ERR_FILE', 'gaps.csv, line 2, column "a": expected a finite number, got "NA"'),
    );
    expect(() => check({ lengths: [5], tasks: [{ ...csv, decimal: ';' }] })).toThrow(
      evenkeelError('ERR_OPTION', 'tasks[0]: decimal: expected'),
    );
  });

  test('needs rows for every length', () => {
    folder.write('waves.csv', smallCsv());
    expect(() => check({ lengths: [5, 79], tasks: [{ csv: 'waves.csv' }] })).toThrow(
      evenkeelError('ERR_OPTION', 'lengths[1] with tasks[0]: '),
    );
  });

  test('does not lie outside', () => {
    mkdirSync(join(folder.path, 'inner'));
    writeFileSync(join(folder.path, 'waves.csv'), smallCsv());
    symlinkSync('../waves.csv', join(folder.path, 'inner', 'link.csv'));
    for (const csv of ['../waves.csv', join(folder.path, 'waves.csv'), 'link.csv', '/etc/passwd']) {
      const definition = { lengths: [5], tasks: [{ csv }] };
      expect(() => checkDefinition(definition, join(folder.path, 'inner'))).toThrow(
        evenkeelError('ERR_OPTION', "tasks[0].csv: expected a file in the definition's folder"),
      );
    }
  });

  test('is named where something is wrong with its file', () => {
    folder.write('waves.csv', smallCsv());
    folder.write('gaps.csv', 'a,b\n1,\n2,3\n');
    const checked = (task: object) => () => check({ lengths: [5], tasks: ['reference', task] });
    expect(checked({ csv: 'none.csv' })).toThrow(
      evenkeelError('ERR_FILE', 'tasks[1].csv: none.csv: could not read the file. There is no such'),
    );
    expect(checked({ csv: 'gaps.csv' })).toThrow(evenkeelError('ERR_FILE', 'tasks[1]: '));
    expect(checked({ csv: 'waves.csv', columns: 'sine' })).toThrow(evenkeelError('ERR_OPTION', 'tasks[1]: columns: expected'));
  });
});
