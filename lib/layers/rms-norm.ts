import { checkNumber } from '../check';
import { native } from '../native/load';
import { Parameter } from '../parameter';
import { booleanOption, dtypeOption, optionalOption, readBy, sizeOption } from '../schema';
import { allocate, type DType, Tensor, type TensorData } from '../tensor';
import { type CallKind, EPS_RANGE } from './layer';
import { RowLayer } from './row-layer';

/** Options of {@link RMSNorm}. */
export interface RMSNormOptions {
  /** the size of the last dimension, over which each row is normalised */
  size: number;
  /** added to the mean square; the dtype's machine epsilon unless given, 1.19e-7 or 2.22e-16, as in PyTorch; at least 1e-37 */
  eps?: number;
  /** whether there is a weight γ; true unless given */
  affine?: boolean;
  /** `'float32'` unless given */
  dtype?: DType;
}

/** What 1 and the next larger number are apart. */
const EPSILON: Record<DType, number> = { float32: 2 ** -23, float64: 2 ** -52 };

const SCHEMA = {
  size: sizeOption,
  eps: optionalOption<number | undefined>((argument, value) => checkNumber(argument, value, EPS_RANGE), undefined),
  affine: booleanOption(true),
  dtype: dtypeOption,
};

/**
 * Root mean square normalisation (Zhang, Sennrich 2019, arXiv:1910.07467), as torch.nn.RMSNorm: each row [size] becomes
 * γ ⊙ a / √(mean(a²) + ε). forward takes and gives [..., size].
 *
 * Parameters: weight [size], from ones; none when not affine.
 */
export class RMSNorm extends RowLayer<TensorData> {
  /** @internal */
  static readonly schema = SCHEMA;
  readonly size: number;
  readonly eps: number;
  readonly #weight: Parameter | undefined;
  #statistics: TensorData;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range */
  constructor(options: RMSNormOptions) {
    const { size, eps, dtype, affine } = readBy('RMSNorm options', options, SCHEMA);
    const weight = affine ? new Parameter('weight', new Tensor(allocate(dtype, size).fill(1), [size])) : undefined;
    super(weight === undefined ? [] : [weight], dtype, size, size);
    this.size = size;
    this.eps = eps ?? EPSILON[dtype];
    this.#weight = weight;
    this.#statistics = allocate(dtype, 0);
  }

  /** @returns the statistic of each row */
  protected computeRows(rows: number, input: TensorData, output: TensorData, call: CallKind): TensorData {
    // Only a backward call sees the statistics, so one array serves every call of the same size but for those that come between.
    const statistics = call !== 'predict' && this.#statistics.length === rows ? this.#statistics : allocate(this.dtype, rows);
    if (call !== 'predict') this.#statistics = statistics;
    native().rmsNormForward(rows, this.size, this.eps, input, this.#weight?.value.data ?? null, null, output, statistics);
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
    native().rmsNormBackward(
      rows,
      this.size,
      input,
      weight?.value.data ?? null,
      statistics,
      gradOutput,
      gradInput,
      weight?.grad.data ?? null,
      null,
    );
  }
}
