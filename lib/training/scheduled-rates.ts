import { checkNumber } from '../check';
import type { Optimizer } from '../optimizers/optimizer';
import type { ReduceLROnPlateau } from '../optimizers/schedules/reduce-lr-on-plateau';
import type { Schedule } from '../optimizers/schedules/schedule';
import { copyState, matchState, type StateDict } from '../state-dict';
import { Tensor } from '../tensor';
import type { Part } from './part';

/** The learning rates that a schedule sets: the optimiser's, and those of groups that have their own. */
export class ScheduledRates implements Part {
  readonly #optimizer: Optimizer;
  readonly #schedule: Schedule | ReduceLROnPlateau | undefined;
  /** what they were before the first step */
  readonly #initial: Tensor;

  constructor(optimizer: Optimizer, schedule: Schedule | ReduceLROnPlateau | undefined) {
    this.#optimizer = optimizer;
    this.#schedule = schedule;
    const rates = optimizer.rateHolders.map(({ learningRate }) => learningRate);
    this.#initial = new Tensor(Float64Array.from(rates), [rates.length]);
  }

  /**
   * Sets the rates of a step.
   * @param time how many steps, or epochs, were before it
   * @throws EvenkeelError ERR_OPTION for a rate that is none
   */
  set(time: number): void {
    const schedule = this.#schedule;
    if (schedule === undefined || isPlateau(schedule)) return;
    for (const [i, holder] of this.#optimizer.rateHolders.entries()) {
      const rate = schedule.learningRate(time, this.#initial.data[i] as number);
      holder.learningRate = checkNumber(`schedule.learningRate(${time}, …)`, rate, { min: 0 });
    }
  }

  /** What a schedule watches that depends on how the training goes. */
  get monitor(): string | undefined {
    return isPlateau(this.#schedule) ? this.#schedule.monitor : undefined;
  }

  observe(value: number): void {
    if (!isPlateau(this.#schedule)) return;
    const holders = this.#optimizer.rateHolders;
    const rates = this.#schedule.observe(
      value,
      holders.map(({ learningRate }) => learningRate),
    );
    for (const [i, holder] of holders.entries()) holder.learningRate = rates[i] as number;
  }

  state(): StateDict {
    return { initial: this.#initial, ...(isPlateau(this.#schedule) && this.#schedule.stateDict()) };
  }

  load({ initial, ...rest }: StateDict): void {
    const pairs = matchState('schedule', { initial: this.#initial }, initial === undefined ? {} : { initial });
    const plateau = isPlateau(this.#schedule) ? this.#schedule : undefined;
    matchState('schedule', plateau?.stateDict() ?? {}, rest);
    plateau?.loadStateDict(rest);
    copyState(pairs);
  }
}

/** Whether a schedule is told how the training goes. */
export function isPlateau(schedule: unknown): schedule is ReduceLROnPlateau {
  return typeof (schedule as Partial<ReduceLROnPlateau> | null | undefined)?.observe === 'function';
}
