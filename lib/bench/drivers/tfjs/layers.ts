/** tf.layers' SimpleRNN, LSTM and LayerNormalization under tf.variableGrads. */
import type { StateDict } from '../../../state-dict';
import type { Trial } from '../../protocol';
import { assigned, read } from './data';
import { differentiate, differentiatedLayerNorm, EPS } from './operations';
import type { Model, Tensor, Tf } from './tf';

export function layersModel(tf: Tf, { t, i, h }: Trial, state: StateDict): Model {
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

export function layersLayerNorm(tf: Tf, state: StateDict): Model {
  const input = read(tf, state, 'input');
  const layer = tf.sequential({ layers: [tf.layers.layerNormalization({ epsilon: EPS, inputShape: state.input?.shape.slice(1) })] });
  const variables = assigned(
    layer,
    ['ln.weight', 'ln.bias'].map((name) => read(tf, state, name)),
  );
  return differentiatedLayerNorm(tf, input, read(tf, state, 'gradOutput'), variables, () => layer.apply(input));
}
