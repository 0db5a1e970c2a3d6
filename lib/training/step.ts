import { describeNonFinite, gradNorms } from '../clipping/norms';
import { EvenkeelError } from '../errors';
import type { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import { checkLengths } from '../lengths';
import { clearGradient } from '../sparse-rows';
import type { GradientFlow } from '../stability/flow';
import { checkLongEnough, recordFlow } from '../stability/gradient-flow';
import { checkTensor, Tensor } from '../tensor';
import type { Workspace } from '../workspace';
import { checkBatch, LossMean, lossOf } from './batch-loss';
import type { Batch } from './options';
import type { StepResult } from './records';
import type { Run } from './run';
import type { StepGuard } from './step-guard';

/** What the steps of a training work with. */
export interface StepTools {
  readonly run: Run;
  readonly guard: StepGuard;
  readonly workspace: Workspace;
  /** Sets the learning rates of a step. */
  setRates(): void;
}

/**
 * Makes one step, or leaves it out and no trace of it.
 * @param batches that it is made from
 * @throws EvenkeelError ERR_NON_FINITE, and what model, loss, clipper and optimiser throw; no trace is left then either
 */
export function makeStep(tools: StepTools, batches: readonly unknown[], step: number): StepResult {
  const { run, guard } = tools;
  guard.begin();
  try {
    tools.setRates();
    const learningRate = run.optimizer.learningRate;
    const result = recordedStep(tools, batches, step);
    if (result.skipped) guard.takeBack();
    return { ...result, learningRate };
  } catch (error) {
    try {
      guard.takeBack();
    } catch {
      // Memory that is gone cannot be written to: what failed first says so.
    }
    throw error;
  }
}

type Result = Omit<StepResult, 'learningRate'>;

function recordedStep({ run, guard, workspace }: StepTools, batches: readonly unknown[], step: number): Result {
  const { gradientFlow } = run;
  const isRecorded = gradientFlow !== undefined && (step - 1) % gradientFlow.every === 0;
  const gradients = computeGradients(run, workspace, batches, isRecorded ? gradientFlow.layers : undefined);
  if (gradients.refusal !== undefined) return refuse(run, gradients.result, gradients.refusal);
  // Before the update: nothing can throw after it.
  const flow = gradients.flow?.();
  const result = update(run, guard, gradients);
  return result.skipped || flow === undefined ? result : { ...result, flow };
}

/** What batches give, and why no step must be made of it. */
interface Gradients {
  result: Pick<StepResult, 'loss' | 'gradNorm' | 'gradNorms'>;
  refusal?: string;
  /** says how the gradient of the last batch flowed */
  flow?: () => GradientFlow;
}

/** The gradients of all batches as if they were one: each batch's mean counts by how much it is a mean of. */
function computeGradients(
  run: Run,
  workspace: Workspace,
  batches: readonly unknown[],
  recorded: ReadonlyMap<string, RecurrentLayer<unknown>> | undefined,
): Gradients {
  const { optimizer, parameters } = run;
  for (const { grad } of run.frozen) clearGradient(grad);
  optimizer.zeroGrad();
  const mean = new LossMean();
  let flow: (() => GradientFlow) | undefined;
  for (const [index, given] of batches.entries()) {
    const batch = checkBatch('batches', given);
    const pass = () => workspace.run(() => addGradients(run, batch, mean));
    if (recorded !== undefined && index === batches.length - 1) {
      checkLongEnough('input', batch.input, 'Shorter ones have no gradient flow: leave out the option gradientFlow.');
      flow = recordFlow(recorded, pass).flow;
    } else pass();
    if (!Number.isFinite(mean.last)) {
      const gradNorms = parameters.map(() => Number.NaN);
      const where = batches.length === 1 ? '' : ` of batch ${index + 1} of ${batches.length}`;
      return { result: { loss: mean.last, gradNorm: Number.NaN, gradNorms }, refusal: `the loss${where} is ${mean.last}` };
    }
  }
  mean.divide(parameters);
  const norms = gradNorms(parameters);
  const result = { loss: mean.value, gradNorm: norms.total, gradNorms: norms.perParameter };
  const refusal = Number.isFinite(norms.total) ? undefined : describeNonFinite(parameters, norms);
  return { result, ...(refusal !== undefined && { refusal }), ...(flow && { flow }) };
}

/** Adds those of one batch, unless its loss is not finite. */
function addGradients({ model, loss }: Run, batch: Batch<unknown>, mean: LossMean): void {
  const { input } = batch;
  const lengths = checkLengths(batch.lengths, input.shape, 'either');
  const output = checkTensor('output of model.forward()', lengths === undefined ? model.forward(input) : model.forward(input, { lengths }));
  const result = lossOf(loss, output, batch, lengths);
  const factor = mean.add(result.value, result.count);
  if (!Number.isFinite(result.value)) return;
  const grad =
    factor === 1
      ? result.grad
      : new Tensor(
          result.grad.data.map((element) => element * factor),
          output.shape,
        );
  model.backward(grad, { inputGradient: false });
}

function update(run: Run, guard: StepGuard, { result }: Gradients): Result {
  guard.beforeClip();
  const { threshold, clipped } = run.clip(run.parameters, result.gradNorm);
  const clippedGradNorm = clipped ? gradNorms(run.parameters).total : result.gradNorm;
  guard.beforeUpdate(result.gradNorm);
  run.optimizer.step();
  const broken = guard.findNonFinite();
  if (broken !== undefined) return refuse(run, result, `the optimiser's step made the parameter "${broken.name}" infinite or NaN`);
  return { ...result, clippedGradNorm, clipThreshold: threshold, clipped, skipped: false };
}

/** A step that must not be made: skipped on request, else an error. */
function refuse(run: Run, result: Pick<StepResult, 'loss' | 'gradNorm' | 'gradNorms'>, reason: string): Result {
  if (run.nonFinite === 'skip') {
    return { ...result, clippedGradNorm: Number.NaN, clipThreshold: Number.NaN, clipped: false, skipped: true };
  }
  throw new EvenkeelError(
    'ERR_NON_FINITE',
    `${reason}. The parameters are as they were before this step. Look at the batch for values that are not finite, lower the ` +
      "learning rate, clip the gradients, or leave such steps out with nonFinite: 'skip'.",
  );
}
