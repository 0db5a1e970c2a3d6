import { dirname, join } from 'node:path';
import { checkBoolean, checkDType, fail, isPlainObject, readOptions, readSafely } from '../../check';
import { checkPath, fileFault, quote, readWhole } from '../../io/file';
import { checkMemory } from '../../memory';
import { type DType, Tensor } from '../../tensor';
import { commonDType, ForeignTensors } from '../foreign-tensors';
import { buildModel, type ImportedModel, type ImportOptions } from '../keras/build';
import { kindOf } from '../keras/config';
import { readTopology, type Topology } from '../keras/topology';
import { OrderedWeights } from '../keras/weights';
import { type Coding, readCoding } from './quantization';

/** A model of TF.js in memory, as far as it is read. */
export interface TfjsModel {
  /** its architecture */
  toJSON(unused: null, returnString: false): object;
  readonly layers: readonly { readonly name: string; readonly weights: readonly TfjsVariable[] }[];
}

/** A weight of a {@link TfjsModel}, as a LayerVariable of TF.js. */
export interface TfjsVariable {
  readonly name: string;
  /** its value */
  read(): TfjsTensor;
}

/** The value of a {@link TfjsVariable}, as a tensor of TF.js. */
export interface TfjsTensor {
  readonly shape: number[];
  readonly dtype: string;
  /** its elements, row-major */
  data(): Promise<ArrayLike<number>>;
}

/** What a file's or a model's weights are: by name, and the names of each layer's in order. */
interface Weights {
  readonly tensors: readonly (readonly [name: string, tensor: Tensor])[];
  readonly byLayer: ReadonlyMap<string, readonly string[]>;
}

interface WeightEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly coding: Coding;
}

const MOST_JSON_BYTES = 64 * 2 ** 20;
const MOST_WEIGHTS = 100_000;
/** Whole numbers that float64 counts without a gap; more bytes than any file. */
const MOST_BYTES = 2 ** 40;

/**
 * Makes a model of what TF.js saved, `model.json` with its shards beside it, quantised or not, or of a tf.LayersModel in memory. Layers and
 * refusals are those of {@link fromKeras}; above all, TF.js' LSTM and GRU use the hard sigmoid unless `recurrentActivation: 'sigmoid'` is said,
 * which is another function.
 * @param model the path of model.json, or a model of TF.js
 * @throws EvenkeelError ERR_FILE with the path, the layer and the reason, for damaged files too; ERR_OPTION; ERR_MEMORY
 */
export async function fromTfjs(model: string | TfjsModel, options: ImportOptions = {}): Promise<ImportedModel> {
  const given = readOptions('fromTfjs options', options, ['dtype', 'logits'], { logits: false });
  const wanted = given.dtype === undefined ? undefined : checkDType('dtype', given.dtype);
  const logits = checkBoolean('logits', given.logits);
  if (typeof model === 'string') {
    const path = checkPath('model', model);
    const { topology, manifest } = readJson(path);
    return build(path, topology, readShards(path, manifest, topology), { wanted, logits });
  }
  const { config, weights } = await readLive(model);
  return build('tf.LayersModel', readTopology('tf.LayersModel', config), weights, { wanted, logits });
}

function build(
  where: string,
  topology: Topology,
  weights: Weights,
  { wanted, logits }: { wanted?: DType; logits: boolean },
): ImportedModel {
  const foreign = new ForeignTensors(where, weights.tensors);
  const dtype = commonDType(
    where,
    weights.tensors.map(([, tensor]) => tensor),
    wanted,
  );
  const imported = buildModel(where, topology, new OrderedWeights(foreign, weights.byLayer), { dtype, logits });
  foreign.checkAllTaken();
  return imported;
}

function readJson(path: string): { topology: Topology; manifest: unknown } {
  const text = readWhole(path, MOST_JSON_BYTES).toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fileFault(path, 'model.json, as TF.js saves a model', quote(text));
  }
  const { modelTopology, weightsManifest, format } = isPlainObject(json) ? json : {};
  if (format === 'graph-model') {
    fileFault(
      path,
      'a layers-model',
      'a graph-model',
      'A graph has no layers any more: convert the Keras model with --output_format=tfjs_layers_model.',
    );
  }
  // The converter puts the model's config one deeper than TF.js does.
  const config = isPlainObject(modelTopology) && isPlainObject(modelTopology.model_config) ? modelTopology.model_config : modelTopology;
  return { topology: readTopology(path, config), manifest: weightsManifest };
}

/** The weights of all groups; a group's shards are one run of bytes. */
function readShards(path: string, manifest: unknown, topology: Topology): Weights {
  if (!Array.isArray(manifest)) return fileFault(path, 'a weightsManifest', kindOf(manifest));
  const tensors = manifest.flatMap((group) => readGroup(path, group));
  const names = tensors.map(([name]) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) fileFault(path, 'a weight once', `${quote(twice)} twice`);
  return { tensors, byLayer: byLayer(names, topology) };
}

function readGroup(path: string, group: unknown): [string, Tensor][] {
  const { paths, weights } = isPlainObject(group) ? group : {};
  if (!Array.isArray(paths) || !Array.isArray(weights) || weights.length > MOST_WEIGHTS) {
    return fileFault(path, `a group with paths and at most ${MOST_WEIGHTS} weights`, kindOf(group));
  }
  const entries = weights.map((weight) => readEntry(path, weight));
  const sizes = entries.map(({ shape, coding }) => shape.reduce((product, size) => product * size, coding.bytes));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (!(total <= MOST_BYTES)) fileFault(path, `weights of at most ${MOST_BYTES} bytes`, `${total}`);
  const bytes = readBytes(path, paths, total);
  let at = 0;
  return entries.map(({ name, shape, coding }, index) => {
    const own = bytes.slice(at, at + (sizes[index] as number));
    at += own.length;
    return [name, new Tensor(coding.decode(own, own.length / coding.bytes), [...shape])];
  });
}

function readEntry(path: string, weight: unknown): WeightEntry {
  const { name, shape, dtype, quantization } = isPlainObject(weight) ? weight : {};
  if (typeof name !== 'string') return fileFault(path, "a weight's name", kindOf(name));
  const where = `${path}, weight ${quote(name)}`;
  const isShape = Array.isArray(shape) && shape.length <= 8 && shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!isShape) return fileFault(where, 'a shape', kindOf(shape));
  return { name, shape, coding: readCoding(where, dtype, quantization) };
}

/** The shards' bytes one after another, as many as the weights need. */
function readBytes(path: string, paths: readonly unknown[], total: number): Uint8Array {
  checkMemory(path, 2 * total, 'Give the process more memory.');
  const shards = paths.map((shard) => {
    // Beside model.json, and nowhere else: a path could lead to any file.
    if (typeof shard !== 'string' || !/^[\w.-]+$/.test(shard) || /^\.+$/.test(shard)) {
      return fileFault(path, 'names of files beside it as paths of shards', kindOf(shard));
    }
    return readWhole(join(dirname(path), shard), total);
  });
  const found = shards.reduce((sum, { length }) => sum + length, 0);
  if (found !== total) fileFault(path, `shards of ${total} bytes in all, as the weights' shapes say`, `${found}`);
  return Uint8Array.from(Buffer.concat(shards));
}

/** Weights have their layer's name before a slash, in files of the converter behind the model's own. */
function byLayer(names: readonly string[], { name: model, layers }: Topology): Map<string, string[]> {
  const known = new Map<string, string[]>(layers.map(({ name }) => [name, []]));
  for (const name of names) {
    const [first = '', second = ''] = name.split('/');
    known.get(known.has(first) || first !== model ? first : second)?.push(name);
  }
  return known;
}

async function readLive(model: unknown): Promise<{ config: unknown; weights: Weights }> {
  const read = readSafely('model', () => {
    const { toJSON, layers } = (model ?? {}) as Partial<TfjsModel>;
    if (typeof toJSON !== 'function' || !Array.isArray(layers)) return undefined;
    const config = (model as TfjsModel).toJSON(null, false);
    const weights = (layers as TfjsModel['layers']).map(({ name, weights: own }) => ({
      layer: name,
      own: own.map((weight) => ({ name: weight.name, tensor: weight.read() })),
    }));
    return { config, weights };
  });
  if (read === undefined) fail('ERR_OPTION', 'model', 'the path of model.json, or a model of TF.js', model);
  const tensors: [string, Tensor][] = [];
  for (const { own } of read.weights) for (const { name, tensor } of own) tensors.push([name, await copied(name, tensor)]);
  return {
    config: read.config,
    weights: { tensors, byLayer: new Map(read.weights.map(({ layer, own }) => [layer, own.map(({ name }) => name)])) },
  };
}

async function copied(name: string, tensor: TfjsTensor): Promise<Tensor> {
  const { shape, dtype } = tensor;
  if (dtype !== 'float32') fail('ERR_OPTION', `model, weight ${quote(name)}`, 'dtype float32', dtype);
  return new Tensor(Float32Array.from(await tensor.data()), [...shape]);
}
