import { checkNumber, readOptions, readSafely } from '../check';
import type { Parameter } from '../parameter';
import { copyState, matchState, type StateDict } from '../state-dict';
import { Tensor } from '../tensor';
import { type Clipper, type ClipResult, checkGradients, scaleGradients } from './clipper';

/** Options of {@link AutoClip}. */
export interface AutoClipOptions {
  /** which percentile of the norms is the threshold, from 0 to 100; 10 unless given */
  percentile?: number;
}

/**
 * AutoClip (Seetharaman, Wichern, Pardo, Le Roux 2020, arXiv:2007.14469): all gradients are scaled by min(1, η/‖g‖), with η the p-th
 * percentile of the norms of all steps so far, this one included, interpolated linearly. With p = 10 most steps are clipped. A step without
 * gradient, whose norm is 0, says nothing of how large gradients are and is not remembered: a percentile of zeros would scale all later
 * gradients to zero.
 *
 * Remembers 16 bytes per step.
 *
 * @example
 * const model = new GRU({ inputSize: 4, hiddenSize: 16 });
 * const clipper = new AutoClip({ percentile: 10 });
 * model.backward(model.forward(Tensor.randn([8, 30, 4])));
 * const { norm, threshold, clipped } = clipper.clip(model.parameters());
 */
export class AutoClip implements Clipper {
  readonly #percentile: number;
  /** The norms so far in ascending order, and as they came; then room for more. */
  #norms = new Float64Array(64);
  #arrived = new Float64Array(64);
  #count = 0;

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range */
  constructor(options: AutoClipOptions = {}) {
    const given = readOptions('AutoClip options', options, ['percentile'], { percentile: 10 });
    this.#percentile = checkNumber('percentile', given.percentile, { min: 0, max: 100 });
  }

  /**
   * Clips the gradients in place.
   * @throws EvenkeelError ERR_NON_FINITE naming the parameter; the gradients and what is remembered are then as they were
   */
  clip(parameters: readonly Parameter[]): ClipResult {
    const { list, norm } = checkGradients('AutoClip', parameters);
    if (norm > 0) this.#remember(norm);
    const threshold = this.#threshold();
    const clipped = norm > threshold;
    if (clipped) scaleGradients(list, threshold, norm);
    return { norm, threshold, clipped };
  }

  /** What forgets all norms that are still to come. */
  mark(): () => void {
    const count = this.#count;
    return () => {
      while (this.#count > count) this.#forgetLast();
    };
  }

  /** A copy of the norms seen, in ascending order: `history` [steps], float64. */
  stateDict(): StateDict {
    return { history: new Tensor(this.#norms.slice(0, this.#count), [this.#count]) };
  }

  /** @throws EvenkeelError ERR_STATE, ERR_SHAPE, ERR_DTYPE or ERR_OPTION for anything but what stateDict gives; nothing is changed then */
  loadStateDict(state: StateDict): void {
    const given = readSafely('state', () => (state as Partial<StateDict> | null | undefined)?.history);
    const own = Tensor.zeros([Tensor.isTensor(given) ? given.size : 0], { dtype: 'float64' });
    copyState(matchState('state', { history: own }, state));
    for (const [step, norm] of own.data.entries()) checkNumber(`state["history"], element ${step}`, norm, { min: 0 });
    // Zeros may be of a version that remembered them.
    this.#arrived = Float64Array.from(own.data).filter((norm) => norm > 0);
    this.#norms = this.#arrived.toSorted();
    this.#count = this.#norms.length;
  }

  #remember(norm: number): void {
    if (this.#count === this.#norms.length) {
      this.#norms = enlarged(this.#norms);
      this.#arrived = enlarged(this.#arrived);
    }
    const place = this.#placeAfter(norm);
    this.#norms.copyWithin(place + 1, place, this.#count);
    this.#norms[place] = norm;
    this.#arrived[this.#count++] = norm;
  }

  #forgetLast(): void {
    const place = this.#placeAfter(this.#arrived[this.#count - 1] as number) - 1;
    this.#norms.copyWithin(place, place + 1, this.#count);
    this.#count--;
  }

  /** How many norms are at most this one. */
  #placeAfter(norm: number): number {
    let place = this.#count;
    for (let low = 0; low < place; ) {
      const middle = (low + place) >>> 1;
      if ((this.#norms[middle] as number) > norm) place = middle;
      else low = middle + 1;
    }
    return place;
  }

  /** Infinite as long as there is nothing to compare with. */
  #threshold(): number {
    if (this.#count === 0) return Number.POSITIVE_INFINITY;
    const rank = (this.#percentile / 100) * (this.#count - 1);
    const below = this.#norms[Math.floor(rank)] as number;
    const above = this.#norms[Math.ceil(rank)] as number;
    return below + (rank - Math.floor(rank)) * (above - below);
  }
}

function enlarged(values: Float64Array) {
  const larger = new Float64Array(2 * values.length + 64);
  larger.set(values);
  return larger;
}
