/** Both passes of a gated cell on the data of one golden, from given states to given gradients, and every array compared with it. */
import type { DType, GRU, LSTM } from '../../lib/index';
import { fill, fillRecurrent } from '../helpers/fill';
import type { Goldens } from '../helpers/fixtures';

interface GoldenCase {
  goldens: Goldens;
  prefix: string;
  /** sequences and time steps */
  n: number;
  t: number;
  dtype: DType;
  within: number;
}

export function expectLstmGoldens(layer: LSTM, { goldens, prefix, n, t, dtype, within }: GoldenCase): void {
  const { inputSize, hiddenSize, projSize: p = hiddenSize } = layer;
  fillRecurrent(layer, `${prefix}/`);
  const states = (h: string, c: string) => ({
    h: fill(`${prefix}/${h}`, [n, p], { dtype }),
    c: fill(`${prefix}/${c}`, [n, hiddenSize], { dtype }),
  });
  const output = layer.forward(fill(`${prefix}/x`, [n, t, inputSize], { dtype }), { initialState: states('h0', 'c0') });
  const gradInput = layer.backward(fill(`${prefix}/dy`, [n, t, p], { dtype }), { gradFinalState: states('dhT', 'dcT') });
  const { finalState, gradInitialState } = layer;
  const actual = { output, hT: finalState.h, cT: finalState.c, dx: gradInput, dh0: gradInitialState.h, dc0: gradInitialState.c };
  for (const [name, tensor] of Object.entries(actual)) goldens.expect(`${prefix}/${name}`, tensor, { within });
  for (const { name, grad } of layer.parameters()) goldens.expect(`${prefix}/${name}`, grad, { within });
}

export function expectGruGoldens(layer: GRU, { goldens, prefix, n, t, dtype, within }: GoldenCase): void {
  const { inputSize, hiddenSize } = layer;
  fillRecurrent(layer, `${prefix}/`);
  const state = (name: string) => fill(`${prefix}/${name}`, [n, hiddenSize], { dtype });
  const output = layer.forward(fill(`${prefix}/x`, [n, t, inputSize], { dtype }), { initialState: state('h0') });
  const gradInput = layer.backward(fill(`${prefix}/dy`, [n, t, hiddenSize], { dtype }), { gradFinalState: state('dhT') });
  const actual = { output, hT: layer.finalState, dx: gradInput, dh0: layer.gradInitialState };
  for (const [name, tensor] of Object.entries(actual)) goldens.expect(`${prefix}/${name}`, tensor, { within });
  for (const { name, grad } of layer.parameters()) goldens.expect(`${prefix}/${name}`, grad, { within });
}
