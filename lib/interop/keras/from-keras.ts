import { checkBoolean, checkDType, readOptions } from '../../check';
import { checkPath, fileFault, quote, readWhole } from '../../io/file';
import { checkLayer, type Layer } from '../../layers/layer';
import { commonDType, ForeignTensors, fillParameters } from '../foreign-tensors';
import { buildModel, type ImportedModel, type ImportOptions } from './build';
import { describeModel, KERAS } from './describe';
import { type Hdf5File, readHdf5 } from './hdf5';
import { groupNames, readTopology } from './topology';
import { OrderedWeights, type Owner, PathWeights, type WeightSource } from './weights';
import { unzip } from './zip';

/** Options of {@link fromKeras}. */
export interface FromKerasOptions extends ImportOptions {
  /**
   * For a file of weights alone (`.weights.h5`): a model with the same layers, which is filled and given back. Without it the file must have the
   * model's config, as `.keras` and `.h5` files of `model.save` have.
   */
  model?: Layer;
}

type LayersAndGroups = { readonly layers: readonly Owner[]; readonly groups: readonly string[] };

const CONFIG = 'config.json';
const WEIGHTS = 'model.weights.h5';
/** Longer than the config of any model, and short enough for JSON.parse. */
const MOST_CONFIG_BYTES = 64 * 2 ** 20;
const MOST_BYTES = 2 ** 36;

/** The optimiser's state, that of metrics, and that of generators of random numbers. */
const STAYS_BEHIND = /^optimizer(?:_weights)?$|^metrics$|(?:^|\/)seed_generator$/;

/**
 * Makes a model of a file that Keras saved: `.keras` of Keras 3 and 2, `.h5` of either, and `.weights.h5` for a model that is given. Every weight
 * of the file goes into a parameter, every parameter comes from a weight, and what is another function than any here is refused by name.
 *
 * Sequential models, and functional ones whose layers form a chain, of Masking, Embedding, SimpleRNN, LSTM, GRU, Bidirectional (concat),
 * TimeDistributed, Dense, LayerNormalization, RMSNormalization, Dropout, Activation, ReLU and Softmax. docs/from-tensorflow.md says what each
 * becomes: `const { model, lengthsOf } = await fromKeras(path)`. Needs the package jsfive, and for `.keras` fflate.
 * @param path of the file
 * @throws EvenkeelError ERR_FILE with the path, the layer and the reason, for a damaged file too; ERR_OPTION; ERR_MEMORY; ERR_STATE where a package
 *   is not installed
 */
export async function fromKeras(path: string, options: FromKerasOptions = {}): Promise<ImportedModel> {
  const given = readOptions('fromKeras options', options, ['model', 'dtype', 'logits'], { logits: false });
  const wanted = given.dtype === undefined ? undefined : checkDType('dtype', given.dtype);
  const logits = checkBoolean('logits', given.logits);
  const target = given.model === undefined ? undefined : checkLayer('model', given.model);
  const contents = readWhole(checkPath('path', path), MOST_BYTES);
  const { config, file } = await open(path, contents);
  const prefix = file.list('model_weights', 'layer_names') === undefined ? '' : 'model_weights';
  const tensors = new ForeignTensors(path, file.tensors);
  if (target !== undefined) return fillGiven(path, target, tensors, file, prefix);
  if (config === undefined) {
    return fileFault(path, 'the config of a model', 'weights alone', 'Give a model with the same layers: fromKeras(path, { model }).');
  }
  const topology = readTopology(path, config);
  const dtype = commonDType(
    path,
    file.tensors.map(([, tensor]) => tensor),
    wanted,
  );
  const imported = buildModel(path, topology, weightsOf(tensors, file, prefix, topology), { dtype, logits });
  tensors.checkAllTaken();
  return withNotes(imported, file);
}

/** The config, if there is one, and the HDF5 file that holds the weights. */
async function open(path: string, contents: Buffer): Promise<{ config: unknown; file: Hdf5File }> {
  if (contents.subarray(0, 4).toString('latin1') === 'PK\x03\x04') {
    const entries = await unzip(path, contents, [CONFIG, WEIGHTS]);
    const config = parseConfig(path, Buffer.from(entries[CONFIG]).toString('utf8'));
    return { config, file: await readHdf5(path, copyOf(entries[WEIGHTS]), STAYS_BEHIND) };
  }
  if (contents.subarray(1, 4).toString('latin1') !== 'HDF') {
    return fileFault(path, 'a .keras or .h5 file', `one that begins with ${quote(contents.subarray(0, 8).toString('latin1'))}`);
  }
  const file = await readHdf5(path, copyOf(contents), STAYS_BEHIND);
  const text = file.text('', 'model_config');
  return { config: text === undefined ? undefined : parseConfig(path, text), file };
}

function copyOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
}

function parseConfig(path: string, text: string): unknown {
  if (text.length > MOST_CONFIG_BYTES) fileFault(path, `a config of at most ${MOST_CONFIG_BYTES} characters`, `${text.length}`);
  try {
    return JSON.parse(text);
  } catch {
    return fileFault(path, "a model's config in JSON", quote(text), 'The file is damaged.');
  }
}

/** Fills a model of the same layers in the same order; the layers' names count for nothing, as in Keras. */
function fillGiven(path: string, model: Layer, tensors: ForeignTensors, file: Hdf5File, prefix: string): ImportedModel {
  const described = describeModel(model, KERAS).filter(({ slots }) => slots.length > 0);
  const groups = groupNames(described);
  const listed = file.list(prefix, 'layer_names')?.filter((layer) => namesOf(file, prefix, layer).length > 0);
  if (listed !== undefined && listed.length !== described.length) {
    fileFault(path, `weights of ${described.length} layers, as the model has`, `${listed.length}`);
  }
  const layers = described.map(({ className }, index) => {
    const name = listed?.[index] ?? (groups[index] as string);
    return { className, name, where: `${path}, layer ${quote(name)} (${className})` };
  });
  const source = weightsOf(tensors, file, prefix, { layers, groups });
  const values = described.map(({ slots, read }, index) => read(slots.map((slot) => source.take(layers[index] as Owner, slot))));
  tensors.checkAllTaken();
  fillParameters(path, model, Object.assign({}, ...values));
  return withNotes({ model, lengthsOf: () => undefined, notes: [] }, file);
}

/** The names of a layer's weights in a file that lists them. */
function namesOf(file: Hdf5File, prefix: string, layer: string): string[] {
  const inGroup = (...words: string[]) => [prefix, layer, ...words].filter((word) => word !== '').join('/');
  return (file.list(inGroup(), 'weight_names') ?? []).map((name) => inGroup(name));
}

function weightsOf(tensors: ForeignTensors, file: Hdf5File, prefix: string, { layers, groups }: LayersAndGroups): WeightSource {
  const listed = file.list(prefix, 'layer_names');
  if (listed === undefined) return new PathWeights(tensors, new Map(layers.map(({ name }, index) => [name, groups[index] as string])));
  return new OrderedWeights(tensors, new Map(listed.map((layer) => [layer, namesOf(file, prefix, layer)])));
}

function withNotes({ model, lengthsOf, notes }: ImportedModel, { left }: Hdf5File): ImportedModel {
  const optimizer = left.some((path) => path.startsWith('optimizer'));
  return { model, lengthsOf, notes: optimizer ? [...notes, "The optimiser's state stays behind."] : notes };
}
