import { EvenkeelError } from '../errors';
import type { Layer } from '../layers/layer';
import { loadPlot } from '../report/svg';
import type { Tensor } from '../tensor';
import { untilAborted } from './abortable';
import { batchesOfSteps } from './epoch-batches';
import { monitoredValue } from './monitor';
import type { Batches, FitOptions, StepRecord } from './options';
import { writeTrainingPage } from './page';
import type { EpochRecord, History, StepResult } from './records';
import { checkRun, type Run } from './run';
import { makeStep } from './step';
import { setStepsMade, stepsMade } from './step-count';
import { Training } from './training';
import { validate } from './validation';

/**
 * Trains a model: for each batch the gradients are cleared, then forward, loss, backward, norms, clipping and the optimiser's step; after each
 * epoch, where they are asked for, the validation and what depends on it. Synchronous in each step, and never for longer than 50 ms beyond one
 * step without letting the event loop run.
 *
 * A loss, gradient or new weight that is not finite rejects with ERR_NON_FINITE, which names the step and the parameter. With
 * `nonFinite: 'skip'` such a step is left out and training goes on. Either way, and when anything throws in a step, the step leaves no trace
 * but in the gradients: weights, optimiser, learning rates, clipper, generator and the states that layers carry are as they were before it.
 *
 * Each step is a run of one {@link Workspace}: what layers and losses return in a step is overwritten by the next one, so a loss of yours
 * copies what it keeps.
 *
 * @param model anything with a layer's methods
 * @param batches an array, generator, or any other iterable, synchronous or not, of batches; gone through once per epoch
 * @returns one entry per step, and one record per epoch
 * @throws EvenkeelError ERR_OPTION before the first step when an option is wrong, ERR_FILE when no checkpoint can be written at its path or
 *   none read to resume from, ERR_STATE when what draws a page is not installed; what comes from a step begins with its number; when `signal` is aborted, its reason, as Node's own APIs do; any
 *   other error of `loss`, callbacks or the batches, unchanged
 * @example
 * const generator = new Generator(1);
 * const model = new Sequential({
 *   gru: new GRU({ inputSize: 3, hiddenSize: 16, generator }),
 *   last: new LastStep(),
 *   head: new Linear({ inputSize: 16, outputSize: 1, generator }),
 * });
 * const batches = makeBatches(Tensor.randn([64, 20, 3]), Tensor.randn([64, 1]), { batchSize: 16, generator });
 * const { loss } = await fit(model, batches, { loss: mseLoss, optimizer: new Adam(model.parameters()), clip: { maxNorm: 1 }, epochs: 5 });
 * console.log(loss.at(0), loss.at(-1)); // of the first and of the last step
 */
export async function fit<Target = Tensor>(model: Layer, batches: Batches<Target>, options: FitOptions<Target>): Promise<History> {
  return startFit(model, batches, options).ended;
}

/** A training under way. */
interface Fitting {
  /** grows with each step, and stays when the training is aborted */
  history: History;
  ended: Promise<History>;
}

/** As {@link fit}, for who wants the history of a training that is aborted too. */
export function startFit<Target = Tensor>(model: Layer, batches: Batches<Target>, options: FitOptions<Target>): Fitting {
  const run = checkRun(model, batches, options);
  const training = new Training(run);
  return { history: training.records.history, ended: train(run, training) };
}

async function train(run: Run, training: Training): Promise<History> {
  if (run.page === undefined) return trainToEnd(run, training);
  await loadPlot();
  const ended = trainToEnd(run, training);
  const draw = () => writeTrainingPage(run.page as string, run, training);
  // What ended the training early counts more than what goes wrong with its page then.
  await ended.then(draw, () => draw().catch(() => {}));
  return ended;
}

async function trainToEnd(run: Run, training: Training): Promise<History> {
  training.resume();
  try {
    while (!training.isOver) await runEpoch(run, training);
    if (!training.position.hasEnded) training.records.history.end = 'epochs';
    if (training.isUnsaved) save(training);
    training.progress?.end(training.records.history);
  } catch (error) {
    // What an abort ends can go on later. A step that was refused left no trace, but also a reason to look at it first.
    if (run.signal?.aborted && training.isUnsaved) naming(`after step ${training.step}`, () => training.saveHeld());
    throw error;
  } finally {
    training.finish();
    training.progress?.close();
  }
  return training.records.history;
}

async function runEpoch(run: Run, training: Training): Promise<void> {
  const { position, records } = training;
  run.signal?.throwIfAborted();
  const isNew = position.batch === 0;
  for await (const batches of batchesOfSteps(run, position)) {
    run.signal?.throwIfAborted();
    await runStep(run, training, batches);
    if (position.hasEnded) return;
    await training.breathe();
  }
  run.signal?.throwIfAborted();
  if (isNew && records.steps === position.stepsBefore) failNoBatches(position.epoch);
  await endEpoch(run, training);
}

async function runStep(run: Run, training: Training, batches: readonly unknown[]): Promise<void> {
  const { position, records, rates } = training;
  const { epoch } = position;
  // Something else may have made steps with the optimiser meanwhile.
  const step = stepsMade(run.optimizer) + 1;
  const setRates = () => rates.set(run.schedule?.each === 'epoch' ? epoch - 1 : records.steps);
  const tools = { run, guard: training.guard, workspace: training.workspace, setRates };
  const result = naming(`step ${step}, epoch ${epoch}`, () => makeStep(tools, batches, step));
  if (!result.skipped) training.averages?.update();
  setStepsMade(run.optimizer, step);
  training.step = step;
  training.hold();
  training.isUnsaved = true;
  const { largestState, warnings } = training.states.look(step);
  records.record(step, result, largestState, warnings);
  for (const warning of warnings) run.onWarning(warning);
  position.batch += batches.length;
  training.progress?.step({ epoch, number: records.steps - position.stepsBefore, loss: result.loss });
  await endOnFalse(run, training, run.onStep?.({ step, epoch, ...describeStep(run, result), largestState }));
  if (run.checkpoint !== undefined && step % run.checkpoint.every === 0) save(training);
}

/** Waits for what a callback returns. */
async function endOnFalse(run: Run, training: Training, answer: unknown): Promise<void> {
  const { position, records } = training;
  // The callback itself may draw numbers.
  training.hold();
  if ((await untilAborted(run.signal, answer)) !== false) return;
  position.hasEnded = true;
  records.history.end = 'callback';
}

/** After an epoch's last step: validation, what depends on it, and the record. */
async function endEpoch(run: Run, training: Training): Promise<void> {
  const { position, records, step } = training;
  const { epoch } = position;
  const record: EpochRecord = { epoch, step, loss: records.meanLoss(position.stepsBefore), learningRate: run.optimizer.learningRate };
  const restoreWeights = training.averages?.swapIn();
  let isBest: boolean;
  try {
    const validation = await validateEpoch(run, training);
    if (validation !== undefined) record.validation = validation;
    isBest = observe(run, training, record);
  } finally {
    restoreWeights?.();
  }
  records.history.epochs.push(record);
  position.nextEpoch(records.steps);
  training.hold();
  training.isUnsaved = true;
  if (isBest) naming(`after step ${step}`, () => training.saveBest());
  training.progress?.epoch(record, isBest);
  await endOnFalse(run, training, run.onEpoch?.(record));
}

async function validateEpoch(run: Run, training: Training): Promise<Record<string, number> | undefined> {
  const { epoch } = training.position;
  const { validation } = run;
  if (validation === undefined || (epoch % validation.every !== 0 && epoch < run.epochs)) return undefined;
  try {
    return await validate(run, validation.batches, training.workspace, training.breathe);
  } catch (error) {
    throw named(`after step ${training.step}, epoch ${epoch}`, error);
  }
}

/** Tells early stopping and the schedule; returns whether the epoch is the best so far. */
function observe(run: Run, { stopping, rates, position, records }: Training, record: EpochRecord): boolean {
  const forSchedule = rates.monitor === undefined ? undefined : monitoredValue(record, rates.monitor);
  if (forSchedule !== undefined) rates.observe(forSchedule);
  const value = stopping === undefined ? undefined : monitoredValue(record, stopping.monitor);
  if (stopping === undefined || value === undefined) return false;
  if (Number.isNaN(value) && run.nonFinite === 'throw') {
    const where = `after step ${record.step}, epoch ${record.epoch}: earlyStopping.monitor`;
    throw new EvenkeelError('ERR_NON_FINITE', `${where}: ${stopping.monitor} is NaN. With nonFinite: 'skip' it counts as no better.`);
  }
  const isBest = stopping.observe(value);
  if (isBest) records.history.best = { epoch: record.epoch, step: record.step, value };
  if (stopping.isOutOfPatience) {
    position.hasEnded = true;
    records.history.end = 'patience';
  }
  return isBest;
}

function describeStep(
  { parameters }: Run,
  { gradNorms, flow, ...result }: StepResult,
): Omit<StepRecord, 'step' | 'epoch' | 'largestState'> {
  const norms = Object.fromEntries(parameters.map(({ name }, index) => [name, gradNorms[index] as number]));
  return { ...result, gradNorms: norms, ...(flow && { gradientFlow: flow }) };
}

function save(training: Training): void {
  naming(`after step ${training.step}`, () => training.save());
}

/** Puts the place into the errors of this package that `body` throws. */
function naming<Result>(where: string, body: () => Result): Result {
  try {
    return body();
  } catch (error) {
    throw named(where, error);
  }
}

function named(where: string, error: unknown): unknown {
  return error instanceof EvenkeelError ? new EvenkeelError(error.code, `${where}: ${error.message}`, { cause: error }) : error;
}

function failNoBatches(epoch: number): never {
  throw new EvenkeelError(
    'ERR_OPTION',
    `batches: expected at least one batch in each epoch, got none in epoch ${epoch}.` +
      (epoch === 1 ? '' : ' Can it be gone through more than once? Give an array, or an object whose iterator starts afresh.'),
  );
}
