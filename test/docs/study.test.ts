// The published study: what README and docs/stability.md say of gradients is what docs/study.json holds, at the sizes for which it is said.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatCellStateTables } from '../../lib/study/cell-state/markdown';
import { type CellStateResults, fullCellState } from '../../lib/study/cell-state/set-up';
import { causesOf } from '../../lib/study/claims';
import type { DrawnMean } from '../../lib/study/draws';
import { clipPairs, clipSaves, findingsOf, normGrows } from '../../lib/study/findings';
import { formatFlossingTables } from '../../lib/study/flossing/markdown';
import { type FlossingResults, fullFlossing } from '../../lib/study/flossing/set-up';
import { formatGated, type PublishedGrid } from '../../lib/study/gated';
import { grows } from '../../lib/study/grid';
import { criticalSize } from '../../lib/study/grid-charts';
import {
  formatStudyBrief,
  formatStudySummary,
  formatStudyTables,
  type PublishedStudy,
  type PyTorchStudy,
  reviveStudy,
} from '../../lib/study/markdown';
import { meanFieldRate } from '../../lib/study/mean-field';
import { formatCoverage, type RateCoverage, rangeOf } from '../../lib/study/rate-coverage';
import type { ClipTrial } from '../../lib/study/results';
import { describeRegimes, theoryGap, whatHolds } from '../../lib/study/summary';
import { root } from './documents';

const read = (file: string) => readFileSync(join(root, file), 'utf8');
const study = reviveStudy(read('docs/study.json')) as PublishedStudy;
const pytorch = reviveStudy(read('docs/study-pytorch.json')) as PyTorchStudy;
const shownIn = (document: string, mark = 'study') =>
  new RegExp(`<!-- ${mark} -->\\n([\\s\\S]*?)<!-- /${mark} -->`).exec(read(document))?.[1]?.trim();

test('the findings are those that follow from the published numbers, and the documents show them', () => {
  expect(study.grid.plan).toBe('full');
  // As JSON has it, without infinities.
  expect(JSON.stringify(study.findings)).toBe(JSON.stringify(findingsOf(study)));
  expect(shownIn('README.md')).toBe(formatStudyBrief(study));
  expect(shownIn('docs/stability.md', 'claims')).toBe(formatStudySummary(study));
  expect(shownIn('docs/stability.md')).toBe(formatStudyTables(study, pytorch));
});

test('ten draws and more, 20 to 512 units, tanh and relu, up to 2,000 steps', () => {
  const { cells } = study.grid;
  expect(Math.min(...cells.map(({ growth }) => growth.draws))).toBeGreaterThanOrEqual(10);
  const values = (key: 'hiddenSize' | 'nonlinearity' | 'timeSteps' | 'inputScale') => [...new Set(cells.map((cell) => cell[key]))];
  expect(values('hiddenSize')).toEqual([20, 64, 128, 256, 512]);
  expect(values('nonlinearity')).toEqual(['tanh', 'relu']);
  expect(values('timeSteps')).toEqual([200, 2000]);
  expect(values('inputScale')).toEqual([1, 0.1, 0.01]);
});

test('theory and measurement at 512 units, orthogonal W_hh: within 0.01', () => {
  const gap = theoryGap(study.grid.cells);
  expect(gap?.hiddenSize).toBe(512);
  expect(gap?.largest).toBeLessThan(0.01);
});

test('coverage and false verdicts of 2,000 draws: the documents show those of docs/coverage.json', () => {
  const coverage = JSON.parse(read('docs/coverage.json')) as RateCoverage;
  expect(coverage.draws).toBe(2000);
  expect(shownIn('docs/stability.md', 'coverage')).toBe(formatCoverage(coverage).trim());
  const held = coverage.designs.flatMap(({ sizes }) => sizes.map(({ rateHolds }) => rateHolds));
  expect(read('docs/stability-report.md')).toContain(`held that exponent in ${rangeOf(held)} % of 2,000 draws`);
  // The page says that the norm over all sequences follows those whose gradients are largest.
  for (const { sequences, meanRate, meanBatchRate } of coverage.designs.flatMap(({ sizes }) => sizes))
    if (sequences > 1) expect(meanBatchRate).toBeGreaterThan(meanRate);
  const horizons = coverage.designs.flatMap(({ sizes }) => sizes.map(({ horizonHolds }) => horizonHolds).filter((share) => share !== null));
  expect(read('docs/stability-report.md')).toContain(`held the one of long runs in ${rangeOf(horizons)} % of those draws`);
  const falseVerdicts = coverage.neutral.flatMap(({ sizes }) => sizes.map((size) => size.falseVerdicts));
  // 5 %, and twice the standard error of the draws.
  expect(Math.max(...falseVerdicts)).toBeLessThan(0.05 + 2 * Math.sqrt((0.05 * 0.95) / coverage.draws));
  expect(Math.min(...held)).toBeGreaterThan(0.93);
  expect(Math.max(...held)).toBeLessThan(0.97);
  expect(Math.min(...horizons)).toBeGreaterThan(0.93);
});

test('the numbers of docs/stability.md in its text', () => {
  const many = { inputSize: 10, hiddenSize: 1e9, inputScale: 1, nonlinearity: 'tanh', recurrentVariance: 1 / 3 } as const;
  const chi = (placement: 'preactivation' | 'split-preactivation' | 'hidden') => Math.exp(2 * meanFieldRate({ ...many, placement }));
  expect(chi('preactivation')).toBeCloseTo(1.18, 2);
  // With inputs that LayerNorm's ε does not outweigh.
  expect(Math.exp(2 * meanFieldRate({ ...many, hiddenSize: 1e9, inputScale: 1e5, placement: 'split-preactivation' }))).toBeCloseTo(0.67, 2);
  expect(chi('hidden')).toBeGreaterThan(1);
  expect(criticalSize({ ...many, placement: 'preactivation' })).toBeCloseTo(171, 0);
  const relu = { ...many, hiddenSize: 1e9, nonlinearity: 'relu' } as const;
  expect(Math.exp(2 * meanFieldRate({ ...relu, placement: 'hidden' }))).toBeCloseTo(1.47, 2);
});

/** The numbers that a sentence of docs/stability.md has in place of the groups of `pattern`. */
function said(pattern: RegExp): number[] {
  const [, ...numbers] = pattern.exec(read('docs/stability.md')) as unknown as [string, ...string[]];
  return numbers.map((number) => Number(number.replace('−', '-')));
}

test('where theory is off, docs/stability.md says by how much', () => {
  const tanh = study.grid.cells.filter(({ nonlinearity, meanField }) => nonlinearity === 'tanh' && meanField !== null);
  const uniform = tanh.filter(({ initializer }) => initializer === 'uniform');
  const few = uniform.find(({ placement, hiddenSize, inputScale }) => placement === 'none' && hiddenSize === 20 && inputScale === 1);
  const [rate, theory] = said(/a rate of (−[\d.]+) where theory says (−[\d.]+)/);
  expect([few?.growth.mean.toFixed(2), few?.meanField?.toFixed(2)]).toEqual([rate?.toFixed(2), theory?.toFixed(2)]);
  const [largest] = said(/0 within its interval where theory says as much as ([\d.]+) \(tanh, 128 units and more\)/);
  const open = tanh.filter(({ hiddenSize, growth: { interval } }) => hiddenSize >= 128 && interval[0] <= 0 && interval[1] >= 0);
  expect(Math.max(...open.map(({ meanField }) => meanField as number))).toBeCloseTo(largest as number, 3);
  const gaps = uniform
    .filter(({ placement, hiddenSize }) => hiddenSize === 512 && ['none', 'input', 'output'].includes(placement))
    .map(({ growth, meanField }) => growth.mean - (meanField as number));
  const ends = said(/vanish by ([\d.]+) to ([\d.]+) per step less fast/);
  expect([Math.min(...gaps), Math.max(...gaps)].map((gap) => gap.toFixed(3))).toEqual(ends.map((end) => end.toFixed(3)));
});

test('what the study’s page says in its own words, of the published numbers', () => {
  const regimes = describeRegimes(study.regimes.runs);
  for (const words of ['Adam at 1.0', 'SGD at 10', 'weights × 0.1', 'where no state exceeds', 'the other way round', 'the states grew'])
    expect(regimes).toContain(words);
  const held = whatHolds(study).join(' ');
  for (const words of ['gradients do explode', 'Clipping does mitigate', 'the states grew', 'initialization'])
    expect(held).toContain(words);
});

test('what is said of gradient flossing', () => {
  const flossing = JSON.parse(read('docs/study-flossing.json')) as FlossingResults;
  expect(shownIn('docs/stability.md', 'flossing')).toBe(formatFlossingTables(flossing));
  expect(flossing).toMatchObject({ ...fullFlossing, interrupted: false });
  const learned = (delay: number, start: string, flossed: boolean) => {
    const run = flossing.runs.find((each) => each.delay === delay && each.start === start && each.flossed === flossed);
    return (run?.learnedAt ?? []).map((step) => step ?? Number.POSITIVE_INFINITY);
  };
  const median = (steps: number[]) => {
    const sorted = steps.toSorted((a, b) => a - b);
    return Math.round(((sorted[4] as number) + (sorted[5] as number)) / 2);
  };
  const [plain, flossed] = [learned(40, 'random', false), learned(40, 'random', true)];
  expect(flossed.filter((step, draw) => step < (plain[draw] as number))).toHaveLength(10);
  const [after, before, orthogonal, both] = said(
    /a delay of 40 is learned sooner in every draw, at a median step of (\d+) and not of (\d+)[\s\S]*without flossing is sooner still, at step (\d+), and with it at (\d+)/,
  );
  expect([flossed, plain, learned(40, 'orthogonal', false), learned(40, 'orthogonal', true)].map(median)).toEqual([
    after,
    before,
    orthogonal,
    both,
  ]);
  for (const { learnedAt, solved } of flossing.runs) expect([learnedAt.every((step) => step !== null), solved]).toEqual([true, 10]);
});

describe('what is said of the cell state to carry', () => {
  const published = reviveStudy(read('docs/study-cell-state.json')) as CellStateResults;
  const growthOf = (cellNormalization: string, gamma: number, forgetBias: number, hiddenSize = 32, timeSteps = 1000) => {
    const found = published.growth.find(
      (each) =>
        each.cellNormalization === cellNormalization &&
        each.gamma === gamma &&
        each.forgetBias === forgetBias &&
        each.hiddenSize === hiddenSize &&
        each.timeSteps === timeSteps,
    );
    if (found === undefined) throw new Error(`no growth of ${cellNormalization}, γ ${gamma}, forget bias ${forgetBias}`);
    return found.growthRate;
  };

  test('the table is that of the results, of the full set-up', () => {
    expect(shownIn('docs/stability.md', 'cell-state')).toBe(formatCellStateTables(published));
    expect([published.draws, published.growths]).toEqual([fullCellState.draws, fullCellState.growths]);
    expect([published.interrupted, published.growth.length, published.spectra.length, published.trained.length]).toEqual([
      false,
      180,
      45,
      36,
    ]);
  });

  test('γ of 1 and more at a forget bias of 1: the intervals overlap at every size', () => {
    for (const gamma of [1, 2, 3]) {
      for (const { hiddenSize, timeSteps } of published.growths) {
        const [raw, carried] = ['output', 'carried'].map((state) => growthOf(state, gamma, 1, hiddenSize, timeSteps).interval) as [
          [number, number],
          [number, number],
        ];
        expect(Math.max(raw[0], carried[0])).toBeLessThan(Math.min(raw[1], carried[1]));
      }
    }
  });

  test('the rates of its sentences, with intervals that do not overlap where it makes a difference', () => {
    const shown = (...rates: number[]) => rates.map((rate) => rate.toFixed(3));
    const small = said(/vanish by (−[\d.]+) per step back with the raw state and by (−[\d.]+) with the normalised one/);
    expect(shown(growthOf('output', 0.1, 1).mean, growthOf('carried', 0.1, 1).mean)).toEqual(shown(...small));
    expect(growthOf('output', 0.1, 1).interval[1]).toBeLessThan(growthOf('carried', 0.1, 1).interval[0]);
    const biased = said(/A forget bias of 3 turns that round, (−[\d.]+) against (−[\d.]+):/);
    expect(shown(growthOf('output', 0.1, 3).mean, growthOf('carried', 0.1, 3).mean)).toEqual(shown(...biased));
    expect(growthOf('output', 0.1, 3).interval[0]).toBeGreaterThan(growthOf('carried', 0.1, 3).interval[1]);
    const growing = said(/by \+([\d.]+) and \+([\d.]+) at γ 2 and a forget bias of 1/);
    expect(shown(growthOf('output', 2, 1).mean, growthOf('carried', 2, 1).mean)).toEqual(shown(...growing));
    for (const { gamma, growthRate } of published.growth) if (gamma >= 2) expect(growthRate.interval[0]).toBeGreaterThan(0);
  });

  test('what it says of trainings', () => {
    const of = (task: string, state: string, where: Partial<Record<'gamma' | 'forgetBias', number>> = {}) =>
      published.trained.filter(
        (each) =>
          each.task === task &&
          each.cellNormalization === state &&
          (where.gamma ?? each.gamma) === each.gamma &&
          (where.forgetBias ?? each.forgetBias) === each.forgetBias,
      );
    const solved = (...wanted: Parameters<typeof of>) => of(...wanted).reduce((sum, each) => sum + each.solved, 0);
    const medians = (...wanted: Parameters<typeof of>) => of(...wanted).map(({ median }) => Number(median.toFixed(2)));
    const adding = said(
      /with the raw state (\d+) of 80 runs end below half .*, without a norm on it (\d+), with the normalised state (\d+)\./,
    );
    expect([solved('adding', 'output'), solved('adding', 'none'), solved('adding', 'carried')]).toEqual(adding);
    const copied = said(/forget bias of 3 all (\d+) runs, at median errors of ([\d.]+) and ([\d.]+) of that/);
    expect([solved('copy', 'output', { forgetBias: 3 }), ...medians('copy', 'output', { forgetBias: 3 })]).toEqual(copied);
    const small = said(/γ 0.1 all (\d+) too, at ([\d.]+) and ([\d.]+), and with γ 1 (\d+) of 40/);
    expect([
      solved('copy', 'carried', { gamma: 0.1 }),
      ...medians('copy', 'carried', { gamma: 0.1 }),
      solved('copy', 'carried', { gamma: 1 }),
    ]).toEqual(small);
    const weather = ['none', 'output', 'carried'].flatMap((state) => medians('series', state));
    expect([Math.min(...weather), Math.max(...weather)]).toEqual(said(/by medians of ([\d.]+) to ([\d.]+) times its error/));
  });

  test('rates of 32 units move by less than 0.01 with the length', () => {
    for (const state of ['none', 'output', 'carried']) {
      for (const gamma of published.gammas) {
        const rates = [100, 1000, 10_000].map((steps) => growthOf(state, gamma, 1, 32, steps).mean);
        expect(Math.max(...rates) - Math.min(...rates)).toBeLessThan(0.01);
      }
    }
  });
});

describe('what is said of cells with gates', () => {
  const [lstm, gru] = ['lstm', 'gru'].map((cell) => reviveStudy(read(`docs/study-${cell}.json`)) as PublishedGrid) as [
    PublishedGrid,
    PublishedGrid,
  ];
  const countOf = ({ grid }: PublishedGrid, place: string) => causesOf(grid.cells).find(({ placement }) => placement === place)?.count;

  test('the tables are those of the full grids: ten draws, 20 to 512 units, up to 2,000 steps', () => {
    expect(shownIn('docs/stability.md', 'gated')).toBe(formatGated([lstm, gru]));
    for (const { grid, interrupted } of [lstm, gru]) {
      expect([grid.plan, interrupted]).toEqual(['full', false]);
      expect(Math.min(...grid.cells.map(({ growth }) => growth.draws))).toBe(10);
      expect([...new Set(grid.cells.map(({ hiddenSize }) => hiddenSize))]).toEqual([20, 64, 128, 256, 512]);
      expect([...new Set(grid.cells.map(({ timeSteps }) => timeSteps))]).toEqual([200, 2000]);
    }
  });

  test('where gradients grow, and where not', () => {
    const growing = [lstm, gru].flatMap(({ grid }) => grid.cells.filter(grows));
    expect(growing.filter(({ placement }) => ['none', 'input', 'output'].includes(placement))).toEqual([]);
    expect([Math.min(...growing.map(({ hiddenSize }) => hiddenSize))]).toEqual(said(/inside they do, with (\d+) units and more/));
    expect(countOf(gru, 'preactivation')).toBe(0);
    for (const place of ['preactivation', 'split-preactivation', 'hidden']) expect(countOf(lstm, place)).toBeGreaterThan(0);
  });

  test('on both parts before the activation', () => {
    const usual = (grid: PublishedGrid['grid']) =>
      grid.cells.find(
        ({ placement, initializer, hiddenSize, nonlinearity, inputScale, timeSteps }) =>
          placement === 'split-preactivation' &&
          initializer === 'uniform' &&
          hiddenSize === 256 &&
          nonlinearity === 'tanh' &&
          inputScale === 1 &&
          timeSteps === 200,
      )?.growth;
    const rates = said(/an LSTM's grow by \+([\d.]+) per step back .*with 256 units .*where an RNN's vanish by (−[\d.]+)\./);
    expect([usual(lstm.grid), usual(study.grid)].map((growth) => growth?.mean.toFixed(3))).toEqual(rates.map((rate) => rate.toFixed(3)));
    expect(usual(lstm.grid)?.interval[0]).toBeGreaterThan(0);
    expect(usual(study.grid)?.interval[1]).toBeLessThan(0);
    const [count, scale, units] = said(/on both parts in (\d+), all of inputs of ([\d.]+) and (\d+) units or more/);
    const ofGru = gru.grid.cells.filter((cell) => cell.placement === 'split-preactivation' && grows(cell));
    expect([ofGru.length, countOf(gru, 'split-preactivation')]).toEqual([count, count]);
    expect(ofGru.every(({ inputScale, hiddenSize }) => inputScale === scale && hiddenSize >= (units as number))).toBe(true);
    // docs/normalization.md, of a GRU: where LayerNorm's ε outweighs the input.
    for (const { hiddenSize, inputScale } of ofGru) expect((10 * inputScale ** 2) / (3 * hiddenSize)).toBeLessThan(1e-5);
    expect(read('docs/normalization.md')).toContain(
      `In an LSTM it made them grow in ${countOf(lstm, 'split-preactivation')} of ${lstm.grid.cells.length / 6} designs.`,
    );
  });
});

describe('PyTorch, with weights and data of its own, says the same', () => {
  /** Two means of ten draws, four standard errors apart at most: half of an interval is 2.26 of them. */
  const expectAlike = (own: DrawnMean | undefined, other: DrawnMean, slack: number) => {
    const error = ({ interval: [low, high] }: DrawnMean) => (high - low) / 2 / 2.26;
    const apart = Math.abs((own?.mean ?? Number.NaN) - other.mean);
    expect(apart).toBeLessThan(4 * Math.hypot(error(other), error(own ?? other)) + slack);
  };

  test('of rates by place, start and size', () => {
    for (const { placement, initializer, hiddenSize, growth } of pytorch.growth) {
      const own = study.grid.cells.find(
        (cell) =>
          cell.placement === placement &&
          cell.initializer === initializer &&
          cell.hiddenSize === hiddenSize &&
          cell.nonlinearity === 'tanh' &&
          cell.inputScale === 1 &&
          cell.timeSteps === 200,
      );
      expectAlike(own?.growth, growth, 0.002);
    }
  });

  test('of clipping: by every optimiser and on either target the clip saves in the one what it saves in the other', () => {
    const peers = clipPairs(
      pytorch.clipping.map((trial) => ({ ...trial, design: 'exploding' }) as ClipTrial),
      'exploding',
    );
    const savedOf = (pairs: typeof peers) =>
      pairs.map((pair) => `${pair.free.optimizer}, ${pair.free.target}: ${clipSaves(pair) ? 'saved' : 'not saved'}`);
    expect(savedOf(peers)).toEqual(savedOf(clipPairs(study.clipTrials.trials, 'exploding')));
    expect(peers).toHaveLength(10);
  });

  test('of Example 1 in other settings: norms, and the states that grow where neither loss nor clip sees it', () => {
    expect(pytorch.regimes.map(({ regime, system }) => [regime, system])).toEqual(
      study.regimes.runs.map(({ regime, system }) => [regime, system]),
    );
    for (const [i, { lnFirst, lnPeak, system, ...peer }] of pytorch.regimes.entries()) {
      const own = study.regimes.runs[i] as PublishedStudy['regimes']['runs'][number];
      expectAlike(own.lnFirst, lnFirst, 0.01);
      expectAlike(own.lnPeak, lnPeak, 0.01);
      if (system === 'after') expect(normGrows({ lnPeak })).toBe(normGrows(own));
      if (peer.regime === 'relu-long' && system === 'after') {
        expect(Math.max(...peer.largestStates)).toBeGreaterThan(1e6);
        expect(peer.notFinite).toBeGreaterThan(0);
        expect(Math.max(...peer.largestNorms)).toBeLessThan(1);
      }
    }
  });
});

test('what is said of places and of clipping', () => {
  const { cells } = study.grid;
  const count = Object.fromEntries(causesOf(cells).map((cause) => [cause.placement, cause.count]));
  expect([count.output, count.input]).toEqual([0, 0]);
  expect(count.preactivation).toBeGreaterThan(0);
  expect(count.hidden).toBeGreaterThan(0);
  // docs/normalization.md: from PyTorch's start before the activation they vanish with 20 units and grow with 256.
  const usual = cells.filter(
    ({ placement, initializer, nonlinearity, inputScale, timeSteps }) =>
      placement === 'preactivation' && initializer === 'uniform' && nonlinearity === 'tanh' && inputScale === 1 && timeSteps === 200,
  );
  const intervalAt = (units: number) => usual.find(({ hiddenSize }) => hiddenSize === units)?.growth.interval ?? [Number.NaN, Number.NaN];
  expect([intervalAt(20)[1] < 0, intervalAt(256)[0] > 0]).toEqual([true, true]);
  // On both parts gradients grow only where LayerNorm's ε outweighs the input.
  for (const { hiddenSize, inputScale } of cells.filter((cell) => cell.placement === 'split-preactivation' && grows(cell)))
    expect((10 * inputScale ** 2) / (3 * hiddenSize)).toBeLessThan(1e-5);
  // A LayerNorm after the RNN changes the rate of relu alone, and lowers it.
  for (const { placement, overNone, nonlinearity } of cells)
    if (placement === 'output' && (overNone.interval[0] > 0.001 || overNone.interval[1] < -0.001))
      expect([nonlinearity, overNone.mean < 0]).toEqual(['relu', true]);
  // Plain gradient steps are saved by the clip, those of Adam at 0.001 are not.
  for (const pair of clipPairs(study.clipTrials.trials, 'exploding')) {
    if (/^SGD|momentum/.test(pair.free.optimizer)) expect(clipSaves(pair)).toBe(true);
    if (pair.free.optimizer === 'Adam 0.001') expect(clipSaves(pair)).toBe(false);
  }
});
