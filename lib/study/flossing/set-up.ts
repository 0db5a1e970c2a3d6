/** What the experiment of gradient flossing measures, how much of it, and the shape of its results. */
import type { DrawnMean } from '../draws';
import type { Environment } from '../results';

/** How W_hh begins: uniform with the variance 1/H, as the paper's Gaussian one, or orthogonal. */
export type FlossingStart = 'random' | 'orthogonal';

/** An RNN before it learns. */
export interface FlossingDesign {
  start: FlossingStart;
  /** whether its exponents were pushed to 0 before */
  flossed: boolean;
}

/** Its leading Lyapunov exponents on the task's input, before the task. */
export interface FlossingExponents extends FlossingDesign {
  largest: DrawnMean;
  /** the last one that flossing pushes */
  last: DrawnMean;
}

/** What learning a delay makes of it. */
export interface FlossingRun extends FlossingDesign {
  delay: number;
  /** of each draw, the part of bits of new sequences that it tells right; 0.5 is chance */
  accuracies: number[];
  accuracy: DrawnMean;
  /** draws with an accuracy of at least {@link FlossingSetUp.solvedAt} */
  solved: number;
  /** of each draw, the first training step whose loss was below a quarter of ln 2, which is that of guessing; null where none was */
  learnedAt: (number | null)[];
}

/** How much is measured. */
export interface FlossingSetUp {
  draws: number;
  hiddenSize: number;
  delays: readonly number[];
  /** sequences have so many bits to be told, after `delay` steps without */
  bits: number;
  batchSize: number;
  trainingSteps: number;
  learningRate: number;
  maxNorm: number;
  /** before the task: steps of Adam at the same rate, each on one sequence of so many steps, and how many exponents */
  flossing: { steps: number; timeSteps: number; count: number };
  testSequences: number;
  solvedAt: number;
}

/** Its results.json. */
export interface FlossingResults extends FlossingSetUp {
  schema: 'evenkeel/flossing';
  schemaVersion: 1;
  /** True when it was stopped early: what had finished by then is here. */
  interrupted: boolean;
  /** when it began, ISO 8601 in UTC */
  date: string;
  seconds: number;
  seed: number;
  environment: Environment;
  exponents: FlossingExponents[];
  runs: FlossingRun[];
}

const common = { bits: 40, batchSize: 16, learningRate: 1e-3, maxNorm: 1, testSequences: 64, solvedAt: 0.95 };

/** For a first look, within half a minute. */
export const quickFlossing: FlossingSetUp = {
  ...common,
  draws: 3,
  hiddenSize: 32,
  delays: [20],
  trainingSteps: 500,
  flossing: { steps: 200, timeSteps: 40, count: 24 },
};

/** That of the published figures: twice as many units as the longest delay has bits to hold, and as many exponents as bits. */
export const fullFlossing: FlossingSetUp = {
  ...common,
  draws: 10,
  hiddenSize: 80,
  delays: [10, 20, 40],
  trainingSteps: 1500,
  flossing: { steps: 200, timeSteps: 40, count: 40 },
};
