// The growth rate of mean-field theory against measurement, at 512 units and small inputs: the limits that it is made for.
import { Generator, gradientFlow, RNN, Sequential, Tensor } from '../../lib/index';
import { criticalSize } from '../../lib/study/grid-charts';
import { meanFieldRate } from '../../lib/study/mean-field';
import { type DepthPlacement, placedLayers } from '../../lib/study/placements';
import { drawWeights } from '../../lib/study/starts';

const sizes = { cell: 'rnn', inputSize: 10, hiddenSize: 512 } as const;
const [draws, inputScale, nonlinearity] = [2, 0.1, 'tanh'] as const;

describe.each([1, 1.5])('512 units, orthogonal ×%p, inputs ×0.1', (gain) => {
  const start = { name: 'orthogonal', options: { name: 'orthogonal', gain } } as const;
  const weights = Array.from({ length: draws }, (_, draw) => drawWeights(start, sizes, draw));

  test.each<DepthPlacement>(['none', 'input', 'output', 'preactivation', 'split-preactivation', 'hidden'])(
    '%s: within 0.01',
    (placement) => {
      const rates = weights.map((own, draw) => {
        const layers = placedLayers(placement, { ...sizes, dtype: 'float64', returnSequences: false });
        const rnn = layers.rnn as RNN;
        rnn.loadStateDict({ ...rnn.stateDict(), ...own });
        const input = Tensor.randn([4, 200, 10], { dtype: 'float64', generator: new Generator(100 + draw) });
        for (let i = 0; i < input.data.length; i++) input.data[i] = inputScale * (input.data[i] as number);
        return gradientFlow(new Sequential(layers), input).layers[0]?.growthRate ?? Number.NaN;
      });
      const measured = rates.reduce((sum, rate) => sum + rate, 0) / draws;
      const theory = meanFieldRate({ ...sizes, placement, nonlinearity, inputScale, recurrentVariance: gain ** 2 });
      expect(Math.abs(measured - theory)).toBeLessThan(0.01);
    },
  );
});

test('known values: relu without a normalisation, and the limits of many units', () => {
  const many = { inputSize: 10, hiddenSize: 1e9, inputScale: 1, nonlinearity } as const;
  // E[φ'²] = 1/2, whatever the variance is.
  expect(meanFieldRate({ ...many, placement: 'none', nonlinearity: 'relu', recurrentVariance: 2 })).toBeCloseTo(0, 12);
  // With no input, whatever W_hh is: E[φ'²]/E[φ²] of a standard normal z, 0.46440/0.39429.
  for (const recurrentVariance of [1 / 3, 1, 9]) {
    expect(meanFieldRate({ ...many, placement: 'preactivation', recurrentVariance })).toBeCloseTo(0.5 * Math.log(0.4644 / 0.39429), 3);
  }
  // Below 1 a tanh RNN without input has only the state 0, where it is W_hh alone.
  expect(meanFieldRate({ ...many, placement: 'none', recurrentVariance: 0.25 })).toBeCloseTo(Math.log(0.5), 6);
});

test('the number of units at which χ = 1 is where the rate changes its sign', () => {
  const design = { placement: 'preactivation', nonlinearity, inputSize: 10, inputScale: 1, recurrentVariance: 1 / 3 } as const;
  const size = criticalSize(design) as number;
  // (I + 2)/(3H) = w (E[φ'²] − E[φ²])
  expect(size).toBeCloseTo(12 / (0.4644 - 0.39429), 0);
  expect(meanFieldRate({ ...design, hiddenSize: 0.99 * size })).toBeLessThan(0);
  expect(meanFieldRate({ ...design, hiddenSize: 1.01 * size })).toBeGreaterThan(0);
  expect(criticalSize({ ...design, placement: 'split-preactivation' })).toBeUndefined();
});

test('LayerNorm on what is fed back is the recurrence of LayerNorm on the state, to the bit', () => {
  const make = (normalization: 'hidden' | 'recurrent-input') =>
    new RNN({
      inputSize: 10,
      hiddenSize: 20,
      normalization,
      recurrentInitializer: { name: 'orthogonal', gain: 1.5 },
      dtype: 'float64',
      generator: new Generator(1),
    });
  const input = Tensor.randn([4, 20, 10], { dtype: 'float64', generator: new Generator(2) });
  const [states, fedBack] = [make('hidden').forward(input), make('recurrent-input').forward(input)];
  const layers = placedLayers('output', { inputSize: 10, hiddenSize: 20, dtype: 'float64' });
  const normalized = (layers.ln as NonNullable<typeof layers.ln>).forward(fedBack);
  const largest = Math.max(...Array.from(normalized.data, (value, i) => Math.abs(value - (states.data[i] as number))));
  expect(largest).toBeLessThan(1e-12);
});
