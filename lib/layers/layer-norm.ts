import { booleanOption, dtypeOption, numberOption, readBy, sizeOption, writeBy } from '../schema';
import type { DType } from '../tensor';
import { EPS_RANGE } from './layer';
import { NormLayer } from './norm-layer';

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
 *
 * @example
 * const norm = new LayerNorm({ size: 20 });
 * const output = norm.forward(Tensor.randn([32, 50, 20]));
 */
export class LayerNorm extends NormLayer {
  /** @internal */
  static readonly schema = SCHEMA;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range */
  constructor(options: LayerNormOptions) {
    const rule = { hasBias: true, statisticsPerRow: 3, forward: 'layerNormForward', backward: 'layerNormBackward' } as const;
    const given = readBy('LayerNorm options', options, SCHEMA);
    super(rule, given, writeBy(SCHEMA, given));
  }
}
