// What the scripts share that time a shape's ways through time: an RNN, forward and backward with all gradients.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { Generator, RNN, Tensor, Workspace } = require('../dist/index.js');
const { native } = require('../dist/native/load.js');

/** The strategy that is taken for a shape N, T, I, H, and a function that gives the milliseconds of both passes by the strategy of a name. */
export function shapeTimer([n, t, inputSize, hiddenSize]) {
  const generator = new Generator(1);
  const rnn = new RNN({ inputSize, hiddenSize, generator, checkpointing: 'none' });
  const input = repeated([n, t, inputSize], generator);
  const grad = repeated([n, t, hiddenSize], generator);
  const workspace = new Workspace();
  const time = (strategy) => {
    native().setScanStrategy(strategy);
    try {
      const begin = performance.now();
      workspace.run(() => {
        rnn.forward(input);
        rnn.backward(grad);
      });
      return performance.now() - begin;
    } finally {
      native().setScanStrategy('auto');
    }
  };
  const arrays = (kind) => rnn.parameters().map((parameter) => parameter[kind].data);
  const chosen = native().recurrentLayer(arrays('value'), arrays('grad'), rnn.nativeOptions()).strategy(n);
  return { chosen, time };
}

/** The medians of what `round` returns, which is called for so long, at least three times after a first one that does not count. */
export function medians(round, seconds) {
  round();
  const rounds = [];
  for (const end = performance.now() + 1000 * seconds; rounds.length < 3 || performance.now() < end; ) rounds.push(round());
  return rounds[0].map((_, column) =>
    quantile(
      rounds.map((times) => times[column]),
      0.5,
    ),
  );
}

export const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.round(q * (values.length - 1))];

/** Random numbers, a thousand of them again and again: to draw millions would take longer than to measure. */
function repeated(shape, generator) {
  const tensor = Tensor.zeros(shape);
  const some = Tensor.randn([1009], { generator }).data;
  for (let begin = 0; begin < tensor.data.length; begin += some.length) {
    tensor.data.set(some.subarray(0, tensor.data.length - begin), begin);
  }
  return tensor;
}
