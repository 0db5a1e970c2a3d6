import type { SweepPlacement, Trial, TrialClip, TrialStart } from './trial';

/**
 * A checked definition: every axis of the grid with its values written out, and those that depend on one another already joined, so that
 * each combination is one trial. Plain JSON.
 */
export interface Grid {
  lengths: number[];
  shapes: Pick<Trial, 'task' | 'batchSize' | 'inputSize' | 'hiddenSize'>[];
  recurrences: Pick<Trial, 'cell' | 'nonlinearity'>[];
  normalizations: { placement: SweepPlacement; kind?: 'layer' | 'rms' }[];
  initializers: TrialStart[];
  clips: TrialClip[];
  seeds: number[];
  steps: number;
  learningRate: number;
  dtype: Trial['dtype'];
}

const AXES = ['lengths', 'shapes', 'recurrences', 'normalizations', 'initializers', 'clips', 'seeds'] as const;

/** More would neither run nor be looked at. */
export const MAX_TRIALS = 100_000;

/** How many trials a grid has. */
export function countTrials(grid: Grid): number {
  return AXES.reduce((product, axis) => product * grid[axis].length, 1);
}

/** The trials one after another, in an order that depends on the grid alone: seeds change fastest, lengths slowest. */
export function* trialsOf(grid: Grid): Generator<Trial, undefined> {
  const { steps, learningRate, dtype } = grid;
  for (const length of grid.lengths) {
    for (const shape of grid.shapes) {
      for (const recurrence of grid.recurrences) {
        for (const normalization of grid.normalizations) {
          for (const start of grid.initializers) {
            for (const clip of grid.clips) {
              for (const seed of grid.seeds) {
                yield { ...shape, length, ...recurrence, ...normalization, ...start, clip, seed, steps, learningRate, dtype };
              }
            }
          }
        }
      }
    }
  }
}
