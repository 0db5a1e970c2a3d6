import { checkInteger, checkNumber, readOptions } from '../../check';
import { checkTime, type Schedule } from './schedule';

/** Options of {@link CosineAnnealingLR}. */
export interface CosineAnnealingLROptions {
  /** after how many steps the rate is at its least; it then rises again, in as many */
  tMax: number;
  /** η_min, that least rate, torch's eta_min; 0 unless given */
  minLearningRate?: number;
}

/**
 * η_min + (initial − η_min) · ½ (1 + cos(π step / tMax)), as torch.optim.lr_scheduler.CosineAnnealingLR (Loshchilov, Hutter 2016,
 * arXiv:1608.03983, without restarts).
 */
export class CosineAnnealingLR implements Schedule {
  readonly #tMax: number;
  readonly #min: number;

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range */
  constructor(options: CosineAnnealingLROptions) {
    const given = readOptions('CosineAnnealingLR options', options, ['tMax', 'minLearningRate'], { minLearningRate: 0 });
    this.#tMax = checkInteger('tMax', given.tMax, 1);
    this.#min = checkNumber('minLearningRate', given.minLearningRate, { min: 0 });
  }

  learningRate(step: number, initial: number): number {
    checkTime(step, initial);
    return this.#min + ((initial - this.#min) * (1 + Math.cos((Math.PI * step) / this.#tMax))) / 2;
  }
}
