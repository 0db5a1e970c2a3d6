import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Generator, gradientFlow, LSTM, Tensor } from '../../lib/index';
import { runCellState } from '../../lib/study/cell-state/experiment';
import { cellStateFiles, formatCellState, writeCellState } from '../../lib/study/cell-state/page';
import type { CellStateResults } from '../../lib/study/cell-state/set-up';
import { smallCellState } from './synthetic';

const silent = { begin() {}, advance() {}, end() {} };
let results: CellStateResults;
beforeAll(async () => {
  results = await runCellState(smallCellState, 5, silent);
});

test('every cell state, forget bias, γ and size has its growth, exponents and trainings', () => {
  expect(results.interrupted).toBe(false);
  expect(results.growth).toHaveLength(3 * 2 * 2);
  expect(results.spectra).toHaveLength(3 * 2);
  expect(results.trained).toHaveLength(3 * 3);
  for (const { relativeError, median, solved } of results.trained) {
    expect(relativeError).toHaveLength(2);
    expect(median).toBeCloseTo(((relativeError[0] as number) + (relativeError[1] as number)) / 2, 12);
    expect(solved).toBe(relativeError.filter((error) => error < 0.5).length);
  }
});

test('a growth is the mean over draws of gradientFlow’s rates, with the interval of two draws', () => {
  const seeds = new Generator(5);
  const rates = [seeds.nextUint32(), seeds.nextUint32()].map((seed) => {
    const generator = new Generator(seed);
    const options = { inputSize: 4, hiddenSize: 6, forgetBias: 1, dtype: 'float64', generator, returnSequences: false } as const;
    const lstm = new LSTM({ ...options, normalization: 'split-preactivation', cellNormalization: 'carried' });
    for (const name of ['norm_ih.weight', 'norm_hh.weight']) lstm.stateDict()[name]?.data.fill(3);
    return gradientFlow(lstm, Tensor.randn([3, 60, 4], { dtype: 'float64', generator })).layers[0]?.growthRate as number;
  });
  const [a, b] = rates as [number, number];
  const found = results.growth.find(({ cellNormalization, gamma, hiddenSize }) => {
    return cellNormalization === 'carried' && gamma === 3 && hiddenSize === 6;
  });
  expect(found?.growthRate.mean).toBeCloseTo((a + b) / 2, 12);
  // Student's t at 97.5 % for one degree of freedom.
  const reach = (12.7062 * Math.abs(a - b)) / 2;
  expect(found?.growthRate.interval[0]).toBeCloseTo((a + b) / 2 - reach, 9);
  expect(found?.growthRate.interval[1]).toBeCloseTo((a + b) / 2 + reach, 9);
});

test('an abort leaves what had finished', async () => {
  const stop = new AbortController();
  const progress = {
    ...silent,
    advance(done: number) {
      if (done === 2) stop.abort();
    },
  };
  const stopped = await runCellState(smallCellState, 5, progress, stop.signal);
  expect(stopped.interrupted).toBe(true);
  expect(stopped.growth).toEqual(results.growth.slice(0, 4));
  expect(stopped.trained).toEqual([]);
  expect(formatCellState(stopped)).toContain('growth per step');
});

test('the page and the text show every design', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-cell-state-'));
  try {
    const written = await writeCellState(results, folder);
    expect(written).toEqual(cellStateFiles.slice(1).map((file) => join(folder, file)));
    const page = readFileSync(join(folder, 'index.html'), 'utf8');
    // In each table of designs: growth, exponents, training; the heads of its rows.
    expect(page.match(/<th scope="row">LN\(c\) carried/g)).toHaveLength(4 + 2 + 3);
    expect(page).toContain('solved');
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(formatCellState(results, 100).match(/^raw c carried/gm)).toHaveLength(4 + 3);
});
