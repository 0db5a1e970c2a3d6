/** Where a LayerNorm may stand, as data, and the layers that this makes. */

import { GRU } from '../layers/gru';
import type { Layer } from '../layers/layer';
import { LayerNorm } from '../layers/layer-norm';
import { LSTM } from '../layers/lstm';
import type { Placement } from '../layers/recurrent/normalization';
import type { RecurrentOptions } from '../layers/recurrent/options';
import type { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
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

export const studyCells = ['rnn', 'lstm', 'gru'] as const;
export type StudyCell = (typeof studyCells)[number];

/** Each cell's name, to follow "LayerNorm after". */
export const cellNames: Record<StudyCell, string> = { rnn: 'an RNN', lstm: 'an LSTM', gru: 'a GRU' };

/**
 * The places that make recurrences of their own. `'recurrent-input'` is `'hidden'` seen elsewhere: with s its state, LN(s) is the state of
 * `'hidden'`, to the bit, so that it is not counted twice. A GRU is another: it carries part of its state on beside the product.
 */
export function recurrencesOf(cell: StudyCell = 'rnn'): { name: DepthPlacement; place: string }[] {
  return placements.filter(({ name }) => cell === 'gru' || name !== 'recurrent-input');
}

/** "after the RNN", to follow "LayerNorm". */
export function placeOf(placement: DepthPlacement, cell: StudyCell = 'rnn'): string {
  const place = placements.find(({ name }) => name === placement)?.place ?? placement;
  return place.replace('RNN', cell.toUpperCase());
}

/** Options of any of the cells; `nonlinearity` counts for an RNN. */
export interface PlacedOptions extends RecurrentOptions, Pick<RNNOptions, 'nonlinearity'> {
  /** `'rnn'` unless given */
  cell?: StudyCell;
}

export function makeCell({ cell = 'rnn', nonlinearity = 'tanh', ...options }: PlacedOptions): RecurrentLayer<unknown> {
  if (cell === 'lstm') return new LSTM(options);
  return cell === 'gru' ? new GRU(options) : new RNN({ ...options, nonlinearity });
}

/** The RNN and its LayerNorm by name, in order. Draws for the RNN alone: one seed gives every placement the same initial weights. */
export function placedLayers(placement: DepthPlacement, options: PlacedOptions): Record<string, Layer> {
  const { inputSize, hiddenSize, dtype } = options;
  const isOutside = placement === 'input' || placement === 'output';
  const rnn = makeCell({ ...options, normalization: isOutside ? 'none' : placement });
  return {
    ...(placement === 'input' ? { ln: new LayerNorm({ size: inputSize, dtype }) } : {}),
    rnn,
    ...(placement === 'output' ? { ln: new LayerNorm({ size: hiddenSize, dtype }) } : {}),
  };
}
