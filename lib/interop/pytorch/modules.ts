import { checkOptions } from '../../check';
import { formatShape } from '../../errors';
import { fileFault, quote } from '../../io/file';
import { Activation, type ActivationKind } from '../../layers/activation';
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
import type { DType, Tensor } from '../../tensor';
import { convertTensor, type ForeignTensors } from '../foreign-tensors';

/**
 * The modules of torch.nn that have a layer here: those with parameters, those without, Softmax over the last dimension, and LastStep, which
 * PyTorch's users write as `output[:, -1]`.
 */
export type PyTorchModuleType =
  | 'RNN'
  | 'GRU'
  | 'LSTM'
  | 'Linear'
  | 'Embedding'
  | 'LayerNorm'
  | 'RMSNorm'
  | 'Dropout'
  | 'ReLU'
  | 'Tanh'
  | 'Sigmoid'
  | 'Softmax'
  | 'LastStep';

/** What a state dict's tensors say of a module, as its layer's constructor takes it. */
type Options = Record<string, unknown>;

interface ModuleKind {
  /** what the tensors say, which nobody needs to */
  readonly told: readonly string[];
  /**
   * Absent of a kind without tensors.
   * @throws EvenkeelError ERR_FILE when the tensors are not those of such a module
   */
  read?(module: ForeignModule): Options;
  // biome-ignore lint/suspicious/noExplicitAny: the constructor checks its options
  make(options: any): Layer;
}

const RECURRENT = ['inputSize', 'hiddenSize', 'numLayers', 'bidirectional', 'bias', 'dtype'];

export const MODULE_KINDS: Readonly<Record<PyTorchModuleType, ModuleKind>> = {
  RNN: { told: RECURRENT, read: (module) => readRecurrent(module, 1), make: (options) => new RNN(options) },
  GRU: { told: RECURRENT, read: (module) => readRecurrent(module, 3), make: (options) => new GRU(options) },
  LSTM: { told: [...RECURRENT, 'projSize'], read: (module) => readRecurrent(module, 4), make: (options) => new LSTM(options) },
  Linear: { told: ['inputSize', 'outputSize', 'bias', 'dtype'], read: readLinear, make: (options) => new Linear(options) },
  Embedding: { told: ['vocabularySize', 'embeddingSize', 'dtype'], read: readEmbedding, make: (options) => new Embedding(options) },
  LayerNorm: { told: ['size', 'affine', 'dtype'], read: readNorm, make: (options) => new LayerNorm(options) },
  RMSNorm: { told: ['size', 'affine', 'dtype'], read: readNorm, make: (options) => new RMSNorm(options) },
  Dropout: { told: [], make: (options) => new Dropout(options) },
  LastStep: { told: [], make: (options) => withoutOptions(options, new LastStep()) },
  ReLU: activation('relu'),
  Tanh: activation('tanh'),
  Sigmoid: activation('sigmoid'),
  Softmax: activation('softmax'),
};

function activation(kind: ActivationKind): ModuleKind {
  return { told: [], make: (options) => withoutOptions(options, new Activation({ kind })) };
}

function withoutOptions(options: Options, layer: Layer): Layer {
  checkOptions('module options', options, []);
  return layer;
}

/** Kinds by the gates that their weights have rows for. */
const BY_GATES = new Map<number, PyTorchModuleType>([
  [1, 'RNN'],
  [3, 'GRU'],
  [4, 'LSTM'],
]);

const RECURRENT_NAME = /^(?:weight|bias)_(?:ih|hh|hr)_l(\d+)(_reverse)?$/;

/** One module of a state dict: the tensors whose names begin with its own. */
export class ForeignModule {
  readonly #tensors: ForeignTensors;
  readonly #prefix: string;
  /** of its tensors, without the module's */
  readonly names: readonly string[];

  /** @param name `''` of the state dict of a bare module */
  constructor(tensors: ForeignTensors, name: string) {
    this.#tensors = tensors;
    this.#prefix = name === '' ? '' : `${name}.`;
    this.names = tensors.names.filter((full) => moduleOf(full) === name).map((full) => full.slice(this.#prefix.length));
  }

  get where(): string {
    return this.#prefix === '' ? this.#tensors.where : `${this.#tensors.where}, module ${quote(this.#prefix.slice(0, -1))}`;
  }

  has(name: string): boolean {
    return this.names.includes(name);
  }

  /** @throws EvenkeelError ERR_FILE where it is missing, or of another shape */
  size(name: string, axis: number, shape: readonly string[]): number {
    return this.#tensors.take(`${this.#prefix}${name}`, shape).shape[axis] as number;
  }

  /** Which kinds these may be the tensors of: none, one, or two that have the same ones. */
  kinds(): PyTorchModuleType[] {
    const { names } = this;
    if (names.every((name) => RECURRENT_NAME.test(name))) return this.has('weight_hh_l0') ? this.#recurrentKinds() : [];
    const rank = this.#tensors.peek(`${this.#prefix}weight`)?.shape.length;
    if (names.some((name) => name !== 'weight' && name !== 'bias')) return [];
    if (rank === 2) return this.has('bias') ? ['Linear'] : ['Linear', 'Embedding'];
    if (rank === 1) return this.has('bias') ? ['LayerNorm'] : ['LayerNorm', 'RMSNorm'];
    return [];
  }

  #recurrentKinds(): PyTorchModuleType[] {
    const [rows = 0, columns = 0] = this.#tensors.peek(`${this.#prefix}weight_hh_l0`)?.shape ?? [];
    if (this.has('weight_hr_l0')) return ['LSTM'];
    const kind = BY_GATES.get(rows / columns);
    return kind === undefined ? [] : [kind];
  }

  /** All its tensors in one dtype, by their names in the layer's state dict. */
  values(dtype: DType): Record<string, Tensor> {
    const entries = this.names.map((name): [string, Tensor] => {
      const full = `${this.#prefix}${name}`;
      return [name, convertTensor(`${this.#tensors.where}, tensor ${quote(full)}`, this.#tensors.take(full), dtype)];
    });
    return Object.fromEntries(entries);
  }

  /** for a message */
  describe(): string {
    const tensors = this.names.map((name) => `${name} ${formatShape(this.#tensors.peek(`${this.#prefix}${name}`)?.shape ?? [])}`);
    return tensors.length > 8 ? `${tensors.slice(0, 8).join(', ')} and ${tensors.length - 8} more` : tensors.join(', ');
  }
}

/** Which module a tensor belongs to: its name without the last part. */
export function moduleOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('.')));
}

/** A norm within a state dict has no bias where it was made with `bias=False`: β is then zeros. */
export function missingBias({ names }: ForeignModule, type: PyTorchModuleType): boolean {
  return type === 'LayerNorm' && !names.includes('bias');
}

function readRecurrent(module: ForeignModule, gates: number): Options {
  const inputSize = module.size('weight_ih_l0', 1, ['G·H', 'I']);
  const rows = module.size('weight_ih_l0', 0, ['G·H', 'I']);
  const outputSize = module.size('weight_hh_l0', 1, ['G·H', 'H']);
  const projected = module.has('weight_hr_l0');
  const hiddenSize = projected ? module.size('weight_hr_l0', 1, ['P', 'H']) : outputSize;
  if (rows !== gates * hiddenSize) {
    fileFault(module.where, `weight_ih_l0 of ${gates} · ${hiddenSize} rows`, `${rows}`);
  }
  const levels = module.names.map((name) => Number(RECURRENT_NAME.exec(name)?.[1] ?? 0));
  const last = Math.max(...levels);
  if (last >= module.names.length)
    fileFault(module.where, 'tensors of each layer', `some of a layer ${last}, ${module.names.length} in all`);
  return {
    inputSize,
    hiddenSize,
    numLayers: last + 1,
    bidirectional: module.names.some((name) => name.endsWith('_reverse')),
    bias: module.names.some((name) => name.startsWith('bias')),
    ...(projected ? { projSize: outputSize } : {}),
  };
}

function readLinear(module: ForeignModule): Options {
  const shape = ['out', 'in'];
  return { inputSize: module.size('weight', 1, shape), outputSize: module.size('weight', 0, shape), bias: module.has('bias') };
}

function readEmbedding(module: ForeignModule): Options {
  const shape = ['V', 'D'];
  return { vocabularySize: module.size('weight', 0, shape), embeddingSize: module.size('weight', 1, shape) };
}

function readNorm(module: ForeignModule): Options {
  return { size: module.size('weight', 0, ['size']) };
}
