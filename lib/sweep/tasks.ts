/** What trials train on: one entry per task, each with the data it draws, the layers after the RNN and the loss. */
import { createHash } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { checkInteger, checkOneOf, checkString, isPlainObject, readOptions, readSafely } from '../check';
import { addingProblem } from '../data/adding-problem';
import { copyMemory } from '../data/copy-memory';
import { readSeries, type SeriesFormat } from '../data/csv';
import { splitInTime, standardize } from '../data/windows';
import { type ErrorCode, EvenkeelError } from '../errors';
import { checkPath, rethrow, withFile } from '../io/file';
import type { Layer } from '../layers/layer';
import { Linear } from '../layers/linear';
import { crossEntropyLoss } from '../losses/cross-entropy';
import type { LossResult } from '../losses/loss';
import { mseLoss } from '../losses/mse';
import type { Generator } from '../random';
import { allocate, Tensor } from '../tensor';
import type { Batch } from '../training/run';
import type { Trial, TrialTask } from './trial';

/** The tasks that need no file. */
export type TaskName = 'reference' | 'adding' | 'copy';

/** A series in a CSV file, whose next value is forecast from windows of the past. */
export interface CsvTask extends SeriesFormat {
  /** path of the file, from the definition's folder */
  csv: string;
  /** see {@link readSeries} */
  columns?: readonly string[];
  target?: string;
}

/** A task at work in one trial. */
export interface TaskSetUp {
  /** whether the loss is over the states of all steps, or over the last one */
  everyStep: boolean;
  /** The layers between the states and the loss, by name. */
  head(generator: Generator): Record<string, Layer>;
  /** What to train on in so many steps. */
  batches(steps: number): Iterable<Batch<unknown>>;
  loss(output: Tensor, target: unknown): LossResult;
}

interface TaskRule {
  /** of its inputs; undefined where the definition may choose */
  inputSize?: number;
  shortest: number;
  setUp(trial: Trial, generator: Generator): TaskSetUp;
}

/** Copying memory asks for so many symbols, of so many kinds (Arjovsky, Shah, Bengio 2016, arXiv:1511.06464). */
const copying = { copyLength: 10, symbols: 8 };

const rules: Record<TaskName, TaskRule> = {
  reference: { shortest: 1, setUp: referenceTask },
  adding: { inputSize: 2, shortest: 2, setUp: addingTask },
  // The symbols, their answer, and one step to wait.
  copy: { inputSize: copying.symbols + 2, shortest: 2 * copying.copyLength + 1, setUp: copyTask },
};

const NAMES = Object.keys(rules) as TaskName[];

/** A checked task: `path` is where its file lies. */
export interface CheckedTask {
  task: TrialTask;
  inputSize?: number;
  path?: string;
}

/** Checks a task of a definition, and for a CSV file that its windows fit every length. */
export function checkTask(path: string, value: unknown, lengths: readonly number[], folder: string): CheckedTask {
  if (readSafely(path, () => isPlainObject(value))) return checkCsv(path, value, lengths, folder);
  const name = checkOneOf(path, value, NAMES);
  const { inputSize, shortest } = rules[name];
  for (const [i, length] of lengths.entries()) checkInteger(`lengths[${i}] with ${path} "${name}"`, length, shortest);
  return { task: { name }, inputSize };
}

function checkCsv(path: string, value: unknown, lengths: readonly number[], folder: string): CheckedTask {
  const given = readOptions(path, value, ['csv', 'columns', 'target', 'decimal', 'delimiter', 'missing']);
  const named = checkPath(`${path}.csv`, given.csv);
  const target = given.target === undefined ? undefined : checkString(`${path}.target`, given.target);
  const file = at(`${path}.csv`, () => inside(folder, named));
  const format = Object.fromEntries(
    (['decimal', 'delimiter', 'missing'] as const).filter((key) => given[key] !== undefined).map((key) => [key, given[key]]),
  ) as SeriesFormat;
  const series = at(path, () => readSeries(file, { columns: given.columns as string[] | undefined, target, ...format }));
  for (const [i, length] of lengths.entries()) at(`lengths[${i}] with ${path}`, () => splitInTime(series.rows, length), 'ERR_OPTION');
  return {
    task: { name: 'csv', file: named, sha256: fileHash(file), columns: series.columns, target: series.columns[series.target], ...format },
    inputSize: series.columns.length,
    path: file,
  };
}

/** What is wrong is wrong there, with a code of its own or that of its cause. */
function at<T>(path: string, check: () => T, code?: ErrorCode): T {
  try {
    return check();
  } catch (cause) {
    if (!(cause instanceof EvenkeelError)) throw cause;
    throw new EvenkeelError(code ?? cause.code, `${path}: ${cause.message}`, { cause });
  }
}

/** The real path of a file that lies in the folder, links followed. */
function inside(folder: string, file: string): string {
  let root: string;
  let real: string;
  try {
    root = realpathSync(folder);
    real = realpathSync(resolve(root, file));
  } catch (cause) {
    return rethrow('read', file, cause);
  }
  if (real.startsWith(root.endsWith(sep) ? root : root + sep)) return real;
  throw new EvenkeelError('ERR_OPTION', `expected a file in the definition's folder ${root} or below, got ${JSON.stringify(file)}.`);
}

/** SHA-256 of a file's contents in hexadecimal digits. */
export function fileHash(path: string): string {
  return sha256Of(withFile(path, (descriptor) => readFileSync(descriptor)));
}

/** In hexadecimal digits. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The contents of a task's file, if they are still those that its hash names. */
export function readTaskFile(path: string, sha256: string): Buffer {
  const bytes = withFile(path, (descriptor) => readFileSync(descriptor));
  if (sha256Of(bytes) !== sha256) {
    throw new EvenkeelError('ERR_FILE', `${path}: expected the file as it was when the sweep began, got other contents.`);
  }
  return bytes;
}

/**
 * Makes a trial's task ready.
 * @param file where the CSV file of its task lies
 */
export function setUpTask(trial: Trial, generator: Generator, file?: string): TaskSetUp {
  return trial.task.name === 'csv'
    ? csvTask(trial, trial.task, generator, file)
    : rules[trial.task.name as TaskName].setUp(trial, generator);
}

/** The set-up of the examined text: one batch of random inputs and targets, the loss over the states of all steps. */
function referenceTask({ batchSize, length, inputSize, hiddenSize, dtype }: Trial, generator: Generator): TaskSetUp {
  const batch = {
    input: Tensor.randn([batchSize, length, inputSize], { generator, dtype }),
    target: Tensor.randn([batchSize, length, hiddenSize], { generator, dtype }),
  };
  return { everyStep: true, head: () => ({}), batches: (steps) => repeat(steps, () => batch), loss: meanSquaredError };
}

function addingTask(trial: Trial, generator: Generator): TaskSetUp {
  const { length: sequenceLength, batchSize, dtype } = trial;
  return {
    ...lastStateTask(trial),
    batches: (batches) => addingProblem({ sequenceLength, batchSize, batches, generator, dtype }),
  };
}

function copyTask({ length, batchSize, hiddenSize, dtype }: Trial, generator: Generator): TaskSetUp {
  const delay = length - 2 * copying.copyLength;
  return {
    everyStep: true,
    head: (weights) => ({ head: new Linear({ inputSize: hiddenSize, outputSize: copying.symbols + 1, dtype, generator: weights }) }),
    batches: (batches) => copyMemory({ delay, batchSize, batches, ...copying, generator, dtype }),
    loss: (output, target) => crossEntropyLoss(output, target as Int32Array),
  };
}

/** Windows that end anywhere in the training part of the series, each with the target's next value, in units of the standard deviation. */
function csvTask(trial: Trial, task: Extract<TrialTask, { name: 'csv' }>, generator: Generator, file?: string): TaskSetUp {
  const { batchSize, length, inputSize, dtype } = trial;
  if (file === undefined || fileHash(file) !== task.sha256) {
    throw new EvenkeelError(
      'ERR_FILE',
      `${task.file}: expected the file as it was when the sweep began, got ${file === undefined ? 'none' : 'other contents'}.`,
    );
  }
  const { columns, decimal, delimiter, missing } = task;
  const series = readSeries(file, { columns, target: task.target, decimal, delimiter, missing });
  const { train } = splitInTime(series.rows, length);
  const { values, target } = standardize(series, train).series;
  return {
    ...lastStateTask(trial),
    batches: (steps) => repeat(steps, drawWindows),
  };

  function drawWindows(): Batch {
    const inputs = allocate(dtype, batchSize * length * inputSize);
    const targets = allocate(dtype, batchSize);
    for (let i = 0; i < batchSize; i++) {
      const row = length + generator.integer(train.end - length);
      inputs.set(values.subarray((row - length) * inputSize, row * inputSize), i * length * inputSize);
      targets[i] = values[row * inputSize + target] as number;
    }
    return { input: new Tensor(inputs, [batchSize, length, inputSize]), target: new Tensor(targets, [batchSize, 1]) };
  }
}

/** One number from the last state, and its squared error. */
function lastStateTask({ hiddenSize, dtype }: Trial): Omit<TaskSetUp, 'batches'> {
  return {
    everyStep: false,
    head: (generator) => ({ head: new Linear({ inputSize: hiddenSize, outputSize: 1, dtype, generator }) }),
    loss: meanSquaredError,
  };
}

function meanSquaredError(output: Tensor, target: unknown): LossResult {
  return mseLoss(output, target as Tensor);
}

function* repeat<T>(count: number, make: () => T): Iterable<T> {
  for (let i = 0; i < count; i++) yield make();
}
