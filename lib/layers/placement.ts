import { checkNumber, checkOneOf, readOptions } from '../check';
import type { NormArguments, NormGradients, NormSiteArguments } from '../native/addon';
import { native } from '../native/load';
import { Parameter } from '../parameter';
import { allocate, type DType, Tensor, type TensorData } from '../tensor';
import { MIN_EPS } from './layer';
import type { Piece } from './pieces';

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

/** The numbers by which the addon knows the kinds, and how many statistics it keeps of each row. */
const KINDS = { layer: { number: 0, statistics: 3 }, rms: { number: 1, statistics: 1 } } as const;

/** What the addon is told where there is no normalisation. */
const NO_SITES: NormArguments = [0, 0, 1, null, null, null, null, null, null, null, null];
const NO_GRADIENTS: NormGradients = [null, null, null, null];

/** What the sites keep of a forward call for its backward call. */
export type NormCache = readonly { inputs: TensorData | null; statistics: TensorData }[];

/** The normalisations within a recurrent layer: their parameters, and how a call of the addon is told of them. */
export class RecurrentNormalization {
  readonly placement: Placement;
  readonly kind: 'layer' | 'rms';
  readonly eps: number;
  /** by which the addon knows the placement */
  readonly placementNumber: number;
  readonly #hiddenSize: number;
  readonly #dtype: DType;
  readonly #sites: readonly { weight: Parameter; bias: Parameter | undefined }[];

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range */
  constructor(value: unknown, hiddenSize: number, dtype: DType) {
    const options = typeof value === 'string' ? { placement: value } : value;
    const given = readOptions('normalization', options, ['placement', 'kind', 'eps'], { kind: 'layer', eps: 1e-5 });
    this.placement = checkOneOf('normalization', given.placement, Object.keys(PLACEMENTS) as Placement[]);
    this.placementNumber = PLACEMENTS[this.placement].number;
    this.kind = checkOneOf('normalization.kind', given.kind, ['layer', 'rms']);
    this.eps = checkNumber('normalization.eps', given.eps, { min: MIN_EPS });
    this.#hiddenSize = hiddenSize;
    this.#dtype = dtype;
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

  /** For a forward call of n sequences and t steps, in memory that `make` gives. */
  makeCache(n: number, t: number, make = allocate): NormCache {
    const inputs = n * t * this.#keptInputs;
    return this.#sites.map(() => ({
      inputs: inputs === 0 ? null : makeOnLine(this.#dtype, inputs, make),
      statistics: make(this.#dtype, n * t * KINDS[this.kind].statistics),
    }));
  }

  /** The elements of a cache of n sequences for each step. */
  cacheLength(n: number): number {
    return n * this.#sites.length * (this.#keptInputs + KINDS[this.kind].statistics);
  }

  /** The steps of a piece: views, since caches are time-major. */
  takeCache(cache: NormCache, n: number, { begin, end }: Piece): NormCache {
    const take = (data: TensorData, width: number): TensorData => data.subarray(begin * n * width, end * n * width);
    return cache.map(({ inputs, statistics }) => ({
      inputs: inputs && take(inputs, this.#keptInputs),
      statistics: take(statistics, KINDS[this.kind].statistics),
    }));
  }

  /** @param cache left out in a forward call that keeps nothing */
  arguments(cache: NormCache = []): NormArguments {
    if (this.#sites.length === 0) return NO_SITES;
    const site = (index: number): NormSiteArguments => {
      const { weight, bias } = this.#sites[index] ?? {};
      return [weight?.value.data ?? null, bias?.value.data ?? null, cache[index]?.inputs ?? null, cache[index]?.statistics ?? null];
    };
    return [this.placementNumber, KINDS[this.kind].number, this.eps, ...site(0), ...site(1)];
  }

  gradients(): NormGradients {
    if (this.#sites.length === 0) return NO_GRADIENTS;
    const [first, second] = this.#sites;
    return [first, second].flatMap((site) => [site?.weight.grad.data ?? null, site?.bias?.grad.data ?? null]) as NormGradients;
  }

  /** How many elements of each row a site keeps of what it normalised. A normalised h_{t-1} is known: the state before. */
  get #keptInputs(): number {
    return this.placement === 'recurrent-input' ? 0 : this.#hiddenSize;
  }
}

/**
 * An array that begins with a cache line, which JavaScript's own do not: products are written there, and a vector that is written to two lines
 * takes twice as long.
 */
function makeOnLine(dtype: DType, length: number, make: typeof allocate): TensorData {
  const lineLength = dtype === 'float64' ? 8 : 16;
  const data = make(dtype, length + lineLength);
  const begin = lineLength - native().bytesPastLine(data) / data.BYTES_PER_ELEMENT;
  return data.subarray(begin, begin + length);
}
