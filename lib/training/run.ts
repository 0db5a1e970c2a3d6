import { checkFunction, checkInteger, checkOneOf, fail, readOptions, readSafely } from '../check';
import type { Clipper } from '../clipping/clipper';
import { EvenkeelError } from '../errors';
import { checkDestination } from '../io/atomic-file';
import { checkLayer, type Layer } from '../layers/layer';
import type { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import type { Lengths } from '../lengths';
import type { LossOptions, LossResult } from '../losses/loss';
import { checkOptimizer, type Optimizer } from '../optimizers/optimizer';
import { checkParameters, type Parameter } from '../parameter';
import { checkOptionalGenerator, type Generator } from '../random';
import { findRecurrentLayers, recurrentLayers } from '../stability/recurrent-layers';
import type { Tensor } from '../tensor';
import { type Clip, type ClipRule, isClipper, makeClipRule } from './clip-rule';
import { emitWarning, type TrainingWarning } from './state-watch';

/** What one training step is made from. */
export interface Batch<Target = Tensor> {
  input: Tensor;
  /** whatever the loss takes */
  target: Target;
  /** how many steps of each sequence count, where not all do: model and loss are given them */
  lengths?: Lengths;
}

/** Batches to go through once per epoch. */
export type Batches<Target = Tensor> = Iterable<Batch<Target>> | AsyncIterable<Batch<Target>>;

/** What `onStep` is told after each step. */
export interface StepRecord {
  /** counts on from the steps that were made with this optimiser, by fit or before its checkpoint was loaded; the first is 1 */
  step: number;
  /** from 1 */
  epoch: number;
  loss: number;
  /** the 2-norm of all gradients that are trained by, before clipping; NaN where the loss was not finite */
  gradNorm: number;
  /** the 2-norm of each trained parameter's gradient before clipping, by name */
  gradNorms: Record<string, number>;
  /** the norm, or with `clipValue` the magnitude, above which clipping acted; infinite without clipping, NaN in a skipped step */
  clipThreshold: number;
  /** whether clipping changed the gradients */
  clipped: boolean;
  /** whether the step was skipped because its loss, its gradients or what it made of the weights was not finite */
  skipped: boolean;
  /**
   * the largest magnitude in the states of the model's recurrent layers at the ends of the sequences, h_T, of an LSTM c_T too; NaN in a model without such
   * layers
   */
  largestState: number;
}

/** Options of fit. */
export interface FitOptions<Target = Tensor> {
  /** such as mseLoss or crossEntropyLoss */
  loss: (output: Tensor, target: Target, options?: LossOptions) => LossResult;
  /** over some or all of the model's parameters; others are frozen: they stay as they are, and no norm, clipping or refusal counts them */
  optimizer: Optimizer;
  /** no clipping unless given */
  clip?: Clip;
  /** 1 unless given; more need batches that can be gone through more than once */
  epochs?: number;
  /**
   * Called after each step; what it returns is awaited. With `false` the training ends as it does after the last step, and fit returns its
   * history: what `model.stop_training = True` does in a callback of Keras, and `trainer.should_stop = True` in one of PyTorch Lightning.
   */
  onStep?: (record: StepRecord) => unknown;
  /**
   * Called, once for each recurrent layer, when its states have become 10⁶ times as large as in the first step (and as 1), or larger than the root of
   * the dtype's range; unless given, the process emits the warning, `EVENKEEL_GROWING_STATES`. {@link History} has it either way.
   */
  onWarning?: (warning: TrainingWarning) => void;
  /** ends the training at once when it is aborted, but for a step under way: while fit waits for a batch or for `onStep` too */
  signal?: AbortSignal;
  /** what the batches, the loss or layers draw random numbers from: checkpoints hold where it is, and a refused step gives back what it drew */
  generator?: Generator;
  /** where saveCheckpoint writes after every so many steps, and after the last one; tried before the first one */
  checkpoint?: { path: string; every?: number };
  /** records how the gradient flows back through time in every so many steps, from the first on: see {@link History} and {@link gradientFlow} */
  gradientFlow?: { every: number };
  /** what to do with a step whose loss, gradient or new weights are not finite: `'throw'` unless given */
  nonFinite?: 'throw' | 'skip';
}

/** What fit works with, checked. */
export interface Run {
  model: Layer;
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
  onStep: ((record: StepRecord) => unknown) | undefined;
  onWarning: (warning: TrainingWarning) => void;
  /** all of the model's, by name */
  recurrentLayers: ReadonlyMap<string, RecurrentLayer<unknown>>;
  signal: AbortSignal | undefined;
  generator: Generator | undefined;
  checkpoint: { path: string; every: number } | undefined;
  /** the model's recurrent layers, where their gradient flow is recorded */
  gradientFlow: { every: number; layers: ReadonlyMap<string, RecurrentLayer<unknown>> } | undefined;
  nonFinite: 'throw' | 'skip';
}

const OPTIONS = [
  'loss',
  'optimizer',
  'clip',
  'epochs',
  'onStep',
  'onWarning',
  'signal',
  'generator',
  'checkpoint',
  'gradientFlow',
  'nonFinite',
] as const;

/** Checks everything that fit is given. */
export function checkRun(model: unknown, batches: unknown, options: unknown): Run {
  const given = readOptions('fit options', options, OPTIONS, { epochs: 1, nonFinite: 'throw' });
  const layer = checkLayer('model', model);
  const optimizer = checkOptimizer('optimizer', given.optimizer);
  const { trained, frozen } = splitParameters(layer, optimizer);
  checkFunction('loss', given.loss);
  if (given.onStep !== undefined) checkFunction('onStep', given.onStep);
  if (given.onWarning !== undefined) checkFunction('onWarning', given.onWarning);
  const epochs = checkInteger('epochs', given.epochs, 1);
  checkBatches(batches, epochs);
  return {
    model: layer,
    parameters: trained,
    frozen,
    optimizer,
    loss: given.loss as Run['loss'],
    clip: makeClipRule(given.clip),
    clipper: isClipper(given.clip) ? given.clip : undefined,
    epochs,
    onStep: given.onStep as Run['onStep'],
    onWarning: (given.onWarning ?? emitWarning) as Run['onWarning'],
    recurrentLayers: readSafely('model', () => findRecurrentLayers(layer)),
    signal: checkSignal(given.signal),
    generator: checkOptionalGenerator('generator', given.generator),
    gradientFlow: checkGradientFlow(given.gradientFlow, layer),
    nonFinite: checkOneOf('nonFinite', given.nonFinite, ['throw', 'skip']),
    // The last, since it tries the disk.
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

function checkBatches(batches: unknown, epochs: number): void {
  const kind = readSafely('batches', () => {
    if (typeof batches !== 'object' || batches === null) return 'other';
    const { [Symbol.iterator]: sync, [Symbol.asyncIterator]: async, next } = batches as Record<symbol | 'next', unknown>;
    if (typeof sync !== 'function' && typeof async !== 'function') return 'other';
    return typeof next === 'function' ? 'iterator' : 'iterable';
  });
  if (kind === 'other') fail('ERR_OPTION', 'batches', 'an iterable or async iterable of { input, target, lengths? }', batches);
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
  const works = readSafely('signal', () => {
    const { throwIfAborted, addEventListener, removeEventListener } = (signal ?? {}) as Partial<AbortSignal>;
    return [throwIfAborted, addEventListener, removeEventListener].every((method) => typeof method === 'function');
  });
  if (!works) fail('ERR_OPTION', 'signal', 'an AbortSignal', signal);
  return signal as AbortSignal;
}

function checkCheckpoint(value: unknown): Run['checkpoint'] {
  if (value === undefined) return undefined;
  const { path, every } = readOptions('checkpoint', value, ['path', 'every']);
  return {
    every: every === undefined ? Number.POSITIVE_INFINITY : checkInteger('checkpoint.every', every, 1),
    path: checkDestination('checkpoint.path', path),
  };
}

function checkGradientFlow(value: unknown, model: Layer): Run['gradientFlow'] {
  if (value === undefined) return undefined;
  const { every } = readOptions('gradientFlow', value, ['every']);
  return { every: checkInteger('gradientFlow.every', every, 1), layers: recurrentLayers('model', model) };
}
