/** Cells with gates in TF.js: tf.layers.lstm, and loops of tf operations. GatedCell gives the equations. */
import type { StateDict } from '../../../state-dict';
import type { GatedCell, Trial } from '../../protocol';
import type { GatedTask } from '../../works';
import { assigned, newVariables, read, readTimeMajor } from './data';
import { differentiate, meanSquaredError, normalise, splitSteps } from './operations';
import type { Model, Tensor, Tf, Variable } from './tf';

/** tf.layers.lstm, and tf.layers.gru, which resets before its product. Both have one bias, and the GRU its gates in the order z, r, n. */
export function layersGated(tf: Tf, { t, i, h }: Trial, { cell }: GatedTask, state: StateDict): Model {
  const options = {
    units: h,
    returnSequences: true,
    inputShape: [t, i],
    // The default is a hard sigmoid.
    recurrentActivation: 'sigmoid',
    recurrentInitializer: 'zeros',
  };
  const model = tf.sequential({ layers: [cell === 'lstm' ? tf.layers.lstm(options) : tf.layers.gru(options)] });
  const bias = tf.add(read(tf, state, 'rnn.bias_ih_l0'), read(tf, state, 'rnn.bias_hh_l0'));
  const initials = [read(tf, state, 'rnn.weight_ih_l0'), read(tf, state, 'rnn.weight_hh_l0'), bias];
  const variables = assigned(model, cell === 'lstm' ? initials : initials.map((tensor) => updateFirst(tf, tensor)));
  const [input, target] = [read(tf, state, 'input'), read(tf, state, 'target')];
  const forward = () => model.apply(input);
  const weights = variables.map(({ variable }) => variable);
  return {
    variables,
    target,
    doubled: weights[2]?.name,
    forward,
    pass: () => differentiate(tf, () => tf.losses.meanSquaredError(target, forward()), weights),
  };
}

/** The last dimension's gates r, z, n in the order z, r, n. */
function updateFirst(tf: Tf, tensor: Tensor): Tensor {
  const axis = tensor.shape.length - 1;
  const [r, z, n] = tf.split(tensor, 3, axis) as [Tensor, Tensor, Tensor];
  return tf.concat([z, r, n], axis);
}

const NORMS = ['rnn.norm_ih.weight', 'rnn.norm_hh.weight', 'rnn.norm_cell.weight', 'rnn.norm_cell.bias'];
const WEIGHTS = ['rnn.weight_ih_l0', 'rnn.weight_hh_l0', 'rnn.bias_ih_l0', 'rnn.bias_hh_l0'];

/** The data file's names of a cell's weights. */
export function gatedWeights(cell: GatedCell): string[] {
  return cell === 'layer-norm-lstm' ? [...WEIGHTS, ...NORMS] : WEIGHTS;
}

/** A loop of operations, differentiated by TF.js. */
export function autodiffGated(tf: Tf, trial: Trial, { cell, part }: GatedTask, state: StateDict): Model {
  const variables = newVariables(tf, state, gatedWeights(cell));
  const weights = variables.map(({ variable }) => variable);
  const [input, target] = [readTimeMajor(tf, state, 'input'), readTimeMajor(tf, state, 'target')];
  const { project, start, step } = cells[cell](tf, trial, weights);
  const forward = () => {
    // A stream's inputs come one at a time.
    const rows = splitSteps(tf, part === 'step' ? input : project(input), trial.n, trial.t);
    let states = start();
    const outputs = rows.map((row) => {
      states = step(part === 'step' ? project(row) : row, states);
      return states[0] as Tensor;
    });
    return tf.concat(outputs, 0);
  };
  return { variables, target, forward, pass: () => differentiate(tf, () => meanSquaredError(tf, forward(), target), weights) };
}

interface Cell {
  /** what the inputs [·, I] of many steps give at once */
  project(input: Tensor): Tensor;
  start(): Tensor[];
  /** the states after a step, the output first */
  step(projected: Tensor, states: readonly Tensor[]): Tensor[];
}

type MakeCell = (tf: Tf, trial: Trial, weights: readonly Variable[]) => Cell;

const cells: Record<GatedCell, MakeCell> = {
  lstm: lstmCell,
  gru: gruCell,
  'gru-reset-before': gruResetBeforeCell,
  'layer-norm-lstm': lstmCell,
};

/** With the weights of LayerNorms, a LayerNorm LSTM. */
function lstmCell(tf: Tf, { n, h }: Trial, weights: readonly Variable[]): Cell {
  const [weightIh, weightHh, biasIh, biasHh, ofInput, ofState, ofCell, shift] = weights as [
    Variable,
    Variable,
    Variable,
    Variable,
    ...Variable[],
  ];
  const norm = (rows: Tensor, gamma: Variable | undefined, beta: Tensor | number = 0) =>
    gamma === undefined ? rows : normalise(tf, rows, gamma, beta).output;
  return {
    project: (input) => tf.add(norm(tf.matMul(input, weightIh), ofInput), tf.add(biasIh, biasHh)),
    start: () => [tf.zeros([n, h]), tf.zeros([n, h])],
    step(projected, [hidden, carried]) {
      const gates = tf.add(projected, norm(tf.matMul(hidden as Tensor, weightHh), ofState));
      const [i, f, g, o] = tf.split(gates, 4, 1) as [Tensor, Tensor, Tensor, Tensor];
      const cell = tf.add(tf.mul(tf.sigmoid(f), carried as Tensor), tf.mul(tf.sigmoid(i), tf.tanh(g)));
      return [tf.mul(tf.sigmoid(o), tf.tanh(norm(cell, ofCell, shift))), cell];
    },
  };
}

function gruCell(tf: Tf, { n, h }: Trial, weights: readonly Variable[]): Cell {
  const [weightIh, weightHh, biasIh, biasHh] = weights as [Variable, Variable, Variable, Variable];
  return {
    project: (input) => tf.add(tf.matMul(input, weightIh), biasIh),
    start: () => [tf.zeros([n, h])],
    step(projected, [hidden]) {
      const state = hidden as Tensor;
      const [r, z, ofInput] = tf.split(projected, 3, 1) as [Tensor, Tensor, Tensor];
      const [rHidden, zHidden, ofState] = tf.split(tf.add(tf.matMul(state, weightHh), biasHh), 3, 1) as [Tensor, Tensor, Tensor];
      const candidate = tf.tanh(tf.add(ofInput, tf.mul(tf.sigmoid(tf.add(r, rHidden)), ofState)));
      const update = tf.sigmoid(tf.add(z, zHidden));
      return [tf.add(candidate, tf.mul(update, tf.sub(state, candidate)))];
    },
  };
}

function gruResetBeforeCell(tf: Tf, { n, h }: Trial, weights: readonly Variable[]): Cell {
  const [weightIh, weightHh, biasIh, biasHh] = weights as [Variable, Variable, Variable, Variable];
  const [ofSigmoids, ofCandidate] = tf.split(weightHh, [2 * h, h], 1) as [Tensor, Tensor];
  return {
    project: (input) => tf.add(tf.matMul(input, weightIh), tf.add(biasIh, biasHh)),
    start: () => [tf.zeros([n, h])],
    step(projected, [hidden]) {
      const state = hidden as Tensor;
      const [sigmoids, ofInput] = tf.split(projected, [2 * h, h], 1) as [Tensor, Tensor];
      const [reset, update] = tf.split(tf.sigmoid(tf.add(sigmoids, tf.matMul(state, ofSigmoids))), 2, 1) as [Tensor, Tensor];
      const candidate = tf.tanh(tf.add(ofInput, tf.matMul(tf.mul(reset, state), ofCandidate)));
      return [tf.add(candidate, tf.mul(update, tf.sub(state, candidate)))];
    },
  };
}
