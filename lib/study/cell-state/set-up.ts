/** What the experiment of a LayerNorm LSTM's cell state measures, how much of it, and the shape of its results. */
import type { CellNormalization } from '../../layers/lstm';
import type { DrawnMean } from '../draws';
import type { Environment } from '../results';

/** An LSTM at its start. */
export interface CellStateDesign {
  cellNormalization: CellNormalization;
  /** γ of the LayerNorms over both products before the activations: norm_ih.weight and norm_hh.weight */
  gamma: number;
  /** b_ih of the forget gate */
  forgetBias: number;
}

/** How its gradients grow, before any training. */
export interface CellStateGrowth extends CellStateDesign {
  hiddenSize: number;
  timeSteps: number;
  /** growth of ln‖∂L/∂(h_t, c_t)‖ per step back in time */
  growthRate: DrawnMean;
  /** in how many draws the verdict was exploding, and in how many vanishing */
  exploding: number;
  vanishing: number;
}

/** Its Lyapunov exponents over the whole state. */
export interface CellStateExponents extends CellStateDesign {
  hiddenSize: number;
  timeSteps: number;
  largest: DrawnMean;
  dimension: DrawnMean;
}

export type CellStateTask = 'adding' | 'copy' | 'series';

/** What training makes of it. */
export interface CellStateTraining extends CellStateDesign {
  task: CellStateTask;
  /** of each draw, infinite where training left the range of numbers (null in a file): over the error of answering without looking at the input; of the series, the test error over that of the last value again */
  relativeError: number[];
  median: number;
  /** draws that ended below half of the baseline's error */
  solved: number;
  /** the largest gradient norm before clipping, the median over draws */
  largestNorm: number;
}

/** How much is measured. */
export interface CellStateSetUp {
  draws: number;
  inputSize: number;
  gammas: readonly number[];
  forgetBiases: readonly number[];
  /** sizes and lengths of the growth */
  growths: readonly { hiddenSize: number; timeSteps: number; sequences: number }[];
  exponents: { hiddenSize: number; timeSteps: number; sequences: number };
  training: {
    hiddenSize: number;
    batchSize: number;
    gammas: readonly number[];
    forgetBiases: readonly number[];
    learningRate: number;
    maxNorm: number;
    tasks: readonly TaskSetUp[];
  };
}

/** `steps`: sequence length of adding, delay of copy, window of the series; `batches`: training steps, of the series epochs */
export interface TaskSetUp {
  task: CellStateTask;
  steps: number;
  batches: number;
}

/** Its results.json. */
export interface CellStateResults extends CellStateSetUp {
  schema: 'evenkeel/cell-state';
  schemaVersion: 1;
  /** True when it was stopped early: what had finished by then is here. */
  interrupted: boolean;
  /** when it began, ISO 8601 in UTC */
  date: string;
  seconds: number;
  seed: number;
  environment: Environment;
  growth: CellStateGrowth[];
  spectra: CellStateExponents[];
  trained: CellStateTraining[];
}

const common = { inputSize: 4, gammas: [0.1, 0.3, 1, 2, 3], forgetBiases: [0, 1, 3] };
const trainingSetUp = { hiddenSize: 32, batchSize: 16, learningRate: 0.01, maxNorm: 1 };

/** For a first look, within seconds. */
export const quickCellState: CellStateSetUp = {
  ...common,
  draws: 3,
  gammas: [0.1, 1, 3],
  forgetBiases: [1],
  growths: [{ hiddenSize: 32, timeSteps: 200, sequences: 4 }],
  exponents: { hiddenSize: 16, timeSteps: 200, sequences: 2 },
  training: { ...trainingSetUp, gammas: [1], forgetBiases: [1], tasks: [{ task: 'adding', steps: 50, batches: 300 }] },
};

/** That of the published figures. */
export const fullCellState: CellStateSetUp = {
  ...common,
  draws: 20,
  growths: [
    { hiddenSize: 32, timeSteps: 100, sequences: 8 },
    { hiddenSize: 32, timeSteps: 1000, sequences: 8 },
    { hiddenSize: 128, timeSteps: 1000, sequences: 2 },
    { hiddenSize: 32, timeSteps: 10_000, sequences: 2 },
  ],
  exponents: { hiddenSize: 32, timeSteps: 1000, sequences: 2 },
  training: {
    ...trainingSetUp,
    gammas: [0.1, 1],
    forgetBiases: [1, 3],
    tasks: [
      { task: 'adding', steps: 100, batches: 1500 },
      { task: 'copy', steps: 20, batches: 2000 },
      { task: 'series', steps: 50, batches: 10 },
    ],
  },
};
