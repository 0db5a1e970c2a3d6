import { CosineAnnealingLR, LinearLR, OneCycleLR, type Schedule, SequentialLR, StepLR } from '../../lib/index';

/** A schedule of fixtures/training.json. */
export type ScheduleCase = { name: keyof typeof SCHEDULES; options: object } | { milestones: number[]; sequence: ScheduleCase[] };

const SCHEDULES = { StepLR, LinearLR, CosineAnnealingLR, OneCycleLR };

export function makeSchedule(given: ScheduleCase): Schedule {
  if ('sequence' in given) return new SequentialLR(given.sequence.map(makeSchedule), given.milestones);
  return new SCHEDULES[given.name](given.options as never);
}
