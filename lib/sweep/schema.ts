/** What a store or a queue may hold. Whoever can write to either can put anything into it: nothing else is stored, shown or run. */
import { MISSING_WAYS } from '../data/missing';
import {
  above0,
  atLeast0,
  type Check,
  either,
  finite,
  hex,
  integer,
  listOf,
  type Members,
  object,
  optional,
  orNull,
  text,
  word,
} from '../io/shape';
import { CLIP_RULES, DTYPES, INITIALIZERS, KINDS, limits, NONLINEARITIES, PLACEMENTS } from './definition';
import type { Outcome, TrialLimits } from './executors/executor';
import { countTrials, type Grid, MAX_TRIALS } from './grid';
import type { CpuKind, Measures } from './measures';
import { TASKS } from './tasks';
import { CELLS, type Trial, type TrialStart } from './trial';

/** A list as a definition may have it. */
const axis = (check: Check) => listOf(check, 1, limits.listLength);
/** Of several lists, each combination one value. */
const joined = (check: Check) => listOf(check, 1, MAX_TRIALS);
/** Of paths, names of columns and whatever else people call things. */
const name = text(10_000);
const size = integer(1, limits.size);

const task = either(
  object({ name: word(...TASKS) }),
  object({
    name: word('csv'),
    file: name,
    sha256: hex(64),
    columns: optional(axis(name)),
    target: optional(name),
    decimal: optional(word('.', ',')),
    delimiter: optional(text(1)),
    missing: optional(word(...MISSING_WAYS)),
  }),
);
const clip = either(
  object({ rule: word(...CLIP_RULES) }),
  object({ rule: word('norm'), maxNorm: above0 }),
  object({ rule: word('value'), clipValue: above0 }),
  object({ rule: word('state'), stateGradientLimit: above0 }),
);

const shape: Members<Grid['shapes'][number]> = { task, batchSize: size, inputSize: integer(1), hiddenSize: size };
const recurrence: Members<Grid['recurrences'][number]> = { cell: word(...CELLS), nonlinearity: optional(word(...NONLINEARITIES)) };
const normalization: Members<Grid['normalizations'][number]> = { placement: word(...PLACEMENTS), kind: optional(word(...KINDS)) };
const start: Members<TrialStart> = {
  initializer: word(...INITIALIZERS),
  gain: above0,
  inputInitializer: optional(word(...INITIALIZERS)),
  inputGain: optional(above0),
};
const length = integer(1, limits.length);
const seed = integer(0);
const training = { steps: integer(0, limits.steps), learningRate: above0, dtype: word(...DTYPES) };

const grid: Members<Grid> = {
  lengths: axis(length),
  shapes: joined(object(shape)),
  recurrences: joined(object(recurrence)),
  normalizations: joined(object(normalization)),
  initializers: joined(object(start)),
  clips: axis(clip),
  seeds: axis(seed),
  ...training,
};
const trial: Members<Trial> = { ...shape, length, ...recurrence, ...normalization, ...start, clip, seed, ...training };

const measures: Members<Measures> = {
  growthRate: orNull(finite),
  growthRateError: orNull(finite),
  verdict: orNull(word('exploding', 'stable', 'vanishing')),
  horizon: orNull(finite),
  lyapunovLeader: orNull(finite),
  gradNormFirst: orNull(finite),
  gradNormMax: orNull(finite),
  gradNormLast: orNull(finite),
  lossFirst: orNull(finite),
  lossLast: orNull(finite),
  lossMin: orNull(finite),
  clippedSteps: integer(0),
  divergedAt: orNull(integer(1)),
  largestState: orNull(atLeast0),
  statesGrewAt: orNull(integer(1)),
};
const cost = { seconds: atLeast0, stepsPerSecond: orNull(atLeast0), peakMemoryBytes: atLeast0 };
const cpuKind: Members<CpuKind> = { cpu: name, simdTarget: name, blas: name };
const attempts = integer(0);
const done = { status: word('done'), measures: object(measures), cost: object(cost), cpuKind: object(cpuKind), attempts };
const failed = { status: word('failed'), reason: name, attempts };
const record = { hash: hex(64), trial: object(trial), finished: text(100) };
const limitsOfTrial: Members<TrialLimits> = { timeoutSeconds: optional(above0), retries: optional(integer(0, 1000)) };

export const isName = name as (value: unknown) => value is string;
/** As randomUUID gives it: it becomes a part of names in a queue. */
export function isSweepId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f-]{36}$/.test(value);
}
export const isTrial = object(trial) as (value: unknown) => value is Trial;
export const isOutcome = either(object(done), object(failed)) as (value: unknown) => value is Outcome;
export const isTrialLimits = object(limitsOfTrial) as (value: unknown) => value is TrialLimits;
/** One line of a store. */
export const isStoredRecord = either(object({ ...record, ...done }), object({ ...record, ...failed }));

/** Whether something from a file has the form of a grid, of so many trials at most. */
export function isGrid(value: unknown): value is Grid {
  return object(grid)(value) && countTrials(value as Grid) <= MAX_TRIALS;
}
