import type { Numbers } from './protocol';

/** The numbers in words, each with the largest relative difference that float32 explains. */
const compared = {
  loss: { label: 'loss', tolerance: 1e-4 },
  norm: { label: 'norm', tolerance: 1e-4 },
  // A system may sum the squares of millions of elements plainly in float32 to know by how much to clip: PyTorch does.
  clippedNorm: { label: 'norm after clipping', tolerance: 2e-3 },
  nextLoss: { label: 'loss after one step', tolerance: 1e-4 },
  nextNorm: { label: 'norm after one step', tolerance: 1e-4 },
} as const;

/** The first number that is further from the reference than float32 explains, in words; a driver may leave out the numbers after one step. */
export function disagreement(numbers: Numbers, reference: Numbers): string | undefined {
  for (const key of Object.keys(compared) as (keyof Numbers)[]) {
    const { label, tolerance } = compared[key];
    const [got, expected] = [numbers[key], reference[key]];
    if (expected === undefined || (got === undefined && key.startsWith('next'))) continue;
    // What is no number in JSON, such as NaN, arrives as null.
    const close = typeof got === 'number' && Math.abs(got - expected) <= tolerance * Math.abs(expected);
    if (!close) return `${label} ${got}, but ${expected} in float64`;
  }
  return undefined;
}
