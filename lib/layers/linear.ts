import { checkBoolean, checkDType, checkSize, readOptions } from '../check';
import { fillUniform } from '../initializers';
import { native } from '../native/load';
import { Parameter } from '../parameter';
import { checkGenerator, type Generator } from '../random';
import { type DType, Tensor } from '../tensor';
import { allocateOutput } from '../workspace';
import { type BackwardOptions, BaseLayer, checkRows, type Pass, wantsInputGradient } from './layer';

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

interface LinearPass extends Pass {
  rows: number;
}

/**
 * y = x Wᵀ + b over the last dimension, as torch.nn.Linear; weights and bias start uniform in ±1/√inputSize.
 *
 * Parameters: weight [outputSize, inputSize], bias [outputSize].
 */
export class Linear extends BaseLayer {
  readonly inputSize: number;
  readonly outputSize: number;
  readonly dtype: DType;
  readonly #weight: Parameter;
  readonly #bias: Parameter | undefined;
  #pass: LinearPass | undefined;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range, ERR_MEMORY for too large a size */
  constructor(options: LinearOptions) {
    const given = readOptions('Linear options', options, ['inputSize', 'outputSize', 'bias', 'dtype', 'generator'], {
      bias: true,
      dtype: 'float32',
    });
    const inputSize = checkSize('inputSize', given.inputSize);
    const outputSize = checkSize('outputSize', given.outputSize);
    const hasBias = checkBoolean('bias', given.bias);
    const dtype = checkDType('dtype', given.dtype);
    const generator = checkGenerator('generator', given.generator);
    const weight = new Parameter('weight', Tensor.zeros([outputSize, inputSize], { dtype }));
    const bias = hasBias ? new Parameter('bias', Tensor.zeros([outputSize], { dtype })) : undefined;
    const parameters = bias === undefined ? [weight] : [weight, bias];
    for (const { value } of parameters) fillUniform(value, 1 / Math.sqrt(inputSize), generator);
    super(parameters);
    this.inputSize = inputSize;
    this.outputSize = outputSize;
    this.dtype = dtype;
    this.#weight = weight;
    this.#bias = bias;
  }

  /**
   * @param input [..., inputSize]
   * @returns [..., outputSize]
   */
  forward(input: Tensor): Tensor {
    const rows = checkRows('input', input, this.dtype, this.inputSize);
    this.checkParameters();
    const output = allocateOutput(this.dtype, input.shape.with(-1, this.outputSize));
    this.#pass = undefined;
    native().linearForward(
      rows,
      this.inputSize,
      this.outputSize,
      input.data,
      this.#weight.value.data,
      this.#bias?.value.data ?? null,
      output.data,
    );
    this.#pass = { input, rows, outputShape: output.shape };
    return output;
  }

  /**
   * @param gradOutput [..., outputSize]
   * @returns ∂L/∂input [..., inputSize]
   */
  backward(gradOutput: Tensor, options?: { inputGradient?: true }): Tensor;
  backward(gradOutput: Tensor, options?: BackwardOptions): Tensor | undefined;
  backward(gradOutput: Tensor, options: BackwardOptions = {}): Tensor | undefined {
    const wanted = wantsInputGradient(options);
    const { input, rows } = this.checkBackward(this.#pass, gradOutput);
    const gradInput = wanted ? allocateOutput(this.dtype, input.shape) : undefined;
    this.#pass = undefined;
    native().linearBackward(
      rows,
      this.inputSize,
      this.outputSize,
      input.data,
      this.#weight.value.data,
      gradOutput.data,
      gradInput?.data ?? null,
      this.#weight.grad.data,
      this.#bias?.grad.data ?? null,
    );
    return gradInput;
  }
}
