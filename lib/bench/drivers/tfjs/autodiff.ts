/** A loop of operations, differentiated by TF.js. */
import type { StateDict } from '../../../state-dict';
import type { Trial } from '../../protocol';
import { newVariables, readRows, readTimeMajor } from './data';
import { elman, elmanNormalised, WEIGHTS, type Weights } from './loop';
import { differentiate, differentiatedLayerNorm, meanSquaredError, normalise } from './operations';
import type { Model, Tf, Variable } from './tf';

export function autodiffModel(tf: Tf, trial: Trial, state: StateDict): Model {
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

export function autodiffLayerNorm(tf: Tf, state: StateDict): Model {
  const variables = newVariables(tf, state, ['ln.weight', 'ln.bias']);
  const [gamma, beta] = variables.map(({ variable }) => variable) as [Variable, Variable];
  const input = readRows(tf, state, 'input');
  return differentiatedLayerNorm(tf, input, readRows(tf, state, 'gradOutput'), variables, () => normalise(tf, input, gamma, beta).output);
}
