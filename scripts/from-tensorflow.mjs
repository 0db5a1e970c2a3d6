// One model in TF.js and here: masking, LSTM, dropout, dense, on the same sequences in the same order, from the same initial weights. Their training
// curves differ by their dropout masks alone: with --dropout 0 they are the same but for rounding. docs/from-tensorflow.md has the lines side by side.
//   npm install --prefix bench          once: TF.js is no dependency of evenkeel
//   node scripts/from-tensorflow.mjs    --epochs 4  --seeds 3  --dropout 0.3
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { Adam, crossEntropyLoss, Dropout, fit, Generator, LastStep, Linear, LSTM, makeBatches, padSequences, Sequential } from 'evenkeel';

const text = (value) => ({ type: 'string', default: value });
const { values: options } = parseArgs({ options: { epochs: text('4'), seeds: text('3'), dropout: text('0.3') } });
const [epochs, seeds, rate] = [options.epochs, options.seeds, options.dropout].map(Number);
const [count, features, units, classes, batchSize, learningRate] = [256, 2, 32, 2, 32, 0.005];
const tf = loadTensorFlow();

/** Which of two features is larger over the whole sequence? [count] sequences of 5 to 30 steps; no row is zero, which is what TF.js masks. */
function makeData(seed) {
  const generator = new Generator(seed);
  const sequences = Array.from({ length: count }, () =>
    Array.from({ length: 5 + generator.integer(26) }, () => Array.from({ length: features }, () => generator.normal())),
  );
  const labels = sequences.map((sequence) => (sequence.reduce((sum, [a, b]) => sum + a - b, 0) > 0 ? 1 : 0));
  return { ...padSequences(sequences), labels };
}

function makeModel(seed) {
  const generator = new Generator(seed);
  return new Sequential({
    lstm: new LSTM({ inputSize: features, hiddenSize: units, generator }),
    last: new LastStep(),
    dropout: new Dropout({ p: rate, generator }),
    dense: new Linear({ inputSize: units, outputSize: classes, generator }),
  });
}

/** The mean loss of each epoch. */
async function trainHere({ input, lengths, labels }, model) {
  const batches = makeBatches(input, labels, { batchSize, lengths, shuffle: false });
  // TF.js has one bias: of two, Adam would move the sum twice as far.
  const trained = model.parameters().filter(({ name }) => name !== 'lstm.bias_hh_l0');
  const optimizer = new Adam(trained, { learningRate, eps: 1e-7 });
  const { loss } = await fit(model, batches, { loss: crossEntropyLoss, optimizer, epochs });
  const each = loss.length / epochs;
  return Array.from({ length: epochs }, (_, epoch) => loss.slice(epoch * each, (epoch + 1) * each).reduce((a, b) => a + b, 0) / each);
}

async function trainThere({ input, labels }, state) {
  const model = tf.sequential();
  model.add(tf.layers.masking({ maskValue: 0, inputShape: [input.shape[1], features] }));
  model.add(tf.layers.lstm({ units, recurrentActivation: 'sigmoid' }));
  model.add(tf.layers.dropout({ rate }));
  model.add(tf.layers.dense({ units: classes, activation: 'softmax' }));
  model.compile({ optimizer: tf.train.adam(learningRate), loss: 'sparseCategoricalCrossentropy' });
  model.layers[1].setWeights([transposed(state['lstm.weight_ih_l0']), transposed(state['lstm.weight_hh_l0']), summed(state)]);
  model.layers[3].setWeights([transposed(state['dense.weight']), tf.tensor1d(state['dense.bias'].data)]);
  const x = tf.tensor3d(input.data, input.shape);
  const y = tf.tensor1d(labels, 'float32');
  const { history } = await model.fit(x, y, { epochs, batchSize, shuffle: false, verbose: 0 });
  return history.loss;
}

/** PyTorch's and our blocks i, f, g, o are TF.js' i, f, c, o; its kernels stand transposed. */
function transposed({ data, shape }) {
  return tf.tensor2d(data, shape).transpose();
}

/** TF.js has one bias where there are two here. */
function summed(state) {
  const [a, b] = [state['lstm.bias_ih_l0'].data, state['lstm.bias_hh_l0'].data];
  return tf.tensor1d(a.map((x, i) => x + b[i]));
}

function loadTensorFlow() {
  try {
    return createRequire(new URL('../bench/package.json', import.meta.url))('@tensorflow/tfjs');
  } catch {
    console.error('TF.js is not installed: npm install --prefix bench');
    process.exit(1);
  }
}

await tf.setBackend('cpu');
const curves = { there: [], here: [] };
const seconds = { there: 0, here: 0 };
for (let seed = 1; seed <= seeds; seed++) {
  const data = makeData(seed);
  const model = makeModel(seed);
  const state = Object.fromEntries(
    Object.entries(model.stateDict()).map(([name, { data: own, shape }]) => [name, { data: own.slice(), shape }]),
  );
  for (const [where, train] of [
    ['there', () => trainThere(data, state)],
    ['here', () => trainHere(data, model)],
  ]) {
    const began = performance.now();
    curves[where].push(await train());
    seconds[where] += (performance.now() - began) / 1000;
  }
}
console.log(`${seeds} seeds, mean ± standard error of the loss in each epoch`);
for (let epoch = 0; epoch < epochs; epoch++) {
  const [there, here] = [curves.there, curves.here].map((list) => describe(list.map((curve) => curve[epoch])));
  console.log(`epoch ${epoch + 1}: TF.js ${there}, evenkeel ${here}`);
}
console.log(`seconds: TF.js ${seconds.there.toFixed(1)}, evenkeel ${seconds.here.toFixed(1)}`);

function describe(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return `${mean.toFixed(4)} ± ${Math.sqrt(variance / values.length).toFixed(4)}`;
}
