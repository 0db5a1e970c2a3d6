import { checkNumber } from '../check';
import { booleanOption, dtypeOption, optionalOption, readBy, sizeOption, writeBy } from '../schema';
import type { DType } from '../tensor';
import { EPS_RANGE } from './layer';
import { NormLayer } from './norm-layer';

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
export class RMSNorm extends NormLayer {
  /** @internal */
  static readonly schema = SCHEMA;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range */
  constructor(options: RMSNormOptions) {
    const read = readBy('RMSNorm options', options, SCHEMA);
    const given = { ...read, eps: read.eps ?? EPSILON[read.dtype] };
    const rule = { hasBias: false, statisticsPerRow: 1, forward: 'rmsNormForward', backward: 'rmsNormBackward' } as const;
    super(rule, given, writeBy(SCHEMA, given));
  }
}
