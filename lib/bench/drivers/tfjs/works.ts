/** The timed works, and the numbers that must agree. */

import type { Numbers, Work } from '../../protocol';
import { forGatedWorks, gatedTask } from '../../works';
import type { Adam, Model, NamedTensor, Tf } from './tf';

const MAX_NORM = 1;

/** The timed works. All three backends have done the work when a call returns. */
export function worksOn(tf: Tf, model: Model): Record<Work, () => number | undefined> & { restart(): void } {
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
export function measure(tf: Tf, model: Model, work: Work): Numbers {
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
