// How often the intervals of growth rates and of Lyapunov exponents hold the largest Lyapunov exponent, over many draws of the input for the
// same weights, and how often a verdict is false where that exponent is 0:
//   node scripts/coverage.mjs [--draws 400] [--quick]
// The exponent is that of 32 sequences of 5,000 steps (--quick: 1,000), whose own error is printed beside it.
import { parseArgs } from 'node:util';
import { Generator, gradientFlow, lyapunovSpectrum, RNN, setNumThreads, Tensor } from '../dist/index.js';

const { values } = parseArgs({ options: { draws: { type: 'string', default: '400' }, quick: { type: 'boolean', default: false } } });
const draws = Number(values.draws);
const [inputSize, hiddenSize, dtype] = [10, 20, 'float64'];
const sizes = [
  [32, 200],
  [3, 200],
  [1, 200],
  [1, 1000],
];
const orthogonal = (gain) => ({ name: 'orthogonal', gain });
const designs = [
  ['none', { name: 'uniform' }],
  ['none', orthogonal(1)],
  ['none', orthogonal(1.5)],
  ['none', orthogonal(2.5)],
  ['preactivation', orthogonal(1.5)],
  ['hidden', orthogonal(1)],
  ['hidden', orthogonal(1.5)],
];
setNumThreads(1);

const layerOf = (normalization, recurrentInitializer, seed = 1) =>
  new RNN({ inputSize, hiddenSize, normalization, recurrentInitializer, dtype, generator: new Generator(seed), returnSequences: false });

function longRun(rnn) {
  const input = Tensor.randn([32, values.quick ? 1000 : 5000, inputSize], { dtype, generator: new Generator(5) });
  const { exponents, standardErrors } = lyapunovSpectrum(rnn, input, { count: 1 });
  return { exponent: exponents[0], error: standardErrors[0] };
}

function drawMany(rnn, n, t) {
  return Array.from({ length: draws }, (_, draw) => {
    const generator = new Generator(10_000 + draw);
    const input = Tensor.randn([n, t, inputSize], { dtype, generator });
    const [flow] = gradientFlow(rnn, input, { target: Tensor.randn([n, hiddenSize], { dtype, generator }) }).layers;
    return { flow, spectrum: lyapunovSpectrum(rnn, input, { count: 1 }) };
  });
}

const share = (list, holds) => `${((100 * list.filter(holds).length) / list.length).toFixed(1).padStart(5)} %`;
const holds = ([low, high], exponent) => low <= exponent && exponent <= high;
const mean = (list) => (list.reduce((sum, value) => sum + value, 0) / list.length).toFixed(4);

for (const [placement, initializer] of designs) {
  const rnn = layerOf(placement, initializer);
  const { exponent, error } = longRun(rnn);
  console.log(`${placement}, ${initializer.name} ${initializer.gain ?? ''}: largest exponent ${exponent.toFixed(4)} ± ${error.toFixed(4)}`);
  for (const [n, t] of sizes) {
    const drawn = drawMany(rnn, n, t);
    console.log(
      `  ${String(n).padStart(2)} sequences of ${String(t).padStart(4)} steps: held by ${share(drawn, ({ flow }) => holds(flow.growthRateInterval, exponent))} of growth rates ` +
        `(mean ${mean(drawn.map(({ flow }) => flow.growthRate))}, of the batch's norm ${mean(drawn.map(({ flow }) => flow.batchGrowthRate))}), ` +
        `by ${share(drawn, ({ spectrum }) => holds(spectrum.intervals[0], exponent))} of Lyapunov exponents`,
    );
  }
}

for (const seed of [1, 2]) {
  let [low, high] = [0.9, 1.6];
  const at = (gain) => layerOf('hidden', orthogonal(gain), seed);
  for (let i = 0; i < 9; i++) {
    const gain = (low + high) / 2;
    if (longRun(at(gain)).exponent > 0) high = gain;
    else low = gain;
  }
  const rnn = at((low + high) / 2);
  const { exponent, error } = longRun(rnn);
  console.log(
    `hidden, orthogonal ${((low + high) / 2).toFixed(3)}, seed ${seed}: largest exponent ${exponent.toFixed(4)} ± ${error.toFixed(4)}`,
  );
  for (const [n, t] of sizes) {
    const drawn = drawMany(rnn, n, t);
    console.log(
      `  ${String(n).padStart(2)} sequences of ${String(t).padStart(4)} steps: called exploding or vanishing in ${share(drawn, ({ flow }) => flow.verdict !== 'stable')}`,
    );
  }
}
