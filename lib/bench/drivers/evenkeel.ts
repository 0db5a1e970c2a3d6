/** evenkeel itself, through its public API. In the tier `float64` it is the reference that every system's numbers must agree with. */
import {
  Adam,
  clipGradNorm,
  type DType,
  LayerNorm,
  loadState,
  mseLoss,
  RNN,
  runtimeInfo,
  Sequential,
  setNumThreads,
  Tensor,
} from '../../index';
import type { Trial, Work } from '../protocol';
import type { Numbers } from '../results';
import { type Started, serve, timeOnce } from './serve';

interface Job {
  runOnce: Started['runOnce'];
  /** the numbers of the last call */
  numbers(): Numbers;
}

type Data = Record<string, Tensor>;
type Four = [Tensor, Tensor, Tensor, Tensor];

const jobs: Record<Work, (data: Data, trial: Trial, dtype: DType) => Job> = { train, forward, backward, 'layer-norm': layerNorm };

serve(async ({ trial, threads, tier, dataFile }) => {
  setNumThreads(threads);
  const baseBytes = process.memoryUsage.rss();
  const dtype = tier === 'float64' ? 'float64' : 'float32';
  const job = jobs[trial.work](convert(loadState(dataFile), dtype), trial, dtype);
  const firstCallMs = await timeOnce(job.runOnce);
  const numbers = job.numbers();
  if (trial.work === 'train') {
    job.runOnce();
    const { loss, norm } = job.numbers();
    Object.assign(numbers, { nextLoss: loss, nextNorm: norm });
  }
  const { version, simdTarget, blas } = runtimeInfo();
  const system = `evenkeel ${version}, ${simdTarget}, ${blas}`;
  return { ready: { ready: true, system, ...numbers, firstCallMs, baseBytes }, runOnce: job.runOnce };
});

function train(data: Data, trial: Trial, dtype: DType): Job {
  const { model, input, target } = build(data, trial, dtype);
  const optimizer = new Adam(model.parameters(), { learningRate: 1e-3 });
  let numbers: Numbers;
  return {
    runOnce() {
      optimizer.zeroGrad();
      const { value, grad } = mseLoss(model.forward(input), target);
      model.backward(grad);
      numbers = { loss: value, norm: clipGradNorm(model.parameters(), { maxNorm: 1 }) };
      optimizer.step();
    },
    numbers: () => numbers,
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
      model.backward(grad);
      const time = performance.now() - start;
      loss = value;
      return time;
    },
    numbers: () => ({ loss, norm: norm(model.parameters().map(({ grad }) => grad)) }),
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

function build({ input, target, ...state }: Data, { i, h }: Trial, dtype: DType) {
  const model = new Sequential({ rnn: new RNN({ inputSize: i, hiddenSize: h, dtype }), ln: new LayerNorm({ size: h, dtype }) });
  model.loadStateDict(state);
  return { model, input: input as Tensor, target: target as Tensor };
}

function convert(state: Data, dtype: DType): Data {
  if (dtype === 'float32') return state;
  return Object.fromEntries(Object.entries(state).map(([name, { data, shape }]) => [name, new Tensor(Float64Array.from(data), shape)]));
}

function meanSquare(tensor: Tensor): number {
  return sumOfSquares(tensor) / tensor.size;
}

function norm(tensors: readonly Tensor[]): number {
  return Math.sqrt(tensors.reduce((sum, tensor) => sum + sumOfSquares(tensor), 0));
}

function sumOfSquares({ data }: Tensor): number {
  let sum = 0;
  for (let index = 0; index < data.length; index++) sum += (data[index] as number) ** 2;
  return sum;
}
