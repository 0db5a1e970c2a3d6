/** evenkeel itself, through its public API. In the tier `float64` it is the reference that every system's numbers must agree with. */
import {
  Adam,
  clipGradNorm,
  type DType,
  GRU,
  type GRUOptions,
  type Layer,
  LayerNorm,
  LSTM,
  type LSTMOptions,
  loadState,
  mseLoss,
  RNN,
  type RNNOptions,
  runtimeInfo,
  Sequential,
  setNumThreads,
  Tensor,
  Workspace,
} from '../../index';
import type { GatedCell, Numbers, Trial, Work } from '../protocol';
import { forGatedWorks, gatedTask } from '../works';
import { type Started, serve } from './serve';

interface Job {
  runOnce: Started['runOnce'];
  /** the numbers of the last call */
  numbers(): Numbers;
}

type Data = Record<string, Tensor>;
type Four = [Tensor, Tensor, Tensor, Tensor];

const jobs: Record<Work, (data: Data, trial: Trial, dtype: DType) => Job> = {
  train,
  forward,
  backward,
  rnn: rnnAlone,
  'layer-norm': layerNorm,
  placement: train,
  ...forGatedWorks(({ part }) => ({ train, forward, step: stream })[part]),
};

serve(async ({ trial, threads, tier, dataFile }) => {
  setNumThreads(threads);
  const baseBytes = process.memoryUsage.rss();
  const dtype = tier === 'float64' ? 'float64' : 'float32';
  const job = jobs[trial.work](convert(loadState(dataFile), dtype), trial, dtype);
  const workspace = new Workspace();
  const runOnce = () => workspace.run(job.runOnce);
  const { version, simdTarget, blas } = runtimeInfo();
  return {
    system: `evenkeel ${version}, ${simdTarget}, ${blas}`,
    baseBytes,
    runOnce,
    measure(first) {
      const numbers = job.numbers();
      if (first || numbers.clippedNorm === undefined) return numbers;
      runOnce();
      const { loss, norm } = job.numbers();
      return { ...numbers, nextLoss: loss, nextNorm: norm };
    },
  };
});

function train(data: Data, trial: Trial, dtype: DType): Job {
  const { model, input, target } = build(data, trial, dtype);
  const optimizer = new Adam(model.parameters(), { learningRate: 1e-3 });
  let loss: number;
  let gradNorm: number;
  return {
    runOnce() {
      optimizer.zeroGrad();
      const { value, grad } = mseLoss(model.forward(input), target);
      model.backward(grad, { inputGradient: false });
      loss = value;
      gradNorm = clipGradNorm(model.parameters(), { maxNorm: 1 });
      optimizer.step();
    },
    numbers: () => ({ loss, norm: gradNorm, clippedNorm: normOfGradients(model) }),
  };
}

function forward(data: Data, trial: Trial, dtype: DType): Job {
  const { model, input } = build(data, trial, dtype);
  let output: Tensor;
  return {
    runOnce() {
      output = model.forward(input);
    },
    numbers: () => ({ loss: meanSquare(output), norm: norm([output]) }),
  };
}

function backward(data: Data, trial: Trial, dtype: DType): Job {
  const { model, input, target } = build(data, trial, dtype);
  let loss: number;
  return {
    runOnce() {
      for (const { grad } of model.parameters()) grad.data.fill(0);
      const output = model.forward(input);
      const start = performance.now();
      const { value, grad } = mseLoss(output, target);
      model.backward(grad, { inputGradient: false });
      const time = performance.now() - start;
      loss = value;
      return time;
    },
    numbers: () => ({ loss, norm: normOfGradients(model) }),
  };
}

/** Each step a call, which goes on from the state before. */
function stream(data: Data, trial: Trial, dtype: DType): Job {
  const { t, i, h } = trial;
  const { model, input } = build(data, trial, dtype, { stateful: true });
  const rnn = model.layers.rnn as LSTM | GRU;
  const steps = Array.from({ length: t }, (_, step) => new Tensor(input.data.slice(step * i, (step + 1) * i), [1, 1, i]));
  const output = Tensor.zeros([t, h], { dtype });
  return {
    runOnce() {
      rnn.resetState();
      for (const [step, x] of steps.entries()) output.data.set(rnn.forward(x, { training: false }).data, step * h);
    },
    numbers: () => ({ loss: meanSquare(output), norm: norm([output]) }),
  };
}

function rnnAlone({ input, gradOutput, ...state }: Data, { i, h }: Trial, dtype: DType): Job {
  const model = new Sequential({ rnn: new RNN({ inputSize: i, hiddenSize: h, dtype }) });
  model.loadStateDict(state);
  let output: Tensor;
  let gradInput: Tensor;
  return {
    runOnce() {
      for (const { grad } of model.parameters()) grad.data.fill(0);
      output = model.forward(input as Tensor);
      gradInput = model.backward(gradOutput as Tensor);
    },
    numbers: () => ({ loss: meanSquare(output), norm: norm([gradInput, ...model.parameters().map(({ grad }) => grad)]) }),
  };
}

function layerNorm(data: Data, { h }: Trial, dtype: DType): Job {
  const [input, gradOutput, weight, bias] = ['input', 'gradOutput', 'ln.weight', 'ln.bias'].map((name) => data[name] as Tensor) as Four;
  const layer = new LayerNorm({ size: h, dtype });
  layer.loadStateDict({ weight, bias });
  let output: Tensor;
  let gradInput: Tensor;
  return {
    runOnce() {
      for (const { grad } of layer.parameters()) grad.data.fill(0);
      output = layer.forward(input);
      gradInput = layer.backward(gradOutput);
    },
    numbers: () => ({ loss: meanSquare(output), norm: norm([gradInput, ...layer.parameters().map(({ grad }) => grad)]) }),
  };
}

/** The RNN and the LayerNorm after it; with a placement, the RNN alone; or a cell with gates. */
function build({ input, target, ...state }: Data, trial: Trial, dtype: DType, { stateful = false } = {}) {
  const model = new Sequential(layersOf(trial, { inputSize: trial.i, hiddenSize: trial.h, dtype, stateful }));
  model.loadStateDict(state);
  return { model, input: input as Tensor, target: target as Tensor };
}

function layersOf({ work, h, placement }: Trial, options: RNNOptions): Record<string, Layer> {
  const cell = gatedTask(work)?.cell;
  if (cell !== undefined) return { rnn: gatedCells[cell](options) };
  if (placement !== undefined) return { rnn: new RNN({ ...options, normalization: placement }) };
  return { rnn: new RNN(options), ln: new LayerNorm({ size: h, dtype: options.dtype }) };
}

const gatedCells: Record<GatedCell, (options: LSTMOptions & GRUOptions) => LSTM | GRU> = {
  lstm: (options) => new LSTM(options),
  gru: (options) => new GRU(options),
  'gru-reset-before': (options) => new GRU({ ...options, resetAfter: false }),
  'layer-norm-lstm': (options) => new LSTM({ ...options, normalization: 'split-preactivation', cellNormalization: 'output' }),
};

function convert(state: Data, dtype: DType): Data {
  if (dtype === 'float32') return state;
  return Object.fromEntries(Object.entries(state).map(([name, { data, shape }]) => [name, new Tensor(Float64Array.from(data), shape)]));
}

function meanSquare(tensor: Tensor): number {
  return sumOfSquares(tensor) / tensor.size;
}

function normOfGradients(model: Sequential): number {
  return norm(model.parameters().map(({ grad }) => grad));
}

function norm(tensors: readonly Tensor[]): number {
  return Math.sqrt(tensors.reduce((sum, tensor) => sum + sumOfSquares(tensor), 0));
}

function sumOfSquares({ data }: Tensor): number {
  let sum = 0;
  for (let index = 0; index < data.length; index++) sum += (data[index] as number) ** 2;
  return sum;
}
