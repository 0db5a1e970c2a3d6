import { fail } from '../check';
import { booleanOption, readBy, writeBy } from '../schema';
import type { Tensor } from '../tensor';
import { cellCosts } from './recurrent/cost';
import { normalizationParameters } from './recurrent/normalization';
import { makeWeights, type RecurrentBackwardOptions, type RecurrentOptions, recurrentSchema } from './recurrent/options';
import { RecurrentLayer } from './recurrent/recurrent-layer';
import { placesOf } from './recurrent/stack';

/** Options of {@link GRU}. */
export interface GRUOptions extends RecurrentOptions {
  /**
   * Whether the reset gate acts after the product with W_hn: n = tanh(x_t W_inᵀ + b_in + r ⊙ (h_{t-1} W_hnᵀ + b_hn)), as PyTorch, cuDNN and
   * Keras have it, and ONNX with linear_before_reset = 1. With false before it: n = tanh(x_t W_inᵀ + b_in + (r ⊙ h_{t-1}) W_hnᵀ + b_hn), as
   * Cho et al. 2014, TensorFlow.js and ONNX's default. true unless given
   */
  resetAfter?: boolean;
}

/** Options of {@link GRU.backward}. */
export type GRUBackwardOptions = RecurrentBackwardOptions<Tensor>;

const { gates: GATES } = cellCosts.gru;

const SCHEMA = { ...recurrentSchema, resetAfter: booleanOption(true) };

/**
 * Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), as torch.nn.GRU:
 * r, z = σ(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh) of their rows; n = tanh(x_t W_inᵀ + b_in + r ⊙ (h_{t-1} W_hnᵀ + b_hn)), or as
 * {@link GRUOptions.resetAfter} says; h_t = (1 − z) ⊙ n + z ⊙ h_{t-1}. forward takes x [N, T, I] and gives all h_t [N, T, H], or h_T [N, H]
 * with `returnSequences: false`.
 *
 * Parameters: weight_ih_l0 [3H, I], weight_hh_l0 [3H, H], bias_ih_l0 [3H], bias_hh_l0 [3H], the rows in PyTorch's order r, z, n. A
 * {@link Placement} adds norm.weight and norm.bias [H]; `'split-preactivation'` norm_ih.weight and norm_hh.weight [3H] instead. Of
 * `'preactivation'` norm.weight and norm.bias have 4H: r, z, and the two sides of n, each normalised by itself since r stands between them; or,
 * reset before the product, 3H: r, z, n. There, with both placements, what comes from h_{t-1} has statistics of r and z apart from those of
 * n. Kind `'rms'` has no bias. So for each layer, `_l1` and so on, and each reverse direction, `_l0_reverse`; a normalisation's name then is
 * norm_l1.weight.
 *
 * @example
 * const gru = new GRU({ inputSize: 8, hiddenSize: 32 });
 * const output = gru.forward(Tensor.randn([16, 100, 8])); // [16, 100, 32]
 */
export class GRU extends RecurrentLayer {
  /** @internal */
  static readonly schema = SCHEMA;
  readonly resetAfter: boolean;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range, ERR_MEMORY for too large a size */
  constructor(options: GRUOptions) {
    const given = readBy('GRU options', options, SCHEMA);
    const { hiddenSize, dtype, normalization, resetAfter, recurrentDropout } = given;
    if (recurrentDropout > 0 && !resetAfter) {
      fail('ERR_OPTION', 'recurrentDropout', '0 where resetAfter is false', recurrentDropout, 'Use zoneout, or resetAfter: true.');
    }
    const sizes = {
      ofGates: GATES * hiddenSize,
      ofPreactivation: (resetAfter ? GATES + 1 : GATES) * hiddenSize,
      ofOutput: hiddenSize,
      dtype,
    };
    super(given, {
      options: writeBy(SCHEMA, given),
      cells: placesOf(given, hiddenSize).map((place) => ({
        place,
        parameters: [...makeWeights(given, place, { gates: GATES }), ...normalizationParameters(normalization, { place, ...sizes })],
      })),
      native: { cell: 'gru', resetAfter },
    });
    this.resetAfter = resetAfter;
  }
}
