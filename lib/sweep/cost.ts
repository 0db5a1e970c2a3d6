/** What a trial will cost, before it runs. */
import type { SweepCell, Trial } from './trial';

/** Resident memory of a process that has run a tiny trial. */
const processBytes = 80e6;

/** Arrays over all time steps, as wide as the states, that are alive together in a training step: states, their gradient, targets. */
const stateArrays: Record<Trial['task']['name'], number> = { reference: 3, copy: 2, adding: 2, csv: 2 };

/** Products of H rows per step, states handed on, and arrays as wide as them that are alive over all steps besides an RNN's, as measured. */
const cells: Record<SweepCell, { gates: number; states: number; kept: number }> = {
  rnn: { gates: 1, states: 1, kept: 0 },
  lstm: { gates: 4, states: 2, kept: 10 },
  gru: { gates: 3, states: 1, kept: 9 },
};

/**
 * Memory that a trial needs at its peak, in bytes, where the layer keeps all states: its process, and what is larger of training and of the
 * Lyapunov exponent before it.
 */
export function estimateBytes(trial: Trial): number {
  return processBytes + Math.max(trainingBytes(trial), lyapunovBytes(trial));
}

/** The arrays over all N·T rows and those of the parameters (values, gradients and Adam's two moments). */
function trainingBytes(trial: Trial): number {
  const { task, length, batchSize, inputSize, hiddenSize, cell, placement, dtype } = trial;
  const isOutside = placement === 'none' || placement === 'input' || placement === 'output';
  // A layer after the RNN sees all states or the last one, as the loss does.
  const seesAll = task.name === 'reference' || task.name === 'copy';
  const normAfter = placement === 'output' && seesAll ? 2 : 0;
  const states = stateArrays[task.name] + normAfter + cells[cell].kept + (isOutside ? 0 : 1);
  const inputs = placement === 'input' ? 4 : 2;
  const elements = batchSize * length * (inputs * inputSize + states * hiddenSize) + 4 * weightsOf(trial);
  // Norms of the gradient by every state, in float64.
  return bytesOf(dtype) * elements + 8 * batchSize * length;
}

/** Elements that are computed at once, unless a single step of all sequences has more; see lyapunovExponents. */
const pieceElements = 1e6;
/** float64, and what the collector has not yet freed of the pieces before, as measured */
const bytesPerPieceElement = 5 * 8;

/** Data, values and gradients, both weights in float64 and again as packed for the products, and a piece of the sequence. */
function lyapunovBytes(trial: Trial): number {
  const { task, length, batchSize, inputSize, hiddenSize, cell, dtype } = trial;
  const targets = task.name === 'reference' ? hiddenSize : 0;
  const width = inputSize + 3 * cells[cell].states * hiddenSize;
  const rows = batchSize * Math.min(length, Math.max(1, pieceElements / (batchSize * width)));
  const kept = batchSize * length * (inputSize + targets) + 2 * weightsOf(trial);
  return bytesOf(dtype) * kept + 2 * 8 * weightsOf(trial) + bytesPerPieceElement * rows * width;
}

/**
 * What a trial cannot do without, however little the RNN keeps: its input, with a loss over all steps states and targets, and the weights with
 * their gradients and Adam's two moments.
 */
export function leastBytes(trial: Trial): number {
  const { task, length, batchSize, inputSize, hiddenSize, dtype } = trial;
  const states = task.name === 'reference' ? 2 : task.name === 'copy' ? 1 : 0;
  return bytesOf(dtype) * (batchSize * length * (inputSize + states * hiddenSize) + 4 * weightsOf(trial));
}

/** Elements of W_ih and W_hh. */
function weightsOf({ cell, inputSize, hiddenSize }: Trial): number {
  return cells[cell].gates * hiddenSize * (hiddenSize + inputSize);
}

function bytesOf(dtype: Trial['dtype']): number {
  return dtype === 'float64' ? 8 : 4;
}

/** Floating-point operations that a training step spends on one time step of one sequence: 2·(3·I·H + 3·H²) for each gate, the products of both passes. */
export function rowOperations({ cell, inputSize, hiddenSize }: Trial): number {
  return 6 * cells[cell].gates * hiddenSize * (inputSize + hiddenSize);
}

/** A trial's share of the work of a sweep, in operations. */
export function workOf(trial: Trial): number {
  return trial.batchSize * trial.length * rowOperations(trial) * (trial.steps + 1);
}
