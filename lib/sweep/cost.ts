/** What a trial will cost, before it runs. */
import { type CostSizes, cellCosts, stepFlop, weightElements } from '../layers/recurrent/cost';
import type { Trial } from './trial';

/** Resident memory of a process that has run a tiny trial. */
const processBytes = 80e6;

/** Arrays over all time steps, as wide as the states, that are alive together in a training step: states, their gradient, targets. */
const stateArrays: Record<Trial['task']['name'], number> = { reference: 3, copy: 2, adding: 2, csv: 2 };

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
  const states = stateArrays[task.name] + normAfter + cellCosts[cell].kept + (isOutside ? 0 : 1);
  const inputs = placement === 'input' ? 4 : 2;
  const elements = batchSize * length * (inputs * inputSize + states * hiddenSize) + 4 * weightElements(sizesOf(trial));
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
  const width = inputSize + 3 * cellCosts[cell].states * hiddenSize;
  const rows = batchSize * Math.min(length, Math.max(1, pieceElements / (batchSize * width)));
  const kept = batchSize * length * (inputSize + targets) + 2 * weightElements(sizesOf(trial));
  return bytesOf(dtype) * kept + 2 * 8 * weightElements(sizesOf(trial)) + bytesPerPieceElement * rows * width;
}

/**
 * What a trial cannot do without, however little the RNN keeps: its input, with a loss over all steps states and targets, and the weights with
 * their gradients and Adam's two moments.
 */
export function leastBytes(trial: Trial): number {
  const { task, length, batchSize, inputSize, hiddenSize, dtype } = trial;
  const states = task.name === 'reference' ? 2 : task.name === 'copy' ? 1 : 0;
  return bytesOf(dtype) * (batchSize * length * (inputSize + states * hiddenSize) + 4 * weightElements(sizesOf(trial)));
}

function sizesOf({ cell, inputSize, hiddenSize }: Trial): CostSizes {
  return { gates: cellCosts[cell].gates, inputSize, hiddenSize };
}

function bytesOf(dtype: Trial['dtype']): number {
  return dtype === 'float64' ? 8 : 4;
}

/** Floating-point operations that a training step spends on one time step of one sequence, ∂L/∂x included, which a layer before the RNN needs. */
export function rowOperations(trial: Trial): number {
  const { forward, backward, inputGradient } = stepFlop(sizesOf(trial));
  return forward + backward + inputGradient;
}

/** A trial's share of the work of a sweep, in operations. */
export function workOf(trial: Trial): number {
  return trial.batchSize * trial.length * rowOperations(trial) * (trial.steps + 1);
}
