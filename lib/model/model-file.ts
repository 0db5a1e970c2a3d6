import { fail, isPlainObject, readOptions, readSafely } from '../check';
import { describe, EvenkeelError } from '../errors';
import { CHECKSUM_KEY } from '../io/checksum';
import { fileFault, quote } from '../io/file';
import { loadAll, saveState } from '../io/safetensors';
import { checkLayer, type Layer } from '../layers/layer';
import { version } from '../version';
import { buildLayer, describeLayer } from './architecture';

/** The metadata that hold the architecture. */
const MODEL_KEY = 'evenkeel.model';

/** Of the description's form: a file of a later one is refused. */
const FORMAT = 1;

/** Options of saveModel. */
export interface SaveModelOptions {
  /** texts by name to keep with the model, such as what its inputs mean; {@link loadMetadata} gives them */
  metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes a model to one safetensors file: its state dict, and in the metadata its architecture (every layer with its options, and the version
 * that wrote it) as JSON and a checksum of all contents. The file appears whole or not at all. Neither gradients nor what the layers carry from
 * call to call, such as the state of a stateful layer or of a generator, are in it: see {@link saveCheckpoint}.
 * @param path the file to write or replace
 * @param model of this package's layers, and of your own that {@link registerLayer} knows
 * @throws EvenkeelError ERR_OPTION for a layer that has no name or whose options cannot be written, or metadata under
 * a name that saveModel writes; ERR_STATE for a parameter whose buffer was transferred away, ERR_FILE when the file cannot be written
 *
 * @example
 * const model = new Sequential({ lstm: new LSTM({ inputSize: 8, hiddenSize: 32 }), head: new Linear({ inputSize: 32, outputSize: 1 }) });
 * saveModel('model.safetensors', model);
 * const same = loadModel('model.safetensors');
 */
export function saveModel(path: string, model: Layer, options: SaveModelOptions = {}): void {
  const { metadata = {} } = readOptions('saveModel options', options, ['metadata']);
  const texts = readSafely('metadata', () => (isPlainObject(metadata) ? { ...metadata } : undefined));
  if (texts === undefined) fail('ERR_OPTION', 'metadata', 'a record of texts by name', metadata);
  for (const key of [MODEL_KEY, CHECKSUM_KEY]) {
    if (Object.hasOwn(texts, key)) fail('ERR_OPTION', 'metadata', `names other than ${key}, which saveModel writes itself`, key);
  }
  const layer = checkLayer('model', model);
  const description = JSON.stringify({ format: FORMAT, evenkeel: version, model: describeLayer(layer) });
  const state = readSafely('model', () => layer.stateDict());
  saveState(path, state, { metadata: { ...(texts as Record<string, string>), [MODEL_KEY]: description }, checksum: true });
}

/**
 * Makes the model that {@link saveModel} wrote, with its parameters. It computes the same bits; its generators start anew.
 * @returns a Sequential, or whatever layer was saved; `loadModel<LSTM>(path)` says which
 * @throws EvenkeelError ERR_FILE with the reason for a file that cannot be read, is damaged, has no architecture or that of a later version, or
 * names a layer or an option that is not known; ERR_MEMORY when it is too large for memory
 */
export function loadModel<Model extends Layer = Layer>(path: string): Model {
  const { state, metadata } = loadAll(path, true);
  const text = metadata[MODEL_KEY] ?? failWithout(path);
  const bytes = Object.values(state).reduce((sum, { data }) => sum + data.byteLength, 0);
  // Each parameter has a gradient.
  const { writer, model: description } = readDescription(path, text);
  const where = writer === version ? path : `${path}, written by evenkeel ${quote(writer, 20)}`;
  const model = buildLayer(`${where}, model`, description, { limit: { bytes: 2 * bytes } });
  try {
    model.loadStateDict(state);
  } catch (cause) {
    throw new EvenkeelError('ERR_FILE', `${path}: its tensors are not those of its architecture. ${(cause as Error).message}`, { cause });
  }
  return model as Model;
}

function failWithout(path: string): never {
  const hint = 'It was not written by saveModel: read it with loadState, and give that to the loadStateDict of a model.';
  return fileFault(path, `a description of the model, "${MODEL_KEY}", in its metadata`, 'none', hint);
}

function readDescription(path: string, text: string): { writer: string; model: unknown } {
  let description: unknown;
  try {
    description = JSON.parse(text);
  } catch {
    return fileFault(path, 'a description in JSON', quote(text));
  }
  const { format, evenkeel, model } = isPlainObject(description) ? description : {};
  // Any value of JSON: a list in lists, or an object whose toString is none, has no text.
  const writer = typeof evenkeel === 'string' ? evenkeel.slice(0, 40) : describe(evenkeel);
  if (!Number.isSafeInteger(format) || (format as number) < 1) return fileFault(path, 'a format, 1 or above, of the description', 'none');
  if ((format as number) > FORMAT) {
    const got = `format ${format} of evenkeel ${quote(writer, 20)}`;
    return fileFault(path, `a description of format ${FORMAT}`, got, 'Install a newer evenkeel.');
  }
  return { writer, model };
}
