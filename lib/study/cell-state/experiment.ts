/**
 * Which cell state does a LayerNorm LSTM carry: the raw one ('output': Ba, Kiros, Hinton 2016) or the normalised one ('carried': TensorFlow
 * Addons, PyTorch's benchmark of custom LSTMs)? Growth of gradients, Lyapunov exponents and training of both, beside no norm on the cell state.
 */
import { setImmediate } from 'node:timers/promises';
import { addingProblem } from '../../data/adding-problem';
import { makeBatches } from '../../data/batches';
import { copyMemory } from '../../data/copy-memory';
import { readSeriesAsync } from '../../data/csv';
import { defaultSeries } from '../../data/default-series';
import { forecastError, prepareForecast } from '../../data/forecast';
import { Linear } from '../../layers/linear';
import { type CellNormalization, LSTM } from '../../layers/lstm';
import { Sequential } from '../../layers/sequential';
import { crossEntropyLoss } from '../../losses/cross-entropy';
import { mseLoss } from '../../losses/mse';
import { Adam } from '../../optimizers/adam';
import type { Progress } from '../../progress';
import { Generator } from '../../random';
import { formatNumber } from '../../report/text';
import { gradientFlow } from '../../stability/gradient-flow';
import { lyapunovSpectrum } from '../../stability/lyapunov';
import { type DType, Tensor } from '../../tensor';
import { fit } from '../../training/fit';
import { meanOfDraws } from '../draws';
import { measuring } from '../measuring';
import { environment } from '../run';
import type {
  CellStateDesign,
  CellStateExponents,
  CellStateGrowth,
  CellStateResults,
  CellStateSetUp,
  CellStateTraining,
  TaskSetUp,
} from './set-up';

export const cellNormalizations: readonly CellNormalization[] = ['none', 'output', 'carried'];

/** Measures all of a set-up. An aborted signal does not throw: the results then hold what had finished, and say so. */
export async function runCellState(
  setUp: CellStateSetUp,
  seed: number,
  progress: Progress,
  signal?: AbortSignal,
): Promise<CellStateResults> {
  const results: CellStateResults = {
    schema: 'evenkeel/cell-state',
    schemaVersion: 1,
    interrupted: false,
    date: new Date().toISOString(),
    seconds: 0,
    seed,
    environment: environment(),
    ...setUp,
    growth: [],
    spectra: [],
    trained: [],
  };
  return await measuring(results, signal, () => measureAll(results, progress, signal));
}

async function measureAll(results: CellStateResults, progress: Progress, signal?: AbortSignal): Promise<void> {
  const { gammas, forgetBiases, growths, training } = results;
  await eachDesign(results, 'before training', designsOf(gammas, forgetBiases), progress, signal, (design, seeds) => {
    for (const size of growths) results.growth.push(growthOf(design, size, results.inputSize, seeds));
    results.spectra.push(exponentsOf(design, results.exponents, results.inputSize, seeds));
    const rates = results.growth.slice(-growths.length).map(({ growthRate }) => formatNumber(growthRate.mean, 3));
    return `${growths.length === 1 ? 'rate' : 'rates'} ${rates.join(', ')}`;
  });
  for (const task of training.tasks) {
    const designs = designsOf(training.gammas, training.forgetBiases);
    await eachDesign(results, task.task, designs, progress, signal, async (design, seeds) => {
      const trained = await trainingOf(design, task, training, seeds, signal);
      results.trained.push(trained);
      return `error ${formatNumber(trained.median, 3)} of the baseline’s`;
    });
  }
}

function designsOf(gammas: readonly number[], forgetBiases: readonly number[]): CellStateDesign[] {
  return cellNormalizations.flatMap((cellNormalization) =>
    forgetBiases.flatMap((forgetBias) => gammas.map((gamma) => ({ cellNormalization, gamma, forgetBias }))),
  );
}

async function eachDesign(
  { draws, seed }: CellStateResults,
  title: string,
  designs: readonly CellStateDesign[],
  progress: Progress,
  signal: AbortSignal | undefined,
  measure: (design: CellStateDesign, seeds: readonly number[]) => string | Promise<string>,
): Promise<void> {
  // The same draws for every design.
  const generator = new Generator(seed);
  const seeds = Array.from({ length: draws }, () => generator.nextUint32());
  progress.begin(`Cell state: ${title}`, designs.length);
  let outcome = '';
  for (const [index, design] of designs.entries()) {
    await setImmediate();
    signal?.throwIfAborted();
    outcome = await measure(design, seeds);
    progress.advance(index + 1);
  }
  progress.end(`${designs.length} designs, ${draws} draws each; the last: ${outcome}`);
}

interface Sizes {
  inputSize: number;
  hiddenSize: number;
  dtype: DType;
}

function makeLSTM({ cellNormalization, gamma, forgetBias }: CellStateDesign, sizes: Sizes, generator: Generator, isLast: boolean): LSTM {
  const normalization = 'split-preactivation';
  const lstm = new LSTM({ ...sizes, normalization, cellNormalization, forgetBias, generator, returnSequences: !isLast });
  for (const { name, value } of lstm.parameters()) if (name === 'norm_ih.weight' || name === 'norm_hh.weight') value.data.fill(gamma);
  return lstm;
}

function growthOf(
  design: CellStateDesign,
  { hiddenSize, timeSteps, sequences }: CellStateSetUp['growths'][number],
  inputSize: number,
  seeds: readonly number[],
): CellStateGrowth {
  const flows = seeds.map((seed) => {
    const generator = new Generator(seed);
    const lstm = makeLSTM(design, { inputSize, hiddenSize, dtype: 'float64' }, generator, true);
    const [flow] = gradientFlow(lstm, Tensor.randn([sequences, timeSteps, inputSize], { dtype: 'float64', generator })).layers;
    return { rate: flow?.growthRate ?? Number.NaN, verdict: flow?.verdict };
  });
  const count = (verdict: string) => flows.filter((flow) => flow.verdict === verdict).length;
  return {
    ...design,
    hiddenSize,
    timeSteps,
    growthRate: meanOfDraws(flows.map(({ rate }) => rate)),
    exploding: count('exploding'),
    vanishing: count('vanishing'),
  };
}

function exponentsOf(
  design: CellStateDesign,
  { hiddenSize, timeSteps, sequences }: CellStateSetUp['exponents'],
  inputSize: number,
  seeds: readonly number[],
): CellStateExponents {
  const spectra = seeds.map((seed) => {
    const generator = new Generator(seed);
    const lstm = makeLSTM(design, { inputSize, hiddenSize, dtype: 'float64' }, generator, true);
    return lyapunovSpectrum(lstm, Tensor.randn([sequences, timeSteps, inputSize], { dtype: 'float64', generator }));
  });
  return {
    ...design,
    hiddenSize,
    timeSteps,
    largest: meanOfDraws(spectra.map(({ exponents }) => exponents[0] ?? Number.NaN)),
    dimension: meanOfDraws(spectra.map(({ dimension }) => dimension)),
  };
}

async function trainingOf(
  design: CellStateDesign,
  task: TaskSetUp,
  training: CellStateSetUp['training'],
  seeds: readonly number[],
  signal: AbortSignal | undefined,
): Promise<CellStateTraining> {
  const relativeError: number[] = [];
  const largest: number[] = [];
  for (const seed of seeds) {
    const train = task.task === 'series' ? trainOnSeries : trainOnTask;
    const { error, norm } = await train(design, task, training, seed, signal).catch(diverged);
    relativeError.push(error);
    largest.push(norm);
  }
  return {
    ...design,
    task: task.task,
    relativeError,
    median: medianOf(relativeError),
    solved: relativeError.filter((error) => error < 0.5).length,
    largestNorm: medianOf(largest),
  };
}

/** A training that left the range of numbers has failed as a training can; all else goes on. */
function diverged(error: unknown): { error: number; norm: number } {
  if ((error as { code?: unknown }).code !== 'ERR_NON_FINITE') throw error;
  return { error: Infinity, norm: Infinity };
}

/** Losses of which the mean is the last one. */
const LAST_STEPS = 20;

async function trainOnTask(
  design: CellStateDesign,
  { task, steps, batches }: TaskSetUp,
  { hiddenSize, batchSize, learningRate, maxNorm }: CellStateSetUp['training'],
  seed: number,
  signal: AbortSignal | undefined,
): Promise<{ error: number; norm: number }> {
  const generator = new Generator(seed);
  const isAdding = task === 'adding';
  const data = isAdding
    ? addingProblem({ sequenceLength: steps, batchSize, batches, generator })
    : copyMemory({ delay: steps, copyLength: 5, batchSize, batches, generator });
  const { inputSize, outputSize, baseline } = data;
  const lstm = makeLSTM(design, { inputSize, hiddenSize, dtype: 'float32' }, generator, isAdding);
  const model = new Sequential({ lstm, head: new Linear({ inputSize: hiddenSize, outputSize, generator }) });
  const optimizer = new Adam(model.parameters(), { learningRate });
  // fit takes either kind of batch with the loss that fits it.
  const loss = (isAdding ? mseLoss : crossEntropyLoss) as typeof mseLoss;
  const history = await fit(model, data as Iterable<{ input: Tensor; target: Tensor }>, { loss, optimizer, clip: { maxNorm }, signal });
  const last = history.loss.slice(-LAST_STEPS);
  return { error: last.reduce((sum, each) => sum + each, 0) / last.length / baseline, norm: Math.max(...history.gradNorm) };
}

async function trainOnSeries(
  design: CellStateDesign,
  { steps: window, batches: epochs }: TaskSetUp,
  { hiddenSize, batchSize, maxNorm }: CellStateSetUp['training'],
  seed: number,
  signal: AbortSignal | undefined,
): Promise<{ error: number; norm: number }> {
  const known = defaultSeries();
  const data = prepareForecast(await readSeriesAsync(known.path, { target: known.target }), { window });
  const generator = new Generator(seed);
  const inputSize = data.train.inputs.shape[2] ?? 0;
  const lstm = makeLSTM(design, { inputSize, hiddenSize, dtype: 'float32' }, generator, true);
  const model = new Sequential({ lstm, head: new Linear({ inputSize: hiddenSize, outputSize: 1, generator }) });
  const batch = makeBatches(data.train.inputs, data.train.targets, { batchSize, generator });
  const optimizer = new Adam(model.parameters(), { learningRate: 1e-3 });
  const history = await fit(model, batch, { loss: mseLoss, optimizer, clip: { maxNorm }, epochs, signal });
  const { rmse } = forecastError(model.predict(data.test.inputs), data.test.targets, data.std);
  return { error: rmse / data.baselines.lastValue.rmse, norm: Math.max(...history.gradNorm) };
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
