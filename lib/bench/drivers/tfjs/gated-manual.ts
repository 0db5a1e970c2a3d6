/**
 * Cells with gates in TF.js with a hand-written gradient. What the way back needs of the gates is computed for all steps at once; the weights'
 * gradients are products over all steps. GatedCell gives the equations. Rows [T·N, ·] are time-major.
 */
import type { StateDict } from '../../../state-dict';
import type { GatedCell, Trial } from '../../protocol';
import type { GatedTask } from '../../works';
import { newVariables, readTimeMajor } from './data';
import { gatedWeights } from './gated';
import { normalise, normaliseBackward, splitSteps } from './operations';
import type { Model, Tensor, Tf, Variable } from './tf';

/** What all functions here are made with. */
interface Context {
  tf: Tf;
  trial: Trial;
  input: Tensor;
  weights: readonly Variable[];
}

interface Pass {
  /** all h_t [T·N, H] */
  output: Tensor;
  /** the gradients of all weights, in their order, from ∂L/∂output */
  backward(dOutput: Tensor): Tensor[];
}

const scans: Record<GatedCell, (context: Context) => Pass> = {
  lstm: scanLstm,
  gru: scanGru,
  'gru-reset-before': scanGruResetBefore,
  'layer-norm-lstm': scanLstm,
};

export function manualGated(tf: Tf, trial: Trial, { cell }: GatedTask, state: StateDict): Model {
  const variables = newVariables(tf, state, gatedWeights(cell));
  const weights = variables.map(({ variable }) => variable);
  const [input, target] = [readTimeMajor(tf, state, 'input'), readTimeMajor(tf, state, 'target')];
  const scan = () => scans[cell]({ tf, trial, input, weights });
  return {
    variables,
    target,
    forward: () => scan().output,
    pass() {
      const { output, backward } = scan();
      const difference = tf.sub(output, target);
      const loss = tf.mean(tf.square(difference));
      const begin = performance.now();
      const tensors = backward(tf.mul(difference, 2 / (trial.n * trial.t * trial.h)));
      const backwardMs = performance.now() - begin;
      return { loss, gradients: weights.map(({ name }, k) => ({ name, tensor: tensors[k] as Tensor })), backwardMs };
    },
  };
}

interface Normalised {
  normalised: Tensor;
  rstd: Tensor;
}

/** A LayerNorm in each step, or none: then all passes it unchanged. */
class StepNorm {
  readonly #made: Normalised[] = [];
  readonly #gradients: Tensor[] = [];

  constructor(
    private readonly context: Context,
    private readonly gamma?: Variable,
    private readonly beta?: Variable,
  ) {}

  forward(rows: Tensor): Tensor {
    if (this.gamma === undefined) return rows;
    const made = normalise(this.context.tf, rows, this.gamma, this.beta ?? 0);
    this.#made.push(made);
    return made.output;
  }

  backward(step: number, gradient: Tensor): Tensor {
    if (this.gamma === undefined) return gradient;
    this.#gradients[step] = gradient;
    return normaliseBackward(this.context.tf, gradient, this.#made[step] as Normalised, this.gamma).dRows;
  }

  /** Of its weights, over all steps. */
  gradients(): Tensor[] {
    if (this.gamma === undefined) return [];
    const { tf } = this.context;
    const all = tf.concat(this.#gradients, 0);
    const hats = this.#made.map(({ normalised }) => normalised);
    const dGamma = tf.sum(tf.mul(all, tf.concat(hats, 0)), 0);
    return this.beta === undefined ? [dGamma] : [dGamma, tf.sum(all, 0)];
  }
}

/** s (1 − s), the slope of s = σ(a). */
function sigmoidSlope(tf: Tf, s: Tensor): Tensor {
  return tf.mul(s, tf.sub(1, s));
}

/** 1 − y², the slope of y = tanh(a). */
function tanhSlope(tf: Tf, y: Tensor): Tensor {
  return tf.sub(1, tf.square(y));
}

/** What stands in the rows of the step before: zeros for the first. */
function before({ tf, trial: { n, t, h } }: Context, rows: Tensor): Tensor {
  const zeros = tf.zeros([n, h]);
  return t === 1 ? zeros : tf.concat([zeros, tf.slice(rows, [0, 0], [(t - 1) * n, h])], 0);
}

/** Each of a step's tensors, of all steps. */
function overSteps<Step extends readonly Tensor[]>(tf: Tf, steps: readonly Step[]): Step {
  const join = (_: Tensor, k: number) =>
    tf.concat(
      steps.map((step) => step[k] as Tensor),
      0,
    );
  return (steps[0] as Step).map(join) as readonly Tensor[] as Step;
}

/** dW_ih and dW_hh from ∂L/∂(x W_ih) and ∂L/∂(h W_hh) of all steps. */
function weightGradients(context: Context, output: Tensor, ofInput: Tensor, ofState: Tensor): Tensor[] {
  const { tf, input } = context;
  return [tf.matMul(tf.transpose(input), ofInput), tf.matMul(tf.transpose(before(context, output)), ofState)];
}

type LstmStep = [i: Tensor, f: Tensor, g: Tensor, o: Tensor, tanhOfCell: Tensor, cell: Tensor, hidden: Tensor];

/** With the weights of LayerNorms, a LayerNorm LSTM. */
function scanLstm(context: Context): Pass {
  const { tf, trial, input, weights } = context;
  const [weightIh, weightHh, biasIh, biasHh, ...ofNorms] = weights as [Variable, Variable, Variable, Variable, ...Variable[]];
  const [ofInput, ofState, ofCell, shift] = ofNorms;
  const norms = [new StepNorm(context, ofInput), new StepNorm(context, ofState), new StepNorm(context, ofCell, shift)] as const;
  const projected = tf.add(norms[0].forward(tf.matMul(input, weightIh)), tf.add(biasIh, biasHh));
  const zeros = tf.zeros([trial.n, trial.h]);
  const steps: LstmStep[] = [];
  for (const row of splitSteps(tf, projected, trial.n, trial.t)) {
    const [cellBefore, hiddenBefore] = (steps.at(-1)?.slice(5) ?? [zeros, zeros]) as [Tensor, Tensor];
    const [i, f, g, o] = tf.split(tf.add(row, norms[1].forward(tf.matMul(hiddenBefore, weightHh))), 4, 1) as LstmStep;
    const gates = [tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)] as const;
    const cell = tf.add(tf.mul(gates[1], cellBefore), tf.mul(gates[0], gates[2]));
    const tanhOfCell = tf.tanh(norms[2].forward(cell));
    steps.push([...gates, tanhOfCell, cell, tf.mul(gates[3], tanhOfCell)]);
  }
  const all = overSteps(tf, steps);
  const output = all[6];
  return {
    output,
    backward(dOutput) {
      const [dGates, dStates] = lstmBackward(context, all, dOutput, norms);
      const dBias = tf.sum(dGates, 0);
      const products = weightGradients(context, output, norms[0].backward(0, dGates), dStates);
      return [...products, dBias, dBias, ...norms.flatMap((norm) => norm.gradients())];
    },
  };
}

/** Back through time: ∂L/∂a_t of all steps, and that by h_{t−1} W_hh. */
function lstmBackward(context: Context, all: LstmStep, dOutput: Tensor, [, ofState, ofCell]: readonly StepNorm[]): [Tensor, Tensor] {
  const { tf, trial, weights } = context;
  const [i, f, g, o, tanhOfCell, cell] = all;
  const split = (rows: Tensor) => splitSteps(tf, rows, trial.n, trial.t);
  const ofIfg = [tf.mul(g, sigmoidSlope(tf, i)), tf.mul(before(context, cell), sigmoidSlope(tf, f)), tf.mul(i, tanhSlope(tf, g))];
  const factors = [tf.concat(ofIfg, 1), tf.mul(tanhOfCell, sigmoidSlope(tf, o)), tf.mul(o, tanhSlope(tf, tanhOfCell)), f, dOutput].map(
    split,
  );
  const weightHhT = tf.transpose(weights[1] as Variable);
  const [dGates, dStates]: [Tensor[], Tensor[]] = [[], []];
  let carried: { dHidden: Tensor; dCell: Tensor } | undefined;
  for (let step = trial.t - 1; step >= 0; step--) {
    const [ifg, ofO, toCell, forget, dHere] = factors.map((list) => list[step]) as [Tensor, Tensor, Tensor, Tensor, Tensor];
    const dHidden = carried ? tf.add(dHere, carried.dHidden) : dHere;
    const through = (ofCell as StepNorm).backward(step, tf.mul(dHidden, toCell));
    const dCell = carried ? tf.add(through, carried.dCell) : through;
    const dStep = tf.concat([tf.mul(tf.concat([dCell, dCell, dCell], 1), ifg), tf.mul(dHidden, ofO)], 1);
    dGates[step] = dStep;
    const dState = (ofState as StepNorm).backward(step, dStep);
    dStates[step] = dState;
    carried = { dHidden: tf.matMul(dState, weightHhT), dCell: tf.mul(dCell, forget) };
  }
  return [tf.concat(dGates, 0), tf.concat(dStates, 0)];
}

type GruStep = [r: Tensor, z: Tensor, n: Tensor, ofState: Tensor, hidden: Tensor];

function scanGru(context: Context): Pass {
  const { tf, trial, input, weights } = context;
  const [weightIh, weightHh, biasIh, biasHh] = weights as [Variable, Variable, Variable, Variable];
  const projected = tf.add(tf.matMul(input, weightIh), biasIh);
  const steps: GruStep[] = [];
  for (const row of splitSteps(tf, projected, trial.n, trial.t)) {
    const hiddenBefore = steps.at(-1)?.[4] ?? tf.zeros([trial.n, trial.h]);
    const [rInput, zInput, nInput] = tf.split(row, 3, 1) as GruStep;
    const [rState, zState, ofState] = tf.split(tf.add(tf.matMul(hiddenBefore, weightHh), biasHh), 3, 1) as GruStep;
    const [r, z] = [tf.sigmoid(tf.add(rInput, rState)), tf.sigmoid(tf.add(zInput, zState))];
    const n = tf.tanh(tf.add(nInput, tf.mul(r, ofState)));
    steps.push([r, z, n, ofState, tf.add(n, tf.mul(z, tf.sub(hiddenBefore, n)))]);
  }
  const all = overSteps(tf, steps);
  const output = all[4];
  return {
    output,
    backward(dOutput) {
      const [ofInput, ofState] = gruBackward(context, all, dOutput);
      return [...weightGradients(context, output, ofInput, ofState), tf.sum(ofInput, 0), tf.sum(ofState, 0)];
    },
  };
}

/** Back through time: ∂L/∂(x_t W_ih) of all steps, and that by h_{t−1} W_hh. */
function gruBackward(context: Context, [r, z, n, ofState, hidden]: GruStep, dOutput: Tensor): [Tensor, Tensor] {
  const { tf, trial, weights } = context;
  const split = (rows: Tensor) => splitSteps(tf, rows, trial.n, trial.t);
  const toN = tf.mul(tf.sub(1, z), tanhSlope(tf, n));
  const toR = tf.mul(toN, tf.mul(ofState, sigmoidSlope(tf, r)));
  const toZ = tf.mul(tf.sub(before(context, hidden), n), sigmoidSlope(tf, z));
  const toState = tf.concat([toR, toZ, tf.mul(toN, r)], 1);
  const factors = [toState, z, dOutput].map(split);
  const weightHhT = tf.transpose(weights[1] as Variable);
  const dHiddens: Tensor[] = [];
  let carried: Tensor | undefined;
  for (let step = trial.t - 1; step >= 0; step--) {
    const [ofGates, update, dHere] = factors.map((list) => list[step]) as [Tensor, Tensor, Tensor];
    const dHidden = carried ? tf.add(dHere, carried) : dHere;
    dHiddens[step] = dHidden;
    const dState = tf.mul(tf.concat([dHidden, dHidden, dHidden], 1), ofGates);
    carried = tf.add(tf.mul(dHidden, update), tf.matMul(dState, weightHhT));
  }
  const all = tf.concat(dHiddens, 0);
  const thrice = tf.concat([all, all, all], 1);
  return [tf.mul(thrice, tf.concat([toR, toZ, toN], 1)), tf.mul(thrice, toState)];
}

type ResetBeforeStep = [r: Tensor, z: Tensor, n: Tensor, reset: Tensor, hidden: Tensor];

/** W_hh of r and z, and of n: columns of what is transposed. */
function stateWeights({ tf, trial: { h }, weights }: Context): [Tensor, Tensor] {
  return tf.split(weights[1] as Variable, [2 * h, h], 1) as [Tensor, Tensor];
}

function scanGruResetBefore(context: Context): Pass {
  const { tf, trial, input, weights } = context;
  const [weightIh, , biasIh, biasHh] = weights as [Variable, Variable, Variable, Variable];
  const [ofGates, ofCandidate] = stateWeights(context);
  const projected = tf.add(tf.matMul(input, weightIh), tf.add(biasIh, biasHh));
  const steps: ResetBeforeStep[] = [];
  for (const row of splitSteps(tf, projected, trial.n, trial.t)) {
    const hiddenBefore = steps.at(-1)?.[4] ?? tf.zeros([trial.n, trial.h]);
    const [gates, nInput] = tf.split(row, [2 * trial.h, trial.h], 1) as [Tensor, Tensor];
    const [r, z] = tf.split(tf.sigmoid(tf.add(gates, tf.matMul(hiddenBefore, ofGates))), 2, 1) as [Tensor, Tensor];
    const reset = tf.mul(r, hiddenBefore);
    const n = tf.tanh(tf.add(nInput, tf.matMul(reset, ofCandidate)));
    steps.push([r, z, n, reset, tf.add(n, tf.mul(z, tf.sub(hiddenBefore, n)))]);
  }
  const all = overSteps(tf, steps);
  const output = all[4];
  return {
    output,
    backward(dOutput) {
      const dGates = gruResetBeforeBackward(context, all, dOutput);
      const [dSigmoids, dCandidate] = tf.split(dGates, [2 * trial.h, trial.h], 1) as [Tensor, Tensor];
      const [dWeightIh, dOfSigmoids] = weightGradients(context, output, dGates, dSigmoids) as [Tensor, Tensor];
      const dWeightHh = tf.concat([dOfSigmoids, tf.matMul(tf.transpose(all[3]), dCandidate)], 1);
      const dBias = tf.sum(dGates, 0);
      return [dWeightIh, dWeightHh, dBias, dBias];
    },
  };
}

/** Back through time: ∂L/∂a_t of all steps, of r, z and n. */
function gruResetBeforeBackward(context: Context, [r, z, n, , hidden]: ResetBeforeStep, dOutput: Tensor): Tensor {
  const { tf, trial } = context;
  const split = (rows: Tensor) => splitSteps(tf, rows, trial.n, trial.t);
  const hiddenBefore = before(context, hidden);
  const toN = tf.mul(tf.sub(1, z), tanhSlope(tf, n));
  const toZ = tf.mul(tf.sub(hiddenBefore, n), sigmoidSlope(tf, z));
  const toR = tf.mul(hiddenBefore, sigmoidSlope(tf, r));
  const factors = [toN, toZ, toR, r, z, dOutput].map(split);
  const [sigmoidsT, candidateT] = stateWeights(context).map((weight) => tf.transpose(weight)) as [Tensor, Tensor];
  const dGates: Tensor[] = [];
  let carried: Tensor | undefined;
  for (let step = trial.t - 1; step >= 0; step--) {
    const [ofN, ofZ, ofR, reset, update, dHere] = factors.map((list) => list[step]) as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
    const dHidden = carried ? tf.add(dHere, carried) : dHere;
    const dCandidate = tf.mul(dHidden, ofN);
    const dReset = tf.matMul(dCandidate, candidateT);
    const dSigmoids = tf.concat([tf.mul(dReset, ofR), tf.mul(dHidden, ofZ)], 1);
    dGates[step] = tf.concat([dSigmoids, dCandidate], 1);
    carried = tf.addN([tf.mul(dHidden, update), tf.mul(dReset, reset), tf.matMul(dSigmoids, sigmoidsT)]);
  }
  return tf.concat(dGates, 0);
}
