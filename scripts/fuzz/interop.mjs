// Models that Keras, TF.js, PyTorch and saveModel wrote, damaged: as bytes, in their sizes and addresses, or in what they say of their layers.
// A file is refused with a reason and its path, or what was made of it is a whole model.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { unzipSync, zipSync } from 'fflate';
import { EvenkeelError, internal } from './calls.mjs';
import { MODEL, mutateMessage, readMessage, writeMessage } from './onnx-messages.mjs';
import { mutateBytes, mutateJson, mutateWords, nestedJson, renameKeys } from './random.mjs';
import { damaged as damagedSafetensors } from './safetensors.mjs';

const { fromKeras, fromOnnx, fromPyTorch, fromTfjs, loadMetadata, loadModel, loadState, saveModel, saveState, toPyTorch } =
  internal('index');
const { Dropout, Linear, LSTM, LastStep, Sequential, Tensor } = internal('index');

const fixtures = new URL('../../test/interop/fixtures/', import.meta.url);
const unpacked = (name) =>
  Object.entries(unzipSync(readFileSync(new URL(name, fixtures)))).map(([file, bytes]) => ({ name: file, bytes: Buffer.from(bytes) }));

const damagedJson = (random, value) =>
  random.chance(0.05) ? nestedJson(random, value) : (JSON.stringify(mutateJson(random, value)) ?? '');
const damagedBytes = (random, bytes) => (random.chance(0.5) ? mutateWords(random, bytes) : mutateBytes(random, bytes));

/** Files of Keras: zip files and HDF5 files. */
function kerasFiles() {
  const files = ['keras3.zip', 'keras2.zip'].flatMap(unpacked).filter(({ bytes }) => bytes.length < 20_000);
  const [zips, others] = ['.keras', '.h5'].map((end) => files.filter(({ name }) => name.endsWith(end)).map(({ bytes }) => bytes));
  return (random) => (random.chance(0.6) ? damagedZip(random, zips) : damagedHdf5(random, random.pick(others)));
}

const CONFIG = 'config.json';
const WEIGHTS = 'model.weights.h5';

const ZIP_DAMAGES = {
  config(random, entries) {
    const bytes = Buffer.from(entries[CONFIG]);
    entries[CONFIG] = random.chance(0.95)
      ? Buffer.from(damagedJson(random, JSON.parse(bytes.toString('utf8'))))
      : mutateBytes(random, bytes);
  },
  weights(random, entries) {
    entries[WEIGHTS] = damagedHdf5(random, entries[WEIGHTS]);
  },
  ofAnotherModel(random, entries, zips) {
    entries[WEIGHTS] = unzipSync(random.pick(zips))[WEIGHTS];
  },
  muchFromLittle(random, entries) {
    if (random.chance(0.1)) entries[random.pick([CONFIG, WEIGHTS])] = Buffer.alloc(20 * 2 ** 20, random.pick([0, 32]));
  },
  missing(random, entries) {
    delete entries[random.pick(Object.keys(entries))];
  },
};
const { config, weights, ofAnotherModel, muchFromLittle, missing } = ZIP_DAMAGES;
const OFTEN = [config, config, config, config, weights, weights, ofAnotherModel, muchFromLittle, missing];

function damagedZip(random, zips) {
  const file = random.pick(zips);
  if (random.chance(0.15)) return damagedBytes(random, file);
  const entries = unzipSync(file);
  random.pick(OFTEN)(random, entries, zips);
  const zipped = Buffer.from(zipSync(entries, { level: random.pick([0, 6]) }));
  return random.chance(0.1) ? damagedDirectory(random, zipped) : zipped;
}

/** Sizes and places of entries, as the end of a zip file lists them, are others. */
function damagedDirectory(random, zipped) {
  const begin = zipped.indexOf('PK\x01\x02');
  return Buffer.concat([zipped.subarray(0, begin), damagedBytes(random, zipped.subarray(begin))]);
}

/** The object with which a text begins. */
function jsonAt(text) {
  let depth = 0;
  for (const { 0: piece, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    depth += piece === '{' ? 1 : piece === '}' ? -1 : 0;
    if (depth === 0) return text.slice(0, index + 1);
  }
  return text;
}

function damagedHdf5(random, bytes) {
  const begin = Buffer.from(bytes).indexOf('{"class_name"');
  if (begin === -1 || random.chance(0.4)) return damagedBytes(random, bytes);
  const text = jsonAt(Buffer.from(bytes).toString('latin1', begin));
  const end = begin + text.length;
  const config = random.chance(0.8) ? damagedJson(random, JSON.parse(text)) : mutateBytes(random, Buffer.from(text));
  // In the same place: what is longer is cut, and no JSON any more.
  const copy = Buffer.from(bytes).fill(' ', begin, end);
  Buffer.from(config).copy(copy, begin, 0, end - begin);
  return copy;
}

/** model.json and its shards. */
function tfjsFiles() {
  const files = unpacked('tfjs.zip');
  const models = files.filter(({ name }) => basename(name) === 'model.json');
  return (random) => {
    const { name, bytes } = random.pick(models);
    const shards = files.filter((file) => dirname(file.name) === dirname(name) && file.name !== name);
    const damagesModel = random.chance(0.75);
    const json = damagesModel ? damagedJson(random, JSON.parse(bytes.toString('utf8'))) : bytes;
    return [
      { name: 'model.json', bytes: random.chance(0.05) ? mutateBytes(random, Buffer.from(json)) : Buffer.from(json) },
      ...shards.map((shard) => ({
        name: basename(shard.name),
        bytes: damagesModel && random.chance(0.9) ? shard.bytes : damagedBytes(random, shard.bytes),
      })),
    ];
  };
}

function onnxFiles() {
  const all = loadState(new URL('torch-onnx.safetensors', fixtures).pathname);
  const files = Object.keys(all).filter((name) => name.endsWith('/model'));
  const bytesOf = (name) => Buffer.from(Uint8Array.from(all[name].data));
  return (random) => {
    const bytes = bytesOf(random.pick(files));
    if (random.chance(0.3)) return damagedBytes(random, bytes);
    let message = readMessage('file', bytes, MODEL);
    for (let changes = 1 + random.below(2); changes > 0; changes--) message = mutateMessage(random, message, MODEL);
    return Buffer.concat(writeMessage(message, MODEL));
  };
}

/** State dicts, and files that say which modules they are of. */
function pytorchFiles(folder) {
  const all = Object.entries(loadState(new URL('torch-states.safetensors', fixtures).pathname));
  const states = new Map();
  for (const [name, tensor] of all) {
    const [model, what, key] = name.split('/');
    if (what === 'state') states.set(model, { ...states.get(model), [key]: tensor });
  }
  const file = join(folder, 'whole.safetensors');
  const saved = (state, metadata) => {
    saveState(file, state, { metadata });
    return readFileSync(file);
  };
  toPyTorch(new Sequential({ a: new Linear({ inputSize: 3, outputSize: 4 }), b: new Linear({ inputSize: 4, outputSize: 2 }) }), file);
  const written = readFileSync(file);
  return (random) => {
    if (random.chance(0.3)) return damagedSafetensors(random, written);
    const state = random.pick([...states.values()]);
    if (random.chance(0.5)) return damagedSafetensors(random, saved(state, { format: 'pt' }));
    const changed = random.chance(0.5) ? renameKeys(random, state) : reshaped(random, state);
    return saved(changed, { format: 'pt' });
  };
}

/** What saveModel writes: checksums are right, contents are not. */
function ownFiles(folder) {
  const file = join(folder, 'own.safetensors');
  const lstm = new LSTM({ inputSize: 3, hiddenSize: 4, numLayers: 2, normalization: 'hidden', forgetBias: 1 });
  const model = new Sequential({
    body: new Sequential([lstm, new Dropout({ p: 0.2 })]),
    last: new LastStep(),
    head: new Linear({ inputSize: 4, outputSize: 2 }),
  });
  saveModel(file, model);
  const written = readFileSync(file);
  const [state, metadata] = [loadState(file), loadMetadata(file)];
  const key = Object.keys(metadata).find((name) => metadata[name].includes('$layer'));
  return (random) => {
    if (random.chance(0.2)) return damagedSafetensors(random, written);
    const text = damagedJson(random, JSON.parse(metadata[key]));
    saveState(file, random.chance(0.2) ? renameKeys(random, state) : state, { metadata: { [key]: text }, checksum: true });
    return readFileSync(file);
  };
}

/** One of the tensors has other sizes. */
function reshaped(random, state) {
  const name = random.pick(Object.keys(state));
  const shape = state[name].shape.map((size) => random.pick([size, size, size + 1, 1, 2 * size]));
  if (random.chance(0.3)) shape.push(random.pick([1, 3]));
  return { ...state, [name]: Tensor.zeros(shape, { dtype: random.pick(['float32', 'float32', 'float64']) }) };
}

export async function prepare(folder, calls) {
  const at = (name) => join(folder, name);
  const models = join(folder, 'tfjs');
  mkdirSync(models);
  const one = (make, name) => (random) => writeFileSync(at(name), make(random));
  const tfjs = tfjsFiles();
  const READERS = [
    {
      name: 'fromKeras',
      share: 1,
      file: at('model'),
      write: one(kerasFiles(), 'model'),
      read: fromKeras,
      codes: ['ERR_FILE', 'ERR_MEMORY'],
    },
    {
      name: 'fromTfjs',
      share: 3,
      file: join(models, 'model.json'),
      write: (random) => {
        for (const { name, bytes } of tfjs(random)) writeFileSync(join(models, name), bytes);
      },
      read: fromTfjs,
      codes: ['ERR_FILE', 'ERR_MEMORY'],
    },
    {
      name: 'fromOnnx',
      share: 3,
      file: at('model.onnx'),
      write: one(onnxFiles(), 'model.onnx'),
      read: fromOnnx,
      codes: ['ERR_FILE', 'ERR_DTYPE', 'ERR_MEMORY'],
    },
    {
      name: 'fromPyTorch',
      share: 3,
      file: at('model.safetensors'),
      write: one(pytorchFiles(folder), 'model.safetensors'),
      read: fromPyTorch,
      // Which modules the tensors are of is asked for in an option.
      codes: ['ERR_FILE', 'ERR_OPTION', 'ERR_DTYPE', 'ERR_MEMORY'],
    },
    {
      name: 'loadModel',
      share: 2,
      file: at('own'),
      write: one(ownFiles(folder), 'own'),
      read: loadModel,
      codes: ['ERR_FILE', 'ERR_MEMORY'],
    },
  ];

  // HDF5 is read in a thread that is started for it.
  const tickets = READERS.flatMap((reader) => Array.from({ length: reader.share }, () => reader));

  return async (random) => {
    const { name, file, write, read, codes } = random.pick(tickets);
    write(random);
    const isRight = (error) =>
      error instanceof EvenkeelError && codes.includes(error.code) && (error.code !== 'ERR_FILE' || error.message.includes(dirname(file)));
    const made = await calls.runAsync(name, () => read(file), isRight);
    if (made === undefined) return;
    const model = made.model ?? made;
    // A parameter that nothing was read for has a random value. What was read once is read again: any error is a finding, and says what it was.
    const again = await calls.runAsync(
      `${name}, a second time`,
      () => read(file),
      () => false,
    );
    calls.expect(name, sameBits(model, again.model ?? again), 'two readings of one file are not the same model');
    checkWhole(calls, name, model);
  };
}

function sameBits(a, b) {
  const states = [a, b].map((model) => Object.entries(model?.stateDict() ?? {}));
  return (
    states[0].length === states[1].length &&
    states[0].every(([name, { data, shape }], i) => {
      const [otherName, other] = states[1][i];
      return name === otherName && String(shape) === String(other.shape) && data.every((value, j) => Object.is(value, other.data[j]));
    })
  );
}

/** The layers fit each other: a batch goes through all of them. */
function checkWhole(calls, name, model) {
  let first = model;
  while (first.layers !== undefined) first = Object.values(first.layers)[0];
  const width = first.inputSize ?? first.size;
  const { dtype = 'float32' } = first;
  const isOfSymbols = first.vocabularySize !== undefined;
  if (width === undefined && !isOfSymbols) return;
  const output = calls.run(
    `${name}, then predict`,
    () => model.predict(Tensor.zeros(isOfSymbols ? [2, 3] : [2, 3, width], { dtype })),
    () => false,
  );
  calls.expect(name, output.shape[0] === 2, `its model gives ${output.shape} for two sequences`);
}
