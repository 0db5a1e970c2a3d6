import {
  type BackwardOptions,
  type DType,
  fit,
  Generator,
  LastStep,
  type Layer,
  LayerNorm,
  Linear,
  mseLoss,
  type Placement,
  RMSNorm,
  RNN,
  type RNNOptions,
  Sequential,
  SGD,
  Tensor,
} from '../../lib/index';
import { expectRefused } from '../helpers/errors';

const random = (shape: readonly number[], dtype: DType, seed: number) => Tensor.randn(shape, { dtype, generator: new Generator(seed) });
const makeRnn = (dtype: DType, options: Partial<RNNOptions> = {}) =>
  new RNN({ inputSize: 3, hiddenSize: 19, dtype, generator: new Generator(5), ...options });

const placements: Placement[] = ['none', 'preactivation', 'split-preactivation', 'recurrent-input', 'hidden'];
const layers: [string, (dtype: DType) => Layer][] = [
  ...placements.map((normalization): [string, (dtype: DType) => Layer] => [
    `RNN, normalization ${normalization}`,
    (dtype) => makeRnn(dtype, { normalization }),
  ]),
  ['RNN that keeps few states', (dtype) => makeRnn(dtype, { checkpointing: { every: 2 }, returnSequences: false, truncateAfter: 5 })],
  ['RNN of many units', (dtype) => makeRnn(dtype, { hiddenSize: 101 })],
  ['LayerNorm', (dtype) => new LayerNorm({ size: 3, dtype })],
  ['LayerNorm without weights', (dtype) => new LayerNorm({ size: 3, dtype, affine: false })],
  ['RMSNorm', (dtype) => new RMSNorm({ size: 3, dtype })],
  ['Linear', (dtype) => new Linear({ inputSize: 3, outputSize: 4, dtype, generator: new Generator(5) })],
  ['LastStep', () => new LastStep()],
  ['Sequential', (dtype) => new Sequential([makeRnn(dtype), new LayerNorm({ size: 19, dtype }), new LastStep()])],
  ['Sequential of one', (dtype) => new Sequential([new Sequential([makeRnn(dtype)])])],
];

describe.each(layers)('%s without the gradient of its input', (_, make) => {
  test.each<[DType, number]>([
    ['float32', 1],
    ['float64', 3],
    ['float32', 17],
  ])('in %s, of %i sequences: every other gradient is the same bits', (dtype, n) => {
    const pass = (options: BackwardOptions) => {
      const layer = make(dtype);
      const output = layer.forward(random([n, 12, 3], dtype, 1));
      const gradInput = layer.backward(random(output.shape, dtype, 2), options);
      const initial = layer instanceof RNN ? [layer.gradInitialState] : [];
      return { gradInput, gradients: [...layer.parameters().map(({ grad }) => grad), ...initial] };
    };
    const [whole, without] = [pass({}), pass({ inputGradient: false })];
    expect(whole.gradInput?.shape).toEqual([n, 12, 3]);
    expect(without.gradInput).toBeUndefined();
    expect(without.gradients).toEqual(whole.gradients);
    expect(pass({ inputGradient: true })).toEqual(whole);
  });

  test('what is no such option is refused, and backward can still be called', () => {
    const layer = make('float32');
    const output = layer.forward(random([2, 12, 3], 'float32', 1));
    const call = (options: object) => () => layer.backward(output, options);
    expectRefused(call({ inputGradient: 0 }), 'ERR_OPTION', 'inputGradient: expected true or false, got 0');
    expectRefused(call({ inputgradient: false }), 'ERR_OPTION', 'Did you mean "inputGradient"?');
    expect(layer.backward(output).shape).toEqual([2, 12, 3]);
  });
});

test.each([16, 133, 2100])(
  'a LayerNorm or RMSNorm of 600 rows of %i, whose sums are cut, has the same gradients of its weights',
  (size) => {
    for (const make of [() => new LayerNorm({ size }), () => new RMSNorm({ size })]) {
      const gradients = (options: BackwardOptions) => {
        const layer = make();
        layer.forward(random([600, size], 'float32', 1));
        layer.backward(random([600, size], 'float32', 2), options);
        return layer.parameters().map(({ grad }) => grad);
      };
      expect(gradients({ inputGradient: false })).toEqual(gradients({}));
    }
  },
);

/** A layer of a user's: y = x, whose backward call notes its options. */
function custom(seen: (BackwardOptions | undefined)[]): Layer {
  return {
    forward: (input) => input,
    backward(gradOutput: Tensor, options?: BackwardOptions) {
      seen.push(options);
      return gradOutput;
    },
    parameters: () => [],
    stateDict: () => ({}),
    loadStateDict() {},
  };
}

test('a Sequential asks its first layer alone to leave it out, and takes no for an answer', () => {
  const seen: (BackwardOptions | undefined)[] = [];
  const model = new Sequential([custom(seen), custom(seen)]);
  const x = random([2, 3], 'float32', 1);
  model.forward(x);
  expect(model.backward(x, { inputGradient: false })).toBeUndefined();
  expect(seen).toEqual([undefined, { inputGradient: false }]);
  model.forward(x);
  expect(model.backward(x)).toBe(x);
});

test('fit leaves it out', async () => {
  const seen: (BackwardOptions | undefined)[] = [];
  const linear = new Linear({ inputSize: 3, outputSize: 3 });
  const model = new Sequential([custom(seen), linear]);
  const batch = { input: random([2, 3], 'float32', 1), target: random([2, 3], 'float32', 2) };
  await fit(model, [batch], { loss: mseLoss, optimizer: new SGD(linear.parameters(), { learningRate: 0.1 }) });
  expect(seen).toEqual([{ inputGradient: false }]);
});
