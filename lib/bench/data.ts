import { fillUniform } from '../initializers';
import { Generator } from '../random';
import { Tensor } from '../tensor';
import type { Trial } from './protocol';

/** Of uniform numbers with unit variance. */
const unitBound = Math.sqrt(3);

/**
 * What every driver of a trial computes on, by the names of the protocol's data file: weights as PyTorch draws them, data of unit variance,
 * and LayerNorm's weight and bias away from 1 and 0, where mistakes in its gradient would not show.
 */
export function makeData({ work, n, t, i, h }: Trial): Record<string, Tensor> {
  const generator = new Generator(1);
  const uniform = (shape: number[], bound: number) => {
    const tensor = Tensor.zeros(shape);
    fillUniform(tensor, bound, generator);
    return tensor;
  };
  const weight = uniform([h], 0.5);
  weight.data.forEach((value, index) => {
    weight.data[index] = 1 + value;
  });
  const norm = { 'ln.weight': weight, 'ln.bias': uniform([h], 0.5) };
  if (work === 'layer-norm') return { ...norm, input: uniform([n, t, h], unitBound), gradOutput: uniform([n, t, h], unitBound) };
  const bound = 1 / Math.sqrt(h);
  return {
    ...norm,
    'rnn.weight_ih_l0': uniform([h, i], bound),
    'rnn.weight_hh_l0': uniform([h, h], bound),
    'rnn.bias_ih_l0': uniform([h], bound),
    'rnn.bias_hh_l0': uniform([h], bound),
    input: uniform([n, t, i], unitBound),
    target: uniform([n, t, h], unitBound),
  };
}
