import { basename } from 'node:path';
import { fail } from '../../check';
import { checkPath } from '../../io/file';
import { saveState } from '../../io/safetensors';
import type { Layer } from '../../layers/layer';
import { Sequential } from '../../layers/sequential';
import { checkPlainCell, kindOf } from '../layer-kinds';
import { leavesOf } from '../leaves';
import { MODULES_KEY } from './from-pytorch';

/** A module's text in Python, and what {@link fromPyTorch} is told of it beside the tensors. */
interface Written {
  readonly python: string;
  readonly kept?: readonly string[];
}

type Options = Readonly<Record<string, unknown>>;

/**
 * Writes a model's weights so that PyTorch loads them: a safetensors file with PyTorch's names, whose metadata hold the Python that makes the
 * modules and loads it, and what {@link fromPyTorch} needs to make the model again. It has no forward: that of a Sequential here is to call one
 * module after another, where nn.RNN, nn.GRU and nn.LSTM give a pair of outputs and states.
 * @returns those lines of Python
 * @throws EvenkeelError ERR_OPTION for a layer that PyTorch has not: a normalisation or zoneout in the recurrence, a GRU that resets before its
 *   product, a class of your own; ERR_FILE as {@link saveState}
 *
 * @example
 * const model = new Sequential({ rnn: new GRU({ inputSize: 3, hiddenSize: 8 }), head: new Linear({ inputSize: 8, outputSize: 1 }) });
 * console.log(toPyTorch(model, 'gru.safetensors'));
 */
export function toPyTorch(model: Layer, path: string): string {
  const file = checkPath('path', path);
  const leaves = leavesOf('model', model);
  const python = pythonOf(model);
  const modules = leaves.map(([name, layer]) => [name, moduleOf(layer)]);
  const lines = (name: string): string =>
    [
      'from torch import nn',
      'from safetensors.torch import load_file',
      `model = ${python}`,
      `model.load_state_dict(load_file(${JSON.stringify(name)}))`,
    ].join('\n');
  const metadata = { format: 'pt', python: lines(basename(file)), [MODULES_KEY]: JSON.stringify(modules) };
  saveState(file, model.stateDict(), { metadata });
  return lines(file);
}

/** As the option `modules` of fromPyTorch takes it. */
function moduleOf(layer: Layer): Record<string, unknown> {
  const { type, options } = kindOf('model', layer);
  const { kept = [] } = WRITTEN[type]?.(options) ?? {};
  const written = type === 'Activation' ? { type: TYPES[options.kind as keyof typeof TYPES] } : { type };
  return { ...written, ...Object.fromEntries(kept.filter((name) => options[name] !== undefined).map((name) => [name, options[name]])) };
}

const TYPES = { relu: 'ReLU', tanh: 'Tanh', sigmoid: 'Sigmoid', softmax: 'Softmax' } as const;

function pythonOf(model: Layer): string {
  const text = pythonOfModule('model', model);
  const isDouble = Object.values(model.stateDict()).some(({ dtype }) => dtype === 'float64');
  return isDouble ? `${text}.double()` : text;
}

function pythonOfModule(where: string, layer: Layer): string {
  if (layer instanceof Sequential) {
    const children = Object.entries(layer.layers).map(([name, child]): [string, string] => [
      name,
      pythonOfModule(`${where}.${name}`, child),
    ]);
    if (children.every(([name], index) => name === String(index))) return `nn.ModuleList([${children.map(([, text]) => text).join(', ')}])`;
    return `nn.ModuleDict({${children.map(([name, text]) => `${JSON.stringify(name)}: ${text}`).join(', ')}})`;
  }
  const { type, options } = kindOf(where, layer);
  checkPlainCell(where, type, options, 'PyTorch');
  return WRITTEN[type]?.(options).python ?? fail('ERR_OPTION', where, 'a layer that PyTorch has', type);
}

const WRITTEN: Readonly<Record<string, (options: Options) => Written>> = {
  RNN: (options) => recurrent('RNN', options, { nonlinearity: options.nonlinearity }),
  GRU: (options) => recurrent('GRU', options, {}),
  LSTM: (options) => recurrent('LSTM', options, { proj_size: options.projSize }),
  Linear: ({ inputSize, outputSize, bias }) => ({ python: call('Linear', [inputSize, outputSize], { bias }) }),
  Embedding: ({ vocabularySize, embeddingSize, paddingIndex }) => ({
    python: call('Embedding', [vocabularySize, embeddingSize], { padding_idx: paddingIndex }),
    kept: ['paddingIndex', 'sparse'],
  }),
  LayerNorm: ({ size, eps, affine }) => ({
    python: call('LayerNorm', [size], { eps, elementwise_affine: affine }),
    kept: keptOfNorm(affine),
  }),
  RMSNorm: ({ size, eps, affine }) => ({ python: call('RMSNorm', [size], { eps, elementwise_affine: affine }), kept: keptOfNorm(affine) }),
  Dropout: ({ p }) => ({ python: call('Dropout', [p], {}), kept: ['p'] }),
  Activation: ({ kind }) => ({ python: call(TYPES[kind as keyof typeof TYPES], kind === 'softmax' ? [-1] : [], {}) }),
  // A place among the numbers of a list.
  LastStep: () => ({ python: call('Identity', [], {}) }),
};

/** Of one without γ and β no tensor says its size. */
function keptOfNorm(affine: unknown): string[] {
  return affine === false ? ['eps', 'affine', 'size'] : ['eps'];
}

function recurrent(type: string, options: Options, more: Options): Written {
  const { inputSize, hiddenSize, numLayers, bidirectional, bias, dropout } = options;
  const named = { num_layers: numLayers, ...more, bias, batch_first: true, dropout, bidirectional };
  return {
    python: call(type, [inputSize, hiddenSize], named),
    kept: ['nonlinearity', 'returnSequences', 'stateful', 'dropout', 'recurrentDropout'],
  };
}

/** `nn.Linear(3, 2, bias=False)`; what is undefined is left to PyTorch. */
function call(type: string, values: readonly unknown[], named: Options): string {
  const words = Object.entries(named).filter(([, value]) => value !== undefined);
  return `nn.${type}(${[...values.map(literal), ...words.map(([name, value]) => `${name}=${literal(value)}`)].join(', ')})`;
}

function literal(value: unknown): string {
  return typeof value === 'boolean' ? (value ? 'True' : 'False') : JSON.stringify(value);
}
