// One step of one sequence through an LSTM, from JavaScript: a Predictor's stream beside the model's own predict, onnxruntime-node and TF.js, all on one
// thread, in turns in one process, and their outputs compared. The fastest of many rounds and the median; the machine should have nothing else to do.
//   npm install --prefix RIVALS --ignore-scripts onnxruntime-node@1.22.0 @tensorflow/tfjs@4.22.0     once, in a folder of its own
//   python scripts/one_step_onnx.py RIVALS                                                            once: the ONNX models (pip install onnx)
//   node scripts/one-step.mjs --rivals RIVALS    --sizes 1,128 64,128  --rounds 200
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { say } from './steps.mjs';

const require = createRequire(import.meta.url);
const { Generator, LSTM, Predictor, runtimeInfo, setNumThreads, Tensor } = require('../dist/index.js');
const { values } = parseArgs({
  options: {
    rivals: { type: 'string' },
    sizes: { type: 'string', default: '1,128 8,128 64,128 128,128' },
    rounds: { type: 'string', default: '200' },
  },
});
const rivals = values.rivals === undefined ? undefined : createRequire(join(resolve(values.rivals), 'package.json'));
setNumThreads(1);
const { cpu, simdTarget } = runtimeInfo();
say(`${cpu}, 1 thread, ${simdTarget}, Node ${process.version}\n`);

for (const size of values.sizes.split(' ')) {
  const [inputSize, hiddenSize] = size.split(',').map(Number);
  const ways = await makeWays(inputSize, hiddenSize);
  const results = await time(ways);
  say(`I = ${inputSize}, H = ${hiddenSize}\n`);
  for (const [name, { least, median }] of results) say(`  ${name.padEnd(28)} ${us(least)} at best, median ${us(median)}\n`);
}
await many();

/** name → { step, output }: step may be asynchronous. */
async function makeWays(inputSize, hiddenSize) {
  const generator = new Generator(1);
  const lstm = new LSTM({ inputSize, hiddenSize, generator });
  const x = Tensor.randn([1, inputSize], { generator });
  const one = new Tensor(x.data, [1, 1, inputSize]);
  const predictor = new Predictor(lstm);
  const stream = predictor.stream();
  const initialState = { h: Tensor.zeros([1, hiddenSize]), c: Tensor.zeros([1, hiddenSize]) };
  const expected = lstm.predict(one).data;
  const ways = new Map([
    ['evenkeel, Predictor stream', () => stream.step(x)],
    ['evenkeel, Predictor run', () => predictor.run(one)],
    ['evenkeel, predict', () => lstm.predict(one, { initialState })],
  ]);
  check('stream', stream.step(x).data, expected, 0);
  if (rivals === undefined) return ways;
  await addOnnx(ways, lstm, x);
  await addTensorFlow(ways, lstm, one, expected);
  return ways;
}

/** Its sessions are asynchronous. Its weights are random ones from the file: what is looked at is whether it computes a state at all. */
async function addOnnx(ways, { inputSize, hiddenSize }, x) {
  const file = join(resolve(values.rivals), `lstm-${inputSize}-${hiddenSize}.onnx`);
  if (!existsSync(file)) return say(`  (no ${file})\n`);
  const { InferenceSession, Tensor: Onnx } = rivals('onnxruntime-node');
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const zeros = () => new Onnx('float32', new Float32Array(hiddenSize), [1, 1, hiddenSize]);
  let state = { h: zeros(), c: zeros() };
  const input = new Onnx('float32', x.data, [1, 1, inputSize]);
  const outputs = await session.run({ x: input, h: state.h, c: state.c });
  if (!outputs.h_n.data.some((value) => value !== 0)) throw new Error('onnxruntime gave zeros');
  ways.set('onnxruntime-node', async () => {
    const { h_n: h, c_n: c } = await session.run({ x: input, h: state.h, c: state.c });
    state = { h, c };
  });
}

async function addTensorFlow(ways, lstm, one, expected) {
  const tf = rivals('@tensorflow/tfjs');
  await tf.setBackend('cpu');
  await tf.ready();
  const { inputSize, hiddenSize } = lstm;
  const state = lstm.stateDict();
  const reordered = (name) => {
    // From i, f, g, o by rows to Keras' i, f, c, o by columns, which are the same.
    const { data, shape } = state[name];
    return tf.tensor(data, shape).transpose();
  };
  const bias = tf.add(tf.tensor(state.bias_ih_l0.data), tf.tensor(state.bias_hh_l0.data));
  const layer = tf.layers.lstm({ units: hiddenSize, recurrentActivation: 'sigmoid', stateful: true, batchInputShape: [1, 1, inputSize] });
  const model = tf.sequential({ layers: [layer] });
  layer.setWeights([reordered('weight_ih_l0'), reordered('weight_hh_l0'), bias]);
  const input = tf.tensor(one.data, [1, 1, inputSize]);
  const first = model.predict(input);
  check('TF.js', first.dataSync(), expected, 1e-5);
  ways.set('TF.js (cpu)', () => {
    const output = model.predict(input);
    output.dataSync();
    output.dispose();
  });
}

function check(name, got, expected, tolerance) {
  for (const [i, value] of expected.entries()) {
    if (!(Math.abs(got[i] - value) <= tolerance)) throw new Error(`${name}: expected ${value}, got ${got[i]} at ${i}`);
  }
}

/** In turns: a round of each, so that what else the machine does falls on all. */
async function time(ways) {
  const calls = new Map();
  for (const [name, step] of ways) {
    const begin = performance.now();
    for (let i = 0; i < 300; i++) await step();
    calls.set(name, Math.max(1, Math.min(1000, Math.floor(300 / (performance.now() - begin)))));
  }
  const rounds = new Map([...ways.keys()].map((name) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, step] of ways) {
      const count = calls.get(name);
      const isAsync = name.startsWith('onnx');
      const begin = performance.now();
      if (isAsync) for (let i = 0; i < count; i++) await step();
      else for (let i = 0; i < count; i++) step();
      rounds.get(name).push((performance.now() - begin) / count);
    }
  }
  return new Map(
    [...rounds].map(([name, times]) => {
      times.sort((a, b) => a - b);
      return [name, { least: times[0], median: times[times.length >> 1] }];
    }),
  );
}

/** A thousand streams of one model, each a step in turn, and the same as one batch. */
async function many() {
  const generator = new Generator(1);
  const predictor = new Predictor(new LSTM({ inputSize: 8, hiddenSize: 128, generator }));
  const streams = Array.from({ length: 1000 }, () => predictor.stream());
  const [x, all] = [Tensor.randn([1, 8], { generator }), Tensor.randn([1000, 8], { generator })];
  const together = predictor.stream(1000);
  const results = await time(
    new Map([
      [
        '1000 streams, one by one',
        () => {
          for (const stream of streams) stream.step(x);
        },
      ],
      ['1000 sequences of a stream', () => together.step(all)],
    ]),
  );
  say(`I = 8, H = 128, one copy of the weights\n`);
  for (const [name, { least }] of results) say(`  ${name.padEnd(28)} ${us(least / 1000)} a step of one sequence\n`);
}

function us(milliseconds) {
  return `${(1000 * milliseconds).toFixed(2)} µs`.padStart(12);
}
