import { disagreement } from '../../lib/bench/agreement';

const reference = { loss: 2, norm: 0.5, nextLoss: 1.9, nextNorm: 0.4 };

test.each([
  ['the same numbers', reference],
  ['the rounding of float32', { ...reference, loss: 2 * (1 + 9e-5), norm: 0.5 * (1 - 9e-5) }],
  ['a driver that leaves out the numbers after one step', { loss: 2, norm: 0.5 }],
])('%s agree', (_, numbers) => {
  expect(disagreement(numbers, reference)).toBeUndefined();
});

test.each([
  ['another loss', { ...reference, loss: 2 * (1 + 1.1e-4) }, /^loss 2\.0002\d*, but 2 in float64$/],
  ['another norm', { ...reference, norm: -0.5 }, /^norm -0\.5, but 0\.5 /],
  ['another step', { ...reference, nextLoss: 1.8 }, /^loss after one step 1\.8/],
  ['NaN', { ...reference, nextNorm: Number.NaN }, /^norm after one step NaN/],
  ['NaN, as JSON writes it', { ...reference, loss: null as unknown as number }, /^loss null/],
  ['no loss', { norm: 0.5 } as typeof reference, /^loss undefined/],
])('%s disagrees', (_, numbers, message) => {
  expect(disagreement(numbers, reference)).toMatch(message);
});
