// Gradients by h and by c apart, and what follows from a spectrum of Lyapunov exponents.
import {
  Generator,
  GRU,
  gradientFlow,
  LastStep,
  LSTM,
  lyapunovExponents,
  lyapunovSpectrum,
  mseLoss,
  RNN,
  Sequential,
  Tensor,
} from '../../lib/index';
import { entropyRate, kaplanYorkeDimension } from '../../lib/stability/attractor';
import { expectClose } from '../helpers/compare';
import { fill, fillRecurrent } from '../helpers/fill';

const [N, T, I, H] = [3, 12, 2, 5];
const options = { inputSize: I, hiddenSize: H, dtype: 'float64' } as const;

const steps = ({ data }: Tensor, begin: number, end: number): Tensor => {
  const part = Array.from({ length: N }, (_, row) => [...data.subarray((row * T + begin) * I, (row * T + end) * I)]);
  return new Tensor(Float64Array.from(part.flat()), [N, end - begin, I]);
};
const norm = ({ data }: Tensor): number => Math.hypot(...data);

test.each<[title: string, make: () => LSTM]>([
  ['LSTM', () => new LSTM(options)],
  ['LSTM with a projection', () => new LSTM({ ...options, projSize: 3 })],
  ['LSTM with normalisations', () => new LSTM({ ...options, normalization: 'split-preactivation', cellNormalization: 'carried' })],
])('gradientFlow of an %s: by h and c apart as by the state from which the rest of the sequence starts', (_, make) => {
  const layer = make();
  fillRecurrent(layer);
  const x = fill('x', [N, T, I]);
  const target = fill('target', [N, layer.projSize ?? H]);
  const flow = gradientFlow(layer, x, { target }).layers[0];
  for (const t of [1, 5, T - 1]) {
    layer.forward(steps(x, 0, t));
    const initialState = layer.finalState;
    const last = new LastStep();
    const { grad } = mseLoss(last.forward(layer.forward(steps(x, t, T), { initialState })), target);
    layer.backward(last.backward(grad));
    const { h, c } = layer.gradInitialState;
    expect(flow?.parts?.h?.logNorms[t - 1]).toBeCloseTo(Math.log(norm(h)), 10);
    expect(flow?.parts?.c?.logNorms[t - 1]).toBeCloseTo(Math.log(norm(c)), 10);
    expect(flow?.logNorms[t - 1]).toBeCloseTo(Math.log(Math.hypot(norm(h), norm(c))), 10);
  }
  // The last output depends on no c_T that is handed on.
  expect(flow?.parts?.c?.logNorms[T - 1]).toBe(Number.NEGATIVE_INFINITY);
  expect(flow?.parts?.c?.growthRate).toBeGreaterThan(-10);
});

test('a state of one part has no parts apart; a model may hold several kinds', () => {
  const model = new Sequential({ first: new LSTM(options), second: new GRU({ ...options, inputSize: H }) });
  const { layers } = gradientFlow(model, fill('x', [N, T, I]));
  expect(layers.map(({ name, parts }) => [name, parts && Object.keys(parts)])).toEqual([
    ['first', ['h', 'c']],
    ['second', undefined],
  ]);
});

test('of recorded gradients each part is there for itself', () => {
  const gru = new GRU(options);
  gru.recordStateGradients = true;
  gru.backward(gru.forward(fill('x', [N, T, I])));
  expect(gru.stateGradientPartLogNorms).toEqual({ h: gru.stateGradientLogNorms });
});

test.each([
  ['all shrink', [-0.1, -0.5], 0, 0],
  ['a line', [0, -0.5], 1, 0],
  ['between two and three', [0.5, -0.25, -1], 2.25, 0.5],
  ['a direction that vanishes at once', [0.5, 0.25, Number.NEGATIVE_INFINITY], 2, 0.75],
  ['none shrink', [0.5, 0.25], 2, 0.75],
])('Kaplan-Yorke dimension and entropy rate: %s', (_, exponents, dimension, rate) => {
  const spectrum = Float64Array.from(exponents);
  expect(kaplanYorkeDimension(spectrum, true)).toBe(dimension);
  expect(entropyRate(spectrum, true)).toBe(rate);
});

test('where more exponents than were asked for would count, they are not known', () => {
  const rnn = new RNN({
    ...options,
    hiddenSize: 24,
    bias: false,
    recurrentInitializer: { name: 'uniform', gain: 5 },
    generator: new Generator(4),
  });
  const input = Tensor.zeros([1, 400, I], { dtype: 'float64' });
  input.data.set(fill('x', [400 * I], { scale: 0.1 }).data);
  const whole = lyapunovSpectrum(rnn, input);
  expect(whole.exponents[0]).toBeGreaterThan(0);
  expect(whole.dimension).toBe(kaplanYorkeDimension(whole.exponents, true));
  expect(whole.dimension).toBeGreaterThan(1);
  const positive = whole.exponents.filter((value) => value > 0);
  expect(whole.entropyRate).toBeCloseTo(
    positive.reduce((sum, value) => sum + value, 0),
    12,
  );
  const first = lyapunovSpectrum(rnn, input, { count: 1 });
  expect([first.dimension, first.entropyRate]).toEqual([Number.NaN, Number.NaN]);
  expectClose(lyapunovExponents(rnn, input, { count: 1 }), whole.exponents.slice(0, 1), { within: 1e-12 });
});
