import type { Layer } from '../layers/layer';
import { copyOfState, copyState, matchState, type StateDict, scalar } from '../state-dict';
import type { Part } from './part';

/** What earlyStopping is set to, checked. */
export interface EarlyStoppingSettings {
  monitor: string;
  patience: number;
  minDelta: number;
  mode: 'min' | 'max';
}

/** Watches a value, keeps the weights that gave the best one, and says when there has been no better one for too long. */
export class EarlyStopping implements Part {
  readonly monitor: string;
  readonly #settings: EarlyStoppingSettings;
  readonly #model: Layer;
  readonly #counts = { best: scalar(Number.NaN), no_better: scalar(0) };
  /** undefined before the first value */
  #weights: StateDict | undefined;

  constructor(settings: EarlyStoppingSettings, model: Layer) {
    this.monitor = settings.monitor;
    this.#settings = settings;
    this.#model = model;
  }

  /**
   * Takes note of a value, and of the weights that gave it if it is the best. NaN never is.
   * @returns whether it is
   */
  observe(value: number): boolean {
    const { best, no_better: count } = this.#counts;
    if (!this.#isBetter(value, best.data[0] as number)) {
      count.data[0] = (count.data[0] as number) + 1;
      return false;
    }
    best.data[0] = value;
    count.data[0] = 0;
    if (this.#weights === undefined) this.#weights = copyOfState(this.#model.stateDict());
    else copyState(matchState('weights', this.#weights, this.#model.stateDict()));
    return true;
  }

  get isOutOfPatience(): boolean {
    return (this.#counts.no_better.data[0] as number) >= this.#settings.patience;
  }

  /** Gives the model the best weights, if there are any. */
  restore(): void {
    if (this.#weights !== undefined) copyState(matchState('weights', this.#model.stateDict(), this.#weights));
  }

  #isBetter(value: number, best: number): boolean {
    const { mode, minDelta } = this.#settings;
    if (Number.isNaN(best) || Number.isNaN(value)) return !Number.isNaN(value);
    return mode === 'min' ? value < best - minDelta : value > best + minDelta;
  }

  state(): StateDict {
    return { ...this.#counts, ...(this.#weights && weightsOf(this.#weights)) };
  }

  load(state: StateDict): void {
    const hasWeights = Object.keys(state).some((name) => name.startsWith('weights.'));
    const weights = hasWeights ? copyOfState(this.#model.stateDict()) : undefined;
    const pairs = matchState('early_stopping', { ...this.#counts, ...(weights && weightsOf(weights)) }, state);
    this.#weights = weights;
    copyState(pairs);
  }
}

function weightsOf(state: StateDict): StateDict {
  return Object.fromEntries(Object.entries(state).map(([name, tensor]) => [`weights.${name}`, tensor]));
}
