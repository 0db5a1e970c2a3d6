import { checkInteger, checkNumber, checkOneOf, fail, readOptions } from '../check';
import { fillConstant, fillUniform } from '../initializers';
import { Parameter } from '../parameter';
import { optionalOption, type ReadBy, readBy, writeBy } from '../schema';
import { type DType, Tensor } from '../tensor';
import { EPS_RANGE } from './layer';
import { cellCosts } from './recurrent/cost';
import type { Zoneout } from './recurrent/masks';
import { kindNames, kindNumber, makeNorm, normalizationParameters, normName } from './recurrent/normalization';
import {
  makeWeights,
  type RecurrentBackwardOptions,
  type RecurrentForwardOptions,
  type RecurrentOptions,
  recurrentSchema,
} from './recurrent/options';
import { RecurrentLayer } from './recurrent/recurrent-layer';
import { type Place, placesOf } from './recurrent/stack';

/** What an {@link LSTM} hands from step to step: h [N, H], or [N, P] with a projection, and c [N, H]. */
export interface LSTMState {
  h: Tensor;
  c: Tensor;
}

/**
 * What becomes of the cell state of an {@link LSTM}; LN is a LayerNorm or, of kind `'rms'`, an RMSNorm over the H units.
 * - `'none'`: h_t = o ⊙ tanh(c_t)
 * - `'output'`: h_t = o ⊙ tanh(LN(c_t)), and c_t itself is carried on (Ba, Kiros, Hinton 2016, arXiv:1607.06450, supplement; haste)
 * - `'carried'`: c_t = LN(f ⊙ c_{t-1} + i ⊙ g) is carried on and put out (TensorFlow Addons; PyTorch's benchmark of custom LSTMs)
 */
export type CellNormalization = 'none' | 'output' | 'carried';

/** A cell normalisation with its details, which count for others than `'none'`. */
export interface CellNormalizationOptions {
  placement: CellNormalization;
  /** `'layer'` (LayerNorm) unless given; `'rms'` (RMSNorm) has no β */
  kind?: 'layer' | 'rms';
  /** added to the variance, or to the mean square; 1e-5 unless given, at least 1e-37 */
  eps?: number;
}

/** Options of {@link LSTM}. */
export interface LSTMOptions extends Omit<RecurrentOptions, 'zoneout'> {
  /** as of every recurrent layer, of h and c alike, or of each by itself */
  zoneout?: number | Zoneout;
  /** P: what is put out and fed back is h_t W_hrᵀ [N, P], from 1 to hiddenSize − 1; no projection unless given */
  projSize?: number;
  /**
   * The forget gate's bias at the start: b_ih of f, and 0 for b_hh (Jozefowicz et al. 2015 advise 1, which is Keras' default). Unless given,
   * both are as the others, as in PyTorch.
   */
  forgetBias?: number;
  /** what becomes of the cell state, beside any `normalization`; `'none'` unless given */
  cellNormalization?: CellNormalization | CellNormalizationOptions;
}

/** Options of {@link LSTM.forward}. */
export type LSTMForwardOptions = RecurrentForwardOptions<LSTMState>;
/** Options of {@link LSTM.backward}. */
export type LSTMBackwardOptions = RecurrentBackwardOptions<LSTMState>;

const { gates: GATES } = cellCosts.lstm;

/** By which the addon knows them. */
const CELL_NORMALIZATIONS: Record<CellNormalization, number> = { none: 0, output: 1, carried: 2 };
const cellNormalizationNames = Object.keys(CELL_NORMALIZATIONS) as CellNormalization[];

function checkCellNormalization(argument: string, value: unknown): Required<CellNormalizationOptions> {
  const options = typeof value === 'string' ? { placement: value } : value;
  const given = readOptions(argument, options, ['placement', 'kind', 'eps'], { kind: 'layer', eps: 1e-5 });
  return {
    placement: checkOneOf(argument, given.placement, cellNormalizationNames),
    kind: checkOneOf(`${argument}.kind`, given.kind, kindNames),
    eps: checkNumber(`${argument}.eps`, given.eps, EPS_RANGE),
  };
}

function checkZoneout(argument: string, value: unknown): Required<Zoneout> {
  const options = typeof value === 'number' ? { hidden: value, cell: value } : value;
  const { hidden, cell } = readOptions(argument, options, ['hidden', 'cell'], { hidden: 0, cell: 0 });
  const check = (name: string, given: unknown) => checkNumber(typeof value === 'number' ? argument : name, given, { min: 0, max: 1 });
  return { hidden: check(`${argument}.hidden`, hidden), cell: check(`${argument}.cell`, cell) };
}

const SCHEMA = {
  ...recurrentSchema,
  zoneout: { check: checkZoneout, default: 0 },
  projSize: optionalOption<number | undefined>((argument, value) => checkInteger(argument, value, 1, 2 ** 31 - 1), undefined),
  forgetBias: optionalOption<number | undefined>((argument, value) => checkNumber(argument, value), undefined),
  cellNormalization: { check: checkCellNormalization, default: 'none', choices: cellNormalizationNames },
};

/**
 * Long short-term memory (Hochreiter, Schmidhuber 1997; Gers 2000), as torch.nn.LSTM:
 * i, f, o = σ(a_i), σ(a_f), σ(a_o) and g = tanh(a_g) of a = x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh;
 * c_t = f ⊙ c_{t-1} + i ⊙ g; h_t = o ⊙ tanh(c_t). Its state is `{ h, c }`. forward takes x [N, T, I] and gives all h_t [N, T, H], or h_T
 * [N, H] with `returnSequences: false`; with `projSize: P`, h_t is (o ⊙ tanh(c_t)) W_hrᵀ, and P stands for H.
 *
 * Parameters: weight_ih_l0 [4H, I], weight_hh_l0 [4H, P or H], bias_ih_l0 [4H], bias_hh_l0 [4H], the rows in PyTorch's order i, f, g, o;
 * weight_hr_l0 [P, H] of a projection. All start uniform in ±1/√H unless options say otherwise. A {@link Placement} adds norm.weight and
 * norm.bias, of 4H for `'preactivation'`, else of what is put out; `'split-preactivation'` norm_ih.weight and norm_hh.weight [4H] instead;
 * a {@link CellNormalization} norm_cell.weight and norm_cell.bias [H]. Kind `'rms'` has no bias. So for each layer, `_l1` and so on, and each
 * reverse direction, `_l0_reverse`; a normalisation's name then is norm_l1.weight.
 *
 * @example
 * const lstm = new LSTM({ inputSize: 8, hiddenSize: 32, normalization: 'split-preactivation', cellNormalization: 'output' });
 * const output = lstm.forward(Tensor.randn([16, 100, 8])); // [16, 100, 32]
 * const { h, c } = lstm.finalState;
 */
export class LSTM extends RecurrentLayer<LSTMState> {
  /** @internal */
  static readonly schema = SCHEMA;
  /** P, or undefined without a projection */
  readonly projSize: number | undefined;
  /** What becomes of the cell state, with its details, which count for others than `'none'`. */
  readonly cellNormalization: Readonly<Required<CellNormalizationOptions>>;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range, ERR_MEMORY for too large a size */
  constructor(options: LSTMOptions) {
    const given = readBy('LSTM options', options, SCHEMA);
    const { hiddenSize, dtype, normalization, cellNormalization, projSize, forgetBias } = given;
    if (projSize !== undefined && projSize >= hiddenSize) {
      fail('ERR_OPTION', 'projSize', `less than hiddenSize, which is ${hiddenSize}`, projSize);
    }
    if (forgetBias !== undefined && !given.bias) fail('ERR_OPTION', 'forgetBias', 'none where bias is false', forgetBias);
    const outputSize = projSize ?? hiddenSize;
    const sizes = { ofGates: GATES * hiddenSize, ofOutput: outputSize, dtype };
    super(given, {
      options: writeBy(SCHEMA, given),
      cells: placesOf(given, outputSize).map((place) => ({
        place,
        parameters: [
          ...lstmWeights(given, place, outputSize),
          ...normalizationParameters(normalization, { place, ...sizes }),
          ...cellNormParameters(cellNormalization, place, hiddenSize, dtype),
        ],
      })),
      native: {
        cell: 'lstm',
        outputSize,
        cellNorm: CELL_NORMALIZATIONS[cellNormalization.placement],
        cellNormKind: kindNumber(cellNormalization.kind),
        cellNormEps: cellNormalization.eps,
      },
      state: [
        { key: 'h', name: 'h', width: outputSize },
        { key: 'c', name: 'c', width: hiddenSize },
      ],
    });
    this.projSize = projSize;
    this.cellNormalization = Object.freeze(cellNormalization);
  }
}

function lstmWeights(given: ReadBy<typeof SCHEMA>, place: Place, outputSize: number): Parameter[] {
  const { hiddenSize, dtype, projSize, forgetBias, generator } = given;
  const weights = makeWeights(given, place, { gates: GATES, outputSize });
  if (forgetBias !== undefined) setForgetBias(weights, hiddenSize, forgetBias);
  if (projSize === undefined) return weights;
  const projection = new Parameter(`weight_hr_${place.suffix}`, Tensor.zeros([projSize, hiddenSize], { dtype }));
  fillUniform(projection.value, 1 / Math.sqrt(hiddenSize), generator);
  return [...weights, projection];
}

function setForgetBias(weights: readonly Parameter[], hiddenSize: number, value: number): void {
  const [, , biasIh, biasHh] = weights;
  for (const [bias, start] of [
    [biasIh, value],
    [biasHh, 0],
  ] as const) {
    if (bias !== undefined) fillConstant(bias.value, start, hiddenSize, 2 * hiddenSize);
  }
}

function cellNormParameters(
  { placement, kind }: Required<CellNormalizationOptions>,
  place: Place,
  size: number,
  dtype: DType,
): Parameter[] {
  return placement === 'none' ? [] : makeNorm(normName('norm_cell', place), size, kind === 'layer', dtype);
}
