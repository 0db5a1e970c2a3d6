import { fillUniform } from '../initializers';
import { Generator } from '../random';
import { Tensor } from '../tensor';
import type { Trial } from './protocol';
import { gatedTask } from './works';

/** Of uniform numbers with unit variance. */
const unitBound = Math.sqrt(3);

/**
 * What every driver of a trial computes on, by the names of the protocol's data file: weights as PyTorch draws them, inputs of unit variance,
 * and LayerNorm's weight and bias away from 1 and 0, where mistakes in its gradient would not show.
 *
 * Targets of unit variance vary around a mean of their own for each of the H features, which itself varies by √H. Else the gradients of so many
 * independent rows would cancel to a norm far below 1, and clipping at 1.0 would never act: so the bias of the last layer alone has a gradient of
 * norm 2/H · ‖mean output − mean target‖ ≈ 2, whatever the shape.
 */
export function makeData({ work, placement, n, t, i, h }: Trial): Record<string, Tensor> {
  const generator = new Generator(1);
  const uniform = (shape: number[], bound: number) => {
    const tensor = Tensor.zeros(shape);
    fillUniform(tensor, bound, generator);
    return tensor;
  };
  const gated = gatedTask(work);
  const rows = (gated?.gates ?? 1) * h;
  const scale = (size = h) => addToRows(uniform([size], 0.5), Tensor.from([1]));
  const shift = () => uniform([h], 0.5);
  // Of what comes from h_{t−1}: around 1 gradients through time explode, and float32 no longer has the digits that are compared.
  const quarter = (size: number) => addToRows(uniform([size], 0.125), Tensor.from([0.25]));
  const norm = () => ({ 'ln.weight': scale(), 'ln.bias': shift() });
  if (work === 'layer-norm') return { ...norm(), input: uniform([n, t, h], unitBound), gradOutput: uniform([n, t, h], unitBound) };
  const bound = 1 / Math.sqrt(h);
  const target = () => addToRows(uniform([n, t, h], unitBound), uniform([h], unitBound * Math.sqrt(h)));
  const innerNorms = () => ({
    'rnn.norm_ih.weight': scale(rows),
    'rnn.norm_hh.weight': quarter(rows),
    'rnn.norm_cell.weight': scale(),
    'rnn.norm_cell.bias': shift(),
  });
  const normalisation = (): Record<string, Tensor> => {
    if (work === 'rnn') return {};
    if (gated !== undefined) return gated.cell === 'layer-norm-lstm' ? innerNorms() : {};
    if (placement === undefined) return norm();
    if (placement === 'split-preactivation') return { 'rnn.norm_ih.weight': scale(), 'rnn.norm_hh.weight': scale() };
    return { 'rnn.norm.weight': scale(), 'rnn.norm.bias': shift() };
  };
  return {
    ...normalisation(),
    'rnn.weight_ih_l0': uniform([rows, i], bound),
    'rnn.weight_hh_l0': uniform([rows, h], bound),
    'rnn.bias_ih_l0': uniform([rows], bound),
    'rnn.bias_hh_l0': uniform([rows], bound),
    input: uniform([n, t, i], unitBound),
    ...(work === 'rnn' ? { gradOutput: uniform([n, t, h], unitBound) } : { target: target() }),
  };
}

/** Adds `row` to every row of `tensor`. */
function addToRows(tensor: Tensor, row: Tensor): Tensor {
  tensor.data.forEach((value, index) => {
    tensor.data[index] = value + (row.data[index % row.size] as number);
  });
  return tensor;
}
