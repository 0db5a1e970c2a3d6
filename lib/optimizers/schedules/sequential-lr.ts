import { checkInteger, fail, readSafely } from '../../check';
import { checkSchedule, checkTime, type Schedule } from './schedule';

/**
 * One schedule after another, as torch.optim.lr_scheduler.SequentialLR: such as a warm-up before an annealing. Each counts its steps from its
 * own first one.
 */
export class SequentialLR implements Schedule {
  readonly #schedules: readonly Schedule[];
  readonly #milestones: readonly number[];

  /**
   * @param schedules at least one
   * @param milestones the steps at which the second, third, … begins, in ascending order
   * @throws EvenkeelError ERR_OPTION
   */
  constructor(schedules: readonly Schedule[], milestones: readonly number[]) {
    this.#schedules = copyOf('schedules', schedules).map((schedule, i) => checkSchedule(`schedules[${i}]`, schedule));
    if (this.#schedules.length === 0) fail('ERR_OPTION', 'schedules', 'at least one schedule', schedules);
    let last = 0;
    this.#milestones = copyOf('milestones', milestones).map((milestone, i) => {
      last = checkInteger(`milestones[${i}]`, milestone, last + 1);
      return last;
    });
    if (this.#milestones.length !== this.#schedules.length - 1) {
      fail('ERR_OPTION', 'milestones', `one less than the ${this.#schedules.length} schedules`, `${this.#milestones.length} of them`);
    }
  }

  learningRate(step: number, initial: number): number {
    checkTime(step, initial);
    const passed = this.#milestones.filter((milestone) => milestone <= step);
    return (this.#schedules[passed.length] as Schedule).learningRate(step - (passed.at(-1) ?? 0), initial);
  }
}

/** More than any training has. */
const MOST = 10_000;

function copyOf(argument: string, list: unknown): unknown[] {
  const copy = readSafely(argument, () => (Array.isArray(list) && list.length <= MOST ? Array.from<unknown>(list) : undefined));
  if (copy === undefined) fail('ERR_OPTION', argument, 'an array', list);
  return copy;
}
