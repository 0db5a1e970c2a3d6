import { checkFunction, checkInteger, checkOneOf, checkString, fail, readOptions, readSafely } from '../check';
import type { Clipper } from '../clipping/clipper';
import { EvenkeelError } from '../errors';
import { checkLayer, type Layer } from '../layers/layer';
import type { RNN } from '../layers/rnn';
import type { LossResult } from '../losses/loss';
import { checkOptimizer, type Optimizer } from '../optimizers/optimizer';
import { checkParameters, type Parameter } from '../parameter';
import { recurrentLayers } from '../stability/recurrent-layers';
import type { Tensor } from '../tensor';
import { type Clip, type ClipRule, isClipper, makeClipRule } from './clip-rule';

/** What one training step is made from. */
export interface Batch<Target = Tensor> {
  input: Tensor;
  /** whatever the loss takes */
  target: Target;
}

/** Batches to go through once per epoch. */
export type Batches<Target = Tensor> = Iterable<Batch<Target>> | AsyncIterable<Batch<Target>>;

/** What `onStep` is told after each step. */
export interface StepRecord {
  /** from 1 */
  step: number;
  /** from 1 */
  epoch: number;
  loss: number;
  /** the 2-norm of all gradients before clipping; NaN where the loss was not finite */
  gradNorm: number;
  /** the 2-norm of each parameter's gradient before clipping, by name */
  gradNorms: Record<string, number>;
  /** the norm, or with `clipValue` the magnitude, above which clipping acted; infinite without clipping, NaN in a skipped step */
  clipThreshold: number;
  /** whether clipping changed the gradients */
  clipped: boolean;
  /** whether the step was skipped because its loss or gradients were not finite */
  skipped: boolean;
}

/** Options of fit. */
export interface FitOptions<Target = Tensor> {
  /** such as mseLoss or crossEntropyLoss */
  loss: (output: Tensor, target: Target) => LossResult;
  /** over some or all of the model's parameters */
  optimizer: Optimizer;
  /** no clipping unless given */
  clip?: Clip;
  /** 1 unless given; more need batches that can be gone through more than once */
  epochs?: number;
  /** called after each step; what it returns is awaited */
  onStep?: (record: StepRecord) => void | Promise<void>;
  /** looked at before each step */
  signal?: AbortSignal;
  /** where saveCheckpoint writes after every so many steps, and after the last one */
  checkpoint?: { path: string; every?: number };
  /** records how the gradient flows back through time in every so many steps, from the first on: see {@link History} and {@link gradientFlow} */
  gradientFlow?: { every: number };
  /** what to do with a loss or gradient that is not finite: `'throw'` unless given */
  nonFinite?: 'throw' | 'skip';
}

/** What fit works with, checked. */
export interface Run {
  model: Layer;
  parameters: readonly Parameter[];
  /** the model's parameters that the optimiser does not know, and so does not clear */
  notOptimized: readonly Parameter[];
  optimizer: Optimizer;
  loss: (output: Tensor, target: unknown) => unknown;
  clip: ClipRule;
  /** the rule's memory, if it has one, for checkpoints */
  clipper: Clipper | undefined;
  epochs: number;
  onStep: ((record: StepRecord) => unknown) | undefined;
  signal: AbortSignal | undefined;
  checkpoint: { path: string; every: number } | undefined;
  /** the model's recurrent layers, where their gradient flow is recorded */
  gradientFlow: { every: number; layers: ReadonlyMap<string, RNN> } | undefined;
  nonFinite: 'throw' | 'skip';
}

const OPTIONS = ['loss', 'optimizer', 'clip', 'epochs', 'onStep', 'signal', 'checkpoint', 'gradientFlow', 'nonFinite'] as const;

/** Checks everything that fit is given. */
export function checkRun(model: unknown, batches: unknown, options: unknown): Run {
  const given = readOptions('fit options', options, OPTIONS, { epochs: 1, nonFinite: 'throw' });
  const layer = checkLayer('model', model);
  const optimizer = checkOptimizer('optimizer', given.optimizer);
  const parameters = checkParameters(
    'model.parameters()',
    readSafely('model.parameters()', () => layer.parameters()),
  );
  checkNames(parameters);
  checkFunction('loss', given.loss);
  if (given.onStep !== undefined) checkFunction('onStep', given.onStep);
  const epochs = checkInteger('epochs', given.epochs, 1);
  checkBatches(batches, epochs);
  return {
    model: layer,
    parameters,
    notOptimized: checkOptimized(parameters, optimizer),
    optimizer,
    loss: given.loss as Run['loss'],
    clip: makeClipRule(given.clip),
    clipper: isClipper(given.clip) ? given.clip : undefined,
    epochs,
    onStep: given.onStep as Run['onStep'],
    signal: checkSignal(given.signal),
    checkpoint: checkCheckpoint(given.checkpoint),
    gradientFlow: checkGradientFlow(given.gradientFlow, layer),
    nonFinite: checkOneOf('nonFinite', given.nonFinite, ['throw', 'skip']),
  };
}

function checkNames(parameters: readonly Parameter[]): void {
  const seen = new Set<string>();
  for (const { name } of parameters) {
    if (seen.has(name)) fail('ERR_OPTION', 'model.parameters()', 'names that differ', name, 'A Sequential makes them so.');
    seen.add(name);
  }
}

function checkOptimized(parameters: readonly Parameter[], optimizer: Optimizer): Parameter[] {
  const optimized = new Set(optimizer.parameters().map(({ value }) => value));
  const others = parameters.filter(({ value }) => !optimized.has(value));
  if (others.length === parameters.length) {
    throw new EvenkeelError(
      'ERR_OPTION',
      'optimizer: expected one over parameters of the model, got one that has none of them. Make it with model.parameters().',
    );
  }
  return others;
}

function checkBatches(batches: unknown, epochs: number): void {
  const kind = readSafely('batches', () => {
    if (typeof batches !== 'object' || batches === null) return 'other';
    const { [Symbol.iterator]: sync, [Symbol.asyncIterator]: async, next } = batches as Record<symbol | 'next', unknown>;
    if (typeof sync !== 'function' && typeof async !== 'function') return 'other';
    return typeof next === 'function' ? 'iterator' : 'iterable';
  });
  if (kind === 'other') fail('ERR_OPTION', 'batches', 'an iterable or async iterable of { input, target }', batches);
  if (kind === 'iterator' && epochs > 1) {
    throw new EvenkeelError(
      'ERR_OPTION',
      `batches: expected something that can be gone through ${epochs} times, once per epoch, got an iterator, which can be gone through once. ` +
        'Give an array, or an object whose iterator starts afresh, such as { *[Symbol.iterator]() { … } }.',
    );
  }
}

export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  // By what it does: signals come from other realms and from polyfills too.
  const works = readSafely('signal', () => typeof (signal as Partial<AbortSignal> | null)?.throwIfAborted === 'function');
  if (!works) fail('ERR_OPTION', 'signal', 'an AbortSignal', signal);
  return signal as AbortSignal;
}

function checkCheckpoint(value: unknown): Run['checkpoint'] {
  if (value === undefined) return undefined;
  const { path, every } = readOptions('checkpoint', value, ['path', 'every']);
  return {
    path: checkString('checkpoint.path', path),
    every: every === undefined ? Number.POSITIVE_INFINITY : checkInteger('checkpoint.every', every, 1),
  };
}

function checkGradientFlow(value: unknown, model: Layer): Run['gradientFlow'] {
  if (value === undefined) return undefined;
  const { every } = readOptions('gradientFlow', value, ['every']);
  return { every: checkInteger('gradientFlow.every', every, 1), layers: recurrentLayers('model', model) };
}
