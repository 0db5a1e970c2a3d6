/** What a recurrent layer costs, from its sizes alone: the one home of these formulas, for every cell. */

export type CellName = 'rnn' | 'lstm' | 'gru';

interface CellCost {
  /** products of H rows in each step */
  gates: number;
  /** states of H numbers that are handed on */
  states: number;
  /** arrays as wide as a state that are alive over all steps in training, besides an RNN's, as measured */
  kept: number;
}

export const cellCosts: Record<CellName, CellCost> = {
  rnn: { gates: 1, states: 1, kept: 0 },
  lstm: { gates: 4, states: 2, kept: 10 },
  gru: { gates: 3, states: 1, kept: 9 },
};

export interface CostSizes {
  gates: number;
  inputSize: number;
  hiddenSize: number;
}

/** Elements of W_ih [G·H, I] and W_hh [G·H, H]. */
export function weightElements({ gates, inputSize, hiddenSize }: CostSizes): number {
  return gates * hiddenSize * (inputSize + hiddenSize);
}

/** Elements of both biases [G·H]. */
export function biasElements({ gates, hiddenSize }: CostSizes): number {
  return 2 * gates * hiddenSize;
}

/**
 * Multiplications and additions of the products that one time step of one sequence needs, for each gate: forward x W_ihᵀ and h W_hhᵀ, 2·(I·H + H²);
 * backward ∂h through W_hh, dW_hh and dW_ih, 2·(I·H + 2·H²); and ∂L/∂x, 2·I·H, which training does not need in a first layer. Pointwise work is
 * left out: it hides behind the products or the bytes.
 */
export function stepFlop({ gates, inputSize, hiddenSize }: CostSizes): { forward: number; backward: number; inputGradient: number } {
  const [input, recurrent] = [2 * gates * inputSize * hiddenSize, 2 * gates * hiddenSize * hiddenSize];
  return { forward: input + recurrent, backward: input + 2 * recurrent, inputGradient: input };
}

/**
 * The same from the shapes of a layer's weight matrices: each is multiplied with a row forward, and its gradient is another product of that size. Through
 * those that do not multiply x_t goes ∂L/∂h, through W_ih ∂L/∂x.
 */
export function productFlop(weights: readonly { readonly elements: number; readonly ofInput: boolean }[]): ReturnType<typeof stepFlop> {
  const products = (of: readonly { readonly elements: number }[]) => of.reduce((sum, { elements }) => sum + 2 * elements, 0);
  const inner = weights.filter(({ ofInput }) => !ofInput);
  return {
    forward: products(weights),
    backward: products(weights) + products(inner),
    inputGradient: products(weights.filter(({ ofInput }) => ofInput)),
  };
}

/**
 * Elements of the large arrays over all time steps that each pass must read or write, for one time step of one sequence: x in both passes, h written
 * and read back, the target or the given gradient of h, ∂L/∂x.
 */
export function stepElements({ inputSize: i, hiddenSize: h }: Pick<CostSizes, 'inputSize' | 'hiddenSize'>) {
  return { forward: i + h, backward: i + 2 * h, train: 2 * i + 3 * h, bothWithInputGradient: 3 * i + 3 * h };
}
