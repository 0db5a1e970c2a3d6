import { choiceOption, readBy, writeBy } from '../schema';
import type { Tensor } from '../tensor';
import { normalizationParameters } from './recurrent/normalization';
import { makeWeights, type RecurrentBackwardOptions, type RecurrentOptions, recurrentSchema } from './recurrent/options';
import { RecurrentLayer } from './recurrent/recurrent-layer';
import { placesOf } from './recurrent/stack';

/** The function φ between the steps of an {@link RNN}. */
export type Nonlinearity = 'tanh' | 'relu';

/** Options of {@link RNN}. */
export interface RNNOptions extends RecurrentOptions {
  /** `'tanh'` unless given */
  nonlinearity?: Nonlinearity;
}

/** Options of {@link RNN.backward}. */
export type RNNBackwardOptions = RecurrentBackwardOptions<Tensor>;

/** The numbers by which the addon knows the nonlinearities. */
const NONLINEARITIES: Record<Nonlinearity, number> = { tanh: 0, relu: 1 };

const SCHEMA = {
  ...recurrentSchema,
  nonlinearity: choiceOption(Object.keys(NONLINEARITIES) as Nonlinearity[], 'tanh'),
};

/**
 * Elman's recurrent network (Elman 1990), as torch.nn.RNN:
 * h_t = φ(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh), batch first, with a normalisation in the recurrence where one is asked for: see
 * {@link Placement}. forward takes x [N, T, I] and gives all states h_1 … h_T [N, T, H], or h_T [N, H] with `returnSequences: false`.
 *
 * Parameters: weight_ih_l0 [H, I], weight_hh_l0 [H, H], bias_ih_l0 [H], bias_hh_l0 [H], these two not with `bias: false`. A placement adds
 * norm.weight [H], from ones, and norm.bias [H], from zeros; `'split-preactivation'` norm_ih.weight and norm_hh.weight instead. Kind `'rms'`
 * has no bias. So for each layer, `_l1` and so on, and each reverse direction, `_l0_reverse`; a normalisation's name then is norm_l1.weight.
 *
 * @example
 * const rnn = new RNN({ inputSize: 10, hiddenSize: 20, normalization: 'preactivation', generator: new Generator(1) });
 * const output = rnn.forward(Tensor.randn([32, 50, 10])); // [32, 50, 20]
 * const gradInput = rnn.backward(Tensor.randn(output.shape)); // adds to the gradients of rnn.parameters()
 */
export class RNN extends RecurrentLayer {
  /** @internal */
  static readonly schema = SCHEMA;
  readonly nonlinearity: Nonlinearity;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range, ERR_MEMORY for too large a size */
  constructor(options: RNNOptions) {
    const given = readBy('RNN options', options, SCHEMA);
    const { hiddenSize, dtype, normalization, nonlinearity } = given;
    const sizes = { ofGates: hiddenSize, ofOutput: hiddenSize, dtype };
    super(given, {
      options: writeBy(SCHEMA, given),
      cells: placesOf(given, hiddenSize).map((place) => ({
        place,
        parameters: [...makeWeights(given, place), ...normalizationParameters(normalization, { place, ...sizes })],
      })),
      native: { cell: 'elman', nonlinearity: NONLINEARITIES[nonlinearity] },
    });
    this.nonlinearity = nonlinearity;
  }
}
