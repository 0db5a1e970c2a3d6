// The intervals of growth rates against the largest Lyapunov exponent of a long run; scripts/coverage.mjs does so for many designs and draws.
import { Generator, gradientFlow, lyapunovSpectrum, RNN, Tensor } from '../../lib/index';

const dtype = 'float64';
const [I, H, DRAWS] = [10, 20, 120];

function makeRnn(normalization: 'none' | 'hidden', gain: number): RNN {
  const recurrentInitializer = { name: 'orthogonal', gain } as const;
  const generator = new Generator(1);
  return new RNN({ inputSize: I, hiddenSize: H, normalization, recurrentInitializer, dtype, generator, returnSequences: false });
}

const exponentOf = (rnn: RNN) =>
  lyapunovSpectrum(rnn, Tensor.randn([16, 2500, I], { dtype, generator: new Generator(5) }), { count: 1 }).exponents[0] as number;

function drawFlows(rnn: RNN, n: number, t: number) {
  return Array.from({ length: DRAWS }, (_, draw) => {
    const generator = new Generator(10_000 + draw);
    const input = Tensor.randn([n, t, I], { dtype, generator });
    const [layer] = gradientFlow(rnn, input, { target: Tensor.randn([n, H], { dtype, generator }) }).layers;
    if (layer === undefined) throw new Error('no layer');
    return layer;
  });
}

test.each([
  ['none', 1.5, 32, 200],
  ['hidden', 1.5, 32, 200],
  ['hidden', 1.5, 1, 400],
  ['hidden', 1.0, 3, 200],
] as const)('%s, orthogonal ×%d: of draws of %i sequences of %i steps, about 95 % hold the exponent', (placement, gain, n, t) => {
  const rnn = makeRnn(placement, gain);
  const exponent = exponentOf(rnn);
  const flows = drawFlows(rnn, n, t);
  const covered = flows.filter(({ growthRateInterval: [low, high] }) => low <= exponent && exponent <= high).length / DRAWS;
  // Three standard errors of a share of 0.95 in so many draws.
  expect(covered).toBeGreaterThan(0.89);
  if (n === 1) return;
  // The batch's norm follows the sequence that grows most.
  const mean = (key: 'growthRate' | 'batchGrowthRate') => flows.reduce((sum, flow) => sum + flow[key], 0) / DRAWS;
  expect(mean('batchGrowthRate') - exponent).toBeGreaterThan(3 * Math.abs(mean('growthRate') - exponent));
});

test('where the exponent is 0, few draws are called exploding or vanishing', () => {
  let [low, high] = [0.9, 1.6];
  for (let i = 0; i < 8; i++) {
    const gain = (low + high) / 2;
    if (exponentOf(makeRnn('hidden', gain)) > 0) high = gain;
    else low = gain;
  }
  const rnn = makeRnn('hidden', (low + high) / 2);
  for (const [n, t] of [
    [1, 200],
    [8, 200],
    [32, 200],
  ] as const) {
    const told = drawFlows(rnn, n, t).filter(({ verdict }) => verdict !== 'stable').length;
    expect(told / DRAWS).toBeLessThanOrEqual(0.05);
  }
});
