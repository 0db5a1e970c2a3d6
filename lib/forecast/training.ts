/** Training epoch by epoch, each of which the next run of the same command can go on from. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { isPlainObject } from '../check';
import { EvenkeelError } from '../errors';
import { writeFileAtomic } from '../io/atomic-file';
import { isLink, isThere, readWhole } from '../io/file';
import type { Sequential } from '../layers/sequential';
import { mseLoss } from '../losses/mse';
import { saveModel } from '../model/model-file';
import { Adam } from '../optimizers/adam';
import type { Progress } from '../progress';
import { Generator } from '../random';
import { formatNumber } from '../report/text';
import { loadCheckpoint, saveCheckpoint } from '../training/checkpoint';
import { fit } from '../training/fit';
import { buildNetwork, networkForecast, windowBatches } from './network';
import type { ForecastOptions } from './options';
import type { PreparedSeries, StepValues } from './scaled-series';

export const modelFile = 'model.safetensors';
export const trainingFile = 'training.json';
const checkpointFiles = ['checkpoint-0.safetensors', 'checkpoint-1.safetensors'] as const;
export const trainingFiles = [modelFile, trainingFile, ...checkpointFiles];

/** What happened in each epoch, one entry per epoch in each list. */
export interface TrainingRecord {
  /** mean squared error over the epoch's steps, in units of the changes of the training part: 1 is about that of the last value */
  trainLoss: number[];
  /** the same over the validation part, after the epoch */
  validationLoss: number[];
  /** geometric mean of the total gradient norm before clipping */
  gradNorm: number[];
  /** steps in which clipping acted, of all so far */
  clippedSteps: number;
  steps: number;
  /** from 1; 0 before the first epoch has ended */
  bestEpoch: number;
}

interface TrainingState extends TrainingRecord {
  schema: 'evenkeel/forecast-training 2';
  /** others, but for `epochs`, are another training */
  options: ForecastOptions;
  /** SHA-256 of the data: another one is another training */
  data: string;
  /** where the weights, the optimiser and the generator are that the next epoch goes on from; none when patience has ended the training */
  checkpoint?: string;
}

/** Why a training ended. */
export type Ending = 'patience' | 'epochs' | 'interrupted';

export interface TrainingOutcome extends TrainingRecord {
  ended: Ending;
}

export interface TrainingJob {
  prepared: PreparedSeries;
  options: ForecastOptions;
  folder: string;
  /** SHA-256 of the file */
  contents: string;
}

/**
 * Trains until the validation error has not become smaller for `patience` epochs, from where an earlier run of the same job in the folder
 * stopped. The weights that validate best are in {@link modelFile} whenever an epoch has ended.
 * @throws EvenkeelError ERR_FILE where the folder holds another training, or one that is damaged; ERR_NON_FINITE
 */
export async function trainNetwork(job: TrainingJob, progress: Progress, signal: AbortSignal): Promise<TrainingOutcome> {
  const { options, prepared } = job;
  const generator = new Generator(options.seed);
  const model = buildNetwork(options, prepared.series.scaled.columns.length, generator);
  const optimizer = new Adam(model.parameters(), { learningRate: options.learningRate });
  const trained = { model, optimizer, generator };
  const state = readState(job) ?? freshState(job);
  if (state.checkpoint !== undefined && !hasEnded(state, options)) loadCheckpoint(join(job.folder, state.checkpoint), trained);
  const stepsPerEpoch = Math.ceil(prepared.rows.train.length / options.batchSize);
  progress.begin(`Training ${options.cell}`, options.epochs * stepsPerEpoch);
  try {
    while (!hasEnded(state, options)) {
      const epoch = state.validationLoss.length + 1;
      await runEpoch(job, trained, state, (step) => progress.advance((epoch - 1) * stepsPerEpoch + step), signal);
      keep(job, trained, state);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    return { ...state, ended: 'interrupted' };
  }
  finish(job, state);
  const best = state.validationLoss[state.bestEpoch - 1] as number;
  progress.end(`epoch ${state.bestEpoch} of ${state.validationLoss.length} validates best, loss ${formatNumber(best)}`);
  return { ...state, ended: state.validationLoss.length < options.epochs ? 'patience' : 'epochs' };
}

interface Trained {
  model: Sequential;
  optimizer: Adam;
  generator: Generator;
}

function hasEnded(state: TrainingState, { epochs, patience }: ForecastOptions): boolean {
  return state.validationLoss.length >= epochs || isOutOfPatience(state, patience);
}

function isOutOfPatience({ validationLoss, bestEpoch }: TrainingState, patience: number): boolean {
  return bestEpoch > 0 && validationLoss.length - bestEpoch >= patience;
}

async function runEpoch(
  { prepared, options }: TrainingJob,
  { model, optimizer, generator }: Trained,
  state: TrainingState,
  advance: (step: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const { series, rows, changeScale: scale } = prepared;
  const batches = windowBatches(series, rows.train, { batchSize: options.batchSize, scale, generator });
  let step = 0;
  const history = await fit(model, batches, {
    loss: mseLoss,
    optimizer,
    clip: { maxNorm: options.clip },
    generator,
    signal,
    onStep: () => advance(++step),
  });
  const validation = await networkForecast(model, series, rows.validation, scale, signal);
  const loss = changeLoss(prepared, validation);
  state.trainLoss.push(mean(history.loss));
  state.gradNorm.push(Math.exp(mean(history.gradNorm.map((norm) => Math.log(norm)))));
  state.clippedSteps += history.clipped.filter(Boolean).length;
  state.steps += history.loss.length;
  state.validationLoss.push(loss);
  if (state.bestEpoch === 0 || loss < (state.validationLoss[state.bestEpoch - 1] as number)) state.bestEpoch = state.validationLoss.length;
}

/** Of the validation part, in the units of the training loss. */
export function changeLoss({ series, rows, changeScale }: PreparedSeries, { values, horizon }: StepValues): number {
  let squares = 0;
  for (const [i, row] of rows.validation.entries()) {
    for (let step = 0; step < horizon; step++)
      squares += (((values[i * horizon + step] as number) - series.value(row + step)) / changeScale) ** 2;
  }
  return squares / (rows.validation.length * horizon);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The model first, then what to go on from, then what says so: whatever a killed process leaves is whole. */
function keep({ folder }: TrainingJob, trained: Trained, state: TrainingState): void {
  const epoch = state.validationLoss.length;
  if (state.bestEpoch === epoch) saveModel(ownFile(folder, modelFile), trained.model);
  const file = checkpointFiles[epoch % 2] as string;
  saveCheckpoint(ownFile(folder, file), { ...trained, step: state.steps });
  state.checkpoint = file;
  writeState(folder, state);
}

/** The path of a file in the folder, which may come from someone else: a link there is replaced, and what it leads to stays. */
function ownFile(folder: string, name: string): string {
  const path = join(folder, name);
  if (isLink(path)) rmSync(path);
  return path;
}

/** Where the epochs were used up the last checkpoint stays: more of them go on from it. */
function finish({ folder, options }: TrainingJob, state: TrainingState): void {
  if (isOutOfPatience(state, options.patience)) delete state.checkpoint;
  state.options = options;
  writeState(folder, state);
  for (const file of checkpointFiles) if (file !== state.checkpoint) rmSync(join(folder, file), { force: true });
}

function writeState(folder: string, state: TrainingState): void {
  writeFileAtomic(join(folder, trainingFile), `${JSON.stringify(state)}\n`, 'replace');
}

function freshState({ options, contents: data }: TrainingJob): TrainingState {
  const schema = 'evenkeel/forecast-training 2';
  return { schema, options, data, trainLoss: [], validationLoss: [], gradNorm: [], clippedSteps: 0, steps: 0, bestEpoch: 0 };
}

const MAX_BYTES = 2 ** 26;

/** Of an earlier run of the same job; undefined where there was none. */
function readState({ folder, options, contents }: TrainingJob): TrainingState | undefined {
  const path = join(folder, trainingFile);
  if (!isThere(path)) return undefined;
  const state = parseState(readWhole(path, MAX_BYTES).toString('utf8'));
  if (state === undefined) {
    throw new EvenkeelError(
      'ERR_FILE',
      `${path}: expected the state of a training, got something else. Choose another --out, or train anew with --restart.`,
    );
  }
  const difference = differenceOf(state, options, contents);
  if (difference === undefined) return state;
  throw new EvenkeelError('ERR_FILE', `${folder}: expected ${difference}. Choose another --out, or train anew with --restart.`);
}

/** What makes of a job another training than the one begun: undefined where it is the same, or the same with more epochs. */
function differenceOf(state: TrainingState, options: ForecastOptions, contents: string): string | undefined {
  if (state.data !== contents) return 'the training of this data, got one of other data';
  for (const [name, value] of Object.entries({ ...state.options, ...options })) {
    if (name === 'epochs') continue;
    const [wanted, there] = [value, state.options[name as keyof ForecastOptions]].map((each) => JSON.stringify(each) ?? 'not given');
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (wanted !== there) return `a training with ${flag} ${wanted}, got one with ${flag} ${there}`;
  }
  const made = state.validationLoss.length;
  return made <= options.epochs ? undefined : `a training of at most ${options.epochs} --epochs, got one of ${made}`;
}

/** SHA-256 of the data that the model of a folder was trained on; undefined where nothing says so. */
export function trainedOn(folder: string): string | undefined {
  const path = join(folder, trainingFile);
  return isThere(path) ? parseState(readWhole(path, MAX_BYTES).toString('utf8'))?.data : undefined;
}

function parseState(text: string): TrainingState | undefined {
  try {
    const state = JSON.parse(text) as TrainingState;
    const lists = [state.trainLoss, state.validationLoss, state.gradNorm];
    const isWhole =
      state.schema === 'evenkeel/forecast-training 2' &&
      isPlainObject(state.options) &&
      lists.every((list) => list.length === state.trainLoss.length && list.every((value) => typeof value === 'number')) &&
      [state.clippedSteps, state.steps, state.bestEpoch].every(Number.isSafeInteger) &&
      state.bestEpoch <= state.trainLoss.length &&
      (state.checkpoint === undefined || (checkpointFiles as readonly string[]).includes(state.checkpoint));
    return isWhole ? state : undefined;
  } catch {
    return undefined;
  }
}
