/** The training of a forecast: what `fit` is told, and how a folder says which training its checkpoints are of. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { isPlainObject } from '../check';
import { EvenkeelError } from '../errors';
import { writeFileAtomic } from '../io/atomic-file';
import { fileFault, isLink, isThere, readWhole } from '../io/file';
import { mseLoss } from '../losses/mse';
import { saveModel } from '../model/model-file';
import { Adam } from '../optimizers/adam';
import type { Progress } from '../progress';
import { Generator } from '../random';
import { formatNumber } from '../report/text';
import { startFit } from '../training/fit';
import type { History } from '../training/records';
import { buildNetwork, PIECE, windowBatches } from './network';
import type { ForecastOptions } from './options';
import type { PreparedSeries } from './scaled-series';

export const modelFile = 'model.safetensors';
export const trainingFile = 'training.json';
export const checkpointFile = 'checkpoint.safetensors';
const bestFile = 'checkpoint.best.safetensors';
/** Of fit: the newest and the one before it, and while it trains the one of the best epoch. */
const checkpointFiles = [checkpointFile, 'checkpoint.1.safetensors', bestFile] as const;
export const trainingFiles = [modelFile, trainingFile, ...checkpointFiles];
/** What earlier versions left. */
export const formerFiles = ['checkpoint-0.safetensors', 'checkpoint-1.safetensors'];

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
 * stopped. The weights that validate best are in {@link modelFile} then, and when it is aborted.
 * @throws EvenkeelError ERR_FILE where the folder holds another training, or one that is damaged; ERR_NON_FINITE
 */
export async function trainNetwork(job: TrainingJob, progress: Progress, signal: AbortSignal): Promise<TrainingOutcome> {
  const { options, folder } = job;
  const { series, rows, changeScale: scale } = job.prepared;
  claimFolder(job);
  const generator = new Generator(options.seed);
  const model = buildNetwork(options, series.scaled.columns.length, generator);
  const stepsPerEpoch = Math.ceil(rows.train.length / options.batchSize);
  progress.begin(`Training ${options.cell}`, options.epochs * stepsPerEpoch);
  const { history, ended } = startFit(model, windowBatches(series, rows.train, { batchSize: options.batchSize, scale, generator }), {
    loss: mseLoss,
    optimizer: new Adam(model.parameters(), { learningRate: options.learningRate }),
    clip: { maxNorm: options.clip },
    epochs: options.epochs,
    generator,
    validation: { batches: windowBatches(series, rows.validation, { batchSize: PIECE, scale }) },
    earlyStopping: { patience: options.patience },
    checkpoint: { path: join(folder, checkpointFile), every: stepsPerEpoch, keep: 2 },
    resume: true,
    onStep: ({ step }) => progress.advance(step),
    signal,
  });
  const isInterrupted = await ended.then(
    () => false,
    (error) => {
      if (signal.aborted && error === signal.reason) return true;
      throw error;
    },
  );
  const record = recordOf(history, stepsPerEpoch);
  const made = record.validationLoss.length;
  if (made > options.epochs) failOther(folder, `a training of at most ${options.epochs} --epochs, got one of ${made}`);
  if (record.bestEpoch > 0) saveModel(join(folder, modelFile), model);
  if (isInterrupted) return { ...record, ended: 'interrupted' };
  // Its weights are the model's.
  rmSync(join(folder, bestFile), { force: true });
  const best = record.validationLoss[record.bestEpoch - 1] as number;
  progress.end(`epoch ${record.bestEpoch} of ${made} validates best, loss ${formatNumber(best)}`);
  return { ...record, ended: history.end === 'patience' ? 'patience' : 'epochs' };
}

function recordOf({ epochs, loss, gradNorm, clipped, best }: History, stepsPerEpoch: number): TrainingRecord {
  return {
    trainLoss: epochs.map((record) => record.loss),
    validationLoss: epochs.map(({ validation }) => validation?.loss ?? Number.NaN),
    gradNorm: epochs.map(({ epoch }) => geometricMean(gradNorm.slice((epoch - 1) * stepsPerEpoch, epoch * stepsPerEpoch))),
    clippedSteps: clipped.filter(Boolean).length,
    steps: loss.length,
    bestEpoch: best?.epoch ?? 0,
  };
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

const SCHEMA = 'evenkeel/forecast-training 3';

/** Of which training the checkpoints in a folder are: fit knows whether they fit the model, and not what it was trained on. */
interface Identity {
  schema: typeof SCHEMA;
  /** but for `epochs`, of which there may be more the next time */
  options: Omit<ForecastOptions, 'epochs'>;
  /** SHA-256 of the data */
  data: string;
}

/**
 * Makes sure that whatever checkpoints are in the folder are of this training.
 * @throws EvenkeelError ERR_FILE where they are not
 */
function claimFolder({ folder, options, contents }: TrainingJob): void {
  // A folder may come from someone else: a link there makes way, and what it leads to stays.
  for (const file of trainingFiles.map((name) => join(folder, name))) if (isLink(file)) rmSync(file);
  const identity = readIdentity(folder);
  if (identity !== undefined) {
    const difference = differenceOf(identity, options, contents);
    if (difference !== undefined) failOther(folder, difference);
    return;
  }
  for (const file of checkpointFiles) rmSync(join(folder, file), { force: true });
  const { epochs: _, ...own } = options;
  const written: Identity = { schema: SCHEMA, options: own, data: contents };
  writeFileAtomic(join(folder, trainingFile), `${JSON.stringify(written)}\n`, 'replace');
}

const ANEW = 'Choose another --out, or train anew with --restart.';

function failOther(folder: string, expected: string): never {
  throw new EvenkeelError('ERR_FILE', `${folder}: expected ${expected}. ${ANEW}`);
}

/** What makes of a job another training than the one begun; undefined where it is the same. */
function differenceOf(
  { data, options: begun }: Identity,
  { epochs: _, ...options }: ForecastOptions,
  contents: string,
): string | undefined {
  if (data !== contents) return 'the training of this data, got one of other data';
  for (const [name, value] of Object.entries({ ...begun, ...options })) {
    const [wanted, there] = [value, begun[name as keyof typeof begun]].map((each) => JSON.stringify(each) ?? 'not given');
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (wanted !== there) return `a training with ${flag} ${wanted}, got one with ${flag} ${there}`;
  }
  return undefined;
}

const MAX_BYTES = 2 ** 26;

/** SHA-256 of the data that the model of a folder was trained on; undefined where nothing says so. */
export function trainedOn(folder: string): string | undefined {
  const path = join(folder, trainingFile);
  const data = isThere(path) ? parse(path).data : undefined;
  return typeof data === 'string' ? data : undefined;
}

/** Undefined where no training was begun in the folder. */
function readIdentity(folder: string): Identity | undefined {
  const path = join(folder, trainingFile);
  if (!isThere(path)) return undefined;
  const { schema, options, data } = parse(path);
  if (schema === SCHEMA && isPlainObject(options) && typeof data === 'string')
    return { schema, options: options as Identity['options'], data };
  const isOther = typeof schema === 'string' && schema !== SCHEMA && schema.startsWith('evenkeel/');
  return fileFault(
    path,
    'the state of a training',
    isOther ? `that of another version of evenkeel, ${schema.slice(0, 60)}` : 'something else',
    ANEW,
  );
}

/** Without anything in it where the file is no JSON object. */
function parse(path: string): Record<string, unknown> {
  const text = readWhole(path, MAX_BYTES).toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    return isPlainObject(value) ? value : {};
  } catch {
    return {};
  }
}
