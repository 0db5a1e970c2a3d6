import { native } from '../native/load';
import { Parameter } from '../parameter';
import { booleanOption, dtypeOption, numberOption, readBy, sizeOption } from '../schema';
import { allocate, type DType, Tensor, type TensorData } from '../tensor';
import { type CallKind, EPS_RANGE } from './layer';
import { RowLayer } from './row-layer';

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

const SCHEMA = { size: sizeOption, eps: numberOption(1e-5, EPS_RANGE), affine: booleanOption(true), dtype: dtypeOption };

/**
 * Layer normalisation (Ba, Kiros, Hinton 2016, arXiv:1607.06450), as torch.nn.LayerNorm: each row [size] becomes
 * γ ⊙ (a − mean(a)) / √(var(a) + ε) + β, with the biased variance. Exact also on rows with a large offset. forward takes and gives
 * [..., size].
 *
 * Parameters: weight [size], from ones; bias [size], from zeros; none when not affine.
 */
export class LayerNorm extends RowLayer<TensorData> {
  /** @internal */
  static readonly schema = SCHEMA;
  readonly size: number;
  readonly eps: number;
  readonly #weight: Parameter | undefined;
  readonly #bias: Parameter | undefined;
  #statistics: TensorData;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range */
  constructor(options: LayerNormOptions) {
    const { size, eps, dtype, affine } = readBy('LayerNorm options', options, SCHEMA);
    const weight = affine ? new Parameter('weight', new Tensor(allocate(dtype, size).fill(1), [size])) : undefined;
    const bias = affine ? new Parameter('bias', Tensor.zeros([size], { dtype })) : undefined;
    super(
      [weight, bias].filter((parameter) => parameter !== undefined),
      dtype,
      size,
      size,
    );
    this.size = size;
    this.eps = eps;
    this.#weight = weight;
    this.#bias = bias;
    this.#statistics = allocate(dtype, 0);
  }

  /** @returns statistics of each row */
  protected computeRows(rows: number, input: TensorData, output: TensorData, call: CallKind): TensorData {
    // Only a backward call sees the statistics, so one array serves every call of the same size but for those that come between.
    const statistics = call !== 'predict' && this.#statistics.length === 3 * rows ? this.#statistics : allocate(this.dtype, 3 * rows);
    if (call !== 'predict') this.#statistics = statistics;
    const weight = this.#weight?.value.data ?? null;
    const bias = this.#bias?.value.data ?? null;
    native().layerNormForward(rows, this.size, this.eps, input, weight, bias, output, statistics);
    return statistics;
  }

  protected differentiateRows(
    rows: number,
    input: TensorData,
    gradOutput: TensorData,
    gradInput: TensorData | null,
    statistics: TensorData,
  ): void {
    const weight = this.#weight;
    const bias = this.#bias;
    native().layerNormBackward(
      rows,
      this.size,
      input,
      weight?.value.data ?? null,
      statistics,
      gradOutput,
      gradInput,
      weight?.grad.data ?? null,
      bias?.grad.data ?? null,
    );
  }
}
