import { setImmediate } from 'node:timers/promises';
import { EvenkeelError } from '../errors';
import type { Layer } from '../layers/layer';
import type { GradientFlow } from '../stability/flow';
import type { Tensor } from '../tensor';
import { Workspace } from '../workspace';
import { abortable, untilAborted } from './abortable';
import { saveCheckpoint } from './checkpoint';
import { type Batches, checkRun, type FitOptions, type Run, type StepRecord } from './run';
import { StateWatch, type TrainingWarning } from './state-watch';
import { makeStep, type StepResult } from './step';
import { setStepsMade, stepsMade } from './step-count';
import { StepGuard } from './step-guard';

/** What happened in each step: one entry per step in each list. */
export interface History {
  loss: number[];
  /** the 2-norm of all gradients that are trained by, before clipping; NaN where the loss was not finite */
  gradNorm: number[];
  /** the norm, or with `clipValue` the magnitude, above which clipping acted; infinite without clipping, NaN in a skipped step */
  clipThreshold: number[];
  /** whether clipping changed the gradients */
  clipped: boolean[];
  /** whether the step was skipped because its loss, its gradients or what it made of the weights was not finite */
  skipped: boolean[];
  /**
   * the largest magnitude in the states of the model's recurrent layers at the ends of the sequences, h_T, of an LSTM c_T too; NaN in a model without such
   * layers
   */
  largestState: number[];
  /** of layers whose states grow, see `onWarning` in {@link FitOptions}; at most one for each */
  warnings: TrainingWarning[];
  /** with the option `gradientFlow`, how the gradient of the training loss flowed in the steps that were recorded and not skipped */
  gradientFlow?: (GradientFlow & { step: number })[];
}

/** How long fit may keep the event loop between two steps. */
const YIELD_AFTER_MS = 10;

/**
 * Trains a model: for each batch the gradients are cleared, then forward, loss, backward, norms, clipping and the optimiser's step.
 * Synchronous in each step, and never for longer than 50 ms beyond one step without letting the event loop run.
 *
 * A loss, gradient or new weight that is not finite rejects with ERR_NON_FINITE, which names the step and the parameter. With
 * `nonFinite: 'skip'` such a step is left out and training goes on. Either way, and when anything throws in a step, the step leaves no trace
 * but in the gradients: weights, optimiser, clipper, generator and the states that layers carry are as they were before it.
 *
 * Each step is a run of one {@link Workspace}: what layers and losses return in a step is overwritten by the next one, so a loss of yours
 * copies what it keeps.
 *
 * @param model anything with a layer's methods
 * @param batches an array, generator, or any other iterable, synchronous or not, of batches; gone through once per epoch
 * @returns one entry per step
 * @throws EvenkeelError ERR_OPTION before the first step when an option is wrong, ERR_FILE when no checkpoint can be written at its path; what
 *   comes from a step begins with its number; when `signal` is aborted, its reason, as Node's own APIs do; any other error of `loss`, `onStep`
 *   or the batches, unchanged
 */
export async function fit<Target = Tensor>(model: Layer, batches: Batches<Target>, options: FitOptions<Target>): Promise<History> {
  const training = startTraining(checkRun(model, batches, options));
  const { run, history } = training;
  for (let epoch = 1; epoch <= run.epochs && !training.isEnded; epoch++) {
    const stepsBefore = history.loss.length;
    run.signal?.throwIfAborted();
    await runEpoch(training, batches, epoch);
    if (history.loss.length === stepsBefore) failNoBatches(epoch);
  }
  if (training.step % training.saveEvery !== 0) save(training);
  return history;
}

/** A fit under way. */
interface Training {
  readonly run: Run;
  readonly guard: StepGuard;
  readonly states: StateWatch;
  readonly workspace: Workspace;
  readonly history: History;
  readonly saveEvery: number;
  /** the last one made */
  step: number;
  /** whether onStep has ended it */
  isEnded: boolean;
  lastYield: number;
}

function startTraining(run: Run): Training {
  return {
    run,
    guard: new StepGuard(run),
    states: new StateWatch(run.recurrentLayers),
    workspace: new Workspace(),
    history: makeHistory(run),
    saveEvery: run.checkpoint?.every ?? Number.POSITIVE_INFINITY,
    step: stepsMade(run.optimizer),
    isEnded: false,
    lastYield: performance.now(),
  };
}

function makeHistory({ gradientFlow }: Run): History {
  const history: History = { loss: [], gradNorm: [], clipThreshold: [], clipped: [], skipped: [], largestState: [], warnings: [] };
  return gradientFlow === undefined ? history : { ...history, gradientFlow: [] };
}

async function runEpoch(training: Training, batches: Batches<unknown>, epoch: number): Promise<void> {
  const { run, guard, workspace, history } = training;
  for await (const batch of abortable(batches, run.signal)) {
    run.signal?.throwIfAborted();
    // Something else may have made steps with the optimiser meanwhile.
    const step = stepsMade(run.optimizer) + 1;
    const result = naming(`step ${step}, epoch ${epoch}`, () => workspace.run(() => makeStep(run, guard, batch, step)));
    setStepsMade(run.optimizer, step);
    training.step = step;
    record(history, step, result);
    const { largestState, warnings } = training.states.look(step);
    history.largestState.push(largestState);
    history.warnings.push(...warnings);
    for (const warning of warnings) run.onWarning(warning);
    const answer = run.onStep?.({ step, epoch, ...describeStep(run, result), largestState });
    training.isEnded = (await untilAborted(run.signal, answer)) === false;
    if (step % training.saveEvery === 0) save(training);
    if (training.isEnded) return;
    await letOthersRun(training);
  }
  run.signal?.throwIfAborted();
}

/** Lets the event loop run, if it has waited for long. */
async function letOthersRun(training: Training): Promise<void> {
  if (performance.now() - training.lastYield < YIELD_AFTER_MS) return;
  await setImmediate();
  training.lastYield = performance.now();
}

/** Puts the place into the errors of this package that `body` throws. */
function naming<Result>(where: string, body: () => Result): Result {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof EvenkeelError)) throw error;
    throw new EvenkeelError(error.code, `${where}: ${error.message}`, { cause: error });
  }
}

function record(history: History, step: number, { loss, gradNorm, clipThreshold, clipped, skipped, flow }: StepResult): void {
  history.loss.push(loss);
  history.gradNorm.push(gradNorm);
  history.clipThreshold.push(clipThreshold);
  history.clipped.push(clipped);
  history.skipped.push(skipped);
  if (flow !== undefined) history.gradientFlow?.push({ step, ...flow });
}

function describeStep(
  { parameters }: Run,
  { gradNorms, flow: _, ...result }: StepResult,
): Omit<StepRecord, 'step' | 'epoch' | 'largestState'> {
  return { ...result, gradNorms: Object.fromEntries(parameters.map(({ name }, index) => [name, gradNorms[index] as number])) };
}

function save({ run: { model, optimizer, clipper, generator, checkpoint }, step }: Training): void {
  if (checkpoint === undefined) return;
  naming(`after step ${step}`, () => saveCheckpoint(checkpoint.path, { model, optimizer, clipper, generator, step }));
}

function failNoBatches(epoch: number): never {
  throw new EvenkeelError(
    'ERR_OPTION',
    `batches: expected at least one batch in each epoch, got none in epoch ${epoch}.` +
      (epoch === 1 ? '' : ' Can it be gone through more than once? Give an array, or an object whose iterator starts afresh.'),
  );
}
