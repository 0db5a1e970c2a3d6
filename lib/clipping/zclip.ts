import { checkInteger, checkNumber, readOptions } from '../check';
import type { Parameter } from '../parameter';
import { copyState, matchState, type StateDict, scalar } from '../state-dict';
import type { Tensor } from '../tensor';
import { type Clipper, type ClipResult, checkGradients, scaleGradients } from './clipper';

/** Options of {@link ZClip}. */
export interface ZClipOptions {
  /** α, how much of the mean and variance stays in each step, from 0 to below 1; 0.97 unless given */
  alpha?: number;
  /** the z-score above which a norm is a spike, above 0; 2.5 unless given */
  zThreshold?: number;
  /** steps that are only watched, at least 1; 25 unless given */
  warmupSteps?: number;
}

/**
 * ZClip (Kumar, Owen, Chowdhury, Güra 2025, arXiv:2504.02507): a norm g whose z-score z = (g − μ)/σ is above the threshold z* is a spike, and
 * all gradients are scaled to the norm μ + σ·z*²/z, the smaller the larger the spike is. Then, with g' the norm after clipping,
 * μ ← α·μ + (1 − α)·g' and σ² ← α·σ² + (1 − α)·(g' − μ)². The first steps are not clipped: their mean and (population) variance are what
 * μ and σ² start from. A step without gradient, whose norm is 0, says nothing of how large gradients are and is passed over: μ = σ = 0 would
 * scale all later gradients to zero.
 *
 * The threshold is reported as μ + z*·σ, infinite in the first steps.
 */
export class ZClip implements Clipper {
  readonly #alpha: number;
  readonly #zThreshold: number;
  readonly #warmupSteps: number;
  #steps = 0;
  #mean = 0;
  #variance = 0;

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range */
  constructor(options: ZClipOptions = {}) {
    const defaults = { alpha: 0.97, zThreshold: 2.5, warmupSteps: 25 };
    const given = readOptions('ZClip options', options, ['alpha', 'zThreshold', 'warmupSteps'], defaults);
    this.#alpha = checkNumber('alpha', given.alpha, { min: 0, below: 1 });
    this.#zThreshold = checkNumber('zThreshold', given.zThreshold, { above: 0 });
    this.#warmupSteps = checkInteger('warmupSteps', given.warmupSteps, 1);
  }

  /**
   * Clips the gradients in place.
   * @throws EvenkeelError ERR_NON_FINITE naming the parameter; the gradients and what is remembered are then as they were
   */
  clip(parameters: readonly Parameter[]): ClipResult {
    const { list, norm } = checkGradients('ZClip', parameters);
    if (this.#steps < this.#warmupSteps) {
      if (norm > 0) this.#watch(norm);
      return { norm, threshold: Number.POSITIVE_INFINITY, clipped: false };
    }
    const margin = this.#zThreshold * Math.sqrt(this.#variance);
    const threshold = this.#mean + margin;
    if (norm === 0) return { norm, threshold, clipped: false };
    const clipped = norm > threshold;
    // σ·z*²/z without a division by σ, which may be 0.
    const after = clipped ? this.#mean + margin * (margin / (norm - this.#mean)) : norm;
    if (clipped) scaleGradients(list, after, norm);
    this.#steps++;
    this.#mean = this.#alpha * this.#mean + (1 - this.#alpha) * after;
    this.#variance = this.#alpha * this.#variance + (1 - this.#alpha) * (after - this.#mean) ** 2;
    return { norm, threshold, clipped };
  }

  /** The mean and the population variance of all norms so far (Welford 1962). */
  #watch(norm: number): void {
    this.#steps++;
    const difference = norm - this.#mean;
    this.#mean += difference / this.#steps;
    this.#variance += (difference * (norm - this.#mean) - this.#variance) / this.#steps;
  }

  /** Copies of three scalars, float64: `steps` seen, and `mean` and `variance` of the norm. */
  stateDict(): StateDict {
    return { steps: scalar(this.#steps), mean: scalar(this.#mean), variance: scalar(this.#variance) };
  }

  /** @throws EvenkeelError ERR_STATE, ERR_SHAPE, ERR_DTYPE or ERR_OPTION for anything but what stateDict gives; nothing is changed then */
  loadStateDict(state: StateDict): void {
    const { steps, mean, variance } = this.stateDict() as Record<'steps' | 'mean' | 'variance', Tensor>;
    copyState(matchState('state', { steps, mean, variance }, state));
    const checked = [
      checkInteger('state["steps"]', steps.data[0], 0),
      checkNumber('state["mean"]', mean.data[0], { min: 0 }),
      checkNumber('state["variance"]', variance.data[0], { min: 0 }),
    ] as const;
    // A mean of 0 is of a version that counted steps without gradient: it has seen nothing yet.
    [this.#steps, this.#mean, this.#variance] = checked[1] === 0 ? [0, 0, 0] : checked;
  }
}
