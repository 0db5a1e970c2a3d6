// What toTfjs and toKeras write, read back by TF.js and by Keras: outputs within 1e-5 of ours, with and without lengths.
//   npm install --prefix bench                        once: TF.js is no dependency of evenkeel
//   node scripts/keras-exports.mjs [--python python3] [--python python3-with-keras-2]
// Each Python needs keras (or tf_keras: KERAS=tf_keras in the environment), safetensors and numpy.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as evenkeel from 'evenkeel';

const { Activation, Dropout, Embedding, Generator, GRU, LastStep, LayerNorm, Linear, LSTM, RMSNorm, RNN, Sequential, Tensor } = evenkeel;
const { saveState, toKeras, toTfjs } = evenkeel;
const { values } = parseArgs({ options: { python: { type: 'string', multiple: true, default: [] } } });
const generator = new Generator(8);
const [N, T, I, H] = [3, 5, 3, 4];
const LENGTHS = [5, 1, 3];
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));

/** Every cell × layers × directions, and the layers that stand around them. */
function* models() {
  const cells = {
    'rnn-tanh': (options) => new RNN(options),
    'rnn-relu': (options) => new RNN({ ...options, nonlinearity: 'relu' }),
    lstm: (options) => new LSTM(options),
    gru: (options) => new GRU(options),
    'gru-before': (options) => new GRU({ ...options, resetAfter: false }),
  };
  for (const [cell, make] of Object.entries(cells)) {
    for (const numLayers of [1, 2, 3]) {
      for (const bidirectional of [false, true]) {
        for (const returnSequences of [false, true]) {
          const name = `${cell}-${numLayers}x${bidirectional ? 2 : 1}${returnSequences ? '-sequences' : ''}`;
          const options = { inputSize: I, hiddenSize: H, numLayers, bidirectional, returnSequences, bias: numLayers !== 2, generator };
          yield { name, model: make(options), onTfjs: cell !== 'gru' };
        }
      }
    }
  }
  for (const [name, Norm, onTfjs] of [
    ['layer-norm', LayerNorm, true],
    ['rms-norm', RMSNorm, false],
  ]) {
    const layers = [
      new Embedding({ vocabularySize: 7, embeddingSize: I, generator }),
      new LSTM({ inputSize: I, hiddenSize: H, numLayers: 2, dropout: 0.5, generator }),
      new Norm({ size: H, eps: 0.01 }),
      new Sequential({ first: new Linear({ inputSize: H, outputSize: 5, generator }), relu: new Activation({ kind: 'relu' }) }),
      new GRU({ inputSize: 5, hiddenSize: H, resetAfter: false, generator }),
      new LastStep(),
      new Dropout(),
      new Linear({ inputSize: H, outputSize: 2, bias: false, generator }),
      new Activation({ kind: 'softmax' }),
    ];
    yield { name: `classifier-${name}`, model: new Sequential(layers), onTfjs, ofSymbols: true, isWhole: Norm === RMSNorm };
  }
}

/** Padded with 0, which is what the exports mask. */
function makeInput(ofSymbols, lengths = []) {
  const width = ofSymbols ? 1 : I;
  const data = Float32Array.from({ length: N * T * width }, () => (ofSymbols ? 1 + generator.integer(6) : generator.normal()));
  for (const [row, length] of lengths.entries()) data.fill(0, (row * T + length) * width, (row + 1) * T * width);
  return new Tensor(data, ofSymbols ? [N, T] : [N, T, I]);
}

/** Where steps count: behind an end, Keras goes on with the last output. */
function difference(output, expected, lengths) {
  const [, steps, width] = expected.shape;
  let largest = 0;
  for (const [i, value] of expected.data.entries()) {
    const counts = expected.shape.length < 3 || Math.floor(i / width) % steps < lengths[Math.floor(i / width / steps)];
    if (counts) largest = Math.max(largest, Math.abs(value - output[i]));
  }
  return largest;
}

/** Each model for sequences of different lengths, which it tells by a mask, and for whole ones. */
const tests = [...models()].flatMap((test) => {
  // A bias of 0 is what nobody would miss.
  for (const { name, value } of test.model.parameters())
    if (/bias/.test(name)) value.data.set(value.data.map(() => generator.normal() / 3));
  // Keras' RMSNormalization drops the mask.
  return (test.isWhole ? [undefined] : [LENGTHS, undefined]).map((lengths) => {
    const input = makeInput(test.ofSymbols, lengths);
    const options = lengths === undefined ? {} : { maskValue: 0 };
    const name = lengths === undefined ? `${test.name}-whole` : test.name;
    return { ...test, name, lengths: lengths ?? Array(N).fill(T), options, input, expected: test.model.predict(input, { lengths }) };
  });
});

async function throughTfjs() {
  const tf = createRequire(new URL('../bench/package.json', import.meta.url))('@tensorflow/tfjs');
  await tf.setBackend('cpu');
  let [largest, count] = [0, 0];
  for (const { name, model, lengths, options, input, expected, onTfjs } of tests) {
    if (!onTfjs) continue;
    toTfjs(model, join(folder, name), options);
    const json = JSON.parse(readFileSync(join(folder, name, 'model.json'), 'utf8'));
    const weightData = Uint8Array.from(readFileSync(join(folder, name, 'group1-shard1of1.bin'))).buffer;
    const [{ weights }] = json.weightsManifest;
    const loaded = await tf.loadLayersModel({ load: async () => ({ ...json, weightSpecs: weights, weightData }) });
    const output = await loaded.predict(tf.tensor(input.data, input.shape)).data();
    largest = Math.max(largest, report(name, difference(output, expected, lengths)));
    count++;
  }
  console.log(`TF.js ${tf.version.tfjs}: ${count} models, largest difference ${largest.toExponential(1)}`);
}

function throughKeras(python) {
  const results = {};
  const lengthsOf = Object.fromEntries(tests.map(({ name, lengths }) => [name, lengths]));
  for (const { name, model, options, input, expected } of tests) {
    toKeras(model, join(folder, `${name}.safetensors`), options);
    Object.assign(results, { [`${name}/input`]: input, [`${name}/expected`]: expected });
  }
  saveState(join(folder, 'expected'), results, { metadata: { lengths: JSON.stringify(lengthsOf) } });
  const script = new URL('keras_exports.py', import.meta.url).pathname;
  const { status, stdout, stderr } = spawnSync(python, [script, folder], { encoding: 'utf8' });
  console.log(stdout.trim());
  if (status !== 0) {
    console.error(stderr.slice(-3000));
    process.exitCode = 1;
  }
}

function report(name, largest) {
  if (largest < 1e-5) return largest;
  console.error(`${name}: differs by ${largest}`);
  process.exitCode = 1;
  return largest;
}

try {
  await throughTfjs();
  for (const python of values.python) throughKeras(python);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
