/** Where a LayerNorm may stand, as data, and the layers that this makes. */
import type { Layer } from '../layers/layer';
import { LayerNorm } from '../layers/layer-norm';
import type { Placement } from '../layers/recurrent/normalization';
import { RNN, type RNNOptions } from '../layers/rnn';

/** `'input'` and `'output'` are a LayerNorm before and after the RNN, outside the recurrence; the others are the RNN's own. */
export type DepthPlacement = Placement | 'input' | 'output';

/** In the order of tables, each with the place in words. */
export const placements = [
  { name: 'none', place: 'nowhere' },
  { name: 'input', place: 'before the RNN' },
  { name: 'output', place: 'after the RNN' },
  { name: 'preactivation', place: 'before the activation' },
  { name: 'split-preactivation', place: 'on both parts before the activation' },
  { name: 'recurrent-input', place: 'on what is fed back' },
  { name: 'hidden', place: 'on the state' },
] as const satisfies readonly { name: DepthPlacement; place: string }[];

/**
 * The places that make recurrences of their own. `'recurrent-input'` is `'hidden'` seen elsewhere: with s its state, LN(s) is the state of
 * `'hidden'`, to the bit, so that it is not counted twice.
 */
export const recurrences = placements.filter(({ name }) => name !== 'recurrent-input');

/** "after the RNN", to follow "LayerNorm". */
export function placeOf(placement: DepthPlacement): string {
  return placements.find(({ name }) => name === placement)?.place ?? placement;
}

/** The RNN and its LayerNorm by name, in order. Draws for the RNN alone: one seed gives every placement the same initial weights. */
export function placedLayers(placement: DepthPlacement, options: RNNOptions): Record<string, Layer> {
  const { inputSize, hiddenSize, dtype } = options;
  const isOutside = placement === 'input' || placement === 'output';
  const rnn = new RNN({ ...options, normalization: isOutside ? 'none' : placement });
  return {
    ...(placement === 'input' ? { ln: new LayerNorm({ size: inputSize, dtype }) } : {}),
    rnn,
    ...(placement === 'output' ? { ln: new LayerNorm({ size: hiddenSize, dtype }) } : {}),
  };
}
