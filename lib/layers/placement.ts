import { checkNumber, checkOneOf, readOptions } from '../check';
import { Parameter } from '../parameter';
import { allocate, type DType, Tensor } from '../tensor';
import { MIN_EPS } from './layer';

/**
 * Where a normalisation stands in the recurrence of an {@link RNN}; LN is a LayerNorm or, of kind `'rms'`, an RMSNorm over the H units.
 *
 * - `'none'`: h_t = φ(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh)
 * - `'preactivation'`: h_t = φ(LN(x_t W_ihᵀ + h_{t-1} W_hhᵀ + b_ih + b_hh)) (Ba, Kiros, Hinton 2016, arXiv:1607.06450, eq. 4)
 * - `'split-preactivation'`: h_t = φ(LN₁(x_t W_ihᵀ) + LN₂(h_{t-1} W_hhᵀ) + b_ih + b_hh) (their supplement; Cooijmans et al. 2016,
 *   arXiv:1603.09025, with batch statistics); LN₁ and LN₂ have no β, which the biases make superfluous
 * - `'recurrent-input'`: h_t = φ(x_t W_ihᵀ + b_ih + LN(h_{t-1}) W_hhᵀ + b_hh): what is fed back, not what is put out
 * - `'hidden'`: h_t = LN(φ(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh)): what is put out is fed back; its Jacobian is multiplied T times
 */
export type Placement = 'none' | 'preactivation' | 'split-preactivation' | 'recurrent-input' | 'hidden';

/** A placement with its details, which count for placements other than `'none'`. */
export interface NormalizationOptions {
  placement: Placement;
  /** `'layer'` (LayerNorm) unless given; `'rms'` (RMSNorm) has no β */
  kind?: 'layer' | 'rms';
  /** added to the variance, or to the mean square; 1e-5 unless given, at least 1e-37 */
  eps?: number;
}

/** How the addon knows the placements, and what their normalisations' parameters are called. */
const PLACEMENTS: Record<Placement, { number: number; sites: readonly string[]; hasBias: boolean }> = {
  none: { number: 0, sites: [], hasBias: false },
  preactivation: { number: 1, sites: ['norm'], hasBias: true },
  'split-preactivation': { number: 2, sites: ['norm_ih', 'norm_hh'], hasBias: false },
  'recurrent-input': { number: 3, sites: ['norm'], hasBias: true },
  hidden: { number: 4, sites: ['norm'], hasBias: true },
};

/** The numbers by which the addon knows the kinds. */
const KINDS = { layer: 0, rms: 1 } as const;

/** The normalisations within a recurrent layer: their parameters, and how the addon is told of them. */
export class RecurrentNormalization {
  readonly placement: Placement;
  readonly kind: 'layer' | 'rms';
  readonly eps: number;
  readonly #sites: readonly { weight: Parameter; bias: Parameter | undefined }[];

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range */
  constructor(value: unknown, hiddenSize: number, dtype: DType) {
    const options = typeof value === 'string' ? { placement: value } : value;
    const given = readOptions('normalization', options, ['placement', 'kind', 'eps'], { kind: 'layer', eps: 1e-5 });
    this.placement = checkOneOf('normalization', given.placement, Object.keys(PLACEMENTS) as Placement[]);
    this.kind = checkOneOf('normalization.kind', given.kind, ['layer', 'rms']);
    this.eps = checkNumber('normalization.eps', given.eps, { min: MIN_EPS });
    const { sites, hasBias } = PLACEMENTS[this.placement];
    this.#sites = sites.map((name) => ({
      weight: new Parameter(`${name}.weight`, new Tensor(allocate(dtype, hiddenSize).fill(1), [hiddenSize])),
      bias: hasBias && this.kind === 'layer' ? new Parameter(`${name}.bias`, Tensor.zeros([hiddenSize], { dtype })) : undefined,
    }));
  }

  /** γ, from ones, and where there is one β, from zeros, of each site. */
  parameters(): Parameter[] {
    return this.#sites.flatMap(({ weight, bias }) => (bias === undefined ? [weight] : [weight, bias]));
  }

  /** What the addon takes for them. */
  nativeOptions(): { placement: number; normKind: number; eps: number } {
    return { placement: PLACEMENTS[this.placement].number, normKind: KINDS[this.kind], eps: this.eps };
  }
}
