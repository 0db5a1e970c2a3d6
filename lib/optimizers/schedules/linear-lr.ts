import { checkInteger, checkNumber, readOptions } from '../../check';
import { checkTime, type Schedule } from './schedule';

/** Options of {@link LinearLR}. */
export interface LinearLROptions {
  /** what the first step's rate is of the initial one; 1/3 unless given */
  startFactor?: number;
  /** what it is after `totalIters` steps, and stays; 1 unless given */
  endFactor?: number;
  /** 5 unless given */
  totalIters?: number;
}

/** A factor that goes from one number to another in a straight line, then stays, as torch.optim.lr_scheduler.LinearLR: a warm-up, unless told otherwise. */
export class LinearLR implements Schedule {
  readonly #start: number;
  readonly #end: number;
  readonly #total: number;

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range */
  constructor(options: LinearLROptions = {}) {
    const given = readOptions('LinearLR options', options, ['startFactor', 'endFactor', 'totalIters'], {
      startFactor: 1 / 3,
      endFactor: 1,
      totalIters: 5,
    });
    this.#start = checkNumber('startFactor', given.startFactor, { above: 0, max: 1 });
    this.#end = checkNumber('endFactor', given.endFactor, { min: 0, max: 1 });
    this.#total = checkInteger('totalIters', given.totalIters, 1);
  }

  learningRate(step: number, initial: number): number {
    checkTime(step, initial);
    return initial * (this.#start + ((this.#end - this.#start) * Math.min(step, this.#total)) / this.#total);
  }
}
