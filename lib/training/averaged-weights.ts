import type { Parameter } from '../parameter';
import { copyState, matchState, type StateDict, scalar } from '../state-dict';
import { Tensor } from '../tensor';
import type { Part } from './part';

/**
 * The exponential moving average of the weights over the steps, as torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn(decay): the
 * first step's weights, then average + (1 − decay)(weight − average) after each. Kept in float64 whatever the weights' type is: float32 would lose
 * most of a small step.
 */
export class AveragedWeights implements Part {
  readonly #parameters: readonly Parameter[];
  readonly #decay: number;
  readonly #updates = scalar(0);
  readonly #averages: readonly Tensor[];

  constructor(parameters: readonly Parameter[], decay: number) {
    this.#parameters = parameters;
    this.#decay = decay;
    this.#averages = parameters.map(({ value }) => Tensor.zeros(value.shape, { dtype: 'float64' }));
  }

  /** After a step. */
  update(): void {
    const updates = this.#updates.data[0] as number;
    for (const [i, { value }] of this.#parameters.entries()) {
      const average = (this.#averages[i] as Tensor).data;
      if (updates === 0) average.set(value.data);
      else
        average.forEach((mean, j) => {
          average[j] = between(mean, value.data[j] as number, 1 - this.#decay);
        });
    }
    this.#updates.data[0] = updates + 1;
  }

  /**
   * Puts the averages in the weights' place.
   * @returns what puts the weights back
   */
  swapIn(): () => void {
    if (this.#updates.data[0] === 0) return () => {};
    const weights = this.#parameters.map(({ value }) => value.data.slice());
    for (const [i, { value }] of this.#parameters.entries()) value.data.set((this.#averages[i] as Tensor).data);
    return () => {
      for (const [i, { value }] of this.#parameters.entries()) value.data.set(weights[i] as Float64Array);
    };
  }

  state(): StateDict {
    return {
      updates: this.#updates,
      ...Object.fromEntries(this.#parameters.map(({ name }, i) => [`weights.${name}`, this.#averages[i] as Tensor])),
    };
  }

  load(state: StateDict): void {
    copyState(matchState('averaged', this.state(), state));
  }
}

/** torch.lerp, whose two branches keep both ends exact. */
function between(start: number, end: number, weight: number): number {
  return weight < 0.5 ? start + weight * (end - start) : end - (end - start) * (1 - weight);
}
