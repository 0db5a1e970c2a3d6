import { fail } from '../../check';
import { Activation } from '../../layers/activation';
import { Dropout } from '../../layers/dropout';
import { Embedding } from '../../layers/embedding';
import { GRU } from '../../layers/gru';
import { LastStep } from '../../layers/last-step';
import type { Layer } from '../../layers/layer';
import { LayerNorm } from '../../layers/layer-norm';
import { Linear } from '../../layers/linear';
import { LSTM } from '../../layers/lstm';
import { RMSNorm } from '../../layers/rms-norm';
import { RNN } from '../../layers/rnn';
import { Sequential } from '../../layers/sequential';
import type { Tensor } from '../../tensor';
import { transposed } from '../arrange';
import { type CellClass, cellForm, cellSlots, readCell, writeCell } from './cells';
import type { Slot } from './weights';

type State = Readonly<Record<string, Tensor>>;

/** A layer as Keras and TF.js have it, and how its weights and our parameters become each other. */
export interface KerasLayer {
  readonly className: string;
  readonly name: string;
  /** in the form that `from_config` of Keras 2 and 3 and TF.js take */
  readonly config: Record<string, unknown>;
  readonly slots: readonly Slot[];
  /** the width of what it takes, of a layer with weights that takes numbers */
  readonly inputSize?: number;
  /** Our parameters from weights in the order of `slots`, by their names in the whole model's state dict. */
  read(weights: readonly Tensor[]): State;
  /** Weights in the order of `slots` from the whole model's state dict. */
  write(state: State): Tensor[];
}

/** What a model is to be for. */
export interface Dialect {
  /** how errors name it */
  readonly name: string;
  readonly hasResetAfter: boolean;
  readonly hasRMSNorm: boolean;
}

export const KERAS: Dialect = { name: 'Keras', hasResetAfter: true, hasRMSNorm: true };
export const TFJS: Dialect = { name: 'TF.js', hasResetAfter: false, hasRMSNorm: false };

/** A layer of ours that is no Sequential, with the beginning of its parameters' names: `encoder.rnn.` */
interface Leaf {
  readonly path: string;
  readonly layer: Layer;
}

/**
 * A model as Keras has it.
 * @throws EvenkeelError ERR_OPTION for a layer, or an option of it, that is another function than any there
 */
export function describeModel(model: Layer, dialect: Dialect): KerasLayer[] {
  const layers: KerasLayer[] = [];
  for (const leaf of leavesOf('', model)) {
    if (leaf.layer instanceof LastStep) takeLastStep(leaf, layers);
    else layers.push(...describe(leaf, dialect));
  }
  return layers;
}

function leavesOf(path: string, layer: Layer): Leaf[] {
  if (!(layer instanceof Sequential)) return [{ path, layer }];
  return Object.entries(layer.layers).flatMap(([name, child]) => leavesOf(`${path}${name}.`, child));
}

/** `encoder.rnn.` as encoder_rnn; a number is no name in Python's files. */
function nameOf({ path }: Leaf, className: string): string {
  const name = path.slice(0, -1).replaceAll('.', '_');
  return /^(?:\d|$)/.test(name) ? `${className.toLowerCase()}${name === '' ? '' : `_${name}`}` : name;
}

function describe(leaf: Leaf, dialect: Dialect): KerasLayer[] {
  const { layer } = leaf;
  if (layer instanceof RNN || layer instanceof LSTM || layer instanceof GRU) return describeRecurrent(leaf, layer, dialect);
  if (layer instanceof Linear) return [describeLinear(leaf, layer)];
  if (layer instanceof Embedding) return [describeEmbedding(leaf, layer)];
  if (layer instanceof LayerNorm) return [describeLayerNorm(leaf, layer)];
  if (layer instanceof RMSNorm && dialect.hasRMSNorm) return [describeRMSNorm(leaf, layer)];
  if (layer instanceof Dropout) return [plain('Dropout', nameOf(leaf, 'Dropout'), { rate: layer.p })];
  if (layer instanceof Activation) return [plain('Activation', nameOf(leaf, 'Activation'), { activation: layer.kind })];
  return refuse(leaf, `a layer that ${dialect.name} has`, layer);
}

function refuse({ path }: Leaf, expected: string, got: unknown, hint?: string): never {
  return fail('ERR_OPTION', path === '' ? 'model' : `layers.${path.slice(0, -1)}`, expected, got, hint);
}

const noWeights = { slots: [], read: () => ({}), write: () => [] };

function plain(className: string, name: string, config: Record<string, unknown>): KerasLayer {
  return { className, name, config: { name, ...config }, ...noWeights };
}

/** The layer before gives its last step itself. */
function takeLastStep(leaf: Leaf, before: KerasLayer[]): void {
  const last = before.at(-1);
  if (last === undefined || !('return_sequences' in last.config)) {
    refuse(leaf, 'a recurrent layer in one direction right before', last?.className, 'Use returnSequences: false instead of LastStep.');
  }
  last.config.return_sequences = false;
}

function optionsOf({ layer }: Leaf): Readonly<Record<string, unknown>> {
  return layer.options ?? {};
}

function describeRecurrent(leaf: Leaf, layer: RNN | LSTM | GRU, dialect: Dialect): KerasLayer[] {
  checkRecurrent(leaf, layer, dialect);
  const className: CellClass = layer instanceof LSTM ? 'LSTM' : layer instanceof GRU ? 'GRU' : 'SimpleRNN';
  const resetAfter = layer instanceof GRU && layer.resetAfter;
  const { numLayers, bidirectional, hiddenSize, returnSequences } = layer;
  const { bias, dropout, recurrentDropout } = optionsOf(leaf) as { bias: boolean; dropout: number; recurrentDropout: number };
  const whole = nameOf(leaf, className);
  const form = cellForm(className, resetAfter);
  return Array.from({ length: numLayers }, (_, index): KerasLayer[] => {
    const name = numLayers === 1 ? whole : `${whole}_l${index}`;
    const cell = {
      name: bidirectional ? className.toLowerCase() : name,
      units: hiddenSize,
      activation: layer instanceof RNN ? layer.nonlinearity : 'tanh',
      ...(className === 'SimpleRNN' ? {} : { recurrent_activation: 'sigmoid' }),
      ...(className === 'GRU' ? { reset_after: resetAfter } : {}),
      use_bias: bias,
      return_sequences: returnSequences || index < numLayers - 1,
      recurrent_dropout: recurrentDropout,
    };
    const suffixes = bidirectional ? [`l${index}`, `l${index}_reverse`] : [`l${index}`];
    const parts = bidirectional ? ['forward_layer/cell', 'backward_layer/cell'] : ['cell'];
    const slots = parts.map((part) => cellSlots(form, part, hiddenSize, bias));
    const made: KerasLayer = {
      className: bidirectional ? 'Bidirectional' : className,
      name,
      config: bidirectional ? { name, merge_mode: 'concat', layer: nested(className, cell) } : cell,
      slots: slots.flat(),
      inputSize: index === 0 ? layer.inputSize : suffixes.length * hiddenSize,
      read: (weights) => {
        const each = weights.length / suffixes.length;
        const values = suffixes.map((suffix, i) => readCell(form, weights.slice(i * each, (i + 1) * each), suffix));
        return prefixed(leaf.path, Object.assign({}, ...values));
      },
      write: (state) => suffixes.flatMap((suffix) => writeCell(form, own(leaf.path, state), suffix)),
    };
    return dropout > 0 && index < numLayers - 1 ? [made, plain('Dropout', `${name}_dropout`, { rate: dropout })] : [made];
  }).flat();
}

/** As Keras 3 writes a layer in the config of another; older ones and TF.js pass over what they do not know. */
function nested(className: string, config: Record<string, unknown>): Record<string, unknown> {
  return { module: 'keras.layers', class_name: className, config, registered_name: null };
}

function checkRecurrent(leaf: Leaf, layer: RNN | LSTM | GRU, dialect: Dialect): void {
  const { zoneout } = optionsOf(leaf);
  const zones = typeof zoneout === 'object' && zoneout !== null ? Object.values(zoneout) : [zoneout ?? 0];
  if (layer.normalization.placement !== 'none')
    refuse(leaf, "normalization 'none'", layer.normalization.placement, `${dialect.name} has none in its cells.`);
  if (layer instanceof LSTM && layer.cellNormalization.placement !== 'none') {
    refuse(leaf, "cellNormalization 'none'", layer.cellNormalization.placement, `${dialect.name} has none.`);
  }
  if (layer instanceof LSTM && layer.projSize !== undefined)
    refuse(leaf, 'no projSize', layer.projSize, `${dialect.name} has no projections.`);
  if (zones.some((zone) => zone !== 0))
    refuse(leaf, 'zoneout 0', zones[0], 'Outside training zoneout mixes states, which no layer there does.');
  if (layer.stateful) refuse(leaf, 'stateful false', true, `A stateful layer of ${dialect.name} has a batch size of its own.`);
  if (layer instanceof GRU && layer.resetAfter && !dialect.hasResetAfter) {
    refuse(leaf, 'resetAfter false', true, `GRUs of ${dialect.name} reset before the product.`);
  }
}

/** Keras' RMSNormalization drops the mask: a recurrent layer behind it would go through the padding too. */
function checkMaskArrives(layers: readonly KerasLayer[]): void {
  let lostAt: string | undefined;
  for (const { className, name, config } of layers) {
    if (className === 'RMSNormalization') lostAt = name;
    if (!['SimpleRNN', 'LSTM', 'GRU', 'Bidirectional'].includes(className)) continue;
    if (lostAt !== undefined) {
      const hint = 'RMSNormalization of Keras drops the mask. Take LayerNorm, or export without maskValue, for whole sequences.';
      fail('ERR_OPTION', 'maskValue', `no RMSNorm before a recurrent layer, which ${name} is`, lostAt, hint);
    }
    const { config: own = config } = (config.layer ?? {}) as { config?: Record<string, unknown> };
    if (own.return_sequences !== true) return;
  }
}

/** The same layers with lengths told by a value of the input. */
export function withMask(layers: readonly KerasLayer[], value: number): KerasLayer[] {
  checkMaskArrives(layers);
  const [first, ...others] = layers;
  if (first?.className !== 'Embedding') return [plain('Masking', 'masking', { mask_value: value }), ...layers];
  if (value !== 0) fail('ERR_OPTION', 'maskValue', '0 for symbols', value);
  return [{ ...first, config: { ...first.config, mask_zero: true } }, ...others];
}

function describeLinear(leaf: Leaf, { outputSize, inputSize }: Linear): KerasLayer {
  const { bias } = optionsOf(leaf) as { bias: boolean };
  const slots = [
    { part: '', index: 0, name: 'kernel', shape: [inputSize, outputSize] },
    ...(bias ? [{ part: '', index: 1, name: 'bias', shape: [outputSize] }] : []),
  ];
  const config = { name: nameOf(leaf, 'Dense'), units: outputSize, activation: 'linear', use_bias: bias };
  const order = bias ? ['weight', 'bias'] : ['weight'];
  return withWeights(leaf, 'Dense', config, slots, order, ({ weight, ...rest }) => ({ weight: transposed(weight as Tensor), ...rest }));
}

function describeEmbedding(leaf: Leaf, { vocabularySize, embeddingSize }: Embedding): KerasLayer {
  const config = { name: nameOf(leaf, 'Embedding'), input_dim: vocabularySize, output_dim: embeddingSize };
  return withWeights(
    leaf,
    'Embedding',
    config,
    [{ part: '', index: 0, name: 'embeddings', shape: [vocabularySize, embeddingSize] }],
    ['weight'],
  );
}

function describeLayerNorm(leaf: Leaf, { size, eps }: LayerNorm): KerasLayer {
  const { affine } = optionsOf(leaf) as { affine: boolean };
  const config = { name: nameOf(leaf, 'LayerNormalization'), axis: -1, epsilon: eps, center: affine, scale: affine };
  const slots = ['gamma', 'beta'].map((name, index) => ({ part: '', index, name, shape: [size] }));
  return withWeights(leaf, 'LayerNormalization', config, affine ? slots : [], affine ? ['weight', 'bias'] : []);
}

function describeRMSNorm(leaf: Leaf, { size, eps }: RMSNorm): KerasLayer {
  const { affine } = optionsOf(leaf) as { affine: boolean };
  if (!affine) refuse(leaf, 'affine true', false, 'RMSNormalization of Keras has a scale.');
  const config = { name: nameOf(leaf, 'RMSNormalization'), axis: -1, epsilon: eps };
  return withWeights(leaf, 'RMSNormalization', config, [{ part: '', index: 0, name: 'scale', shape: [size] }], ['weight']);
}

/** A layer whose weights are our parameters but for their form. @param turn leads both ways */
function withWeights(
  leaf: Leaf,
  className: string,
  config: { name: string },
  slots: readonly Slot[],
  order: readonly string[],
  turn: (values: State) => State = (values) => values,
): KerasLayer {
  const zip = (weights: readonly Tensor[]): State => Object.fromEntries(order.map((name, i) => [name, weights[i] as Tensor]));
  return {
    className,
    name: config.name,
    config,
    slots,
    inputSize: inputSizeOf(slots),
    read: (weights) => prefixed(leaf.path, turn(zip(weights))),
    write(state) {
      const values = turn(own(leaf.path, state));
      return order.map((name) => values[name] as Tensor);
    },
  };
}

/** A kernel's rows, or the width of a normalisation. */
function inputSizeOf([first]: readonly Slot[]): number | undefined {
  const size = first?.shape[0];
  return typeof size === 'number' ? size : undefined;
}

function prefixed(path: string, values: State): State {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${path}${name}`, value]));
}

/** The part of a state dict that belongs to one layer, by the layer's own names. */
function own(path: string, state: State): State {
  return Object.fromEntries(
    Object.entries(state).flatMap(([name, value]) => (name.startsWith(path) ? [[name.slice(path.length), value]] : [])),
  );
}
