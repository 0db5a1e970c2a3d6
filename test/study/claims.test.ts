import { Generator, Tensor } from '../../lib/index';
import { causesOf, claims, describeSizes } from '../../lib/study/claims';
import { formatRate, meanOfDraws } from '../../lib/study/draws';
import type { GridCell, Judgement } from '../../lib/study/results';
import { drawn, gridCells, gridOf } from './synthetic';

const judge = (words: string, cells: readonly GridCell[]): Judgement | undefined => {
  const claim = claims.find((candidate) => candidate.words.includes(words));
  if (claim === undefined) throw new Error(`no claim with the words ${words}`);
  return claim.judge(cells);
};

const measured = gridOf();
const everywhere = (rates: Parameters<typeof gridCells>[2]) => [...gridCells('uniform', 20, rates), ...gridCells('uniform', 256, rates)];

const cases: [words: string, cells: GridCell[], verdict: Judgement['verdict'], where?: string][] = [
  ['becomes a product', measured, 'does not hold'],
  ['becomes a product', everywhere({ output: 0.1 }), 'holds'],
  [
    'becomes a product',
    [...gridCells('uniform', 20, {}), ...gridCells('uniform', 256, { output: 0.1 })],
    'holds where',
    'the RNN is tanh with W_hh uniform, in 1 designs',
  ],
  [
    'exponential increase',
    measured,
    'holds where',
    'the normalised state is fed back, which it is not in the text’s code: in 1 of 5 designs',
  ],
  ['exponential increase', everywhere({}), 'does not hold'],
  // What grows without a normalisation too is not its doing.
  ['exponential increase', everywhere({ none: 0.1, hidden: 0.2 }), 'does not hold'],
  ['prior to the recurrent calculation', measured, 'does not hold'],
  ['prior to the recurrent calculation', everywhere({ output: 0.1 }), 'holds'],
  ['prior to the recurrent calculation', everywhere({ output: 0.1, preactivation: 0.1 }), 'holds where', 'it is not preactivation'],
  ['prior to the recurrent calculation', everywhere({}), 'does not hold'],
  ['from where normalization is placed', measured, 'holds where', 'any place makes them grow: in 2 of 5 settings'],
  ['from where normalization is placed', everywhere({ hidden: 0.1 }), 'holds'],
  ['from where normalization is placed', everywhere({}), 'does not hold'],
  ['does not guarantee stability', measured, 'holds'],
  ['does not guarantee stability', everywhere({}), 'does not hold'],
];

test.each(cases.map(([words, cells, verdict, where]) => ({ words, cells, verdict, where })))('"$words" $verdict ($where)', (row) => {
  const judgement = judge(row.words, row.cells);
  expect({ verdict: judgement?.verdict, where: judgement?.where }).toEqual({ verdict: row.verdict, where: row.where });
});

test('a claim is a whole sentence; every judgement says what was measured, with number, interval and draws', () => {
  for (const { judge, words, meaning } of claims) {
    expect(words).toMatch(/^[A-Z].*\.$/);
    expect(meaning).toMatch(/\.$/);
    const judgement = judge(measured);
    expect(judgement?.measured).toMatch(/\.$/);
    expect(judgement?.evidence.length).toBeGreaterThan(0);
    for (const { what, mean, interval, draws } of judgement?.evidence ?? []) {
      expect(what).not.toBe('');
      expect(interval[0] <= mean && mean <= interval[1]).toBe(true);
      expect(draws).toBe(10);
    }
  }
  expect(judge('does not guarantee', measured)?.measured).toContain('to +0.070 ± 0.005 per step (256 units, orthogonal ×1.0).');
});

test('without the cells that it is about, a claim is not judged', () => {
  for (const claim of claims) expect(claim.judge([])).toBeUndefined();
});

test('a place causes growth where gradients grow with it, by more than without it, and do not without it', () => {
  const count = (cells: GridCell[]) => causesOf(cells).find(({ placement }) => placement === 'hidden')?.count;
  expect(count(gridCells('uniform', 20, { hidden: 0.1 }))).toBe(1);
  // Its interval holds 0.
  expect(count(gridCells('uniform', 20, { hidden: 0.004 }))).toBe(0);
  expect(count(gridCells('uniform', 20, { none: 0.1, hidden: 0.2 }))).toBe(0);
  // The interval of one lies above 0 by chance, but not the difference's.
  const byChance = gridCells('uniform', 20, { none: 0.004, hidden: 0.006 }).map((cell) =>
    cell.placement === 'hidden' ? { ...cell, overNone: drawn(0.002) } : cell,
  );
  expect(count(byChance)).toBe(0);
});

test('a mean over draws has the interval of Student’s t', () => {
  // Standard error 1/√3, 2 degrees of freedom.
  expect(meanOfDraws([1, 2, 3])).toEqual({
    mean: 2,
    interval: [expect.closeTo(2 - 4.30265 / Math.sqrt(3), 6), expect.closeTo(2 + 4.30265 / Math.sqrt(3), 6)],
    draws: 3,
  });
  expect(meanOfDraws([1]).interval).toEqual([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
  expect(meanOfDraws([1, Number.NEGATIVE_INFINITY])).toEqual({
    mean: Number.NEGATIVE_INFINITY,
    interval: [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    draws: 2,
  });
  expect(formatRate(drawn(-0.0049, 0.01))).toBe('−0.005 ± 0.010');
  expect(formatRate(drawn(0.0049, 0.001))).toBe('+0.0049 ± 0.0010');
  expect(formatRate(meanOfDraws([Number.NEGATIVE_INFINITY]))).toBe('−∞');
});

test('one in forty of the intervals around draws whose mean is 0 lies above it', () => {
  const { data } = Tensor.randn([8000, 10], { dtype: 'float64', generator: new Generator(1) });
  const above = Array.from({ length: 8000 }, (_, i) => meanOfDraws(Array.from(data.slice(10 * i, 10 * i + 10)))).filter(
    ({ interval }) => interval[0] > 0,
  );
  // Three standard errors of 8,000 sets of draws.
  expect(Math.abs(above.length / 8000 - 1 / 40)).toBeLessThan(3 * Math.sqrt((0.025 * 0.975) / 8000));
});

test('sizes are said in words, where they are not the usual ones', () => {
  const [cell] = gridCells('uniform', 20, {}, 0.1) as [GridCell];
  expect(describeSizes(cell)).toBe('20 units, uniform, input ×0.1');
  expect(describeSizes({ ...cell, nonlinearity: 'relu', timeSteps: 2000 })).toBe('20 units, uniform, relu, input ×0.1, T = 2000');
});
