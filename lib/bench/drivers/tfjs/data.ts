/** What the data file holds, as tensors and variables. */
import type { StateDict } from '../../../state-dict';
import type { Layer, Model, Tensor, Tf, Variable } from './tf';

/** A tensor of the data file; weights are transposed, for TF.js multiplies from the left. */
export function read(tf: Tf, state: StateDict, name: string): Tensor {
  const { data, shape } = state[name] as StateDict[string];
  const tensor = tf.tensor(data, shape);
  return name.startsWith('rnn.weight') ? tf.transpose(tensor) : tensor;
}

/** A tensor of the data file as [T·N, ·], time first. */
export function readTimeMajor(tf: Tf, state: StateDict, name: string): Tensor {
  return tf.tidy(() => {
    const [n = 0, t = 0, size = 0] = state[name]?.shape ?? [];
    return tf.reshape(tf.transpose(read(tf, state, name), [1, 0, 2]), [n * t, size]);
  });
}

/** A tensor of the data file as rows. */
export function readRows(tf: Tf, state: StateDict, name: string): Tensor {
  const [n = 0, t = 0, size = 0] = state[name]?.shape ?? [];
  return tf.reshape(read(tf, state, name), [n * t, size]);
}

export function newVariables(tf: Tf, state: StateDict, names: readonly string[]): Model['variables'] {
  return names.map((name) => {
    const initial = read(tf, state, name);
    return { variable: tf.variable(initial), initial };
  });
}

/** The variables of a layer, which has made its own, with their first values. */
export function assigned(layer: Layer, initials: readonly Tensor[]): Model['variables'] {
  return initials.map((initial, k) => {
    const variable = layer.trainableWeights[k]?.read() as Variable;
    variable.assign(initial);
    return { variable, initial };
  });
}
