import { checkFunction, checkInteger, checkNumber, checkOneOf, fail, isPlainObject, readOptions, readSafely } from '../check';
import type { Clipper } from '../clipping/clipper';
import { EvenkeelError } from '../errors';
import { checkDestination } from '../io/atomic-file';
import { checkPath } from '../io/file';
import { checkLayer, type Layer } from '../layers/layer';
import type { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import type { LossOptions } from '../losses/loss';
import type { Metric } from '../metrics/metric';
import { checkOptimizer, type Optimizer } from '../optimizers/optimizer';
import type { ReduceLROnPlateau } from '../optimizers/schedules/reduce-lr-on-plateau';
import { checkSchedule, type Schedule } from '../optimizers/schedules/schedule';
import { checkParameters, type Parameter } from '../parameter';
import { checkOptionalGenerator, type Generator } from '../random';
import { findRecurrentLayers, recurrentLayers } from '../stability/recurrent-layers';
import type { Tensor } from '../tensor';
import { type ClipRule, isClipper, makeClipRule } from './clip-rule';
import type { EarlyStoppingSettings } from './early-stopping';
import { checkEarlyStopping, checkMonitor } from './monitor';
import type { Batches, StepRecord } from './options';
import { checkProgress, type ProgressStream } from './progress-lines';
import type { EpochRecord } from './records';
import { isPlateau } from './scheduled-rates';
import { emitWarning, type TrainingWarning } from './state-watch';

/** What fit works with, checked. */
export interface Run {
  model: Layer;
  batches: Batches<unknown>;
  /** those that are trained, which are the optimiser's, under the model's names */
  parameters: readonly Parameter[];
  /** the model's others, whose gradients the optimiser does not clear */
  frozen: readonly Parameter[];
  optimizer: Optimizer;
  loss: (output: Tensor, target: unknown, options?: LossOptions) => unknown;
  clip: ClipRule;
  /** the rule's memory, if it has one, for checkpoints */
  clipper: Clipper | undefined;
  epochs: number;
  accumulate: number;
  schedule: { schedule: Schedule | ReduceLROnPlateau; each: 'step' | 'epoch' } | undefined;
  validation: { batches: Batches<unknown>; every: number } | undefined;
  metrics: readonly (readonly [name: string, metric: Metric<unknown>])[];
  earlyStopping: EarlyStoppingSettings | undefined;
  averaging: { decay: number } | undefined;
  onStep: ((record: StepRecord) => unknown) | undefined;
  onEpoch: ((record: EpochRecord) => unknown) | undefined;
  onWarning: (warning: TrainingWarning) => void;
  /** all of the model's, by name */
  recurrentLayers: ReadonlyMap<string, RecurrentLayer<unknown>>;
  progress: ProgressStream | undefined;
  /** where it is written */
  page: string | undefined;
  signal: AbortSignal | undefined;
  generator: Generator | undefined;
  checkpoint: { path: string; every: number; keep: number } | undefined;
  /** where to go on from */
  resume: { path: string; isNeeded: boolean } | undefined;
  /** the model's recurrent layers, where their gradient flow is recorded */
  gradientFlow: { every: number; layers: ReadonlyMap<string, RecurrentLayer<unknown>> } | undefined;
  nonFinite: 'throw' | 'skip';
}

const OPTIONS = [
  'loss',
  'optimizer',
  'clip',
  'epochs',
  'accumulate',
  'schedule',
  'validation',
  'metrics',
  'earlyStopping',
  'averaging',
  'onStep',
  'onEpoch',
  'onWarning',
  'progress',
  'page',
  'signal',
  'generator',
  'checkpoint',
  'resume',
  'gradientFlow',
  'nonFinite',
] as const;

/** Checks everything that fit is given. */
export function checkRun(model: unknown, batches: unknown, options: unknown): Run {
  const given = readOptions('fit options', options, OPTIONS, { epochs: 1, accumulate: 1, nonFinite: 'throw' });
  const layer = checkLayer('model', model);
  const optimizer = checkOptimizer('optimizer', given.optimizer);
  const { trained, frozen } = splitParameters(layer, optimizer);
  checkFunction('loss', given.loss);
  for (const name of ['onStep', 'onEpoch', 'onWarning'] as const) if (given[name] !== undefined) checkFunction(name, given[name]);
  const epochs = checkInteger('epochs', given.epochs, 1);
  const validation = checkValidation(given.validation);
  const metrics = checkMetrics(given.metrics, validation !== undefined);
  const monitored = { hasValidation: validation !== undefined, metrics };
  const schedule = checkRunSchedule(given.schedule);
  if (isPlateau(schedule?.schedule)) checkMonitor('schedule.monitor', schedule.schedule.monitor, monitored);
  return {
    model: layer,
    batches: checkBatches('batches', batches, epochs),
    parameters: trained,
    frozen,
    optimizer,
    loss: given.loss as Run['loss'],
    clip: makeClipRule(given.clip),
    clipper: isClipper(given.clip) ? given.clip : undefined,
    epochs,
    accumulate: checkInteger('accumulate', given.accumulate, 1),
    schedule,
    validation,
    metrics,
    earlyStopping: checkEarlyStopping(given.earlyStopping, monitored),
    averaging: checkAveraging(given.averaging),
    onStep: given.onStep as Run['onStep'],
    onEpoch: given.onEpoch as Run['onEpoch'],
    onWarning: (given.onWarning ?? emitWarning) as Run['onWarning'],
    recurrentLayers: readSafely('model', () => findRecurrentLayers(layer)),
    progress: checkProgress(given.progress),
    signal: checkSignal(given.signal),
    generator: checkOptionalGenerator('generator', given.generator),
    gradientFlow: checkGradientFlow(given.gradientFlow, layer),
    nonFinite: checkOneOf('nonFinite', given.nonFinite, ['throw', 'skip']),
    resume: checkResume(given.resume, given.checkpoint),
    // The last, since they try the disk.
    page: given.page === undefined ? undefined : checkDestination('page', given.page),
    checkpoint: checkCheckpoint(given.checkpoint),
  };
}

/** Those of the optimiser's parameters that are the model's go by its names, which tell layers apart. */
function splitParameters(model: Layer, optimizer: Optimizer): { trained: Parameter[]; frozen: Parameter[] } {
  const all = checkParameters(
    'model.parameters()',
    readSafely('model.parameters()', () => model.parameters()),
  );
  checkNames(all);
  const optimized = new Set(optimizer.parameters().map(({ value }) => value));
  const trained = all.filter(({ value }) => optimized.has(value));
  if (trained.length === 0) {
    throw new EvenkeelError(
      'ERR_OPTION',
      'optimizer: expected one over parameters of the model, got one that has none of them. Make it with model.parameters().',
    );
  }
  const own = new Set(all.map(({ value }) => value));
  trained.push(...optimizer.parameters().filter(({ value }) => !own.has(value)));
  checkNames(trained);
  return { trained, frozen: all.filter(({ value }) => !optimized.has(value)) };
}

function checkNames(parameters: readonly Parameter[]): void {
  const seen = new Set<string>();
  for (const { name } of parameters) {
    if (seen.has(name)) fail('ERR_OPTION', 'model.parameters()', 'names that differ', name, 'A Sequential makes them so.');
    seen.add(name);
  }
}

/** @param times how often they are gone through */
export function checkBatches(argument: string, batches: unknown, times: number): Batches<unknown> {
  const kind = readSafely(argument, () => {
    if (typeof batches !== 'object' || batches === null) return 'other';
    const { [Symbol.iterator]: sync, [Symbol.asyncIterator]: async, next } = batches as Record<symbol | 'next', unknown>;
    if (typeof sync !== 'function' && typeof async !== 'function') return 'other';
    return typeof next === 'function' ? 'iterator' : 'iterable';
  });
  if (kind === 'other') fail('ERR_OPTION', argument, 'an iterable or async iterable of { input, target, lengths? }', batches);
  if (kind === 'iterator' && times > 1) {
    throw new EvenkeelError(
      'ERR_OPTION',
      `${argument}: expected something that can be gone through ${Number.isFinite(times) ? `${times} times, once per epoch` : 'again and again'}, got an ` +
        'iterator, which can be gone through once. Give an array, or an object whose iterator starts afresh, such as { *[Symbol.iterator]() { … } }.',
    );
  }
  return batches as Batches<unknown>;
}

function checkValidation(value: unknown): Run['validation'] {
  if (value === undefined) return undefined;
  const { batches, every } = readOptions('validation', value, ['batches', 'every'], { every: 1 });
  return { batches: checkBatches('validation.batches', batches, Infinity), every: checkInteger('validation.every', every, 1) };
}

function checkMetrics(value: unknown, hasValidation: boolean): Run['metrics'] {
  if (value === undefined) return [];
  const entries = readSafely('metrics', () => (isPlainObject(value) ? Object.entries(value) : undefined));
  if (entries === undefined) fail('ERR_OPTION', 'metrics', 'functions by name, such as { mae }', value);
  if (!hasValidation) fail('ERR_OPTION', 'metrics', 'a validation to measure them in', 'none', 'Give validation: { batches }.');
  return entries.map(([name, metric]) => {
    if (name === 'loss') fail('ERR_OPTION', 'metrics', 'names but "loss", which is that of the loss', name);
    checkFunction(`metrics.${name}`, metric);
    return [name, metric as Metric<unknown>] as const;
  });
}

function checkRunSchedule(value: unknown): Run['schedule'] {
  if (value === undefined) return undefined;
  const isPlain = readSafely('schedule', () => isPlateau(value) || !isPlainObject(value) || !Object.hasOwn(value, 'schedule'));
  if (isPlain) return { schedule: isPlateau(value) ? value : checkSchedule('schedule', value), each: 'step' };
  const { schedule, each } = readOptions('schedule', value, ['schedule', 'each'], { each: 'step' });
  return { schedule: checkSchedule('schedule.schedule', schedule), each: checkOneOf('schedule.each', each, ['step', 'epoch']) };
}

function checkAveraging(value: unknown): Run['averaging'] {
  if (value === undefined) return undefined;
  const { decay } = readOptions('averaging', value, ['decay']);
  return { decay: checkNumber('averaging.decay', decay, { min: 0, below: 1 }) };
}

export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  // By what it does: signals come from other realms and from polyfills too.
  const works = readSafely('signal', () => {
    const { throwIfAborted, addEventListener, removeEventListener } = (signal ?? {}) as Partial<AbortSignal>;
    return [throwIfAborted, addEventListener, removeEventListener].every((method) => typeof method === 'function');
  });
  if (!works) fail('ERR_OPTION', 'signal', 'an AbortSignal', signal);
  return signal as AbortSignal;
}

const CHECKPOINT_OPTIONS = ['path', 'every', 'keep'] as const;

function checkCheckpoint(value: unknown): Run['checkpoint'] {
  if (value === undefined) return undefined;
  const { path, every, keep } = readOptions('checkpoint', value, CHECKPOINT_OPTIONS, { keep: 1 });
  return {
    every: every === undefined ? Number.POSITIVE_INFINITY : checkInteger('checkpoint.every', every, 1),
    keep: checkInteger('checkpoint.keep', keep, 1, 1000),
    path: checkDestination('checkpoint.path', path),
  };
}

function checkResume(value: unknown, checkpoint: unknown): Run['resume'] {
  if (value === undefined || value === false) return undefined;
  if (value !== true) return { path: checkPath('resume', value), isNeeded: true };
  if (checkpoint === undefined) fail('ERR_OPTION', 'resume', 'a path, or true with the option checkpoint', value);
  return { path: checkPath('checkpoint.path', readOptions('checkpoint', checkpoint, CHECKPOINT_OPTIONS).path), isNeeded: false };
}

function checkGradientFlow(value: unknown, model: Layer): Run['gradientFlow'] {
  if (value === undefined) return undefined;
  const { every } = readOptions('gradientFlow', value, ['every']);
  return { every: checkInteger('gradientFlow.every', every, 1), layers: recurrentLayers('model', model) };
}
