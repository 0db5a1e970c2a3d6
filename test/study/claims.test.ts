import type { Verdict } from '../../lib/stability/flow';
import { claims, commonVerdict, type DepthCell, formatRate, type Judgement, type MeasuredGrowth, meanRate } from '../../lib/study/claims';
import type { DepthPlacement } from '../../lib/study/placements';

const seeds = 3;

function growth(growthRate: number, verdict: Verdict, horizon = Math.ceil(88 / Math.abs(growthRate))): MeasuredGrowth {
  return { growthRate, growthRateError: 0.006, verdict, horizon };
}

function cell(placement: DepthPlacement, initializer: string, rate: number): DepthCell {
  const verdict = rate > 0.023 ? 'exploding' : rate < -0.023 ? 'vanishing' : 'stable';
  return { placement, initializer, growths: Array.from({ length: seeds }, (_, seed) => growth(rate + (seed - 1) / 1000, verdict)) };
}

type Rates = [placement: DepthPlacement, uniform: number, orthogonal: number][];
const cellsOf = (rates: Rates) =>
  rates.flatMap(([placement, uniform, orthogonal]) => [
    cell(placement, 'uniform', uniform),
    cell(placement, 'orthogonal ×1.5', orthogonal),
  ]);

/** What PyTorch was measured to do. */
const measured: Rates = [
  ['none', -0.5, 0.005],
  ['input', -0.5, 0.004],
  ['output', -0.5, 0.005],
  ['preactivation', -0.3, -0.007],
  ['split-preactivation', -0.3, -0.006],
  ['recurrent-input', -0.2, 0.01],
  ['hidden', -0.14, 0.115],
];

const changed = (...changes: Rates) => measured.map((row) => changes.find(([placement]) => placement === row[0]) ?? row);

const judge = (words: string, rates: Rates): Judgement | undefined => {
  const claim = claims.find((candidate) => candidate.words.includes(words));
  if (claim === undefined) throw new Error(`no claim with the words ${words}`);
  return claim.judge(cellsOf(rates));
};

const cases: [words: string, rates: Rates, verdict: Judgement['verdict'], where?: string][] = [
  ['becomes a product', measured, 'does not hold'],
  ['becomes a product', changed(['output', -0.4, 0.1]), 'holds'],
  ['becomes a product', changed(['output', -0.5, 0.1]), 'holds where', 'W_hh starts as orthogonal ×1.5'],
  ['exponential increase', measured, 'holds where', 'W_hh starts as orthogonal ×1.5'],
  ['exponential increase', changed(['hidden', 0.1, 0.1]), 'holds'],
  ['exponential increase', changed(['hidden', -0.1, 0]), 'does not hold'],
  ['numerical bounds', measured, 'holds where', 'sequences are longer than 766 steps (orthogonal ×1.5)'],
  ['numerical bounds', changed(['hidden', -0.1, 0]), 'does not hold'],
  ['prior to the recurrent calculation', measured, 'holds'],
  [
    'prior to the recurrent calculation',
    changed(['input', 0.1, 0.1], ['preactivation', 0.1, 0.1], ['split-preactivation', 0.1, 0.1]),
    'does not hold',
  ],
  [
    'prior to the recurrent calculation',
    changed(['preactivation', 0, 0.1]),
    'holds where',
    'the design is input, uniform; input, orthogonal ×1.5; preactivation, uniform; split-preactivation, uniform; split-preactivation, orthogonal ×1.5',
  ],
  // What explodes without a normalisation too is not its doing.
  ['prior to the recurrent calculation', changed(['none', -0.5, 0.2], ['preactivation', 0, 0.1]), 'holds'],
  ['only occurs when placed', measured, 'holds where', 'the normalised state is fed back'],
  ['only occurs when placed', changed(['output', 0.1, 0.1]), 'holds'],
  ['only occurs when placed', changed(['output', 0.1, 0.1], ['hidden', 0, 0]), 'holds where', 'it stands outside the recurrence'],
  ['only occurs when placed', changed(['recurrent-input', 0, 0.1]), 'does not hold'],
  ['only occurs when placed', changed(['hidden', 0, 0]), 'does not hold'],
  ['from where normalization is placed', measured, 'holds where', 'W_hh starts as orthogonal ×1.5'],
  ['from where normalization is placed', changed(['hidden', 0, 0]), 'does not hold'],
  ['parameter initialization', measured, 'holds'],
  [
    'parameter initialization',
    changed(['none', 0, 0]),
    'holds where',
    'the placement is input, output, preactivation, split-preactivation, recurrent-input, hidden',
  ],
  ['parameter initialization', measured.map(([placement, rate]) => [placement, rate, rate]), 'does not hold'],
];

test.each(cases.map(([words, rates, verdict, where]) => ({ words, rates, verdict, where })))('"$words" $verdict ($where)', (row) => {
  const judgement = judge(row.words, row.rates);
  expect({ verdict: judgement?.verdict, where: judgement?.where }).toEqual({ verdict: row.verdict, where: row.where });
});

test('every judgement says what was measured, with rates and errors where it is about rates', () => {
  for (const { judge, words, meaning } of claims) {
    expect([words, meaning]).not.toContain('');
    expect(judge(cellsOf(measured))?.measured).toMatch(/\.$/);
  }
  expect(judge('exponential increase', measured)?.measured).toBe('hidden: −0.140 ± 0.003 (uniform), +0.115 ± 0.003 (orthogonal ×1.5).');
});

test('without the designs that it is about, a claim is not judged', () => {
  for (const words of ['product', 'exponential', 'numerical bounds', 'prior to'])
    expect(judge(words, measured.slice(0, 1))).toBeUndefined();
  for (const claim of claims) expect(claim.judge([])).toBeUndefined();
});

test('the verdict of a design is that of most seeds, its rate their mean', () => {
  const mixed = (...verdicts: Verdict[]): DepthCell => ({
    placement: 'none',
    initializer: 'uniform',
    growths: verdicts.map((verdict, i) => growth(i + 1, verdict)),
  });
  expect(commonVerdict(mixed('exploding', 'stable', 'exploding'))).toBe('exploding');
  expect(commonVerdict(mixed('exploding', 'stable', 'vanishing'))).toBe('stable');
  expect(commonVerdict(mixed('exploding', 'vanishing'))).toBe('stable');
  // From the spread of the seeds, or from their own errors where these are larger.
  expect(meanRate(mixed('stable', 'stable', 'stable'))).toEqual({ rate: 2, error: Math.sqrt(1 / 3) });
  expect(meanRate({ placement: 'none', initializer: 'uniform', growths: [growth(2, 'stable'), growth(2, 'stable')] })).toEqual({
    rate: 2,
    error: 0.006 / Math.sqrt(2),
  });
  expect(formatRate({ rate: -0.0049, error: 0.01 })).toBe('−0.005 ± 0.010');
  expect(formatRate({ rate: 0.0049, error: 0.001 })).toBe('+0.0049 ± 0.0010');
});
