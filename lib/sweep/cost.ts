/** What a trial will cost, before it runs. */
import type { Trial } from './trial';

/** Resident memory of a process that has run a tiny trial. */
const processBytes = 80e6;

/** Arrays over all time steps, as wide as the states, that are alive together in a training step: states, their gradient, targets. */
const stateArrays: Record<Trial['task']['name'], number> = { reference: 3, copy: 2, adding: 1, csv: 1 };

/**
 * Memory that a trial needs at its peak, in bytes, where the RNN keeps all states: its process, the arrays over all N·T rows and those of the
 * parameters (values, gradients and Adam's two moments).
 */
export function estimateBytes({ task, length, batchSize, inputSize, hiddenSize, placement, dtype }: Trial): number {
  const isOutside = placement === 'none' || placement === 'input' || placement === 'output';
  // A layer after the RNN sees all states or the last one, as the loss does.
  const normAfter = placement === 'output' && stateArrays[task.name] > 1 ? 2 : 0;
  const states = stateArrays[task.name] + normAfter + (isOutside ? 0 : 1);
  const inputs = placement === 'input' ? 4 : 2;
  const parameters = 4 * hiddenSize * (hiddenSize + inputSize);
  const elements = batchSize * length * (inputs * inputSize + states * hiddenSize) + parameters;
  // Norms of the gradient by every state, in float64.
  return processBytes + (dtype === 'float64' ? 8 : 4) * elements + 8 * batchSize * length;
}

/** Floating-point operations that a training step spends on one time step of one sequence: 2·(3·I·H + 3·H²), the products of both passes. */
export function rowOperations({ inputSize, hiddenSize }: Trial): number {
  return 6 * hiddenSize * (inputSize + hiddenSize);
}

/** A trial's share of the work of a sweep, in operations. */
export function workOf(trial: Trial): number {
  return trial.batchSize * trial.length * rowOperations(trial) * (trial.steps + 1);
}
