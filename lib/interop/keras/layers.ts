import { formatShape } from '../../errors';
import { Activation, type ActivationKind } from '../../layers/activation';
import { Dropout } from '../../layers/dropout';
import { Embedding } from '../../layers/embedding';
import { GRU } from '../../layers/gru';
import type { Layer } from '../../layers/layer';
import { LayerNorm } from '../../layers/layer-norm';
import { Linear } from '../../layers/linear';
import { LSTM } from '../../layers/lstm';
import { RMSNorm } from '../../layers/rms-norm';
import { RNN } from '../../layers/rnn';
import { type DType, Tensor } from '../../tensor';
import { transposed } from '../arrange';
import { type CellClass, cellForm, cellSlots, readCell } from './cells';
import { kindOf, type LayerConfig } from './config';
import type { Mask } from './masks';
import type { Slot } from './weights';

/** What has become of the input on its way: how many axes it has, how wide its last one is, and by which mask lengths are told. */
interface Data {
  rank: number | undefined;
  width: number | undefined;
  mask: Mask | undefined;
  /** the layer behind which no mask is seen any more, though there was one */
  maskLostAt?: string;
}

/** A layer of ours in the place of one of Keras', with its parameters' values. */
export interface Made {
  readonly name: string;
  readonly layer: Layer;
  readonly values: Readonly<Record<string, Tensor>>;
}

/** What the making of a layer needs. */
interface Context {
  readonly data: Data;
  readonly dtype: DType;
  /** whether layers came before */
  readonly isFirst: boolean;
  /** what counts in training alone, and stays behind */
  readonly notes: string[];
  take(slot: Slot): Tensor;
}

type Maker = (config: LayerConfig, context: Context) => Made[];

const none = (): Made[] => [];
const ACTIVATIONS = ['linear', 'relu', 'tanh', 'sigmoid', 'softmax'] as const;

/** What each layer of Keras becomes here. */
const MAKERS: Readonly<Record<string, Maker>> = {
  Masking: makeMasking,
  Embedding: makeEmbedding,
  SimpleRNN: makeRecurrent,
  LSTM: makeRecurrent,
  GRU: makeRecurrent,
  Bidirectional: makeBidirectional,
  TimeDistributed: makeTimeDistributed,
  Dense: makeDense,
  LayerNormalization: makeLayerNorm,
  RMSNormalization: makeRMSNorm,
  Dropout: makeDropout,
  Activation: (config) => activation(config.name, config.word('activation', ACTIVATIONS, 'linear')),
  Softmax: makeSoftmax,
  ReLU: makeReLU,
};

/**
 * Makes what stands for a layer of Keras.
 * @throws EvenkeelError ERR_FILE for a layer, or an option of it, that is another function than any here
 */
export function makeLayers(config: LayerConfig, context: Context): Made[] {
  const maker = Object.hasOwn(MAKERS, config.className) ? (MAKERS[config.className] as Maker) : undefined;
  if (maker === undefined) return config.fault(`one of the layers ${Object.keys(MAKERS).join(', ')}`, config.className);
  const made = maker(config, context);
  config.checkAllRead();
  const left = config.regularisers();
  if (left.length > 0) context.notes.push(`${config.name}: ${left.join(', ')} count in training alone and stay behind.`);
  return made;
}

/** Checks the number of axes that reach a layer, where the config says it. */
function checkRank(config: LayerConfig, data: Data, rank: number, axes: readonly string[]): void {
  if (data.rank !== undefined && data.rank !== rank) config.fault(`an input ${formatShape(axes)}`, `one of ${data.rank} axes`);
  data.rank = rank;
}

/** Checks that a layer takes what the one before gives, and notes what it gives. */
function passOn(config: LayerConfig, data: Data, takes: number, gives = takes): void {
  if (data.width !== undefined && data.width !== takes) config.fault(`weights for an input of ${data.width}`, `${takes}`);
  data.width = gives;
}

function makeMasking(config: LayerConfig, { data, isFirst }: Context): Made[] {
  if (!isFirst) config.fault('to be the first layer', 'another before it', 'Lengths are told once, of the input.');
  checkRank(config, data, 3, ['N', 'T', 'F']);
  data.mask = { value: config.number('mask_value', 0), ofSymbols: false };
  return none();
}

function makeEmbedding(config: LayerConfig, { data, dtype, isFirst, take }: Context): Made[] {
  if (!isFirst) config.fault('to be the first layer', 'another before it');
  const [vocabularySize, embeddingSize] = [config.size('input_dim'), config.size('output_dim')];
  if (config.boolean('mask_zero', false)) data.mask = { value: 0, ofSymbols: true };
  checkRank(config, data, 2, ['N', 'T']);
  const weight = take({ part: '', index: 0, name: 'embeddings', shape: [vocabularySize, embeddingSize] });
  Object.assign(data, { rank: 3, width: embeddingSize });
  return [{ name: config.name, layer: new Embedding({ vocabularySize, embeddingSize, dtype }), values: { weight } }];
}

/** What the configs of the recurrent layers say alike. */
interface RecurrentConfig {
  readonly className: CellClass;
  readonly hiddenSize: number;
  readonly bias: boolean;
  readonly returnSequences: boolean;
  readonly stateful: boolean;
  readonly goBackwards: boolean;
  readonly recurrentDropout: number;
  readonly resetAfter: boolean;
  readonly nonlinearity: 'tanh' | 'relu';
}

const HARD = "It is another function. Set recurrent_activation to 'sigmoid' there, and train again.";

function readRecurrent(config: LayerConfig, notes: string[]): RecurrentConfig {
  const className = config.className as CellClass;
  const nonlinearity = config.word('activation', className === 'SimpleRNN' ? ['tanh', 'relu'] : ['tanh'], 'tanh');
  if (className !== 'SimpleRNN') config.word('recurrent_activation', ['sigmoid'], 'sigmoid', HARD);
  config.only('return_state', false, 'States are read from the layer here: finalState.');
  config.only('time_major', false);
  config.get('zero_output_for_mask');
  if (config.number('dropout', 0) > 0) {
    notes.push(
      `${config.name}: dropout ${config.number('dropout')} of its input, with one mask for all steps, counts in training alone and stays behind.`,
    );
  }
  return {
    className,
    hiddenSize: config.size('units'),
    bias: config.boolean('use_bias', true),
    returnSequences: config.boolean('return_sequences', false),
    stateful: config.boolean('stateful', false),
    goBackwards: config.boolean('go_backwards', false),
    recurrentDropout: config.number('recurrent_dropout', 0),
    // Keras 2.0 had no such option, and TF.js has none that works.
    resetAfter: className === 'GRU' && config.boolean('reset_after', false),
    nonlinearity,
  };
}

function makeRecurrent(config: LayerConfig, context: Context): Made[] {
  const given = readRecurrent(config, context.notes);
  if (given.goBackwards) config.fault('go_backwards false', 'true', 'A reverse direction stands beside a forward one: Bidirectional.');
  return [recurrentLayer(config, context, given, ['cell'])];
}

function makeBidirectional(config: LayerConfig, context: Context): Made[] {
  config.word('merge_mode', ['concat'], 'concat', 'The layer puts both directions beside each other.');
  config.only('weights', undefined);
  const [forward, backward] = [config.inner('layer'), config.inner('backward_layer')];
  if (forward === undefined || !['SimpleRNN', 'LSTM', 'GRU'].includes(forward.className)) {
    return config.fault('SimpleRNN, LSTM or GRU within', forward?.className ?? 'none');
  }
  const given = readRecurrent(forward, context.notes);
  if (given.goBackwards) forward.fault('go_backwards false', 'true');
  if (given.stateful) config.fault('stateful false', 'true', 'A reverse direction begins at the end, of which a stream has none.');
  forward.checkAllRead();
  if (backward !== undefined) checkBackward(backward, given);
  return [recurrentLayer(config, context, given, ['forward_layer/cell', 'backward_layer/cell'])];
}

function checkBackward(config: LayerConfig, forward: RecurrentConfig): void {
  if (config.className !== forward.className) config.fault(forward.className, config.className);
  const given = readRecurrent(config, []);
  config.checkAllRead();
  const expected = { ...forward, goBackwards: true };
  const other = (Object.keys(given) as (keyof RecurrentConfig)[]).find((option) => given[option] !== expected[option]);
  if (other !== undefined) config.fault(`${other} ${expected[other]}, as of the forward layer`, `${given[other]}`);
}

function recurrentLayer(config: LayerConfig, context: Context, given: RecurrentConfig, parts: readonly string[]): Made {
  const { data, dtype, take } = context;
  const { className, hiddenSize, bias, returnSequences, stateful, resetAfter, nonlinearity } = given;
  checkRank(config, data, 3, ['N', 'T', 'F']);
  if (data.maskLostAt !== undefined) {
    const hint = 'RMSNormalization of Keras 3 drops the mask, so that what stands behind it goes through the padding too.';
    config.fault('a mask that reaches it, or none at all', `one that ends at ${data.maskLostAt}`, hint);
  }
  const form = cellForm(className, resetAfter);
  const cells = parts.map((part) => cellSlots(form, part, hiddenSize, bias).map(take));
  const inputSize = cells[0]?.[0]?.shape[0] as number;
  for (const [kernel] of cells) if (kernel?.shape[0] !== inputSize) config.fault(`kernels of ${inputSize} rows`, `${kernel?.shape[0]}`);
  passOn(config, data, inputSize, parts.length * hiddenSize);
  if (!returnSequences) Object.assign(data, { rank: 2, mask: undefined });
  const values = Object.assign({}, ...cells.map((weights, i) => readCell(form, weights, i === 0 ? 'l0' : 'l0_reverse')));
  const recurrentDropout = keepDropout(config, given, context.notes);
  const options = { inputSize, hiddenSize, bias, returnSequences, stateful, recurrentDropout, bidirectional: parts.length === 2, dtype };
  const layer =
    className === 'LSTM'
      ? new LSTM(options)
      : className === 'GRU'
        ? new GRU({ ...options, resetAfter })
        : new RNN({ ...options, nonlinearity });
  return { name: config.name, layer, values };
}

function keepDropout(config: LayerConfig, { recurrentDropout, className, resetAfter }: RecurrentConfig, notes: string[]): number {
  if (recurrentDropout < 0 || recurrentDropout >= 1) config.fault('recurrent_dropout from 0 to below 1', `${recurrentDropout}`);
  if (recurrentDropout === 0 || className !== 'GRU' || resetAfter) return recurrentDropout;
  notes.push(
    `${config.name}: recurrent_dropout ${recurrentDropout} of a GRU that resets before its product counts in training alone and stays behind.`,
  );
  return 0;
}

/** Each of these treats every step by itself anyway. */
const BY_STEP = ['Dense', 'Activation', 'Dropout', 'LayerNormalization', 'RMSNormalization', 'ReLU', 'Softmax'];

function makeTimeDistributed(config: LayerConfig, context: Context): Made[] {
  const inner = config.inner('layer');
  if (inner === undefined || !BY_STEP.includes(inner.className)) {
    return config.fault(`one of the layers ${BY_STEP.join(', ')} within`, inner?.className ?? 'none');
  }
  checkRank(config, context.data, 3, ['N', 'T', 'F']);
  // The inner layer sees a step at a time.
  context.data.rank = 2;
  const take = (slot: Slot) => context.take({ ...slot, part: 'layer' });
  const made = makeLayers(inner, { ...context, take });
  context.data.rank = 3;
  const [first, ...others] = made;
  return first === undefined ? [] : [{ ...first, name: config.name }, ...others];
}

function makeDense(config: LayerConfig, { data, dtype, take }: Context): Made[] {
  const outputSize = config.size('units');
  const bias = config.boolean('use_bias', true);
  const kernel = take({ part: '', index: 0, name: 'kernel', shape: ['I', outputSize] });
  const values = {
    weight: transposed(kernel),
    ...(bias ? { bias: take({ part: '', index: 1, name: 'bias', shape: [outputSize] }) } : {}),
  };
  const inputSize = kernel.shape[0] as number;
  passOn(config, data, inputSize, outputSize);
  return [
    { name: config.name, layer: new Linear({ inputSize, outputSize, bias, dtype }), values },
    ...activation(`${config.name}_activation`, config.word('activation', ACTIVATIONS, 'linear')),
  ];
}

function activation(name: string, kind: ActivationKind | 'linear'): Made[] {
  return kind === 'linear' ? [] : [{ name, layer: new Activation({ kind }), values: {} }];
}

/** @returns whether the axis is the last one, as it must be */
function checkAxis(config: LayerConfig, { rank }: Data): void {
  const given = config.get('axis') ?? -1;
  const axis = Array.isArray(given) && given.length === 1 ? given[0] : given;
  if (axis !== -1 && (rank === undefined || axis !== rank - 1)) config.fault('axis -1, the last one', kindOf(given));
}

function makeLayerNorm(config: LayerConfig, { data, dtype, take, notes }: Context): Made[] {
  checkAxis(config, data);
  config.only('rms_scaling', false, 'RMSNormalization is RMSNorm here.');
  const eps = config.number('epsilon', 1e-3);
  const [scale, center] = [config.boolean('scale', true), config.boolean('center', true)];
  const gamma = scale ? take({ part: '', index: 0, name: 'gamma', shape: ['F'] }) : undefined;
  const beta = center ? take({ part: '', index: scale ? 1 : 0, name: 'beta', shape: ['F'] }) : undefined;
  const size = gamma?.shape[0] ?? beta?.shape[0] ?? data.width ?? config.fault('a size', 'none');
  passOn(config, data, size);
  const affine = scale || center;
  if (affine && !(scale && center))
    notes.push(`${config.name}: scale and center stand together here; the one that was false can be trained too.`);
  if (eps < 1e-37) config.fault('epsilon of at least 1e-37', `${eps}`);
  const values: Record<string, Tensor> = affine ? { weight: gamma ?? filled(size, dtype, 1), bias: beta ?? filled(size, dtype, 0) } : {};
  return [{ name: config.name, layer: new LayerNorm({ size, eps, affine, dtype }), values }];
}

function makeRMSNorm(config: LayerConfig, { data, dtype, take }: Context): Made[] {
  checkAxis(config, data);
  const eps = config.number('epsilon', 1e-6);
  if (eps < 1e-37) config.fault('epsilon of at least 1e-37', `${eps}`);
  const weight = take({ part: '', index: 0, name: 'scale', shape: ['F'] });
  const size = weight.shape[0] as number;
  passOn(config, data, size);
  if (data.mask !== undefined) data.maskLostAt = config.name;
  return [{ name: config.name, layer: new RMSNorm({ size, eps, dtype }), values: { weight } }];
}

function filled(size: number, dtype: DType, value: number): Tensor {
  const tensor = Tensor.zeros([size], { dtype });
  tensor.data.fill(value);
  return tensor;
}

function makeDropout(config: LayerConfig): Made[] {
  config.only('noise_shape', undefined);
  const p = config.number('rate');
  if (p < 0 || p > 1) config.fault('a rate from 0 to 1', `${p}`);
  return [{ name: config.name, layer: new Dropout({ p }), values: {} }];
}

function makeSoftmax(config: LayerConfig, { data }: Context): Made[] {
  checkAxis(config, data);
  return [{ name: config.name, layer: new Activation({ kind: 'softmax' }), values: {} }];
}

function makeReLU(config: LayerConfig): Made[] {
  config.only('max_value', undefined);
  config.only('negative_slope', 0);
  config.only('threshold', 0);
  return [{ name: config.name, layer: new Activation({ kind: 'relu' }), values: {} }];
}
