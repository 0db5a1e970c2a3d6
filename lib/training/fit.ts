import { setImmediate } from 'node:timers/promises';
import { fail, readSafely } from '../check';
import { describeNonFinite, gradNorms } from '../clipping/norms';
import { EvenkeelError, formatShape } from '../errors';
import type { Layer } from '../layers/layer';
import type { LossResult } from '../losses/loss';
import type { GradientFlow } from '../stability/flow';
import { checkLongEnough, recordFlow } from '../stability/gradient-flow';
import { checkTensor, Tensor } from '../tensor';
import { Workspace } from '../workspace';
import { saveCheckpoint } from './checkpoint';
import { type Batch, type Batches, checkRun, type FitOptions, type Run, type StepRecord } from './run';

/** What happened in each step: one entry per step in each list. */
export interface History {
  loss: number[];
  /** the 2-norm of all gradients before clipping; NaN where the loss was not finite */
  gradNorm: number[];
  /** the norm, or with `clipValue` the magnitude, above which clipping acted; infinite without clipping, NaN in a skipped step */
  clipThreshold: number[];
  /** whether clipping changed the gradients */
  clipped: boolean[];
  /** whether the step was skipped because its loss or gradients were not finite */
  skipped: boolean[];
  /** with the option `gradientFlow`, how the gradient of the training loss flowed in the steps that were recorded and not skipped */
  gradientFlow?: (GradientFlow & { step: number })[];
}

interface StepResult {
  loss: number;
  gradNorm: number;
  /** in the order of the model's parameters */
  gradNorms: readonly number[];
  clipThreshold: number;
  clipped: boolean;
  skipped: boolean;
  flow?: GradientFlow;
}

/** How long fit may keep the event loop between two steps. */
const YIELD_AFTER_MS = 10;

/**
 * Trains a model: for each batch the gradients are cleared, then forward, loss, backward, norms, clipping and the optimiser's step.
 * Synchronous in each step, and never for longer than 50 ms beyond one step without letting the event loop run.
 *
 * A loss or gradient that is not finite rejects with ERR_NON_FINITE, which names the step and the parameter; the parameters are then as
 * they were before that step. With `nonFinite: 'skip'` such a step is left out and training goes on.
 *
 * Each step is a run of one {@link Workspace}: what layers and losses return in a step is overwritten by the next one, so a loss of yours
 * copies what it keeps.
 *
 * @param model anything with a layer's methods
 * @param batches an array, generator, or any other iterable, synchronous or not, of batches; gone through once per epoch
 * @returns one entry per step
 * @throws EvenkeelError ERR_OPTION before the first step when an option is wrong; when `signal` is aborted, its reason, as Node's own APIs do;
 *   what `loss`, `onStep` or the batches throw, unchanged
 */
export async function fit<Target = Tensor>(model: Layer, batches: Batches<Target>, options: FitOptions<Target>): Promise<History> {
  const run = checkRun(model, batches, options);
  const history: History = {
    loss: [],
    gradNorm: [],
    clipThreshold: [],
    clipped: [],
    skipped: [],
    ...(run.gradientFlow && { gradientFlow: [] }),
  };
  const workspace = new Workspace();
  let lastYield = performance.now();
  for (let epoch = 1; epoch <= run.epochs; epoch++) {
    const stepsBefore = history.loss.length;
    run.signal?.throwIfAborted();
    for await (const batch of batches) {
      run.signal?.throwIfAborted();
      const step = history.loss.length + 1;
      const result = workspace.run(() => recordedStep(run, batch, step, `step ${step}, epoch ${epoch}`));
      record(history, step, result);
      await run.onStep?.({ step, epoch, ...describeStep(run, result) });
      if (run.checkpoint !== undefined && step % run.checkpoint.every === 0) save(run, step);
      if (performance.now() - lastYield < YIELD_AFTER_MS) continue;
      await setImmediate();
      lastYield = performance.now();
    }
    if (history.loss.length === stepsBefore) failNoBatches(epoch);
  }
  if (run.checkpoint !== undefined && history.loss.length % run.checkpoint.every !== 0) save(run, history.loss.length);
  return history;
}

function recordedStep(run: Run, given: unknown, step: number, where: string): StepResult {
  const { gradientFlow } = run;
  const batch = checkBatch(given, where);
  if (gradientFlow === undefined || (step - 1) % gradientFlow.every !== 0) return trainStep(run, batch, where);
  checkLongEnough(`batches, ${where}, input`, batch.input, 'Shorter ones have no gradient flow: leave out the option gradientFlow.');
  const { result, flow } = recordFlow(gradientFlow.layers, () => trainStep(run, batch, where));
  return result.skipped ? result : { ...result, flow: flow() };
}

function trainStep(run: Run, { input, target }: Batch<unknown>, where: string): StepResult {
  const { model, optimizer, parameters } = run;
  for (const { grad } of run.notOptimized) grad.data.fill(0);
  optimizer.zeroGrad();
  const output = checkTensor('output of model.forward()', model.forward(input));
  const { value, grad } = checkLossResult(run.loss(output, target), output);
  if (!Number.isFinite(value)) {
    const gradNorms = parameters.map(() => Number.NaN);
    return refuse(run, where, { loss: value, gradNorm: Number.NaN, gradNorms }, `the loss is ${value}`);
  }
  model.backward(grad, { inputGradient: false });
  const norms = gradNorms(parameters);
  const result = { loss: value, gradNorm: norms.total, gradNorms: norms.perParameter };
  if (!Number.isFinite(norms.total)) return refuse(run, where, result, describeNonFinite(parameters, norms));
  const { threshold, clipped } = run.clip(parameters, norms.total);
  optimizer.step();
  return { ...result, clipThreshold: threshold, clipped, skipped: false };
}

/** A step that must not be made: skipped on request, else an error. */
function refuse(run: Run, where: string, result: Pick<StepResult, 'loss' | 'gradNorm' | 'gradNorms'>, reason: string): StepResult {
  if (run.nonFinite === 'skip') return { ...result, clipThreshold: Number.NaN, clipped: false, skipped: true };
  throw new EvenkeelError(
    'ERR_NON_FINITE',
    `${where}: ${reason}. The parameters are as they were before this step. Look at the batch for values that are not finite, lower the ` +
      "learning rate, clip the gradients, or leave such steps out with nonFinite: 'skip'.",
  );
}

function checkBatch(given: unknown, where: string): Batch<unknown> {
  const { input, target } = readSafely('batches', () => pick(given, 'input', 'target'));
  if (!Tensor.isTensor(input)) fail('ERR_OPTION', `batches, ${where}`, '{ input: Tensor, target }', given);
  return { input, target };
}

function checkLossResult(given: unknown, output: Tensor): LossResult {
  const { value, grad } = readSafely('loss()', () => pick(given, 'value', 'grad'));
  if (typeof value !== 'number' || !Tensor.isTensor(grad)) fail('ERR_OPTION', 'loss()', '{ value: number, grad: Tensor }', given);
  if (grad.dtype !== output.dtype || formatShape(grad.shape) !== formatShape(output.shape)) {
    throw new EvenkeelError(
      'ERR_OPTION',
      `loss().grad: expected the output's ${output.dtype} ${formatShape(output.shape)}, got ${grad.dtype} ${formatShape(grad.shape)}.`,
    );
  }
  return { value, grad };
}

/** Two properties of what may be no object at all. */
function pick<A extends string, B extends string>(given: unknown, a: A, b: B): Partial<Record<A | B, unknown>> {
  const object = given as Partial<Record<A | B, unknown>> | null | undefined;
  return { [a]: object?.[a], [b]: object?.[b] } as Partial<Record<A | B, unknown>>;
}

function record(history: History, step: number, { loss, gradNorm, clipThreshold, clipped, skipped, flow }: StepResult): void {
  history.loss.push(loss);
  history.gradNorm.push(gradNorm);
  history.clipThreshold.push(clipThreshold);
  history.clipped.push(clipped);
  history.skipped.push(skipped);
  if (flow !== undefined) history.gradientFlow?.push({ step, ...flow });
}

function describeStep({ parameters }: Run, { gradNorms, flow: _, ...result }: StepResult): Omit<StepRecord, 'step' | 'epoch'> {
  return { ...result, gradNorms: Object.fromEntries(parameters.map(({ name }, index) => [name, gradNorms[index] as number])) };
}

function save({ model, optimizer, clipper, checkpoint }: Run, step: number): void {
  if (checkpoint !== undefined) saveCheckpoint(checkpoint.path, { model, optimizer, clipper, step });
}

function failNoBatches(epoch: number): never {
  throw new EvenkeelError(
    'ERR_OPTION',
    `batches: expected at least one batch in each epoch, got none in epoch ${epoch}.` +
      (epoch === 1 ? '' : ' Can it be gone through more than once? Give an array, or an object whose iterator starts afresh.'),
  );
}
