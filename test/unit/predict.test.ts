import {
  Activation,
  Generator,
  LastStep,
  type Layer,
  LayerNorm,
  Linear,
  type PredictOptions,
  RMSNorm,
  RNN,
  Sequential,
  Tensor,
  Workspace,
} from '../../lib/index';
import { expectRefused } from '../helpers/errors';

const dtype = 'float32';
const [N, T, I, H] = [4, 300, 3, 5];
const random = (shape: number[], seed = 1) => Tensor.randn(shape, { dtype, generator: new Generator(seed) });
const generator = () => new Generator(7);
const makeRnn = (options: object = {}) => new RNN({ inputSize: I, hiddenSize: H, generator: generator(), ...options });

const layers: [string, () => Layer & { predict(input: Tensor, options?: PredictOptions): Tensor }][] = [
  ['RNN', makeRnn],
  ['RNN of the last state', () => makeRnn({ returnSequences: false })],
  ['RNN of the last state, with a norm', () => makeRnn({ returnSequences: false, normalization: 'hidden' })],
  ['LayerNorm', () => new LayerNorm({ size: I })],
  ['RMSNorm', () => new RMSNorm({ size: I })],
  ['Linear', () => new Linear({ inputSize: I, outputSize: 2, generator: generator() })],
  ['LastStep', () => new LastStep()],
  ['Activation', () => new Activation({ kind: 'softmax' })],
  ['Sequential', () => new Sequential([new LayerNorm({ size: I }), makeRnn(), new LastStep(), new LayerNorm({ size: H })])],
];

describe.each(layers)('%s', (_, make) => {
  test.each([undefined, [300, 2, 0, 117]])('predict gives what forward gives: lengths %j', (lengths) => {
    const x = random([N, T, I]);
    const output = make().forward(x, { lengths });
    expect(make().predict(x, { lengths })).toEqual(output);
    expect(make().forward(x, { lengths, training: false })).toEqual(output);
  });

  test('predict comes between a forward call and its backward call, and disturbs neither', () => {
    const [layer, alone] = [make(), make()];
    const [x, other] = [random([N, T, I]), random([2 * N, T, I], 2)];
    const dy = random([...alone.forward(x).shape], 3);
    const expected = alone.backward(dy);
    layer.forward(x);
    layer.predict(other);
    layer.predict(random([N, T, I], 4));
    expect(layer.backward(dy)).toEqual(expected);
    expect(layer.parameters().map(({ grad }) => grad)).toEqual(alone.parameters().map(({ grad }) => grad));
  });

  test('no backward call follows where nothing was kept', () => {
    const layer = make();
    const { shape } = layer.predict(random([N, T, I]));
    expectRefused(() => layer.backward(random([...shape])), 'ERR_STATE', 'expected one forward call before each backward call');
    layer.forward(random([N, T, I]), { training: false });
    expectRefused(() => layer.backward(random([...shape])), 'ERR_STATE', 'expected one forward call before each backward call');
  });

  test('unknown options are refused', () => {
    expectRefused(() => make().predict(random([N, T, I]), { training: true } as object), 'ERR_OPTION', 'unknown option "training"');
    expectRefused(() => make().forward(random([N, T, I]), { trainning: true } as object), 'ERR_OPTION', 'Did you mean "training"?');
  });
});

test('a stateful layer predicts from its state and does not go on; forward outside training goes on', () => {
  const [rnn, expected] = [makeRnn({ stateful: true }), makeRnn({ stateful: true })];
  const [first, second] = [random([N, 3, I]), random([N, 3, I], 2)];
  expected.forward(first);
  const next = expected.forward(second);
  rnn.forward(first, { training: false });
  const state = rnn.carriedState();
  expect(rnn.predict(second)).toEqual(next);
  expect(rnn.predict(second)).toEqual(next);
  expect(rnn.carriedState()).toEqual(state);
  expect(rnn.forward(second, { training: false })).toEqual(next);
});

test('predict takes an initial state', () => {
  const [x, initialState] = [random([N, T, I]), random([N, H], 2)];
  expect(makeRnn().predict(x, { initialState })).toEqual(makeRnn().forward(x, { initialState }));
});

test('predict in a run of a workspace takes its outputs from there', () => {
  const workspace = new Workspace();
  const rnn = makeRnn();
  const x = random([N, T, I]);
  const outputs = [1, 2].map(() => workspace.run(() => rnn.predict(x).data));
  expect(outputs[1]?.buffer).toBe(outputs[0]?.buffer);
});

describe('a backward call that does not belong to the last forward call of a layer', () => {
  const text = 'backward: expected the last forward call of layers.encoder to be that of this Sequential';
  const x = random([N, T, I]);
  const dy = random([N, T, 2]);
  const makeModels = () => {
    const encoder = makeRnn();
    const head = () => new Linear({ inputSize: H, outputSize: 2, generator: generator() });
    return { encoder, a: new Sequential({ encoder, head: head() }), b: new Sequential({ encoder, head: head() }) };
  };

  test('is refused where two models share it, and nothing is added', () => {
    const { a, b } = makeModels();
    a.forward(x);
    b.forward(random([N, T, I], 2));
    expectRefused(() => a.backward(dy), 'ERR_STATE', text);
    expect(a.parameters().every(({ grad }) => grad.data.every((value) => value === 0))).toBe(true);
    expect(() => b.backward(dy)).not.toThrow();
  });

  test('is refused where the layer was called on its own, within a model within a model too', () => {
    const { encoder, a } = makeModels();
    const outer = new Sequential({ inner: a });
    outer.forward(x);
    encoder.forward(x);
    expectRefused(() => outer.backward(dy), 'ERR_STATE', text);
    outer.forward(x);
    a.forward(x);
    expectRefused(() => outer.backward(dy), 'ERR_STATE', 'layers.inner');
    outer.forward(x);
    expect(() => outer.backward(dy)).not.toThrow();
  });

  test('is refused for a layer of your own that two models share', () => {
    const own: Layer = {
      forward: (input) => input,
      backward: (gradOutput: Tensor) => gradOutput,
      parameters: () => [],
      stateDict: () => ({}),
      loadStateDict: () => {},
    };
    const [a, b] = [new Sequential({ own }), new Sequential({ own })];
    a.forward(x);
    b.forward(x);
    expectRefused(() => a.backward(x), 'ERR_STATE', 'layers.own');
    a.forward(x);
    b.predict(x);
    expectRefused(() => a.backward(x), 'ERR_STATE', 'layers.own');
  });

  test('is not refused after a validation by predict', () => {
    const { a, b } = makeModels();
    a.forward(x);
    b.predict(x);
    a.predict(x);
    expect(() => a.backward(dy)).not.toThrow();
  });
});
