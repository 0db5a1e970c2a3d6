/** The RNN as a loop of tf operations over time. */
import type { InnerPlacement, Trial } from '../../protocol';
import { normalise, splitSteps } from './operations';
import type { Tensor, Tf, Variable } from './tf';

export type Weights = [weightIh: Variable, weightHh: Variable, biasIh: Variable, biasHh: Variable, gamma: Variable, beta: Variable];

export const WEIGHTS = ['rnn.weight_ih_l0', 'rnn.weight_hh_l0', 'rnn.bias_ih_l0', 'rnn.bias_hh_l0', 'ln.weight', 'ln.bias'];

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
export function elman(tf: Tf, trial: Trial, input: Tensor, [weightIh, weightHh, biasIh, biasHh]: Weights): Tensor {
  const projected = tf.add(tf.matMul(input, weightIh), tf.add(biasIh, biasHh));
  return scan(tf, trial, projected, (step, state) => tf.tanh(tf.add(step, tf.matMul(state, weightHh))));
}

/** The hidden states with a LayerNorm within the recurrence; InnerPlacement gives the equations. */
export function elmanNormalised(tf: Tf, trial: Trial, placement: InnerPlacement, input: Tensor, weights: Weights): Tensor {
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
