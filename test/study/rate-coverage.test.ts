import { formatCoverage, type RateCoverage, rangeOf, type SizeCoverage } from '../../lib/study/rate-coverage';
import { studyResults } from './synthetic';

const size = (sequences: number, rateHolds: number, batchHolds: number): SizeCoverage => ({
  sequences,
  timeSteps: 200,
  rateHolds,
  batchHolds,
  exponentHolds: 0.95,
  meanRate: 0.08,
  meanBatchRate: 0.11,
  longHorizon: 1080,
  horizon: 1100,
  horizonHolds: 0.96,
});

const coverage: RateCoverage = {
  schema: 'evenkeel/coverage',
  date: '2026-01-02T03:04:05.678Z',
  environment: studyResults().environment,
  draws: 400,
  inputSize: 10,
  hiddenSize: 20,
  longRun: { sequences: 32, timeSteps: 5000, horizonSequences: 320 },
  designs: [
    {
      placement: 'hidden',
      initializer: 'orthogonal ×1.5',
      exponent: 0.0794,
      error: 0.0006,
      sizes: [size(32, 0.9575, 0.02), size(1, 0.933, 0.933)],
    },
    {
      placement: 'none',
      initializer: 'uniform',
      exponent: -0.67,
      error: 0.001,
      sizes: [{ ...size(32, 0.94, 0.6), longHorizon: null, horizon: null, horizonHolds: null }],
    },
  ],
  neutral: [
    {
      initializer: 'orthogonal ×1.1',
      seed: 1,
      exponent: 0,
      error: 0.001,
      sizes: [{ sequences: 32, timeSteps: 200, falseVerdicts: 0, falseByBatch: 0.3 }],
    },
  ],
  oneRecurrence: [{ timeSteps: 200, difference: 0 }],
  firstStep: [{ timeSteps: 200, placement: 'recurrent-input', all: 0.1119, settled: 0.0785 }],
};

test('shares are said as ranges in percent', () => {
  expect(rangeOf([0.9575, 0.933, 0.94])).toBe('93.3 to 95.8');
  expect(rangeOf([0.95, 0.95])).toBe('95.0');
});

test('the sentences have the worst and the best of all designs, and the batch’s norm that of the largest batch alone', () => {
  const text = formatCoverage(coverage);
  expect(text).toContain('held that exponent in 93.3 to 95.8 % of 400 draws of the input, over 2 sets of weights');
  expect(text).toContain('held it in 2.0 to 60.0 % of those of 32 sequences');
  expect(text).toContain('a verdict was false in 0.0 % of the draws; by the batch’s norm it would have been in 30.0 %.');
  expect(text).toContain('at which the mean of 320 sequences leaves float32 in 96.0 %.');
  expect(text).toContain('over 200 steps the two are the same to the bit.');
  expect(text).toContain('| 200 | +0.1119 | +0.0785 | 0.0288 |');
});

test('a horizon is shown where the long runs have one', () => {
  const rows = formatCoverage(coverage).split('\n').filter((line) => /^\| (hidden|none)/.test(line)); // biome-ignore format: one line
  expect(rows.map((row) => row.split(' | ').slice(-2).join())).toEqual(['1080, 1100,96.0 % |', '1080, 1100,96.0 % |', '–, –,– |']);
});
