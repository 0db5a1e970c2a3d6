/** What a trial will cost, before it runs. */
import type { Trial } from './trial';

/** Resident memory of a process that has run a tiny trial. */
const processBytes = 90e6;

/**
 * Memory that a trial needs at its peak, in bytes: the process, and the arrays over all N·T rows that are alive together in a training
 * step. Of the inputs: they and their gradient (and a normalisation's output and gradient). Of the states: they, their gradient, the
 * loss's target and gradient, and what a normalisation adds.
 */
export function estimateBytes({ task, length, batchSize, inputSize, hiddenSize, placement, dtype }: Trial): number {
  const element = dtype === 'float64' ? 8 : 4;
  const everyState = task.name === 'reference' ? 2 : 0;
  const inputs = placement === 'input' ? 4 : 2;
  const states = (placement === 'none' || placement === 'input' ? 2 : 4) + everyState;
  const rows = batchSize * length;
  // Weights, their gradients and Adam's two moments.
  const parameters = 4 * hiddenSize * (hiddenSize + inputSize);
  return processBytes + element * (rows * (inputs * inputSize + states * hiddenSize) + parameters);
}

/** Floating-point operations that a training step spends on one time step of one sequence: 2·(3·I·H + 3·H²), the products of both passes. */
export function rowOperations({ inputSize, hiddenSize }: Trial): number {
  return 6 * hiddenSize * (inputSize + hiddenSize);
}

/** A trial's share of the work of a sweep, in operations. */
export function workOf(trial: Trial): number {
  return trial.batchSize * trial.length * rowOperations(trial) * (trial.steps + 1);
}
