import type { Numbers } from './results';

/** Largest relative difference of losses and norms that float32 explains. */
const tolerance = 1e-4;

const labels = {
  loss: 'loss',
  norm: 'norm',
  nextLoss: 'loss after one step',
  nextNorm: 'norm after one step',
} as const;

/** The first number that is further from the reference than float32 explains, in words; a driver may leave out the numbers after one step. */
export function disagreement(numbers: Numbers, reference: Numbers): string | undefined {
  for (const key of Object.keys(labels) as (keyof Numbers)[]) {
    const [got, expected] = [numbers[key], reference[key]];
    if (expected === undefined || (got === undefined && key.startsWith('next'))) continue;
    // What is no number in JSON, such as NaN, arrives as null.
    const close = typeof got === 'number' && Math.abs(got - expected) <= tolerance * Math.abs(expected);
    if (!close) return `${labels[key]} ${got}, but ${expected} in float64`;
  }
  return undefined;
}
