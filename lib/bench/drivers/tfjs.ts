/**
 * TF.js on its three backends for CPUs, in three ways of expressing the work:
 * - `layers`: tf.layers' SimpleRNN and LayerNormalization under tf.variableGrads, as its documents teach;
 * - `autodiff`: a loop of tf operations under tf.variableGrads;
 * - `manual`: the same loop with a hand-written gradient.
 * TF.js has no clipping of the norm, so each clips by hand. The last two keep their data with time first, so that a step is one contiguous
 * piece: that is the faster way, and a user may choose it.
 *
 *     node tfjs.js cpu|wasm|node
 */
import { checkOneOf } from '../../check';
import { loadState } from '../../io/safetensors';
import type { StateDict } from '../../state-dict';
import { forGatedWorks, gatedTask } from '../gated';
import type { InnerPlacement, Numbers, StartMessage, Trial, Work } from '../protocol';
import { loadRival, rivalVersion } from './rival-module';
import { type Started, serve } from './serve';
import { autodiffGated, layersLstm } from './tfjs-gated';

const BACKENDS = ['cpu', 'wasm', 'node'] as const;
const TIERS = ['layers', 'autodiff', 'manual'] as const;
type Backend = (typeof BACKENDS)[number];
type Tier = (typeof TIERS)[number];

const EPS = 1e-5;
const MAX_NORM = 1;
const MAX_PIECES = 8;

/** What this file uses of a TF.js tensor. */
export interface Tensor {
  dataSync(): Float32Array;
  dispose(): void;
}

export interface Variable extends Tensor {
  readonly name: string;
  assign(value: Tensor): void;
}

interface NamedTensor {
  name: string;
  tensor: Tensor;
}

interface Layer {
  apply(input: Tensor): Tensor;
  readonly trainableWeights: readonly { read(): Variable }[];
}

interface Adam {
  applyGradients(gradients: readonly NamedTensor[]): void;
  dispose(): void;
}

type Operand = Tensor | number;

/** What this file uses of TF.js, typed here because it is no dependency. */
export interface Tf {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  backend(): { binding?: { TF_Version: string } };
  env(): { getAsync(flag: string): Promise<unknown> };
  tensor(values: ArrayLike<number>, shape: readonly number[]): Tensor;
  variable(initial: Tensor): Variable;
  zeros(shape: readonly number[]): Tensor;
  tidy<T>(work: () => T): T;
  add(a: Operand, b: Operand): Tensor;
  sub(a: Operand, b: Operand): Tensor;
  mul(a: Operand, b: Operand): Tensor;
  div(a: Operand, b: Operand): Tensor;
  minimum(a: Operand, b: Operand): Tensor;
  square(x: Tensor): Tensor;
  sqrt(x: Tensor): Tensor;
  rsqrt(x: Tensor): Tensor;
  tanh(x: Tensor): Tensor;
  sigmoid(x: Tensor): Tensor;
  addN(tensors: readonly Tensor[]): Tensor;
  sum(x: Tensor, axis?: number): Tensor;
  mean(x: Tensor, axis?: number, keepDims?: boolean): Tensor;
  matMul(a: Tensor, b: Tensor): Tensor;
  transpose(x: Tensor, order?: readonly number[]): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  split(x: Tensor, piecesOrSizes: number | readonly number[], axis: number): Tensor[];
  concat(tensors: readonly Tensor[], axis: number): Tensor;
  slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor;
  variableGrads(f: () => Tensor, variables: readonly Variable[]): { value: Tensor; grads: Record<string, Tensor> };
  grads(f: (...inputs: Tensor[]) => Tensor): (inputs: readonly Tensor[], outputGradient: Tensor) => Tensor[];
  train: { adam(learningRate: number, beta1: number, beta2: number, epsilon: number): Adam };
  losses: { meanSquaredError(target: Tensor, output: Tensor): Tensor };
  layers: { simpleRNN(options: object): Layer; lstm(options: object): Layer; layerNormalization(options: object): Layer };
  sequential(options: { layers: Layer[] }): Layer;
}

/** One pass forward and backward; for the work `layer-norm` there is no loss. */
interface Pass {
  loss?: Tensor;
  gradients: NamedTensor[];
  backwardMs: number;
}

/** One tier's way of computing. Its tensors are the caller's to dispose, by tf.tidy. */
export interface Model {
  /** all variables and what they are at first */
  variables: readonly { variable: Variable; initial: Tensor }[];
  /** of the output's shape; not there for the work `layer-norm` */
  target?: Tensor;
  /** the one bias that stands for PyTorch's two: its gradient counts twice in the norm */
  doubled?: string;
  forward(): Tensor;
  pass(): Pass;
}

type RecurrentModel = (tf: Tf, trial: Trial, state: StateDict) => Model;

const models: Record<Tier, { recurrent: RecurrentModel; layerNorm: (tf: Tf, state: StateDict) => Model }> = {
  layers: { recurrent: layersModel, layerNorm: layersLayerNorm },
  autodiff: { recurrent: autodiffModel, layerNorm: autodiffLayerNorm },
  manual: { recurrent: manualModel, layerNorm: manualLayerNorm },
};

/** Loads a backend and answers as the protocol says. */
export async function startTfjs(backend: Backend, { trial, threads, tier, dataFile }: StartMessage): Promise<Started> {
  const checkedTier = checkOneOf('tier', tier, TIERS);
  const { tf, system } = await loadBackend(backend, threads);
  const baseBytes = process.memoryUsage.rss();
  const state = loadState(dataFile);
  const model = makeModel(tf, trial, checkedTier, state);
  const works = worksOn(tf, model);
  const runOnce = works[trial.work];
  return {
    system,
    baseBytes,
    runOnce,
    measure(first) {
      // The first call may have moved the weights.
      works.restart();
      const numbers = measure(tf, model, trial.work);
      // Under Adam two equal biases move by two steps and one bias by one: after a step a model with one bias differs rightly.
      if (first || numbers.clippedNorm === undefined || model.doubled !== undefined) return numbers;
      runOnce();
      const { loss, norm } = measure(tf, model, trial.work);
      return { ...numbers, nextLoss: loss, nextNorm: norm };
    },
  };
}

function makeModel(tf: Tf, trial: Trial, tier: Tier, state: StateDict): Model {
  const task = gatedTask(trial.work);
  if (task !== undefined) return tier === 'layers' ? layersLstm(tf, trial, state, helpers) : autodiffGated(tf, trial, task, state, helpers);
  const { recurrent, layerNorm } = models[tier];
  return trial.work === 'layer-norm' ? layerNorm(tf, state) : recurrent(tf, trial, state);
}

async function loadBackend(backend: Backend, threads: number): Promise<{ tf: Tf; system: string }> {
  if (backend === 'node') {
    // TensorFlow reads these when it starts. The other two backends have no threads in Node.
    process.env.TF_NUM_INTRAOP_THREADS = process.env.TF_NUM_INTEROP_THREADS = process.env.OMP_NUM_THREADS = `${threads}`;
    const tf = loadRival('@tensorflow/tfjs-node') as Tf;
    await tf.ready();
    // The same TF.js may stand on any of several years' TensorFlow.
    return { tf, system: `TF.js ${rivalVersion('@tensorflow/tfjs-node')}, node (TensorFlow ${tf.backend().binding?.TF_Version})` };
  }
  const tf = loadRival('@tensorflow/tfjs') as Tf;
  if (backend === 'wasm') loadRival('@tensorflow/tfjs-backend-wasm');
  if (!(await tf.setBackend(backend))) throw new Error(`TF.js could not start its backend "${backend}".`);
  await tf.ready();
  const simd = backend === 'wasm' ? ` (${(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) ? 'SIMD' : 'no SIMD'})` : '';
  return { tf, system: `TF.js ${rivalVersion('@tensorflow/tfjs')}, ${backend}${simd}` };
}

/** The timed works. All three backends have done the work when a call returns. */
function worksOn(tf: Tf, model: Model): Record<Work, () => number | undefined> & { restart(): void } {
  let adam: Adam | undefined;
  const gradients = () => tf.tidy(() => model.pass().backwardMs);
  const train = () => {
    adam ??= tf.train.adam(1e-3, 0.9, 0.999, 1e-8);
    const optimizer = adam;
    tf.tidy(() => {
      const { loss, gradients } = model.pass();
      optimizer.applyGradients(clip(tf, gradients, model.doubled));
      // The loss is what a user looks at in every step.
      loss?.dataSync();
    });
    return undefined;
  };
  const forward = () => void tf.tidy(() => void model.forward());
  return {
    restart() {
      adam?.dispose();
      adam = undefined;
      for (const { variable, initial } of model.variables) {
        variable.assign(initial);
        initial.dispose();
      }
    },
    train,
    placement: train,
    forward,
    backward: gradients,
    rnn: notExpressed,
    ...forGatedWorks(({ part }) => (part === 'train' ? train : forward)),
    'layer-norm': () => void gradients(),
  };
}

function notExpressed(): never {
  throw new Error('The driver of TF.js has no such work.');
}

/** Clips the global norm as PyTorch's clip_grad_norm_ does. */
function clip(tf: Tf, gradients: readonly NamedTensor[], doubled: string | undefined): NamedTensor[] {
  const squares = gradients.map(({ name, tensor }) => tf.mul(tf.sum(tf.square(tensor)), name === doubled ? 2 : 1));
  const scale = tf.minimum(1, tf.div(MAX_NORM, tf.add(tf.sqrt(tf.addN(squares)), 1e-6)));
  return gradients.map(({ name, tensor }) => ({ name, tensor: tf.mul(tensor, scale) }));
}

/** The numbers that must agree, summed here in float64: the wasm backend's own sums are naive and miss up to 0.3 %, its gradients do not. */
function measure(tf: Tf, model: Model, work: Work): Numbers {
  const part = gatedTask(work)?.part;
  return tf.tidy(() => {
    const output = model.forward().dataSync();
    if (work === 'forward' || part === 'forward' || part === 'step')
      return { loss: squareSum(output) / output.length, norm: Math.sqrt(squareSum(output)) };
    const loss = squareSum(output, model.target?.dataSync()) / output.length;
    const { gradients } = model.pass();
    const numbers = { loss, norm: normOf(gradients, model.doubled) };
    if (work !== 'train' && work !== 'placement' && part !== 'train') return numbers;
    return { ...numbers, clippedNorm: normOf(clip(tf, gradients, model.doubled), model.doubled) };
  });
}

function normOf(gradients: readonly NamedTensor[], doubled: string | undefined): number {
  const squares = gradients.map(({ name, tensor }) => squareSum(tensor.dataSync()) * (name === doubled ? 2 : 1));
  return Math.sqrt(squares.reduce((a, b) => a + b));
}

/** Of `values`, or of their differences from as many others. */
function squareSum(values: Float32Array, others?: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += ((values[i] ?? 0) - (others?.[i] ?? 0)) ** 2;
  return sum;
}

/** tf.variableGrads and how long its backward part took. */
function differentiate(tf: Tf, computeLoss: () => Tensor, variables: readonly Variable[]): Pass {
  let begin = 0;
  const { value, grads } = tf.variableGrads(() => {
    const loss = computeLoss();
    begin = performance.now();
    return loss;
  }, variables);
  const backwardMs = performance.now() - begin;
  return { loss: value, gradients: Object.entries(grads).map(([name, tensor]) => ({ name, tensor })), backwardMs };
}

/** A tensor of the data file; weights are transposed, for TF.js multiplies from the left. */
function read(tf: Tf, state: StateDict, name: string): Tensor {
  const { data, shape } = state[name] as StateDict[string];
  const tensor = tf.tensor(data, shape);
  return name.startsWith('rnn.weight') ? tf.transpose(tensor) : tensor;
}

/** A tensor of the data file as [T·N, ·], time first. */
function readTimeMajor(tf: Tf, state: StateDict, name: string): Tensor {
  return tf.tidy(() => {
    const [n = 0, t = 0, size = 0] = state[name]?.shape ?? [];
    return tf.reshape(tf.transpose(read(tf, state, name), [1, 0, 2]), [n * t, size]);
  });
}

/** A tensor of the data file as rows. */
function readRows(tf: Tf, state: StateDict, name: string): Tensor {
  const [n = 0, t = 0, size = 0] = state[name]?.shape ?? [];
  return tf.reshape(read(tf, state, name), [n * t, size]);
}

/** The mean squared error of rows. */
function meanSquaredError(tf: Tf, output: Tensor, target: Tensor): Tensor {
  return tf.mean(tf.square(tf.sub(output, target)));
}

// tf.layers

function layersModel(tf: Tf, { t, i, h }: Trial, state: StateDict): Model {
  const rnn = tf.layers.simpleRNN({
    units: h,
    returnSequences: true,
    inputShape: [t, i],
    // The default, a random orthogonal matrix, takes minutes at 2,560 units.
    recurrentInitializer: 'zeros',
  });
  const model = tf.sequential({ layers: [rnn, tf.layers.layerNormalization({ epsilon: EPS })] });
  const initials = ['rnn.weight_ih_l0', 'rnn.weight_hh_l0', 'rnn.bias_ih_l0', 'ln.weight', 'ln.bias'].map((name) => read(tf, state, name));
  initials[2] = tf.add(initials[2] as Tensor, read(tf, state, 'rnn.bias_hh_l0'));
  const variables = assigned(model, initials);
  const input = read(tf, state, 'input');
  const target = read(tf, state, 'target');
  return {
    variables,
    target,
    doubled: variables[2]?.variable.name as string,
    forward: () => model.apply(input),
    pass: () =>
      differentiate(
        tf,
        () => tf.losses.meanSquaredError(target, model.apply(input)),
        variables.map(({ variable }) => variable),
      ),
  };
}

function layersLayerNorm(tf: Tf, state: StateDict): Model {
  const input = read(tf, state, 'input');
  const layer = tf.sequential({ layers: [tf.layers.layerNormalization({ epsilon: EPS, inputShape: state.input?.shape.slice(1) })] });
  const variables = assigned(
    layer,
    ['ln.weight', 'ln.bias'].map((name) => read(tf, state, name)),
  );
  return differentiatedLayerNorm(tf, input, read(tf, state, 'gradOutput'), variables, () => layer.apply(input));
}

function assigned(layer: Layer, initials: readonly Tensor[]): Model['variables'] {
  return initials.map((initial, k) => {
    const variable = layer.trainableWeights[k]?.read() as Variable;
    variable.assign(initial);
    return { variable, initial };
  });
}

// A loop of operations, differentiated by TF.js

type Weights = [weightIh: Variable, weightHh: Variable, biasIh: Variable, biasHh: Variable, gamma: Variable, beta: Variable];

const WEIGHTS = ['rnn.weight_ih_l0', 'rnn.weight_hh_l0', 'rnn.bias_ih_l0', 'rnn.bias_hh_l0', 'ln.weight', 'ln.bias'];

function newVariables(tf: Tf, state: StateDict, names: readonly string[]): Model['variables'] {
  return names.map((name) => {
    const initial = read(tf, state, name);
    return { variable: tf.variable(initial), initial };
  });
}

/** The hidden states after each step, each [N, H], one step on another, from what the inputs of all steps give [T·N, H]. */
function scan(tf: Tf, { n, t, h }: Trial, projected: Tensor, step: (projectedStep: Tensor, state: Tensor) => Tensor): Tensor {
  let state = tf.zeros([n, h]);
  const hidden = splitSteps(tf, projected, n, t).map((projectedStep) => {
    state = step(projectedStep, state);
    return state;
  });
  return tf.concat(hidden, 0);
}

/** h_t = tanh(x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh) over all steps, from an input [T·N, I]. */
function elman(tf: Tf, trial: Trial, input: Tensor, [weightIh, weightHh, biasIh, biasHh]: Weights): Tensor {
  const projected = tf.add(tf.matMul(input, weightIh), tf.add(biasIh, biasHh));
  return scan(tf, trial, projected, (step, state) => tf.tanh(tf.add(step, tf.matMul(state, weightHh))));
}

/** Splits [T·N, H] into T steps, by way of larger pieces: the wasm backend copies all of a tensor for each piece that it takes from it. */
function splitSteps(tf: Tf, rows: Tensor, n: number, t: number): Tensor[] {
  // TF.js has no gradient for a split into one piece.
  if (t === 1) return [rows];
  if (t <= MAX_PIECES) return tf.split(rows, t, 0);
  const bounds = Array.from({ length: MAX_PIECES + 1 }, (_, k) => Math.floor((k * t) / MAX_PIECES));
  const steps = bounds.slice(1).map((end, k) => end - (bounds[k] ?? 0));
  const sizes = steps.map((count) => count * n);
  return tf.split(rows, sizes, 0).flatMap((piece, k) => splitSteps(tf, piece, n, steps[k] ?? 0));
}

/** LayerNorm over rows, with what its gradient needs. */
function normalise(tf: Tf, rows: Tensor, gamma: Tensor, beta: Operand): { output: Tensor; normalised: Tensor; rstd: Tensor } {
  const centred = tf.sub(rows, tf.mean(rows, 1, true));
  const rstd = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), EPS));
  const normalised = tf.mul(centred, rstd);
  return { output: tf.add(tf.mul(normalised, gamma), beta), normalised, rstd };
}

function autodiffModel(tf: Tf, trial: Trial, state: StateDict): Model {
  const { placement } = trial;
  const split = placement === 'split-preactivation';
  const norms = split ? ['rnn.norm_ih.weight', 'rnn.norm_hh.weight'] : ['rnn.norm.weight', 'rnn.norm.bias'];
  const variables = newVariables(tf, state, placement === undefined ? WEIGHTS : [...WEIGHTS.slice(0, 4), ...norms]);
  const weights = variables.map(({ variable }) => variable) as Weights;
  const input = readTimeMajor(tf, state, 'input');
  const target = readTimeMajor(tf, state, 'target');
  const forward = () =>
    placement === undefined
      ? normalise(tf, elman(tf, trial, input, weights), weights[4], weights[5]).output
      : elmanNormalised(tf, trial, placement, input, weights);
  return { variables, target, forward, pass: () => differentiate(tf, () => meanSquaredError(tf, forward(), target), weights) };
}

/** The hidden states with a LayerNorm within the recurrence; InnerPlacement gives the equations. */
function elmanNormalised(tf: Tf, trial: Trial, placement: InnerPlacement, input: Tensor, weights: Weights): Tensor {
  const [weightIh, weightHh, biasIh, biasHh, first, second] = weights;
  const bias = tf.add(biasIh, biasHh);
  const norm = (rows: Tensor) => normalise(tf, rows, first, second).output;
  const fromInput = tf.matMul(input, weightIh);
  const fromState = (state: Tensor) => tf.matMul(state, weightHh);
  if (placement === 'split-preactivation') {
    const projected = tf.add(normalise(tf, fromInput, first, 0).output, bias);
    return scan(tf, trial, projected, (step, state) => tf.tanh(tf.add(step, normalise(tf, fromState(state), second, 0).output)));
  }
  const steps: Record<typeof placement, (step: Tensor, state: Tensor) => Tensor> = {
    preactivation: (step, state) => tf.tanh(norm(tf.add(step, fromState(state)))),
    'recurrent-input': (step, state) => tf.tanh(tf.add(step, fromState(norm(state)))),
    hidden: (step, state) => norm(tf.tanh(tf.add(step, fromState(state)))),
  };
  return scan(tf, trial, tf.add(fromInput, bias), steps[placement]);
}

function autodiffLayerNorm(tf: Tf, state: StateDict): Model {
  const variables = newVariables(tf, state, ['ln.weight', 'ln.bias']);
  const [gamma, beta] = variables.map(({ variable }) => variable) as [Variable, Variable];
  const input = readRows(tf, state, 'input');
  return differentiatedLayerNorm(tf, input, readRows(tf, state, 'gradOutput'), variables, () => normalise(tf, input, gamma, beta).output);
}

function differentiatedLayerNorm(tf: Tf, input: Tensor, gradOutput: Tensor, variables: Model['variables'], forward: () => Tensor): Model {
  const gradientsOf = tf.grads(forward);
  const inputs = [input, ...variables.map(({ variable }) => variable)];
  return {
    variables,
    forward,
    pass: () => ({ gradients: gradientsOf(inputs, gradOutput).map((tensor, k) => ({ name: `${k}`, tensor })), backwardMs: 0 }),
  };
}

// The hand-written gradient. The wasm backend multiplies transposed operands slowly, so what is multiplied is transposed before.

function manualModel(tf: Tf, trial: Trial, state: StateDict): Model {
  const variables = newVariables(tf, state, WEIGHTS);
  const weights = variables.map(({ variable }) => variable) as Weights;
  const input = readTimeMajor(tf, state, 'input');
  const target = readTimeMajor(tf, state, 'target');
  const forward = () => {
    const hidden = elman(tf, trial, input, weights);
    return { hidden, ...normalise(tf, hidden, weights[4], weights[5]) };
  };
  return {
    variables,
    target,
    forward: () => forward().output,
    pass() {
      const cache = forward();
      const difference = tf.sub(cache.output, target);
      const loss = tf.mean(tf.square(difference));
      const begin = performance.now();
      const norm = normaliseBackward(tf, tf.mul(difference, 2 / (trial.n * trial.t * trial.h)), cache, weights[4]);
      const [dWeightIh, dWeightHh, dBias] = scanBackward(tf, trial, input, cache.hidden, norm.dRows, weights[1]);
      const tensors = [dWeightIh, dWeightHh, dBias, dBias, norm.dGamma, norm.dBeta];
      const backwardMs = performance.now() - begin;
      return { loss, gradients: weights.map(({ name }, k) => ({ name, tensor: tensors[k] as Tensor })), backwardMs };
    },
  };
}

function manualLayerNorm(tf: Tf, state: StateDict): Model {
  const variables = newVariables(tf, state, ['ln.weight', 'ln.bias']);
  const [gamma, beta] = variables.map(({ variable }) => variable) as [Variable, Variable];
  const input = readRows(tf, state, 'input');
  const gradOutput = readRows(tf, state, 'gradOutput');
  const forward = () => normalise(tf, input, gamma, beta);
  return {
    variables,
    forward: () => forward().output,
    pass: () => {
      const gradients = Object.entries(normaliseBackward(tf, gradOutput, forward(), gamma)).map(([name, tensor]) => ({ name, tensor }));
      return { gradients, backwardMs: 0 };
    },
  };
}

/** dx = rstd · (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)) with dx̂ = γ · dy (Ba et al. 2016, differentiated). */
function normaliseBackward(tf: Tf, dOutput: Tensor, { normalised, rstd }: { normalised: Tensor; rstd: Tensor }, gamma: Tensor) {
  const dNormalised = tf.mul(dOutput, gamma);
  const projection = tf.mul(normalised, tf.mean(tf.mul(dNormalised, normalised), 1, true));
  return {
    dRows: tf.mul(rstd, tf.sub(tf.sub(dNormalised, tf.mean(dNormalised, 1, true)), projection)),
    dGamma: tf.sum(tf.mul(dOutput, normalised), 0),
    dBeta: tf.sum(dOutput, 0),
  };
}

/** Back through time: da_t = (dh_t + da_{t+1} · W_hhᵀ) · (1 − h_t²); the weights' gradients are products over all steps at once. */
function scanBackward(
  tf: Tf,
  { n, t, h }: Trial,
  input: Tensor,
  hidden: Tensor,
  dHidden: Tensor,
  weightHh: Tensor,
): [dWeightIh: Tensor, dWeightHh: Tensor, dBias: Tensor] {
  const slopes = splitSteps(tf, tf.sub(1, tf.square(hidden)), n, t);
  const weightHhT = tf.transpose(weightHh);
  const dSteps = splitSteps(tf, dHidden, n, t);
  let carried: Tensor | undefined;
  for (let step = t - 1; step >= 0; step--) {
    const dState = dSteps[step] as Tensor;
    dSteps[step] = tf.mul(carried ? tf.add(dState, carried) : dState, slopes[step] as Tensor);
    if (step > 0) carried = tf.matMul(dSteps[step] as Tensor, weightHhT);
  }
  const dPre = tf.concat(dSteps, 0);
  const earlier = tf.slice(hidden, [0, 0], [(t - 1) * n, h]);
  const later = tf.slice(dPre, [n, 0], [(t - 1) * n, h]);
  return [tf.matMul(tf.transpose(input), dPre), tf.matMul(tf.transpose(earlier), later), tf.sum(dPre, 0)];
}

/** What models in files of their own are made with. */
const helpers = { read, readTimeMajor, newVariables, assigned, splitSteps, normalise, meanSquaredError, differentiate };
export type Helpers = typeof helpers;

if (require.main === module) {
  serve((message) => startTfjs(checkOneOf('backend', process.argv[2], BACKENDS), message));
}
