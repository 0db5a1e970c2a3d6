import { checkBoolean, checkDType, checkNumber, checkSize, readOptions } from '../check';
import { native } from '../native/load';
import { Parameter } from '../parameter';
import { allocate, type DType, Tensor, type TensorData } from '../tensor';
import { allocateOutput } from '../workspace';
import { type BackwardOptions, BaseLayer, checkRows, MIN_EPS, type Pass, wantsInputGradient } from './layer';

/** Options of {@link LayerNorm}. */
export interface LayerNormOptions {
  /** the size of the last dimension, over which each row is normalised */
  size: number;
  /** added to the variance; 1e-5 unless given, at least 1e-37 */
  eps?: number;
  /** whether there are a weight γ and a bias β; true unless given */
  affine?: boolean;
  /** `'float32'` unless given */
  dtype?: DType;
}

interface LayerNormPass extends Pass {
  rows: number;
}

/**
 * Layer normalisation (Ba, Kiros, Hinton 2016, arXiv:1607.06450), as torch.nn.LayerNorm: each row [size] becomes
 * γ ⊙ (a − mean(a)) / √(var(a) + ε) + β, with the biased variance. Exact also on rows with a large offset.
 *
 * Parameters: weight [size], from ones; bias [size], from zeros; none when not affine.
 */
export class LayerNorm extends BaseLayer {
  readonly size: number;
  readonly eps: number;
  readonly dtype: DType;
  readonly #weight: Parameter | undefined;
  readonly #bias: Parameter | undefined;
  #statistics: TensorData;
  #pass: LayerNormPass | undefined;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range */
  constructor(options: LayerNormOptions) {
    const given = readOptions('LayerNorm options', options, ['size', 'eps', 'affine', 'dtype'], {
      eps: 1e-5,
      affine: true,
      dtype: 'float32',
    });
    const size = checkSize('size', given.size);
    const eps = checkNumber('eps', given.eps, { min: MIN_EPS });
    const dtype = checkDType('dtype', given.dtype);
    const affine = checkBoolean('affine', given.affine);
    const weight = affine ? new Parameter('weight', new Tensor(allocate(dtype, size).fill(1), [size])) : undefined;
    const bias = affine ? new Parameter('bias', Tensor.zeros([size], { dtype })) : undefined;
    super([weight, bias].filter((parameter) => parameter !== undefined));
    this.size = size;
    this.eps = eps;
    this.dtype = dtype;
    this.#weight = weight;
    this.#bias = bias;
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
    if (this.#statistics.length !== 3 * rows) this.#statistics = allocate(this.dtype, 3 * rows);
    native().layerNormForward(
      rows,
      this.size,
      this.eps,
      input.data,
      this.#weight?.value.data ?? null,
      this.#bias?.value.data ?? null,
      output.data,
      this.#statistics,
    );
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
    native().layerNormBackward(
      rows,
      this.size,
      input.data,
      this.#weight?.value.data ?? null,
      this.#statistics,
      gradOutput.data,
      gradInput?.data ?? null,
      this.#weight?.grad.data ?? null,
      this.#bias?.grad.data ?? null,
    );
    return gradInput;
  }
}
