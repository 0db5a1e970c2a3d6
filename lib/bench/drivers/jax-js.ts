/**
 * jax-js on its WebAssembly device, the only one it has in Node. It has no loop such as lax.scan, so jit sees the loop over time unrolled:
 * between 500 and 1,000 steps its compiler overflows the stack, which the driver reports like any error.
 *
 * Its arrays are counted: every use takes one reference, `x.ref` gives one more.
 */
import { loadState } from '../../io/safetensors';
import type { StateDict } from '../../state-dict';
import type { StartMessage, Trial, Work } from '../protocol';
import { forGatedWorks } from '../works';
import { loadRival, rivalVersion } from './rival-module';
import { type Started, serve } from './serve';

const LEARNING_RATE = 1e-3;
const BETA1 = 0.9;
const BETA2 = 0.999;
const ADAM_EPS = 1e-8;
const MAX_NORM = 1;
const LAYER_NORM_EPS = 1e-5;

type Operand = JaxArray | number;

/** What this file uses of jax-js' arrays, typed here because it is no dependency. */
interface JaxArray {
  readonly ref: this;
  readonly shape: readonly number[];
  add(other: Operand): JaxArray;
  sub(other: Operand): JaxArray;
  mul(other: Operand): JaxArray;
  div(other: Operand): JaxArray;
  sum(axis?: number): JaxArray;
  mean(axis?: number, options?: { keepdims: boolean }): JaxArray;
  transpose(order?: readonly number[]): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  /** takes its reference, like everything */
  dataSync(): Float32Array;
  dispose(): void;
}

interface Jax {
  jit<F extends (...args: never[]) => unknown>(f: F): F;
  valueAndGrad(f: (weights: JaxArray[], data: JaxArray[]) => JaxArray): (weights: JaxArray[], data: JaxArray[]) => [JaxArray, JaxArray[]];
  vjp<Out>(f: (...inputs: never[]) => Out, inputs: unknown[]): [Out, ((cotangent: JaxArray) => [JaxArray[]]) & { dispose(): void }];
  blockUntilReady<T>(arrays: T): Promise<T>;
  numpy: {
    array(values: Float32Array): JaxArray;
    zeros(shape: readonly number[]): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    square(x: JaxArray): JaxArray;
    sqrt(x: JaxArray): JaxArray;
    reciprocal(x: JaxArray): JaxArray;
    tanh(x: JaxArray): JaxArray;
    minimum(a: Operand, b: Operand): JaxArray;
    unstack(x: JaxArray): JaxArray[];
    stack(arrays: readonly JaxArray[]): JaxArray;
  };
}

/** Weights with Adam's running means of gradients and of their squares. */
interface Optimizer {
  weights: JaxArray[];
  means: JaxArray[];
  squares: JaxArray[];
}

type Job = Pick<Started, 'runOnce' | 'measure'>;

const jobs: Record<Work, (jax: Jax, trial: Trial, state: StateDict) => Job> = {
  train,
  forward,
  backward: notExpressed,
  rnn: notExpressed,
  'layer-norm': layerNorm,
  placement: notExpressed,
  ...forGatedWorks(() => notExpressed),
};

/** Loads jax-js and answers as the protocol says. */
export async function startJaxJs({ trial, dataFile }: StartMessage): Promise<Started> {
  const jax = loadRival('@jax-js/jax') as Jax;
  const baseBytes = process.memoryUsage.rss();
  const job = jobs[trial.work](jax, trial, loadState(dataFile));
  return { system: `jax-js ${rivalVersion('@jax-js/jax')}, wasm`, baseBytes, ...job };
}

function train(jax: Jax, trial: Trial, state: StateDict): Job {
  const data = [readTimeMajor(jax, state, 'input'), readTimeMajor(jax, state, 'target')];
  const [input, target] = data as [JaxArray, JaxArray];
  // Three compiled functions, not one: in one, the norm would be computed anew for each element that it scales, at four times the cost.
  const lossAndGradients = jax.jit(jax.valueAndGrad((weights, data) => meanSquaredError(jax, trial, weights, data)));
  const clipScale = jax.jit((gradients: JaxArray[]) => computeClipScale(jax, gradients));
  const update = jax.jit((optimizer: Optimizer, gradients: JaxArray[], scale: JaxArray, corrections: JaxArray) =>
    adam(jax, optimizer, gradients, scale, corrections),
  );
  const outputsOf = jax.jit((weights: JaxArray[], input: JaxArray) => outputs(jax, trial, weights, input));

  let optimizer = startOptimizer(jax, state);
  let steps = 0;
  const runOnce = async () => {
    steps++;
    const [loss, gradients] = lossAndGradients(refs(optimizer.weights), refs(data));
    // Read at once: waiting for so many kernels, each with a promise of its own, takes twice as long.
    loss.dataSync();
    const scale = clipScale(refs(gradients));
    const corrections = jax.numpy.array(new Float32Array([1 - BETA1 ** steps, 1 - BETA2 ** steps]));
    optimizer = update(optimizer, gradients, scale, corrections);
    await jax.blockUntilReady(optimizer);
  };
  const numbers = () => {
    const [loss, gradients] = lossAndGradients(refs(optimizer.weights), refs(data));
    loss.dispose();
    const output = outputsOf(refs(optimizer.weights), input.ref).dataSync();
    // Summed here in float64, as every system's numbers are.
    return { loss: squareSum(output, target.ref.dataSync()) / output.length, norm: norm(gradients) };
  };
  return {
    runOnce,
    async measure(first) {
      for (const array of Object.values(optimizer).flat()) array.dispose();
      optimizer = startOptimizer(jax, state);
      steps = 0;
      const before = numbers();
      if (first) return before;
      await runOnce();
      // After one step Adam's mean is 1 − β₁ times the gradient that it got.
      const clippedNorm = norm(refs(optimizer.means)) / (1 - BETA1);
      const next = numbers();
      return { ...before, clippedNorm, nextLoss: next.loss, nextNorm: next.norm };
    },
  };
}

function forward(jax: Jax, trial: Trial, state: StateDict): Job {
  const weights = readWeights(jax, state);
  const input = readTimeMajor(jax, state, 'input');
  const run = jax.jit((weights: JaxArray[], input: JaxArray) => outputs(jax, trial, weights, input));
  return {
    async runOnce() {
      const output = run(refs(weights), input.ref);
      await jax.blockUntilReady(output);
      output.dispose();
    },
    measure() {
      const output = run(refs(weights), input.ref).dataSync();
      return { loss: squareSum(output) / output.length, norm: Math.sqrt(squareSum(output)) };
    },
  };
}

function notExpressed(_jax: Jax, { work }: Trial): never {
  throw new Error(`The driver of jax-js has no ${work}.`);
}

function layerNorm(jax: Jax, _trial: Trial, state: StateDict): Job {
  const inputs = ['input', 'ln.weight', 'ln.bias'].map((name) => read(jax, state, name));
  const gradOutput = read(jax, state, 'gradOutput');
  const run = jax.jit((inputs: JaxArray[], gradOutput: JaxArray) => {
    const [output, pullBack] = jax.vjp((inputs: [JaxArray, JaxArray, JaxArray]) => normalise(jax, ...inputs), [inputs]);
    const [gradients] = pullBack(gradOutput);
    pullBack.dispose();
    return [output, ...gradients] as [JaxArray, ...JaxArray[]];
  });
  return {
    async runOnce() {
      const results = run(refs(inputs), gradOutput.ref);
      await jax.blockUntilReady(results);
      for (const array of results) array.dispose();
    },
    measure() {
      const [output, ...gradients] = run(refs(inputs), gradOutput.ref);
      const values = output.dataSync();
      return { loss: squareSum(values) / values.length, norm: norm(gradients) };
    },
  };
}

/** LayerNorm of the hidden states [T, N, H] of an input [T, N, I]. */
function outputs(jax: Jax, { n, h }: Trial, weights: readonly JaxArray[], input: JaxArray): JaxArray {
  const { numpy: np } = jax;
  const [weightIh, weightHh, biasIh, biasHh, gamma, beta] = weights as [JaxArray, JaxArray, JaxArray, JaxArray, JaxArray, JaxArray];
  const projected = np.unstack(np.matmul(input, weightIh).add(biasIh.add(biasHh)));
  let state = np.zeros([n, h]);
  const hidden = projected.map((step) => {
    state = np.tanh(step.add(np.matmul(state, weightHh.ref)));
    return state.ref;
  });
  state.dispose();
  weightHh.dispose();
  return normalise(jax, np.stack(hidden), gamma, beta);
}

function normalise({ numpy: np }: Jax, x: JaxArray, gamma: JaxArray, beta: JaxArray): JaxArray {
  const centred = x.ref.sub(x.mean(-1, { keepdims: true }));
  const deviation = np.sqrt(np.square(centred.ref).mean(-1, { keepdims: true }).add(LAYER_NORM_EPS));
  return centred.div(deviation).mul(gamma).add(beta);
}

function meanSquaredError(jax: Jax, trial: Trial, weights: JaxArray[], data: JaxArray[]): JaxArray {
  const [input, target] = data as [JaxArray, JaxArray];
  return jax.numpy.square(outputs(jax, trial, weights, input).sub(target)).mean();
}

/** What scales the gradients so that their global norm is at most 1, as in PyTorch's clip_grad_norm_. */
function computeClipScale({ numpy: np }: Jax, gradients: readonly JaxArray[]): JaxArray {
  const squares = gradients.map((gradient) => np.square(gradient).sum()).reduce((a, b) => a.add(b));
  return np.minimum(np.reciprocal(np.sqrt(squares).add(1e-6)).mul(MAX_NORM), 1);
}

/** @param corrections 1 − β₁ᵗ and 1 − β₂ᵗ */
function adam({ numpy: np }: Jax, optimizer: Optimizer, gradients: readonly JaxArray[], scale: JaxArray, corrections: JaxArray): Optimizer {
  const [correction1, correction2] = np.unstack(corrections) as [JaxArray, JaxArray];
  const next: Optimizer = { weights: [], means: [], squares: [] };
  for (const [k, gradient] of gradients.entries()) {
    const clipped = gradient.mul(scale.ref);
    const mean = (optimizer.means[k] as JaxArray).mul(BETA1).add(clipped.ref.mul(1 - BETA1));
    const square = (optimizer.squares[k] as JaxArray).mul(BETA2).add(np.square(clipped).mul(1 - BETA2));
    const deviation = np.sqrt(square.ref.div(correction2.ref)).add(ADAM_EPS);
    next.weights.push((optimizer.weights[k] as JaxArray).sub(mean.ref.div(correction1.ref).div(deviation).mul(LEARNING_RATE)));
    next.means.push(mean);
    next.squares.push(square);
  }
  for (const array of [scale, correction1, correction2]) array.dispose();
  return next;
}

function startOptimizer(jax: Jax, state: StateDict): Optimizer {
  const weights = readWeights(jax, state);
  const zeros = () => weights.map(({ shape }) => jax.numpy.zeros(shape));
  return { weights, means: zeros(), squares: zeros() };
}

function refs(arrays: readonly JaxArray[]): JaxArray[] {
  return arrays.map((array) => array.ref);
}

function read({ numpy: np }: Jax, state: StateDict, name: string): JaxArray {
  const { data, shape } = state[name] as StateDict[string];
  return np.array(data as Float32Array).reshape(shape);
}

/** The weights, those of the RNN transposed: rows are multiplied by them from the left. */
function readWeights(jax: Jax, state: StateDict): JaxArray[] {
  const names = ['rnn.weight_ih_l0', 'rnn.weight_hh_l0', 'rnn.bias_ih_l0', 'rnn.bias_hh_l0', 'ln.weight', 'ln.bias'];
  return names.map((name) => (name.startsWith('rnn.weight') ? read(jax, state, name).transpose() : read(jax, state, name)));
}

/** A tensor of the data file as [T, N, ·], time first, so that a step is one contiguous piece. */
function readTimeMajor(jax: Jax, state: StateDict, name: string): JaxArray {
  return read(jax, state, name).transpose([1, 0, 2]);
}

function norm(arrays: readonly JaxArray[]): number {
  return Math.sqrt(arrays.reduce((sum, array) => sum + squareSum(array.dataSync()), 0));
}

/** Of `values`, or of their differences from as many others. */
function squareSum(values: Float32Array, others?: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += ((values[i] ?? 0) - (others?.[i] ?? 0)) ** 2;
  return sum;
}

if (require.main === module) serve(startJaxJs);
