import { EvenkeelError } from '../errors';
import { copyOfState, type StateDict, scalar } from '../state-dict';
import { loadParts, type Part, type Parts, prefixed, stateOfParts, unprefixed } from './part';

const COUNTS = ['epoch', 'batch', 'steps_before', 'has_ended'] as const;

/**
 * Where a training is in its data. Batches can only be gone through from the start of an epoch, so it remembers where whatever they draw from was
 * then: who goes on goes back there, passes over the batches that were used, and sets what was drawn from to where it was in the end.
 */
export class Position implements Part {
  /** from 1; one more than the last when all is done */
  epoch = 1;
  /** how many of the epoch's batches were used */
  batch = 0;
  /** how many steps the history had before the epoch */
  stepsBefore = 0;
  /** before all epochs are done */
  hasEnded = false;
  readonly #sources: Parts;
  #start: StateDict = {};

  /** @param sources what batches draw random numbers from */
  constructor(sources: Parts) {
    this.#sources = sources;
  }

  /** At the start of an epoch. */
  begin(): void {
    this.#start = copyOfState(stateOfParts(this.#sources));
  }

  /**
   * Sets what batches draw from to the start of the epoch.
   * @param others what going through the batches may change as well
   * @returns what sets it, and the others, to where it is now
   */
  rewind(others: Parts): () => void {
    const parts = { ...others, ...this.#sources };
    const now = copyOfState(stateOfParts(parts));
    loadParts(this.#sources, this.#start);
    return () => loadParts(parts, now);
  }

  nextEpoch(steps: number): void {
    this.epoch++;
    this.batch = 0;
    this.stepsBefore = steps;
    // So that a checkpoint of now says where the next epoch starts.
    this.begin();
  }

  state(): StateDict {
    const counts = { epoch: this.epoch, batch: this.batch, steps_before: this.stepsBefore, has_ended: Number(this.hasEnded) };
    return {
      ...Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, scalar(count)])),
      ...prefixed('start', this.#start),
    };
  }

  load(state: StateDict): void {
    const [epoch, batch, steps, hasEnded] = COUNTS.map((name) => {
      const count = state[name]?.size === 1 ? (state[name].data[0] as number) : Number.NaN;
      if (Number.isSafeInteger(count) && count >= 0) return count;
      throw new EvenkeelError('ERR_STATE', `position: expected a count called "${name}", got ${count}.`);
    }) as [number, number, number, number];
    this.epoch = epoch;
    this.batch = batch;
    this.stepsBefore = steps;
    this.hasEnded = hasEnded === 1;
    this.#start = copyOfState(unprefixed('start', state));
  }
}
