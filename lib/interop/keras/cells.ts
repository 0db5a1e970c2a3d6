import { allocate, Tensor } from '../../tensor';
import { reorderBlocks, transposed } from '../arrange';
import type { Slot } from './weights';

/** How a cell's weights stand in Keras and TF.js. */
export interface CellForm {
  readonly gates: number;
  /** which of our blocks of rows comes first there, second and so on; the same list leads back */
  readonly order: readonly number[];
  /** whether there are two biases there as here, [2, G·H], or their sum */
  readonly hasTwoBiases: boolean;
}

const PLAIN: CellForm = { gates: 1, order: [0], hasTwoBiases: false };
/** i, f, c, o as here i, f, g, o */
const LSTM_FORM: CellForm = { gates: 4, order: [0, 1, 2, 3], hasTwoBiases: false };
/** z, r, h; here r, z, n */
const GRU_FORM: CellForm = { gates: 3, order: [1, 0, 2], hasTwoBiases: false };

export type CellClass = 'SimpleRNN' | 'LSTM' | 'GRU';

export function cellForm(className: CellClass, resetAfter: boolean): CellForm {
  if (className === 'SimpleRNN') return PLAIN;
  return className === 'LSTM' ? LSTM_FORM : { ...GRU_FORM, hasTwoBiases: resetAfter };
}

/** The weights of one cell: kernel [I, G·H], recurrent_kernel [H, G·H], bias. */
export function cellSlots({ gates, hasTwoBiases }: CellForm, part: string, hiddenSize: number, hasBias: boolean): Slot[] {
  const rows = gates * hiddenSize;
  return [
    { part, index: 0, name: 'kernel', shape: ['I', rows] },
    { part, index: 1, name: 'recurrent_kernel', shape: [hiddenSize, rows] },
    ...(hasBias ? [{ part, index: 2, name: 'bias', shape: hasTwoBiases ? [2, rows] : [rows] }] : []),
  ];
}

/** Our parameters of a cell from Keras' weights. Of one bias, ours is in b_ih, and b_hh is 0. */
export function readCell({ order, hasTwoBiases }: CellForm, weights: readonly Tensor[], suffix: string): Record<string, Tensor> {
  const [kernel, recurrent, bias] = weights as readonly [Tensor, Tensor, Tensor | undefined];
  const values: Record<string, Tensor> = {
    [`weight_ih_${suffix}`]: reorderBlocks(transposed(kernel), order),
    [`weight_hh_${suffix}`]: reorderBlocks(transposed(recurrent), order),
  };
  if (bias === undefined) return values;
  const rows = bias.shape.at(-1) as number;
  const half = (index: number) => reorderBlocks(new Tensor(bias.data.slice(index * rows, (index + 1) * rows), [rows]), order);
  values[`bias_ih_${suffix}`] = half(0);
  values[`bias_hh_${suffix}`] = hasTwoBiases ? half(1) : Tensor.zeros([rows], { dtype: bias.dtype });
  return values;
}

/** Keras' weights from our parameters, in the order of {@link cellSlots}. */
export function writeCell({ order, hasTwoBiases }: CellForm, state: Readonly<Record<string, Tensor>>, suffix: string): Tensor[] {
  const of = (name: string) => state[`${name}_${suffix}`] as Tensor;
  const weights = [of('weight_ih'), of('weight_hh')].map((weight) => transposed(reorderBlocks(weight, order)));
  const biases = [state[`bias_ih_${suffix}`], state[`bias_hh_${suffix}`]];
  if (biases[0] === undefined) return weights;
  const [a, b] = biases.map((bias) => reorderBlocks(bias as Tensor, order)) as [Tensor, Tensor];
  return [...weights, hasTwoBiases ? stacked(a, b) : sum(a, b)];
}

function stacked(a: Tensor, b: Tensor): Tensor {
  const data = allocate(a.dtype, 2 * a.size);
  data.set(a.data);
  data.set(b.data, a.size);
  return new Tensor(data, [2, a.size]);
}

function sum(a: Tensor, b: Tensor): Tensor {
  return new Tensor(
    a.data.map((value, i) => value + (b.data[i] as number)),
    a.shape,
  );
}
