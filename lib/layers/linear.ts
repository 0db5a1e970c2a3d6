import { fillUniform } from '../initializers';
import { native } from '../native/load';
import { Parameter } from '../parameter';
import type { Generator } from '../random';
import { booleanOption, dtypeOption, generatorOption, readBy, sizeOption, writeBy } from '../schema';
import { type DType, elementCount, Tensor, type TensorData } from '../tensor';
import { RowLayer } from './row-layer';
import type { LayerCost } from './summary';

/** Options of {@link Linear}. */
export interface LinearOptions {
  inputSize: number;
  outputSize: number;
  /** whether there is a bias; true unless given */
  bias?: boolean;
  /** `'float32'` unless given */
  dtype?: DType;
  /** where the initial weights come from; without one, from a random seed */
  generator?: Generator;
}

const SCHEMA = {
  inputSize: sizeOption,
  outputSize: sizeOption,
  bias: booleanOption(true),
  dtype: dtypeOption,
  generator: generatorOption,
};

/**
 * y = x Wᵀ + b over the last dimension, as torch.nn.Linear; weights and bias start uniform in ±1/√inputSize. forward takes
 * [..., inputSize] and gives [..., outputSize].
 *
 * Parameters: weight [outputSize, inputSize], bias [outputSize].
 *
 * @example
 * const linear = new Linear({ inputSize: 20, outputSize: 3 });
 * const output = linear.forward(Tensor.randn([32, 50, 20])); // [32, 50, 3]
 */
export class Linear extends RowLayer<undefined> {
  /** @internal */
  static readonly schema = SCHEMA;
  readonly inputSize: number;
  readonly outputSize: number;
  readonly #weight: Parameter;
  readonly #bias: Parameter | undefined;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range, ERR_MEMORY for too large a size */
  constructor(options: LinearOptions) {
    const given = readBy('Linear options', options, SCHEMA);
    const { inputSize, outputSize, bias: hasBias, dtype, generator } = given;
    const weight = new Parameter('weight', Tensor.zeros([outputSize, inputSize], { dtype }));
    const bias = hasBias ? new Parameter('bias', Tensor.zeros([outputSize], { dtype })) : undefined;
    const parameters = bias === undefined ? [weight] : [weight, bias];
    for (const { value } of parameters) fillUniform(value, 1 / Math.sqrt(inputSize), generator);
    super(parameters, { dtype, inputWidth: inputSize, outputWidth: outputSize }, writeBy(SCHEMA, given));
    this.inputSize = inputSize;
    this.outputSize = outputSize;
    this.#weight = weight;
    this.#bias = bias;
  }

  /** @internal */
  override costOf(shape: readonly number[]): LayerCost {
    const { inputSize, outputSize } = this;
    const product = 2 * (elementCount(shape) / inputSize) * inputSize * outputSize;
    return { outputShape: shape.with(-1, outputSize), flop: { forward: product, backward: product, inputGradient: product }, keptBytes: 0 };
  }

  protected computeRows(rows: number, input: TensorData, output: TensorData): undefined {
    const { inputSize, outputSize } = this;
    native().linearForward(rows, inputSize, outputSize, input, this.#weight.value.data, this.#bias?.value.data ?? null, output);
  }

  protected differentiateRows(rows: number, input: TensorData, gradOutput: TensorData, gradInput: TensorData | null): void {
    const [weight, bias] = [this.#weight, this.#bias];
    native().linearBackward(
      rows,
      this.inputSize,
      this.outputSize,
      input,
      weight.value.data,
      gradOutput,
      gradInput,
      weight.grad.data,
      bias?.grad.data ?? null,
    );
  }
}
