/** The hand-written gradient. The wasm backend multiplies transposed operands slowly, so what is multiplied is transposed before. */
import type { StateDict } from '../../../state-dict';
import type { Trial } from '../../protocol';
import { newVariables, readRows, readTimeMajor } from './data';
import { elman, WEIGHTS, type Weights } from './loop';
import { normalise, normaliseBackward, splitSteps } from './operations';
import type { Model, Tensor, Tf, Variable } from './tf';

export function manualModel(tf: Tf, trial: Trial, state: StateDict): Model {
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

export function manualLayerNorm(tf: Tf, state: StateDict): Model {
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
