import { checkInteger, checkNumber, readOptions } from '../../check';
import { checkTime, type Schedule } from './schedule';

/** Options of {@link StepLR}. */
export interface StepLROptions {
  /** after how many steps the rate falls, again and again */
  stepSize: number;
  /** the factor by which; 0.1 unless given */
  gamma?: number;
}

/** initial · γ^⌊step / stepSize⌋, as torch.optim.lr_scheduler.StepLR. */
export class StepLR implements Schedule {
  readonly #stepSize: number;
  readonly #gamma: number;

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range */
  constructor(options: StepLROptions) {
    const given = readOptions('StepLR options', options, ['stepSize', 'gamma'], { gamma: 0.1 });
    this.#stepSize = checkInteger('stepSize', given.stepSize, 1);
    this.#gamma = checkNumber('gamma', given.gamma, { min: 0 });
  }

  learningRate(step: number, initial: number): number {
    checkTime(step, initial);
    return initial * this.#gamma ** Math.floor(step / this.#stepSize);
  }
}
