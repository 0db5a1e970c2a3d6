// Learning rates, step by step, beside PyTorch's.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau, SequentialLR, StepLR, Tensor } from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';
import { Goldens, numbered } from '../helpers/fixtures';
import { makeSchedule, type ScheduleCase } from '../helpers/schedules';

const CASES: { steps: number; learningRates: number[]; schedules: ScheduleCase[]; plateaus: object[] } = JSON.parse(
  readFileSync(join(__dirname, '../fixtures/training.json'), 'utf8'),
);
const goldens = new Goldens('training');
const within = 1e-12;

test.each(numbered(CASES.schedules))('%s', (_, index, given) => {
  const schedule = makeSchedule(given);
  const rates = Array.from({ length: CASES.steps }, (_, step) =>
    CASES.learningRates.map((initial) => schedule.learningRate(step, initial)),
  );
  goldens.expect(`schedule/${index}`, Tensor.from(rates, { dtype: 'float64' }), { within });
});

test.each(numbered(CASES.plateaus))('ReduceLROnPlateau %s, also when it goes on from a state', (_, index, options) => {
  let schedule = new ReduceLROnPlateau(options);
  let rates = [...CASES.learningRates];
  const history = [...goldens.get(`plateau/${index}/values`).data].map((value) => {
    rates = schedule.observe(value, rates);
    const state = schedule.stateDict();
    schedule = new ReduceLROnPlateau(options);
    schedule.loadStateDict(state);
    return rates;
  });
  goldens.expect(`plateau/${index}`, Tensor.from(history, { dtype: 'float64' }), { within });
});

test('a group without another rate follows the optimiser: OneCycleLR goes up to it unless told otherwise', () => {
  const schedule = new OneCycleLR({ totalSteps: 11, pctStart: 0.5, annealStrategy: 'linear' });
  expectClose(
    [0, 4.5, 10, 11, 1000].map((step) => schedule.learningRate(step, 2)),
    [2 / 25, 2, 2 / 25e4, 2 / 25e4, 2 / 25e4],
    { within },
  );
});

test.each([
  [1, 0.3],
  [2, 0.5],
  [3, 1 / 3],
  [10, 0],
  [10, 1],
])('OneCycleLR of %d steps that rises for %d of them is finite', (totalSteps, pctStart) => {
  for (const threePhase of [false, true]) {
    const schedule = new OneCycleLR({ totalSteps, pctStart, threePhase, maxLearningRate: 1 });
    for (let step = 0; step < 12; step++) expect(schedule.learningRate(step, 1)).toBeLessThanOrEqual(1);
  }
});

test('a NaN is no better, and a first value always is', () => {
  const schedule = new ReduceLROnPlateau({ patience: 0, threshold: 1 });
  expect(schedule.observe(-5, 1)).toBe(1);
  expect(schedule.observe(Number.NaN, 1)).toBeCloseTo(0.1, 15);
});

test('what they are given is checked', () => {
  expectRefused(() => new StepLR({ stepSize: 0 }), 'ERR_OPTION', 'stepSize: expected an integer of at least 1, got 0');
  expectRefused(() => new CosineAnnealingLR({ T_max: 3 } as never), 'ERR_OPTION', 'Did you mean "tMax"?');
  expectRefused(
    () => new SequentialLR([new StepLR({ stepSize: 1 }), new StepLR({ stepSize: 1 })], []),
    'ERR_OPTION',
    'milestones: expected one less than the 2 schedules',
  );
  expectRefused(
    () => new SequentialLR([new ReduceLROnPlateau() as never], []),
    'ERR_OPTION',
    'schedules[0]: expected a schedule, such as new StepLR',
  );
  const state = { ...new ReduceLROnPlateau().stateDict(), cooldown: Tensor.from(-1, { dtype: 'float64' }) };
  expectRefused(() => new ReduceLROnPlateau().loadStateDict(state), 'ERR_OPTION', 'got -1');
});
