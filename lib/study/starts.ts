/** How W_hh starts, as data, and the weights of a draw. */
import type { RNNOptions } from '../layers/rnn';
import { Generator } from '../random';
import { Tensor } from '../tensor';
import { makeCell, type StudyCell } from './placements';

export interface Start {
  name: string;
  options: RNNOptions['recurrentInitializer'];
  /** H times the variance of an entry, where the matrix is random enough for mean-field theory */
  variance?: number;
}

/** In the order of tables. */
export const starts = [
  { name: 'uniform', options: { name: 'uniform' }, variance: 1 / 3 },
  { name: 'orthogonal ×1.0', options: { name: 'orthogonal' }, variance: 1 },
  { name: 'orthogonal ×1.5', options: { name: 'orthogonal', gain: 1.5 }, variance: 2.25 },
  { name: 'identity', options: { name: 'identity' } },
] as const satisfies readonly Start[];

export type StartName = (typeof starts)[number]['name'];

/** Weights and biases of one draw: the same for every place of a LayerNorm, and for either nonlinearity. */
export function drawWeights(
  start: Start,
  sizes: { cell: StudyCell; inputSize: number; hiddenSize: number },
  seed: number,
): Record<string, Tensor> {
  const rnn = makeCell({ ...sizes, dtype: 'float64', recurrentInitializer: start.options, generator: new Generator(seed) });
  return Object.fromEntries(Object.entries(rnn.stateDict()).map(([name, { data, shape }]) => [name, new Tensor(data.slice(), shape)]));
}
