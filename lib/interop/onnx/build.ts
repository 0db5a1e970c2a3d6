/** Makes a model of the layers that a graph was found to hold. */
import { EvenkeelError } from '../../errors';
import { Activation } from '../../layers/activation';
import { Embedding } from '../../layers/embedding';
import { GRU } from '../../layers/gru';
import { LastStep } from '../../layers/last-step';
import type { Layer } from '../../layers/layer';
import { LayerNorm } from '../../layers/layer-norm';
import { Linear } from '../../layers/linear';
import { LSTM } from '../../layers/lstm';
import { RMSNorm } from '../../layers/rms-norm';
import { RNN } from '../../layers/rnn';
import { type DType, Tensor } from '../../tensor';
import { chainLayers, type NamedLayer } from '../chain';
import { commonDType, fillParameters } from '../foreign-tensors';
import { ofLevel } from './levels';
import type { FoundLayer } from './trace';

// biome-ignore lint/suspicious/noExplicitAny: the constructors check their options
const MAKE: Record<FoundLayer['type'], (options: any) => Layer> = {
  RNN: (options) => new RNN(options),
  GRU: (options) => new GRU(options),
  LSTM: (options) => new LSTM(options),
  Linear: (options) => new Linear(options),
  Embedding: (options) => new Embedding(options),
  LayerNorm: (options) => new LayerNorm(options),
  RMSNorm: (options) => new RMSNorm(options),
  Activation: ({ kind }) => new Activation({ kind }),
  LastStep: () => new LastStep(),
};

const RECURRENT: readonly string[] = ['RNN', 'GRU', 'LSTM'];

/** @throws EvenkeelError ERR_FILE for layers that cannot be made, ERR_DTYPE where dtypes differ and none is asked for */
export function buildModel(where: string, found: readonly FoundLayer[], wanted: DType | undefined): Layer {
  const layers = mergeStacks(found.map(withAffine));
  const tensors = layers.flatMap(({ values }) => Object.values(values));
  const dtype = commonDType(where, tensors, wanted);
  const made = layers.map((layer) => ({ layer: make(where, layer, dtype), values: layer.values }));
  const only = made[0];
  if (only !== undefined && made.length === 1) {
    fillParameters(where, only.layer, only.values);
    return only.layer;
  }
  const { model, names } = chain(
    layers,
    made.map(({ layer }) => layer),
  );
  const values = made.flatMap(({ values }, index) =>
    Object.entries(values).map(([key, tensor]): [string, Tensor] => [`${names[index]}.${key}`, tensor]),
  );
  fillParameters(where, model, Object.fromEntries(values));
  return model;
}

function make(where: string, { type, options }: FoundLayer, dtype: DType): Layer {
  try {
    return MAKE[type]({ ...options, dtype });
  } catch (cause) {
    if (!(cause instanceof EvenkeelError) || cause.code !== 'ERR_OPTION') throw cause;
    throw new EvenkeelError('ERR_FILE', `${where}, ${type}: ${cause.message}`, { cause });
  }
}

/** A LayerNorm has γ and β, or neither. */
function withAffine(layer: FoundLayer): FoundLayer {
  const { weight, bias } = layer.values;
  const one = weight ?? bias;
  if (layer.type !== 'LayerNorm' || one === undefined) return layer;
  const filled = (value: number): Tensor =>
    new Tensor(
      one.data.map(() => value),
      one.shape,
    );
  return { ...layer, values: { weight: weight ?? filled(1), bias: bias ?? filled(0) } };
}

/** Cells that stand on each other in one module, or where no module is said, are the layers of one. */
function mergeStacks(found: readonly FoundLayer[]): FoundLayer[] {
  const merged: FoundLayer[] = [];
  for (const layer of found) {
    const below = merged.at(-1);
    if (below === undefined || !areOneStack(below, layer)) {
      merged.push(layer);
      continue;
    }
    const level = below.options.numLayers === undefined ? 1 : (below.options.numLayers as number);
    const values = Object.entries(layer.values).map(([name, tensor]): [string, Tensor] => [ofLevel(name, level), tensor]);
    const options = { ...layer.options, inputSize: below.options.inputSize, numLayers: level + 1 };
    merged.splice(-1, 1, { ...below, options, values: { ...below.values, ...Object.fromEntries(values) } });
  }
  return merged;
}

/** What says which function a cell is. */
function cellOf({ options }: FoundLayer): string {
  const { inputSize, numLayers, returnSequences, ...same } = options;
  return JSON.stringify(Object.entries(same).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function areOneStack(below: FoundLayer, above: FoundLayer): boolean {
  const isStack = RECURRENT.includes(above.type) && above.type === below.type && above.scope === below.scope;
  return isStack && below.options.returnSequences !== false && cellOf(below) === cellOf(above);
}

/** By the names of their modules, and where these are missing or make no order, by their types. */
function chain(found: readonly FoundLayer[], layers: readonly Layer[]): { model: Layer; names: readonly string[] } {
  const named = found.map(({ type, scope }, index): NamedLayer => [scope ?? (type === 'LastStep' ? 'last' : ''), layers[index] as Layer]);
  const isNamed = named.every(([name]) => name !== '') && new Set(named.map(([name]) => name)).size === named.length;
  if (isNamed) {
    try {
      return { model: chainLayers('names', named), names: named.map(([name]) => name) };
    } catch (error) {
      if (!(error instanceof EvenkeelError)) throw error;
    }
  }
  const names = typeNames(found);
  return {
    model: chainLayers(
      'names',
      names.map((name, index): NamedLayer => [name, layers[index] as Layer]),
    ),
    names,
  };
}

/** lstm, linear, linear2, … */
function typeNames(found: readonly FoundLayer[]): string[] {
  const counts = new Map<string, number>();
  return found.map(({ type }) => {
    const count = (counts.get(type) ?? 0) + 1;
    counts.set(type, count);
    const name = type === 'LastStep' ? 'last' : type.toLowerCase();
    return count === 1 ? name : `${name}${count}`;
  });
}
