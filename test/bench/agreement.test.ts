import { disagreement } from '../../lib/bench/agreement';

const reference = { loss: 2, norm: 0.5, clippedNorm: 0.25, nextLoss: 1.9, nextNorm: 0.4 };

test.each([
  ['the same numbers', reference],
  ['the rounding of float32', { ...reference, loss: 2 * (1 + 9e-5), norm: 0.5 * (1 - 9e-5) }],
  ['a driver that leaves out the numbers after one step', { loss: 2, norm: 0.5, clippedNorm: 0.25 }],
  ['a norm for clipping that was summed in float32', { ...reference, clippedNorm: 0.2503 }],
])('%s agree', (_, numbers) => {
  expect(disagreement(numbers, reference)).toBeUndefined();
});

test.each([
  ['another loss', { ...reference, loss: 2 * (1 + 1.1e-4) }, /^loss 2\.0002\d*, but 2 in float64$/],
  ['another norm', { ...reference, norm: -0.5 }, /^norm -0\.5, but 0\.5 /],
  ['a gradient that was not clipped', { ...reference, clippedNorm: 0.5 }, /^norm after clipping 0\.5, but 0\.25 /],
  ['a driver that leaves out whether it clipped', { loss: 2, norm: 0.5 }, /^norm after clipping undefined/],
  ['another step', { ...reference, nextLoss: 1.8 }, /^loss after one step 1\.8/],
  ['NaN', { ...reference, nextNorm: Number.NaN }, /^norm after one step NaN/],
  ['NaN, as JSON writes it', { ...reference, loss: null as unknown as number }, /^loss null/],
  ['no loss', { norm: 0.5 } as typeof reference, /^loss undefined/],
])('%s disagrees', (_, numbers, message) => {
  expect(disagreement(numbers, reference)).toMatch(message);
});
