/** What trials train on: one entry per task, each with the data it draws, the layers after the RNN and the loss. */
import { addingProblem } from '../data/adding-problem';
import { copyMemory } from '../data/copy-memory';
import { readSeriesAsync, type SeriesFormat } from '../data/csv';
import { splitInTime } from '../data/split';
import { standardize } from '../data/windows';
import { EvenkeelError } from '../errors';
import type { Layer } from '../layers/layer';
import { Linear } from '../layers/linear';
import { crossEntropyLoss } from '../losses/cross-entropy';
import type { LossResult } from '../losses/loss';
import { mseLoss } from '../losses/mse';
import type { Generator } from '../random';
import { betweenEvents } from '../slices';
import { allocate, Tensor } from '../tensor';
import type { Batch } from '../training/options';
import { fileHash } from './task-files';
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

export const rules: Record<TaskName, TaskRule> = {
  reference: { shortest: 1, setUp: referenceTask },
  adding: { inputSize: 2, shortest: 2, setUp: addingTask },
  // The symbols, their answer, and one step to wait.
  copy: { inputSize: copying.symbols + 2, shortest: 2 * copying.copyLength + 1, setUp: copyTask },
};

export const TASKS = Object.keys(rules) as TaskName[];

/**
 * Makes a trial's task ready.
 * @param file where the CSV file of its task lies
 */
export async function setUpTask(trial: Trial, generator: Generator, file?: string): Promise<TaskSetUp> {
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
async function csvTask(trial: Trial, task: Extract<TrialTask, { name: 'csv' }>, generator: Generator, file?: string): Promise<TaskSetUp> {
  const { batchSize, length, inputSize, dtype } = trial;
  if (file === undefined || (await betweenEvents(fileHash(file))) !== task.sha256) {
    throw new EvenkeelError(
      'ERR_FILE',
      `${task.file}: expected the file as it was when the sweep began, got ${file === undefined ? 'none' : 'other contents'}.`,
    );
  }
  const { columns, decimal, delimiter, missing } = task;
  const series = await readSeriesAsync(file, { columns, target: task.target, decimal, delimiter, missing });
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
