// The adding problem with a length drawn for each sequence, from 50 to 150 steps: two numbers of a sequence are marked, one in each half of its
// own steps, and a GRU says their sum at its last step. A quarter of a minute on two cores.
//
//   --steps 2500   --seed 1
import { parseArgs } from 'node:util';
import { Adam, fit, Generator, GRU, LastStep, Linear, mseLoss, padSequences, Sequential, Tensor } from 'evenkeel';

const { steps, seed } = readOptions();
const [data, generator] = [new Generator(seed + 1), new Generator(seed)];
const model = new Sequential({
  rnn: new GRU({ inputSize: 2, hiddenSize: 48, generator }),
  last: new LastStep(),
  head: new Linear({ inputSize: 48, outputSize: 1, generator }),
});
const every = Math.ceil(steps / 10);
let sum = 0;
await fit(model, batches(), {
  loss: mseLoss,
  optimizer: new Adam(model.parameters(), { learningRate: 2e-3 }),
  clip: { maxNorm: 1 },
  onStep({ step, loss }) {
    sum += loss;
    if (step % every !== 0) return;
    console.log(`step ${step} of ${steps}, mean error since the last line ${(sum / every).toFixed(4)}`);
    sum = 0;
  },
});
const { input, lengths, target } = makeBatch(1000);
const error = mseLoss(model.predict(input, { lengths }), target).value;
const ones = Tensor.zeros([1000, 1]);
ones.data.fill(1);
const baseline = mseLoss(ones, target).value;
const verdict = error < baseline / 10 ? 'solved' : 'not solved';
console.log(`error ${error.toFixed(4)} on new sequences; the answer 1 has ${baseline.toFixed(4)}: ${verdict}`);

function* batches() {
  for (let step = 0; step < steps; step++) yield makeBatch(32);
}

function makeBatch(count: number) {
  const sums: number[][] = [];
  const sequences = Array.from({ length: count }, () => {
    const length = 50 + data.integer(101);
    const sequence = Array.from({ length }, () => [data.uniform(), 0] as [number, number]);
    const half = Math.floor(length / 2);
    const marked = [data.integer(half), half + data.integer(length - half)].map((step) => sequence[step] as [number, number]);
    for (const step of marked) step[1] = 1;
    sums.push([marked.reduce((total, [value]) => total + value, 0)]);
    return sequence;
  });
  return { ...padSequences(sequences), target: Tensor.from(sums) };
}

function readOptions(): { steps: number; seed: number } {
  const { values } = parseArgs({ options: { steps: { type: 'string', default: '2500' }, seed: { type: 'string', default: '1' } } });
  return { steps: Number(values.steps), seed: Number(values.seed) };
}
