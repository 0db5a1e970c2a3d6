import { checkNumber, fail, readSafely } from '../../check';

/**
 * How the learning rate goes on with the steps of a training: a function of the step alone, which is asked anew before each step, so a schedule
 * has nothing to save. Anything with such a method is one: `{ learningRate: (step, initial) => initial * 0.99 ** step }`.
 */
export interface Schedule {
  /**
   * The learning rate of a step.
   * @param step how many were made before it: 0 for the first, as torch's `last_epoch`
   * @param initial the rate that the optimiser, or a group of its own rate, had before the first step
   */
  learningRate(step: number, initial: number): number;
}

/** Checks for what {@link Schedule.learningRate} is asked. @throws EvenkeelError ERR_OPTION */
export function checkTime(step: number, initial: number): void {
  checkNumber('step', step, { min: 0 });
  checkNumber('initial', initial, { min: 0 });
}

/** Whether `value` is a schedule: anything with a method `learningRate`. */
export function isSchedule(value: unknown): value is Schedule {
  return readSafely('schedule', () => typeof (value as Partial<Schedule> | null | undefined)?.learningRate === 'function');
}

/** Checks for a {@link Schedule}. */
export function checkSchedule(argument: string, value: unknown): Schedule {
  if (!isSchedule(value)) fail('ERR_OPTION', argument, 'a schedule, such as new StepLR({ stepSize: 30 })', value);
  return value;
}
