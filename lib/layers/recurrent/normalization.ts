import { checkNumber, checkOneOf, readOptions } from '../../check';
import { Parameter } from '../../parameter';
import { allocate, type DType, Tensor } from '../../tensor';
import { EPS_RANGE } from '../layer';
import type { Place } from './stack';

/**
 * Where a normalisation stands in a recurrence, here in that of an {@link RNN}; LN is a LayerNorm or, of kind `'rms'`, an RMSNorm over the H units.
 *
 * - `'none'`: h_t = φ(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh)
 * - `'preactivation'`: h_t = φ(LN(x_t W_ihᵀ + h_{t-1} W_hhᵀ + b_ih + b_hh)) (Ba, Kiros, Hinton 2016, arXiv:1607.06450, eq. 4)
 * - `'split-preactivation'`: h_t = φ(LN₁(x_t W_ihᵀ) + LN₂(h_{t-1} W_hhᵀ) + b_ih + b_hh) (their supplement; Cooijmans et al. 2016,
 *   arXiv:1603.09025, with batch statistics); LN₁ and LN₂ have no β, which the biases make superfluous
 * - `'recurrent-input'`: h_t = φ(x_t W_ihᵀ + b_ih + LN(h_{t-1}) W_hhᵀ + b_hh): what is fed back, not what is put out
 * - `'hidden'`: h_t = LN(φ(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh)): what is put out is fed back; its Jacobian is multiplied T times
 *
 * An {@link LSTM} and a {@link GRU} have the same, with the functions of their gates for φ: LN is over all G·H pre-activations, or over the H of
 * each gate (`scope`), and with `'recurrent-input'` and `'hidden'` over what is put out, with a projection after that.
 */
export type Placement = 'none' | 'preactivation' | 'split-preactivation' | 'recurrent-input' | 'hidden';

/** A placement with its details, which count for placements other than `'none'`. */
export interface NormalizationOptions {
  placement: Placement;
  /** `'layer'` (LayerNorm) unless given; `'rms'` (RMSNorm) has no β */
  kind?: 'layer' | 'rms';
  /**
   * added to the variance, or to the mean square; 1e-5 unless given, of both kinds: a row near zero, as the first state often is, is
   * multiplied by up to 1/√eps, there and in the gradient. At least 1e-37
   */
  eps?: number;
  /**
   * of the pre-activations of a layer with several gates: whether all gates share mean and variance, `'joint'` unless given, or each
   * `'gate'` has its own
   */
  scope?: 'joint' | 'gate';
}

/** How the addon knows the placements, the names of their normalisations' parameters, and whether these stand on gates or on the state. */
const PLACEMENTS: Record<Placement, { number: number; sites: readonly string[]; hasBias: boolean; onGates: boolean }> = {
  none: { number: 0, sites: [], hasBias: false, onGates: false },
  preactivation: { number: 1, sites: ['norm'], hasBias: true, onGates: true },
  'split-preactivation': { number: 2, sites: ['norm_ih', 'norm_hh'], hasBias: false, onGates: true },
  'recurrent-input': { number: 3, sites: ['norm'], hasBias: true, onGates: false },
  hidden: { number: 4, sites: ['norm'], hasBias: true, onGates: false },
};

/** The numbers by which the addon knows the kinds. */
const KINDS = { layer: 0, rms: 1 } as const;

/** All placements, and the kinds of a normalisation. */
export const placementNames = Object.keys(PLACEMENTS) as Placement[];
export const kindNames = Object.keys(KINDS) as (keyof typeof KINDS)[];

/**
 * Checks a normalisation given by its placement or with its details, and fills in the defaults.
 * @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range
 */
export function checkNormalization(argument: string, value: unknown): Required<NormalizationOptions> {
  const options = typeof value === 'string' ? { placement: value } : value;
  const given = readOptions(argument, options, ['placement', 'kind', 'eps', 'scope'], { kind: 'layer', eps: 1e-5, scope: 'joint' });
  return {
    placement: checkOneOf(argument, given.placement, placementNames),
    kind: checkOneOf(`${argument}.kind`, given.kind, kindNames),
    eps: checkNumber(`${argument}.eps`, given.eps, EPS_RANGE),
    scope: checkOneOf(`${argument}.scope`, given.scope, ['joint', 'gate']),
  };
}

/** How many units the normalisations of a layer see, and where it stands. */
export interface NormalizedSizes {
  place: Place;
  /** G·H: those of a product */
  ofGates: number;
  /** those of `'preactivation'`; as many unless given */
  ofPreactivation?: number;
  /** P: what is put out at each step */
  ofOutput: number;
  dtype: DType;
}

/** γ, from ones, and where there is one β, from zeros, of each site. */
export function normalizationParameters({ placement, kind }: Required<NormalizationOptions>, sizes: NormalizedSizes): Parameter[] {
  const { sites, hasBias, onGates } = PLACEMENTS[placement];
  const { place, ofGates, ofPreactivation = ofGates, ofOutput, dtype } = sizes;
  const size = onGates ? (placement === 'preactivation' ? ofPreactivation : ofGates) : ofOutput;
  return sites.flatMap((name) => makeNorm(normName(name, place), size, hasBias && kind === 'layer', dtype));
}

/** The first layer's have no suffix, as those of a single one. */
export function normName(site: string, { suffix }: Place): string {
  return suffix === 'l0' ? site : `${site}_${suffix}`;
}

/** γ, from ones, and on request β, from zeros. */
export function makeNorm(name: string, size: number, hasBias: boolean, dtype: DType): Parameter[] {
  const weight = new Parameter(`${name}.weight`, new Tensor(allocate(dtype, size).fill(1), [size]));
  return hasBias ? [weight, new Parameter(`${name}.bias`, Tensor.zeros([size], { dtype }))] : [weight];
}

/** By which the addon knows a kind. */
export function kindNumber(kind: 'layer' | 'rms'): number {
  return KINDS[kind];
}

/** What the addon takes for a normalisation. */
export function nativeNormalization({ placement, kind, eps, scope }: Required<NormalizationOptions>): {
  placement: number;
  normKind: number;
  eps: number;
  perGate: boolean;
} {
  return { placement: PLACEMENTS[placement].number, normKind: KINDS[kind], eps, perGate: scope === 'gate' };
}
