import type { Tensor } from '../tensor';

/** A task made of random sequences: batches for fit, drawn anew each time they are gone through. */
export interface Task<Target> extends Iterable<{ input: Tensor; target: Target }> {
  /** features of each time step */
  inputSize: number;
  /** what a model puts out: numbers to predict, or classes to choose from */
  outputSize: number;
  /** the expected loss of the best answer that remembers nothing */
  baseline: number;
}
