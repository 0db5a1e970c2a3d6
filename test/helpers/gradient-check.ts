import type { Tensor } from '../../lib/index';
import { expectClose } from './compare';

/** A float64 array that a loss depends on, and the gradient that a backward pass has found for it. */
export interface Differentiated {
  value: Tensor;
  grad: Tensor;
}

/** Step of the central differences: at values near 1 truncation (h²) and rounding (ε/h) both stay near 1e-10. */
const STEP = 1e-5;

/**
 * Fails unless every gradient agrees with central differences of `loss` within 1e-7 of that gradient's norm and, element by element, of
 * its largest element.
 * @param loss computes the loss anew from the arrays, which are changed in place one element at a time and put back
 * @param arrays by name; their gradients are copied before the first evaluation
 */
export function checkGradients(loss: () => number, arrays: Record<string, Differentiated>, within = 1e-7): void {
  const analytic = Object.entries(arrays).map(([label, { value, grad }]) => ({ label, value, grad: Float64Array.from(grad.data) }));
  for (const { label, value, grad } of analytic)
    expectClose(grad, centralDifferences(loss, value), { within, label: `gradient of ${label}` });
}

function centralDifferences(loss: () => number, { data, dtype }: Tensor): Float64Array {
  if (dtype !== 'float64') throw new Error(`Central differences need float64, got ${dtype}.`);
  return Float64Array.from(data, (center, i) => {
    const lossAt = (x: number): number => {
      data[i] = x;
      return loss();
    };
    const [above, below] = [center + STEP, center - STEP];
    const difference = (lossAt(above) - lossAt(below)) / (above - below);
    data[i] = center;
    return difference;
  });
}

/** Σ a ⊙ b: the loss whose gradient by `a` is `b`. */
export function dot(a: Tensor, b: Tensor): number {
  let sum = 0;
  for (const [i, value] of a.data.entries()) sum += value * (b.data[i] ?? Number.NaN);
  return sum;
}
