import { checkBoolean, checkDType, checkNumber, checkSize, readOptions } from '../check';
import { native } from '../native/load';
import { Parameter } from '../parameter';
import { allocate, type DType, Tensor, type TensorData } from '../tensor';
import { allocateOutput } from '../workspace';
import { type BackwardOptions, BaseLayer, checkRows, MIN_EPS, type Pass, wantsInputGradient } from './layer';

/** Options of {@link RMSNorm}. */
export interface RMSNormOptions {
  /** the size of the last dimension, over which each row is normalised */
  size: number;
  /** added to the mean square; 1e-5 unless given, at least 1e-37 */
  eps?: number;
  /** whether there is a weight γ; true unless given */
  affine?: boolean;
  /** `'float32'` unless given */
  dtype?: DType;
}

interface RMSNormPass extends Pass {
  rows: number;
}

/**
 * Root mean square normalisation (Zhang, Sennrich 2019, arXiv:1910.07467), as torch.nn.RMSNorm: each row [size] becomes
 * γ ⊙ a / √(mean(a²) + ε).
 *
 * Parameters: weight [size], from ones; none when not affine.
 */
export class RMSNorm extends BaseLayer {
  readonly size: number;
  readonly eps: number;
  readonly dtype: DType;
  readonly #weight: Parameter | undefined;
  #statistics: TensorData;
  #pass: RMSNormPass | undefined;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range */
  constructor(options: RMSNormOptions) {
    const given = readOptions('RMSNorm options', options, ['size', 'eps', 'affine', 'dtype'], {
      eps: 1e-5,
      affine: true,
      dtype: 'float32',
    });
    const size = checkSize('size', given.size);
    const eps = checkNumber('eps', given.eps, { min: MIN_EPS });
    const dtype = checkDType('dtype', given.dtype);
    const affine = checkBoolean('affine', given.affine);
    const weight = affine ? new Parameter('weight', new Tensor(allocate(dtype, size).fill(1), [size])) : undefined;
    super(weight === undefined ? [] : [weight]);
    this.size = size;
    this.eps = eps;
    this.dtype = dtype;
    this.#weight = weight;
    this.#statistics = allocate(dtype, 0);
  }

  /**
   * @param input [..., size]
   * @returns the normalised rows, of the input's shape
   */
  forward(input: Tensor): Tensor {
    const rows = checkRows('input', input, this.dtype, this.size);
    this.checkParameters();
    const output = allocateOutput(this.dtype, input.shape);
    this.#pass = undefined;
    // Only this layer sees the statistics, so one array serves every call of the same size.
    if (this.#statistics.length !== rows) this.#statistics = allocate(this.dtype, rows);
    const weight = this.#weight?.value.data ?? null;
    native().rmsNormForward(rows, this.size, this.eps, input.data, weight, null, output.data, this.#statistics);
    this.#pass = { input, rows, outputShape: output.shape };
    return output;
  }

  /**
   * @param gradOutput of the input's shape
   * @returns ∂L/∂input
   */
  backward(gradOutput: Tensor, options?: { inputGradient?: true }): Tensor;
  backward(gradOutput: Tensor, options?: BackwardOptions): Tensor | undefined;
  backward(gradOutput: Tensor, options: BackwardOptions = {}): Tensor | undefined {
    const wanted = wantsInputGradient(options);
    const { input, rows } = this.checkBackward(this.#pass, gradOutput);
    const gradInput = wanted ? allocateOutput(this.dtype, input.shape) : undefined;
    this.#pass = undefined;
    native().rmsNormBackward(
      rows,
      this.size,
      input.data,
      this.#weight?.value.data ?? null,
      this.#statistics,
      gradOutput.data,
      gradInput?.data ?? null,
      this.#weight?.grad.data ?? null,
      null,
    );
    return gradInput;
  }
}
