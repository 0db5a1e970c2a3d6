// Calls every native function with every element type and with sizes that leave vector remainders, on several threads and workers.
// Says nothing about the numbers: this is what the sanitizers watch. With --alone, without workers beside it.
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, Worker } from 'node:worker_threads';

const evenkeel = createRequire(import.meta.url)('../dist/index.js');
const { Generator, Tensor } = evenkeel;
const generator = new Generator(1);
const dtypes = ['float32', 'float64'];
const randn = (shape, dtype) => Tensor.randn(shape, { generator, dtype });

// N, T, I, H: ones, primes, exact vectors, one more than a vector, more rows than one block
const sizes = [
  [1, 1, 1, 1],
  [2, 3, 5, 7],
  [5, 4, 16, 32],
  [3, 7, 17, 33],
  [1, 40, 2, 65],
  [32, 50, 10, 20],
  [67, 5, 3, 131],
];

function forwardAndBackward(layer, input) {
  const output = layer.forward(input);
  const gradInput = layer.backward(Tensor.randn(output.shape, { generator, dtype: output.dtype }));
  assert.deepEqual(gradInput.shape, input.shape);
  assert(gradInput.data.every(Number.isFinite));
}

function exerciseLayers(dtype) {
  for (const [n, t, inputSize, hiddenSize] of sizes) {
    const input = randn([n, t, inputSize], dtype);
    for (const nonlinearity of ['tanh', 'relu']) {
      const rnn = new evenkeel.RNN({ inputSize, hiddenSize, nonlinearity, dtype, generator });
      forwardAndBackward(rnn, input);
      rnn.forward(input, { initialState: randn([n, hiddenSize], dtype) });
      rnn.backward(randn([n, t, hiddenSize], dtype));
      assert.deepEqual(rnn.gradInitialState.shape, [n, hiddenSize]);
      rnn.forward(input);
      assert.equal(rnn.backward(randn([n, t, hiddenSize], dtype), { inputGradient: false }), undefined);
    }
    for (const affine of [true, false]) forwardAndBackward(new evenkeel.LayerNorm({ size: inputSize, affine, dtype }), input);
    forwardAndBackward(new evenkeel.RMSNorm({ size: inputSize, dtype }), input);
    for (const bias of [true, false]) {
      forwardAndBackward(new evenkeel.Linear({ inputSize, outputSize: hiddenSize, bias, dtype, generator }), input);
    }
  }
}

// Normalisations in the recurrence, the gradient's way back through them, and tangents on their way forward.
function exercisePlacements(dtype) {
  for (const [n, t, inputSize, hiddenSize] of sizes.filter(([, , , h]) => h > 1 && h < 100)) {
    const input = randn([n, t, inputSize], dtype);
    for (const placement of ['none', 'preactivation', 'split-preactivation', 'recurrent-input', 'hidden']) {
      for (const kind of ['layer', 'rms']) {
        const normalization = { placement, kind };
        const rnn = new evenkeel.RNN({ inputSize, hiddenSize, normalization, stateGradientLimit: 0.1, dtype, generator });
        forwardAndBackward(rnn, input);
        assert.equal(evenkeel.gradientFlow(rnn, input).layers.length, 1);
        const count = Math.min(hiddenSize, 19);
        assert.equal(evenkeel.lyapunovExponents(rnn, input, { count }).length, count);
      }
    }
  }
}

// Cells with gates, by rows and in lanes, with lengths, with a projection, and with norms within their steps.
function exerciseGates(dtype) {
  const { LSTM, GRU } = evenkeel;
  for (const [n, t, inputSize, hiddenSize] of sizes.filter(([rows, steps]) => rows * steps < 100)) {
    const input = randn([n, t, inputSize], dtype);
    const lengths = Array.from({ length: n }, (_, row) => (row * 7) % (t + 1));
    const common = { inputSize, hiddenSize, dtype, generator };
    const layers = [new LSTM(common), new GRU(common), new GRU({ ...common, resetAfter: false, bias: false })];
    if (hiddenSize > 1) layers.push(new LSTM({ ...common, projSize: Math.ceil(hiddenSize / 2), checkpointing: { every: 2 } }));
    for (const normalization of ['preactivation', 'split-preactivation', 'recurrent-input', 'hidden']) {
      layers.push(new LSTM({ ...common, normalization, cellNormalization: 'output' }), new GRU({ ...common, normalization }));
    }
    for (const layer of layers) {
      forwardAndBackward(layer, input);
      const output = layer.forward(input, { lengths });
      layer.backward(randn(output.shape, dtype), { inputGradient: false });
      assert.deepEqual(layer.predict(input, { lengths }).shape, output.shape);
    }
    if (hiddenSize < 40) for (const layer of layers.slice(0, 3)) evenkeel.lyapunovExponents(layer, input, { count: 1, burnIn: 0 });
  }
}

function exerciseTraining(dtype) {
  const optimizers = [
    (parameters) => new evenkeel.SGD(parameters, { learningRate: 0.01 }),
    (parameters) => new evenkeel.SGD(parameters, { learningRate: 0.01, momentum: 0.9, nesterov: true, weightDecay: 0.01 }),
    (parameters) => new evenkeel.Adam(parameters, {}),
    (parameters) => new evenkeel.AdamW(parameters, {}),
    (parameters) => new evenkeel.RMSprop(parameters, {}),
    (parameters) => new evenkeel.RMSprop(parameters, { momentum: 0.9 }),
  ];
  for (const optimizerFor of optimizers) {
    const model = new evenkeel.Sequential({
      rnn: new evenkeel.RNN({ inputSize: 3, hiddenSize: 19, dtype, generator }),
      ln: new evenkeel.LayerNorm({ size: 19, dtype }),
      last: new evenkeel.LastStep(),
      head: new evenkeel.Linear({ inputSize: 19, outputSize: 5, dtype, generator }),
    });
    const optimizer = optimizerFor(model.parameters());
    for (const normType of [1, 2, Infinity]) {
      optimizer.zeroGrad();
      const output = model.forward(randn([9, 6, 3], dtype));
      const labels = Int32Array.from({ length: 9 }, (_, row) => row % 5);
      const mse = evenkeel.mseLoss(output, randn([9, 5], dtype));
      const loss = normType === 1 ? evenkeel.crossEntropyLoss(output, labels) : mse;
      model.backward(loss.grad);
      evenkeel.clipGradValue(model.parameters(), { clipValue: 0.5 });
      evenkeel.clipGradNorm(model.parameters(), { maxNorm: 0.1, normType });
      optimizer.step();
    }
  }
}

function exercise() {
  for (const threads of [1, 2, 5]) {
    evenkeel.setNumThreads(threads);
    for (const dtype of dtypes) {
      exerciseLayers(dtype);
      exercisePlacements(dtype);
      exerciseGates(dtype);
      exerciseTraining(dtype);
    }
  }
}

function report(workers) {
  const { simdTarget, threads } = evenkeel.runtimeInfo();
  console.log(`every native function called: SIMD target ${simdTarget}, up to ${threads} threads, ${workers} workers`);
}

if (isMainThread && process.argv.includes('--alone')) {
  exercise();
  report('no');
} else if (isMainThread) {
  exercise();
  const startWorker = () => new Worker(new URL(import.meta.url));
  const [first, second, victim] = [startWorker(), startWorker(), startWorker()];
  // One worker ends in the middle of a call while the others and the main thread go on.
  await once(victim, 'online');
  await sleep(50);
  victim.terminate();
  exercise();
  const ended = await Promise.all([first, second].map((worker) => once(worker, 'exit')));
  assert.deepEqual(ended, [[0], [0]]);
  report('three');
} else {
  exercise();
}
