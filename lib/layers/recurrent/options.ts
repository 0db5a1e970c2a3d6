import { checkInteger, checkNumber, checkSize } from '../../check';
import {
  checkInitializer,
  fillUniform,
  type Initializer,
  type InitializerOptions,
  initializerNames,
  initializeWeight,
} from '../../initializers';
import { Parameter } from '../../parameter';
import type { Generator } from '../../random';
import { booleanOption, dtypeOption, generatorOption, numberOption, optionalOption, type ReadBy, sizeOption } from '../../schema';
import { type DType, Tensor } from '../../tensor';
import type { BackwardOptions, ForwardOptions } from '../layer';
import { type Checkpointing, checkCheckpointing } from './checkpointing';
import type { Zoneout } from './masks';
import { checkNormalization, type NormalizationOptions, type Placement, placementNames } from './normalization';
import type { Place } from './stack';

/** Options that all recurrent layers have. */
export interface RecurrentOptions {
  inputSize: number;
  hiddenSize: number;
  /** L: how many layers stand on each other, the first on x, each of the others on what the one before puts out; 1 unless given */
  numLayers?: number;
  /**
   * Whether each layer reads its input in both directions, with parameters for each, the reverse one from each sequence's own end on. It puts
   * out [N, T, 2P], forward first, each at the time of its input. `false` unless given
   */
  bidirectional?: boolean;
  /**
   * The probability that an element between two layers is dropped in training, from 0 to below 1, the others multiplied by 1/(1 − p), as in
   * PyTorch: not before the first layer, nor after the last. 0 unless given. See {@link Dropout} for what its masks are made of
   */
  dropout?: number;
  /**
   * The same of what multiplies W_hh, with one mask for all steps of a sequence and all gates (Gal, Ghahramani 2016, arXiv:1512.05287), in each
   * layer and direction. 0 unless given
   */
  recurrentDropout?: number;
  /**
   * The probability with which a unit's state stays what it was, in training, drawn anew at each step (Krueger et al. 2017, arXiv:1606.01305):
   * h_t = m ⊙ h_{t-1} + (1 − m) ⊙ h̃_t. Outside training h_t is the mean of that. 0 unless given
   */
  zoneout?: number;
  /** where in the recurrence a normalisation stands; `'none'` unless given */
  normalization?: Placement | NormalizationOptions;
  /** whether there are the biases b_ih and b_hh; true unless given */
  bias?: boolean;
  /** how W_hh starts; `'uniform'` unless given */
  recurrentInitializer?: Initializer | InitializerOptions;
  /** how W_ih starts; `'uniform'` unless given */
  inputInitializer?: Initializer | InitializerOptions;
  /**
   * whether forward gives all outputs [N, T, H], the default, or the last one alone [N, H]; of a bidirectional layer the last of each
   * direction, the reverse one's at the first step
   */
  returnSequences?: boolean;
  /**
   * whether a call goes on from the state that the call before left, in one direction alone; see {@link RecurrentLayer.resetState}. `false`
   * unless given
   */
  stateful?: boolean;
  /**
   * The state is detached after every so many steps, counted from each call's first: no gradient flows back past those points (truncated
   * backpropagation through time). Never unless given.
   */
  truncateAfter?: number;
  /**
   * Limits the norm of ∂L/∂h_t, the total derivative by the state that step t hands to step t + 1, to this in the backward pass, for each
   * sequence by itself (Graves 2013, arXiv:1308.0850): as soon as g_t has all that comes from the output at t and from step t + 1, it becomes
   * g_t · min(1, limit/‖g_t‖), and from that follow the gradients of the parameters and of x_t and g_{t-1}. ∂L/∂h_0 is not limited. A number
   * above 0; no limit unless given. See {@link RecurrentLayer.limitedStateGradients}.
   */
  stateGradientLimit?: number;
  /** time against memory; `'auto'` unless given */
  checkpointing?: Checkpointing;
  /** `'float32'` unless given */
  dtype?: DType;
  /** where the initial weights come from, and in training the masks of dropout and zoneout; without one, from a random seed */
  generator?: Generator;
}

/** Options of a recurrent layer's forward. */
export interface RecurrentForwardOptions<State = Tensor> extends ForwardOptions {
  /** the state before the first step; left out, it is zero, or where a stateful layer's last call ended */
  initialState?: State;
}

/** Options of a recurrent layer's backward. */
export interface RecurrentBackwardOptions<State = Tensor> extends BackwardOptions {
  /** ∂L/∂ the final state from beyond this call, such as the gradInitialState of a call on the steps after these */
  gradFinalState?: State;
}

const initializerOption = { check: checkInitializer, default: 'uniform' as Initializer, choices: initializerNames };

function checkZoneout(argument: string, value: unknown): Required<Zoneout> {
  return { hidden: checkNumber(argument, value, { min: 0, max: 1 }), cell: 0 };
}

/** More than anybody stacks: what a slip of the pen would ask for is refused before memory is. */
const MOST_LAYERS = 1000;

/** How the options of all recurrent layers are read. */
export const recurrentSchema = {
  inputSize: sizeOption,
  hiddenSize: sizeOption,
  numLayers: { check: (argument: string, value: unknown) => checkInteger(argument, value, 1, MOST_LAYERS), default: 1 },
  bidirectional: booleanOption(false),
  dropout: numberOption(0, { min: 0, below: 1 }),
  recurrentDropout: numberOption(0, { min: 0, below: 1 }),
  zoneout: { check: checkZoneout, default: 0, write: ({ hidden }: Required<Zoneout>) => hidden },
  normalization: { check: checkNormalization, default: 'none', choices: placementNames },
  bias: booleanOption(true),
  recurrentInitializer: initializerOption,
  inputInitializer: initializerOption,
  returnSequences: booleanOption(true),
  stateful: booleanOption(false),
  truncateAfter: optionalOption(checkSize, Infinity),
  stateGradientLimit: optionalOption((argument, value) => checkNumber(argument, value, { above: 0 }), Infinity),
  checkpointing: { check: checkCheckpointing, default: 'auto' },
  dtype: dtypeOption,
  generator: generatorOption,
};

/** What it reads. */
export type CheckedRecurrentOptions = ReadBy<typeof recurrentSchema>;

/**
 * A cell's weights and biases, with PyTorch's names, and their initial values: W_ih [G·H, I] and W_hh [G·H, P] by their initialisers, gate by
 * gate, b_ih and b_hh [G·H] uniform in ±1/√H.
 */
export function makeWeights(
  given: CheckedRecurrentOptions,
  { inputSize, suffix }: Place,
  { gates = 1, outputSize = given.hiddenSize } = {},
): Parameter[] {
  const { hiddenSize, dtype, generator } = given;
  const rows = gates * hiddenSize;
  const make = (name: string, shape: number[]) => new Parameter(`${name}_${suffix}`, Tensor.zeros(shape, { dtype }));
  const weightIh = make('weight_ih', [rows, inputSize]);
  const weightHh = make('weight_hh', [rows, outputSize]);
  const biases = given.bias ? [make('bias_ih', [rows]), make('bias_hh', [rows])] : [];
  initializeWeight(weightIh.value, given.inputInitializer, generator, gates);
  initializeWeight(weightHh.value, given.recurrentInitializer, generator, gates);
  for (const { value } of biases) fillUniform(value, 1 / Math.sqrt(hiddenSize), generator);
  return [weightIh, weightHh, ...biases];
}
