import { checkInteger, checkNumber, checkOneOf, checkString, fail, readOptions, readSafely } from '../../check';
import { EvenkeelError } from '../../errors';
import { copyState, matchState, type StateDict, scalar } from '../../state-dict';
import type { Tensor } from '../../tensor';

/** Options of {@link ReduceLROnPlateau}. */
export interface ReduceLROnPlateauOptions {
  /** what is to get better, by its name in an epoch's record; `'validation.loss'` unless given */
  monitor?: string;
  /** whether small or large is good; `'min'` unless given */
  mode?: 'min' | 'max';
  /** what the rate is multiplied with; 0.1 unless given */
  factor?: number;
  /** how many values in a row may be no better before it is; 10 unless given */
  patience?: number;
  /** by how much a value must be better to count; 1e-4 unless given */
  threshold?: number;
  /** whether that is a part of the best value or a difference; `'rel'` unless given */
  thresholdMode?: 'rel' | 'abs';
  /** how many values after a reduction do not count as bad; 0 unless given */
  cooldown?: number;
  /** no rate falls below; 0 unless given */
  minLearningRate?: number;
  /** a reduction by less is left out; 1e-8 unless given */
  eps?: number;
}

/**
 * Reduces the learning rate when a measure no longer gets better, as torch.optim.lr_scheduler.ReduceLROnPlateau. The only schedule that is no
 * function of the step: it remembers the best value, and has a state to save. A NaN is no better than anything.
 */
export class ReduceLROnPlateau {
  readonly monitor: string;
  readonly #isBetter: (value: number, best: number) => boolean;
  readonly #settings: { factor: number; patience: number; cooldown: number; min: number; eps: number };
  readonly #state: { best: Tensor; bad_values: Tensor; cooldown: Tensor };

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range */
  constructor(options: ReduceLROnPlateauOptions = {}) {
    const given = readOptions('ReduceLROnPlateau options', options, Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[], DEFAULTS);
    this.monitor = checkString('monitor', given.monitor);
    const mode = checkOneOf('mode', given.mode, ['min', 'max']);
    const isRelative = checkOneOf('thresholdMode', given.thresholdMode, ['rel', 'abs']) === 'rel';
    const threshold = checkNumber('threshold', given.threshold, { min: 0 }) * (mode === 'min' ? -1 : 1);
    // PyTorch's bar: for a negative best value the relative one lies on the other side of it.
    const bar = (best: number) => (isRelative && Number.isFinite(best) ? best * (1 + threshold) : best + threshold);
    this.#isBetter = mode === 'min' ? (value, best) => value < bar(best) : (value, best) => value > bar(best);
    this.#settings = {
      factor: checkNumber('factor', given.factor, { min: 0, below: 1 }),
      patience: checkInteger('patience', given.patience, 0),
      cooldown: checkInteger('cooldown', given.cooldown, 0),
      min: checkNumber('minLearningRate', given.minLearningRate, { min: 0 }),
      eps: checkNumber('eps', given.eps, { min: 0 }),
    };
    this.#state = { best: scalar(mode === 'min' ? Infinity : -Infinity), bad_values: scalar(0), cooldown: scalar(0) };
  }

  /**
   * Takes note of a value.
   * @returns what the learning rate is to be after it
   */
  observe(value: number, learningRate: number): number;
  /** The same for several rates, as an optimiser with groups has them. */
  observe(value: number, learningRates: readonly number[]): number[];
  observe(value: number, rates: number | readonly number[]): number | number[] {
    if (typeof value !== 'number') fail('ERR_OPTION', 'value', 'a number', value);
    // An array may claim any length: no optimiser has so many groups.
    const copy = () => (Array.isArray(rates) && rates.length <= 1e6 ? Array.from<unknown>(rates) : undefined);
    const list = typeof rates === 'number' ? [rates] : readSafely('learningRates', copy);
    if (list === undefined) fail('ERR_OPTION', 'learningRate', 'a number, or an array of them', rates);
    const checked = list.map((rate, i) => checkNumber(`learningRates[${i}]`, rate, { min: 0 }));
    const isReduced = this.#note(value);
    const { factor, min, eps } = this.#settings;
    const reduce = (rate: number) => {
      const reduced = Math.max(rate * factor, min);
      return isReduced && rate - reduced > eps ? reduced : rate;
    };
    return typeof rates === 'number' ? reduce(rates) : checked.map(reduce);
  }

  /** @returns whether it is time to reduce */
  #note(value: number): boolean {
    const { best, bad_values: bad, cooldown } = this.#state;
    if (this.#isBetter(value, best.data[0] as number)) {
      best.data[0] = value;
      bad.data[0] = 0;
    } else bad.data[0] = (bad.data[0] as number) + 1;
    if ((cooldown.data[0] as number) > 0) {
      cooldown.data[0] = (cooldown.data[0] as number) - 1;
      bad.data[0] = 0;
    }
    if ((bad.data[0] as number) <= this.#settings.patience) return false;
    cooldown.data[0] = this.#settings.cooldown;
    bad.data[0] = 0;
    return true;
  }

  /** What it remembers: the best value, the values since that were no better, and how many more do not count; copies. */
  stateDict(): StateDict {
    return Object.fromEntries(Object.entries(this.#state).map(([name, { data }]) => [name, scalar(data[0] as number)]));
  }

  /** @throws EvenkeelError ERR_STATE, ERR_SHAPE, ERR_DTYPE or ERR_OPTION for anything but what stateDict gives; nothing is changed then */
  loadStateDict(state: StateDict): void {
    const pairs = matchState('state', this.#state, state);
    for (const [own, { data }] of pairs) {
      const value = data[0] as number;
      if (own === this.#state.best ? !Number.isNaN(value) : Number.isSafeInteger(value) && value >= 0) continue;
      throw new EvenkeelError('ERR_OPTION', `state: expected a best value and two counts, got ${value} among them.`);
    }
    copyState(pairs);
  }
}

const DEFAULTS = {
  monitor: 'validation.loss',
  mode: 'min',
  factor: 0.1,
  patience: 10,
  threshold: 1e-4,
  thresholdMode: 'rel',
  cooldown: 0,
  minLearningRate: 0,
  eps: 1e-8,
};
