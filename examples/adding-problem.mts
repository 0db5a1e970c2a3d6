// The adding problem over 150 time steps: a network must add up two numbers that it saw long ago. Le, Jaitly and Hinton (2015,
// arXiv:1504.00941) report that an RNN of rectified linear units whose recurrent weights start as the identity learns it about as well as an
// LSTM, where tanh RNNs fall behind. This trains both kinds, says how far each came, and whether that agrees. It takes a minute or two.
//
//   --steps 6000   training steps of each    --seed 1   other data and weights    Ctrl-C   stops
import { parseArgs } from 'node:util';
import { Adam, addingProblem, fit, Generator, LastStep, Linear, mseLoss, RNN, Sequential } from 'evenkeel';

const [sequenceLength, hiddenSize] = [150, 40];
const { steps, seed } = readOptions();
const { baseline } = addingProblem({ sequenceLength, batchSize: 1, generator: new Generator(seed) });
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());

try {
  const identity = await train('identity, relu', identityRelu);
  const tanh = await train('tanh', (generator) => new RNN({ inputSize: 2, hiddenSize, generator }));
  const agrees = judge(identity) === 'solved' && judge(tanh) !== 'solved';
  console.log(
    agrees ? 'This agrees with the paper.' : `After ${steps} steps this does not agree with the paper; try more --steps, another --seed.`,
  );
} catch (error) {
  if (!stop.signal.aborted) throw error;
  console.log('Stopped before both had finished: there is nothing to compare.');
  process.exitCode = 130;
}

/** As in the paper, identity and biases of zero. Its normal input weights too, ten times larger here: with the paper's 0.001 learning begins later. */
function identityRelu(generator: Generator): RNN {
  const rnn = new RNN({ inputSize: 2, hiddenSize, nonlinearity: 'relu', recurrentInitializer: 'identity', generator });
  for (const { name, value } of rnn.parameters()) {
    if (name.startsWith('bias')) value.data.fill(0);
    if (name === 'weight_ih_l0') value.data.set(value.data.map(() => 0.01 * generator.normal()));
  }
  return rnn;
}

/** Trains on new sequences in every step; returns the mean squared error on a thousand others. */
async function train(name: string, makeRNN: (generator: Generator) => RNN): Promise<number> {
  const generator = new Generator(seed);
  const readout = new Linear({ inputSize: hiddenSize, outputSize: 1, generator });
  const model = new Sequential({ rnn: makeRNN(generator), last: new LastStep(), readout });
  const every = Math.ceil(steps / 10);
  let sum = 0;
  await fit(model, addingProblem({ sequenceLength, batchSize: 32, batches: steps, generator: new Generator(seed + 1) }), {
    loss: mseLoss,
    optimizer: new Adam(model.parameters(), { learningRate: 5e-4 }),
    clip: { maxNorm: 1 },
    signal: stop.signal,
    onStep({ step, loss }) {
      sum += loss;
      if (step % every !== 0) return;
      console.log(`${name}: step ${step} of ${steps}, mean error since the last line ${(sum / every).toFixed(4)}`);
      sum = 0;
    },
  });
  let error = Number.NaN;
  for (const { input, target } of addingProblem({ sequenceLength, batchSize: 1000, generator: new Generator(seed + 2) })) {
    error = mseLoss(model.forward(input), target).value;
  }
  console.log(`${name}: error ${error.toFixed(4)} on new sequences; the answer 1 has ${baseline.toFixed(4)}: ${judge(error)}`);
  return error;
}

function judge(error: number): string {
  if (error < baseline / 10) return 'solved';
  return error < 0.9 * baseline ? 'learned in part' : 'no better than the answer 1';
}

function readOptions(): { steps: number; seed: number } {
  const { values } = parseArgs({ options: { steps: { type: 'string', default: '6000' }, seed: { type: 'string', default: '1' } } });
  const read = (option: 'steps' | 'seed'): number => {
    const value = Number(values[option]);
    if (Number.isSafeInteger(value) && value >= 1) return value;
    console.error(`--${option}: expected a whole number of at least 1, got ${JSON.stringify(values[option])}.`);
    process.exit(2);
  };
  return { steps: read('steps'), seed: read('seed') };
}
