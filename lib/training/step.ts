import { fail, readSafely } from '../check';
import { describeNonFinite, gradNorms } from '../clipping/norms';
import { EvenkeelError, formatShape } from '../errors';
import { checkLengths, type Lengths, lengthsOf } from '../lengths';
import type { LossResult } from '../losses/loss';
import { clearGradient } from '../sparse-rows';
import type { GradientFlow } from '../stability/flow';
import { checkLongEnough, recordFlow } from '../stability/gradient-flow';
import { checkTensor, Tensor } from '../tensor';
import type { Batch, Run } from './run';
import type { StepGuard } from './step-guard';

/** What one step of fit came to. */
export interface StepResult {
  loss: number;
  gradNorm: number;
  /** in the order of the trained parameters */
  gradNorms: readonly number[];
  clipThreshold: number;
  clipped: boolean;
  skipped: boolean;
  flow?: GradientFlow;
}

/**
 * Makes one step, or leaves it out and no trace of it.
 * @throws EvenkeelError ERR_NON_FINITE, and what model, loss, clipper and optimiser throw; no trace is left then either
 */
export function makeStep(run: Run, guard: StepGuard, batch: unknown, step: number): StepResult {
  guard.begin();
  try {
    const result = recordedStep(run, guard, checkBatch(batch), step);
    if (result.skipped) guard.takeBack();
    return result;
  } catch (error) {
    try {
      guard.takeBack();
    } catch {
      // Memory that is gone cannot be written to: what failed first says so.
    }
    throw error;
  }
}

function recordedStep(run: Run, guard: StepGuard, batch: Batch<unknown>, step: number): StepResult {
  const { gradientFlow } = run;
  if (gradientFlow === undefined || (step - 1) % gradientFlow.every !== 0) return update(run, guard, computeGradients(run, batch));
  checkLongEnough('input', batch.input, 'Shorter ones have no gradient flow: leave out the option gradientFlow.');
  const { result: gradients, flow } = recordFlow(gradientFlow.layers, () => computeGradients(run, batch));
  if (gradients.refusal !== undefined) return refuse(run, gradients.result, gradients.refusal);
  // Before the update: nothing can throw after it.
  const recorded = flow();
  const result = update(run, guard, gradients);
  return result.skipped ? result : { ...result, flow: recorded };
}

/** What a batch gives, and why no step must be made of it. */
interface Gradients {
  result: Pick<StepResult, 'loss' | 'gradNorm' | 'gradNorms'>;
  refusal?: string;
}

function computeGradients(run: Run, { input, target, lengths: given }: Batch<unknown>): Gradients {
  const { model, optimizer, parameters } = run;
  for (const { grad } of run.frozen) clearGradient(grad);
  optimizer.zeroGrad();
  const lengths = checkLengths(given, input.shape, 'either');
  const output = checkTensor('output of model.forward()', lengths === undefined ? model.forward(input) : model.forward(input, { lengths }));
  const counted = lengthsOf(output, input, lengths);
  const { value, grad } = checkLossResult(
    counted === undefined ? run.loss(output, target) : run.loss(output, target, { lengths: counted }),
    output,
  );
  if (!Number.isFinite(value)) {
    const gradNorms = parameters.map(() => Number.NaN);
    return { result: { loss: value, gradNorm: Number.NaN, gradNorms }, refusal: `the loss is ${value}` };
  }
  model.backward(grad, { inputGradient: false });
  const norms = gradNorms(parameters);
  const result = { loss: value, gradNorm: norms.total, gradNorms: norms.perParameter };
  return Number.isFinite(norms.total) ? { result } : { result, refusal: describeNonFinite(parameters, norms) };
}

function update(run: Run, guard: StepGuard, { result, refusal }: Gradients): StepResult {
  if (refusal !== undefined) return refuse(run, result, refusal);
  guard.beforeClip();
  const { threshold, clipped } = run.clip(run.parameters, result.gradNorm);
  guard.beforeUpdate(result.gradNorm);
  run.optimizer.step();
  const broken = guard.findNonFinite();
  if (broken !== undefined) return refuse(run, result, `the optimiser's step made the parameter "${broken.name}" infinite or NaN`);
  return { ...result, clipThreshold: threshold, clipped, skipped: false };
}

/** A step that must not be made: skipped on request, else an error. */
function refuse(run: Run, result: Pick<StepResult, 'loss' | 'gradNorm' | 'gradNorms'>, reason: string): StepResult {
  if (run.nonFinite === 'skip') return { ...result, clipThreshold: Number.NaN, clipped: false, skipped: true };
  throw new EvenkeelError(
    'ERR_NON_FINITE',
    `${reason}. The parameters are as they were before this step. Look at the batch for values that are not finite, lower the ` +
      "learning rate, clip the gradients, or leave such steps out with nonFinite: 'skip'.",
  );
}

function checkBatch(given: unknown): Batch<unknown> {
  const { input, target, lengths } = readSafely('batches', () => pick(given, ['input', 'target', 'lengths']));
  if (!Tensor.isTensor(input)) fail('ERR_OPTION', 'batches', '{ input: Tensor, target, lengths? }', given);
  return { input, target, lengths: lengths as Lengths | undefined };
}

function checkLossResult(given: unknown, output: Tensor): LossResult {
  const { value, grad } = readSafely('loss()', () => pick(given, ['value', 'grad']));
  if (typeof value !== 'number' || !Tensor.isTensor(grad)) fail('ERR_OPTION', 'loss()', '{ value: number, grad: Tensor }', given);
  if (grad.dtype !== output.dtype || formatShape(grad.shape) !== formatShape(output.shape)) {
    throw new EvenkeelError(
      'ERR_OPTION',
      `loss().grad: expected the output's ${output.dtype} ${formatShape(output.shape)}, got ${grad.dtype} ${formatShape(grad.shape)}.`,
    );
  }
  return { value, grad };
}

/** Properties of what may be no object at all. */
function pick<Name extends string>(given: unknown, names: readonly Name[]): Partial<Record<Name, unknown>> {
  const object = given as Partial<Record<Name, unknown>> | null | undefined;
  return Object.fromEntries(names.map((name) => [name, object?.[name]])) as Partial<Record<Name, unknown>>;
}
