import type { Optimizer } from '../optimizers/optimizer';

/** How many steps of fit were refused, of those that an optimiser counts: it counts only what it has made. */
const refused = new WeakMap<Optimizer, number>();

/** How many steps of fit have been made with an optimiser, refused ones too. */
export function stepsMade(optimizer: Optimizer): number {
  return optimizer.steps + (refused.get(optimizer) ?? 0);
}

/** Lets fit count on from there. */
export function setStepsMade(optimizer: Optimizer, steps: number): void {
  refused.set(optimizer, steps - optimizer.steps);
}
