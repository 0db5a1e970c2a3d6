import { checkOneOf, checkRowCount } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { checkLengths } from '../lengths';
import { readBy, writeBy } from '../schema';
import { checkTensor, type Tensor, type TensorData } from '../tensor';
import { allocateOutput } from '../workspace';
import { BaseLayer, type CheckedInput, type Computed, type Pass } from './layer';
import { type LayerCost, pointwiseCost } from './summary';

/** What an {@link Activation} computes. */
export type ActivationKind = 'relu' | 'tanh' | 'sigmoid' | 'softmax';

/** Options of {@link Activation}. */
export interface ActivationOptions {
  kind: ActivationKind;
}

/** One row [width] at a time. */
interface Rule {
  forward(x: TensorData, y: TensorData): void;
  /** ∂L/∂x from y and ∂L/∂y */
  backward(y: TensorData, dy: TensorData, dx: TensorData): void;
}

/** A function of each element, and its derivative as a function of its value. */
function pointwise(value: (x: number) => number, derivative: (y: number) => number): Rule {
  return {
    forward(x, y) {
      for (let i = 0; i < x.length; i++) y[i] = value(x[i] as number);
    },
    backward(y, dy, dx) {
      for (let i = 0; i < y.length; i++) dx[i] = (dy[i] as number) * derivative(y[i] as number);
    },
  };
}

const RULES: Record<ActivationKind, Rule> = {
  relu: pointwise(
    (x) => Math.max(x, 0),
    (y) => (y <= 0 ? 0 : 1),
  ),
  tanh: pointwise(Math.tanh, (y) => 1 - y * y),
  sigmoid: pointwise(
    (x) => 1 / (1 + Math.exp(-x)),
    (y) => y * (1 - y),
  ),
  softmax: {
    forward(x, y) {
      let largest = -Infinity;
      for (let i = 0; i < x.length; i++) largest = Math.max(largest, x[i] as number);
      let sum = 0;
      for (let i = 0; i < x.length; i++) sum += Math.exp((x[i] as number) - largest);
      for (let i = 0; i < x.length; i++) y[i] = Math.exp((x[i] as number) - largest) / sum;
    },
    backward(y, dy, dx) {
      let dot = 0;
      for (let i = 0; i < y.length; i++) dot += (y[i] as number) * (dy[i] as number);
      for (let i = 0; i < y.length; i++) dx[i] = (y[i] as number) * ((dy[i] as number) - dot);
    },
  },
};

const kinds = Object.keys(RULES) as ActivationKind[];
const SCHEMA = {
  kind: { check: (argument: string, value: unknown): ActivationKind => checkOneOf(argument, value, kinds), choices: kinds },
};

interface CheckedRows extends CheckedInput {
  readonly lengths: Int32Array | undefined;
}

/**
 * A function between layers: relu max(0, x), tanh, sigmoid 1/(1 + e^−x), each of every element, or softmax over the last dimension. forward takes
 * and gives [..., width], of either dtype; it has no parameters.
 *
 * {@link crossEntropyLoss} and {@link bceWithLogitsLoss} take logits: a model that is trained with them ends before softmax or sigmoid.
 */
export class Activation extends BaseLayer<CheckedRows, Tensor> {
  /** @internal */
  static readonly schema = SCHEMA;
  readonly kind: ActivationKind;

  /** @throws EvenkeelError ERR_OPTION for an option that is missing, unknown or not one of the kinds */
  constructor(options: ActivationOptions) {
    const given = readBy('Activation options', options, SCHEMA);
    super([], { options: writeBy(SCHEMA, given) });
    this.kind = given.kind;
  }

  /** @internal */
  costOf(shape: readonly number[]): LayerCost {
    return pointwiseCost(shape);
  }

  protected checkForward(input: Tensor, { lengths }: Readonly<Record<string, unknown>>): CheckedRows {
    const { shape, size } = checkTensor('input', input);
    if (shape.length === 0 || size === 0) {
      throw new EvenkeelError('ERR_SHAPE', `input: expected shape [..., width] with at least one element, got ${formatShape(shape)}.`);
    }
    checkRowCount('input', size / (shape.at(-1) as number));
    return { input, lengths: checkLengths(lengths, shape) };
  }

  protected compute(checked: CheckedRows): Computed<Tensor> {
    const { data, dtype, shape } = checked.input;
    const output = allocateOutput(dtype, shape);
    const { forward } = RULES[this.kind];
    eachRow(checked, output.data, (begin, end) => forward(data.subarray(begin, end), output.data.subarray(begin, end)));
    return { output, kept: output };
  }

  protected override checkKept({ kept }: Pass<CheckedRows, Tensor>): void {
    kept.checkAttached('output of the last forward call');
  }

  protected differentiate({ checked, kept }: Pass<CheckedRows, Tensor>, gradOutput: Tensor, gradInput: Tensor | undefined): void {
    if (gradInput === undefined) return;
    const { backward } = RULES[this.kind];
    eachRow(checked, gradInput.data, (begin, end) =>
      backward(kept.data.subarray(begin, end), gradOutput.data.subarray(begin, end), gradInput.data.subarray(begin, end)),
    );
  }
}

/** Calls `write` for each row that counts, and puts zeros into the others of `to`. */
function eachRow({ input: { shape, size }, lengths }: CheckedRows, to: TensorData, write: (begin: number, end: number) => void): void {
  const width = shape.at(-1) as number;
  const steps = shape[1] as number;
  for (let begin = 0; begin < size; begin += width) {
    const row = begin / width;
    const counts = lengths === undefined || row % steps < (lengths[Math.floor(row / steps)] as number);
    if (counts) write(begin, begin + width);
    else to.fill(0, begin, begin + width);
  }
}
