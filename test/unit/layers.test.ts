import {
  type DType,
  Generator,
  LastStep,
  type Layer,
  LayerNorm,
  Linear,
  type NormalizationOptions,
  Parameter,
  type Placement,
  RMSNorm,
  RNN,
  type RNNOptions,
  Sequential,
  Tensor,
} from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';

const options = { inputSize: 2, hiddenSize: 3, dtype: 'float64' as const };
const random = (shape: number[], dtype: DType = 'float64', seed = 1) => Tensor.randn(shape, { dtype, generator: new Generator(seed) });
const makeRNN = (extra: Partial<RNNOptions> = {}) => new RNN({ ...options, generator: new Generator(7), ...extra });

describe('RNN', () => {
  test('one unit by hand, with tanh and with relu', () => {
    for (const [nonlinearity, phi] of [
      ['tanh', Math.tanh],
      ['relu', (a: number) => Math.max(0, a)],
    ] as const) {
      const rnn = new RNN({ inputSize: 1, hiddenSize: 1, nonlinearity, dtype: 'float64' });
      const scalars = { weight_ih_l0: 0.5, weight_hh_l0: -0.8, bias_ih_l0: 0.1, bias_hh_l0: 0.2 };
      for (const [name, value] of Object.entries(scalars)) rnn.stateDict()[name]?.data.fill(value);
      const output = rnn.forward(Tensor.from([[[2], [-1], [3]]], { dtype: 'float64' }));
      const h1 = phi(0.5 * 2 + 0.3);
      const h2 = phi(0.5 * -1 + 0.3 - 0.8 * h1);
      const h3 = phi(0.5 * 3 + 0.3 - 0.8 * h2);
      expectClose(output.data, [h1, h2, h3], { within: 1e-14 });
    }
  });

  test('finalState is a copy of the last step, and continues a sequence as initialState', () => {
    const rnn = makeRNN();
    const x = random([2, 6, 2]);
    const whole = rnn.forward(x);
    expect(rnn.finalState.toArray()).toEqual([0, 1].map((n) => [...whole.data.subarray((n * 6 + 5) * 3, (n * 6 + 6) * 3)]));
    const part = (from: number, to: number) =>
      new Tensor(Float64Array.from([0, 1].flatMap((n) => [...x.data.subarray((n * 6 + from) * 2, (n * 6 + to) * 2)])), [2, to - from, 2]);
    const final = rnn.finalState;
    rnn.forward(part(0, 4));
    const second = rnn.forward(part(4, 6), { initialState: rnn.finalState });
    expectClose(rnn.finalState.data, final.data, { within: 1e-14 });
    second.data.fill(0);
    expectClose(rnn.finalState.data, final.data, { within: 1e-14 });
  });

  test('states can be read only when there are some', () => {
    const rnn = makeRNN();
    expectRefused(() => rnn.finalState, 'ERR_STATE', 'finalState: expected a forward call before it is read');
    expectRefused(() => rnn.gradInitialState, 'ERR_STATE', 'gradInitialState: expected a backward call');
    const output = rnn.forward(random([1, 2, 2]));
    expectRefused(() => rnn.gradInitialState, 'ERR_STATE');
    rnn.backward(output);
    expect(rnn.gradInitialState.shape).toEqual([1, 3]);
    rnn.forward(random([4, 2, 2]));
    expectRefused(() => rnn.gradInitialState, 'ERR_STATE', 'since the last forward call');
    expect(rnn.finalState.shape).toEqual([4, 3]);
  });

  test('backward adds to the gradients', () => {
    const rnn = makeRNN();
    const x = random([2, 3, 2]);
    const gradOutput = random([2, 3, 3], 'float64', 2);
    rnn.forward(x);
    rnn.backward(gradOutput);
    const once = rnn.parameters().map(({ grad }) => grad.data.slice());
    rnn.forward(x);
    rnn.backward(gradOutput);
    rnn.parameters().forEach(({ grad }, i) => {
      expectClose(
        grad.data,
        (once[i] as Float64Array).map((value) => 2 * value),
        { within: 1e-14 },
      );
    });
  });

  test('has the names, shapes and defaults of torch.nn.RNN', () => {
    const rnn = new RNN({ inputSize: 2, hiddenSize: 3 });
    expect(Object.entries(rnn.stateDict()).map(([name, { shape }]) => [name, shape])).toEqual([
      ['weight_ih_l0', [3, 2]],
      ['weight_hh_l0', [3, 3]],
      ['bias_ih_l0', [3]],
      ['bias_hh_l0', [3]],
    ]);
    expect(rnn).toMatchObject({ dtype: 'float32', nonlinearity: 'tanh', inputSize: 2, hiddenSize: 3 });
    expect(rnn.parameters().map(({ name }) => name)).toEqual(Object.keys(rnn.stateDict()));
  });

  test.each<[Record<string, unknown>, string]>([
    [{ hiddenSize: 0 }, 'hiddenSize: expected an integer from 1 to 2147483647, got 0'],
    [{ inputSize: undefined }, 'inputSize: expected an integer'],
    [{ nonlinearity: 'Relu' }, 'Did you mean "relu"?'],
    [{ nonlinearity: null }, 'nonlinearity: expected one of "tanh", "relu", got null'],
    [{ hiddensize: 1 }, 'unknown option "hiddensize". Did you mean "hiddenSize"?'],
    [{ generator: 42 }, 'generator: expected a Generator, got 42'],
    [{ normalization: 'preactivatoin' }, 'Did you mean "preactivation"?'],
    [{ normalization: { placement: 'none', kind: 'batch' } }, 'normalization.kind: expected one of "layer", "rms"'],
    [{ normalization: { placement: 'none', eps: 0 } }, 'normalization.eps'],
    [{ normalization: {} }, 'normalization: expected one of'],
    [{ checkpointing: 'never' }, 'checkpointing: expected'],
    [{ returnSequences: 1 }, 'returnSequences: expected'],
    [{ stateful: 'yes' }, 'stateful: expected'],
    [{ truncateAfter: 0 }, 'truncateAfter: expected an integer from 1'],
  ])('refuses %j', (extra, text) => {
    expectRefused(() => makeRNN(extra), 'ERR_OPTION', text);
  });

  test.each<[NormalizationOptions | Placement, Record<string, number[]>]>([
    ['preactivation', { 'norm.weight': [1, 1, 1], 'norm.bias': [0, 0, 0] }],
    ['split-preactivation', { 'norm_ih.weight': [1, 1, 1], 'norm_hh.weight': [1, 1, 1] }],
    [{ placement: 'recurrent-input', kind: 'rms' }, { 'norm.weight': [1, 1, 1] }],
    [
      { placement: 'hidden', kind: 'layer' },
      { 'norm.weight': [1, 1, 1], 'norm.bias': [0, 0, 0] },
    ],
  ])('has the parameters of the normalisation %j, which change no other start', (normalization, added) => {
    const [rnn, plain] = [makeRNN({ normalization, generator: new Generator(1) }), makeRNN({ generator: new Generator(1) })];
    const state = Object.fromEntries(Object.entries(rnn.stateDict()).map(([name, value]) => [name, value.toArray()]));
    expect(state).toEqual({ ...Object.fromEntries(Object.entries(plain.stateDict()).map(([k, v]) => [k, v.toArray()])), ...added });
    expect(rnn.normalization.placement).toBe(typeof normalization === 'string' ? normalization : normalization.placement);
    expect(rnn.parameters().map(({ name }) => name)).toEqual(Object.keys(state));
  });

  test.each<NormalizationOptions | Placement>(['none', 'preactivation', 'hidden'])(
    'without biases, %s: as with biases of zero',
    (normalization) => {
      const zeros = makeRNN({ normalization });
      const without = makeRNN({ normalization, bias: false });
      const { bias_ih_l0, bias_hh_l0, ...others } = zeros.stateDict();
      expect(Object.keys(without.stateDict())).toEqual(Object.keys(others));
      expect(without.parameters().map(({ name }) => name)).toEqual(Object.keys(others));
      without.loadStateDict(others);
      bias_ih_l0?.data.fill(0);
      bias_hh_l0?.data.fill(0);
      for (let call = 0; call < 2; call++) {
        expect(without.forward(random([2, 6, 2])).data).toEqual(zeros.forward(random([2, 6, 2])).data);
        expect(without.backward(random([2, 6, 3])).data).toEqual(zeros.backward(random([2, 6, 3])).data);
      }
      const gradients = zeros.parameters().filter(({ name }) => !name.startsWith('bias'));
      expect(without.parameters().map(({ grad }) => grad.data)).toEqual(gradients.map(({ grad }) => grad.data));
    },
  );

  test('takes normalization none in both forms', () => {
    expect(() => makeRNN({ normalization: 'none' })).not.toThrow();
    expect(() => makeRNN({ normalization: { placement: 'none', kind: 'rms', eps: 1e-3 } })).not.toThrow();
  });

  test('sizes that no memory holds are refused', () => {
    expectRefused(() => new RNN({ inputSize: 1, hiddenSize: 2 ** 31 - 1 }), 'ERR_SHAPE', '2^53');
    expectRefused(() => new RNN({ inputSize: 1, hiddenSize: 2 ** 24 }), 'ERR_MEMORY');
  });

  test.each<[unknown, unknown, 'ERR_SHAPE' | 'ERR_DTYPE' | 'ERR_OPTION', string]>([
    [Tensor.zeros([1, 2], { dtype: 'float64' }), undefined, 'ERR_SHAPE', 'input: expected shape [N, T, 2], got [1, 2]'],
    [Tensor.zeros([1, 0, 2], { dtype: 'float64' }), undefined, 'ERR_SHAPE', 'got [1, 0, 2]'],
    [Tensor.zeros([1, 1, 2]), undefined, 'ERR_DTYPE', 'input: expected a float64 tensor, got float32'],
    [new Float64Array(4), undefined, 'ERR_OPTION', 'input: expected a Tensor, got a Float64Array'],
    [random([2, 1, 2]), { initialState: random([1, 3]) }, 'ERR_SHAPE', 'initialState: expected shape [2, 3], got [1, 3]'],
    [random([2, 1, 2]), { initialstate: random([2, 3]) }, 'ERR_OPTION', 'Did you mean "initialState"?'],
    [random([2, 1, 2]), { initialState: null }, 'ERR_OPTION', 'initialState: expected a Tensor, got null'],
  ])('forward refuses %#', (input, extra, code, text) => {
    expectRefused(() => makeRNN().forward(input as Tensor, extra as object), code, text);
  });
});

describe('LayerNorm and RMSNorm', () => {
  test('one row by hand', () => {
    const input = Tensor.from([1, 2, 3, 6], { dtype: 'float64' });
    const layerNorm = new LayerNorm({ size: 4, eps: 0.5, dtype: 'float64' });
    layerNorm.stateDict().weight?.data.set([1, 2, 3, 4]);
    layerNorm.stateDict().bias?.data.set([0, 0, 0, 10]);
    const r = 1 / Math.sqrt((4 + 1 + 0 + 9) / 4 + 0.5);
    expectClose(layerNorm.forward(input).data, [-2 * r, -1 * r * 2, 0, 3 * r * 4 + 10], { within: 1e-14 });
    const rmsNorm = new RMSNorm({ size: 4, eps: 0.5, dtype: 'float64' });
    rmsNorm.stateDict().weight?.data.set([1, 2, 3, 4]);
    const q = 1 / Math.sqrt((1 + 4 + 9 + 36) / 4 + 0.5);
    expectClose(rmsNorm.forward(input).data, [q, 4 * q, 9 * q, 24 * q], { within: 1e-14 });
  });

  test('without weight and bias it does what ones and zeros do', () => {
    const [plain, affine] = [new LayerNorm({ size: 5, affine: false }), new LayerNorm({ size: 5 })];
    expect(plain.parameters()).toEqual([]);
    expect(plain.stateDict()).toEqual({});
    plain.loadStateDict({});
    const x = random([3, 5], 'float32');
    expect(plain.forward(x)).toEqual(affine.forward(x));
    expect(plain.backward(x)).toEqual(affine.backward(x));
  });

  test.each([
    ['LayerNorm', LayerNorm, ['weight', 'bias']],
    ['RMSNorm', RMSNorm, ['weight']],
  ] as const)('%s starts with weight 1, bias 0', (_, Norm, names) => {
    const state = new Norm({ size: 2 }).stateDict();
    expect(Object.keys(state)).toEqual(names);
    expect(state.weight?.toArray()).toEqual([1, 1]);
    if (state.bias !== undefined) expect(state.bias.toArray()).toEqual([0, 0]);
  });

  test.each<[object, string]>([
    [{}, 'size: expected an integer'],
    [{ size: 3, eps: 0 }, 'eps: expected a finite number at least 1e-37 and at most'],
    [{ size: 3, epsilon: 1 }, 'unknown option "epsilon"'],
  ])('refuse %j', (bad, text) => {
    expectRefused(() => new LayerNorm(bad as { size: number }), 'ERR_OPTION', text);
    expectRefused(() => new RMSNorm(bad as { size: number }), 'ERR_OPTION', text);
  });

  test('a constant row gives zeros, not NaN, down to the smallest eps', () => {
    const norm = new LayerNorm({ size: 3, eps: 1e-37 });
    expect([...norm.forward(Tensor.from([5, 5, 5])).data].map(Math.abs)).toEqual([0, 0, 0]);
    expect([...new RMSNorm({ size: 3, eps: 1e-37 }).forward(Tensor.from([0, 0, 0])).data]).toEqual([0, 0, 0]);
  });
});

describe('Linear', () => {
  test('by hand, with and without bias', () => {
    const state = {
      weight: Tensor.from([
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
      bias: Tensor.from([10, 20, 30]),
    };
    const linear = new Linear({ inputSize: 2, outputSize: 3 });
    linear.loadStateDict(state);
    expect(
      linear
        .forward(
          Tensor.from([
            [1, -1],
            [0, 2],
          ]),
        )
        .toArray(),
    ).toEqual([
      [9, 19, 29],
      [14, 28, 42],
    ]);
    const plain = new Linear({ inputSize: 2, outputSize: 3, bias: false });
    plain.loadStateDict({ weight: state.weight });
    expect(plain.forward(Tensor.from([1, -1])).toArray()).toEqual([-1, -1, -1]);
    expect(plain.backward(Tensor.from([1, 0, 2])).toArray()).toEqual([11, 14]);
    expect(plain.parameters().map(({ name, grad }) => [name, grad.toArray()])).toEqual([
      [
        'weight',
        [
          [1, -1],
          [0, 0],
          [2, -2],
        ],
      ],
    ]);
  });

  test('refuses bad options', () => {
    expectRefused(() => new Linear({ inputSize: 1, outputSize: 1.5 }), 'ERR_OPTION', 'outputSize');
    expectRefused(
      () => new Linear({ inputSize: 1, outputSize: 1, bias: 1 as unknown as boolean }),
      'ERR_OPTION',
      'bias: expected true or false',
    );
  });
});

describe.each<[string, (dtype: DType) => Layer, number]>([
  ['LayerNorm', (dtype) => new LayerNorm({ size: 4, dtype }), 4],
  ['RMSNorm', (dtype) => new RMSNorm({ size: 4, dtype }), 4],
  ['Linear', (dtype) => new Linear({ inputSize: 4, outputSize: 6, dtype, generator: new Generator(3) }), 6],
])('%s', (_, make, outputSize) => {
  test.each([[[4]], [[3, 4]], [[2, 3, 4]], [[1, 2, 3, 4]]])('works on the last dimension of %j', (shape) => {
    const layer = make('float64');
    const x = random(shape);
    const output = layer.forward(x);
    expect(output.shape).toEqual([...shape.slice(0, -1), outputSize]);
    expect(layer.backward(output).shape).toEqual(shape);
    const rows = make('float64');
    expect([...rows.forward(new Tensor(x.data, [x.size / 4, 4])).data]).toEqual([...output.data]);
  });

  test.each([[[]], [[5]], [[4, 5]], [[0, 4]]])('refuses the shape %j', (shape) => {
    expectRefused(() => make('float32').forward(Tensor.zeros(shape)), 'ERR_SHAPE', 'input: expected shape [..., 4], got');
  });
});

test('LastStep takes the last step of each sequence, and gives its gradient back there', () => {
  const layer = new LastStep();
  expect(
    layer
      .forward(
        Tensor.from([
          [
            [1, 2],
            [3, 4],
          ],
          [
            [5, 6],
            [7, 8],
          ],
        ]),
      )
      .toArray(),
  ).toEqual([
    [3, 4],
    [7, 8],
  ]);
  expect(
    layer
      .backward(
        Tensor.from([
          [10, 20],
          [30, 40],
        ]),
      )
      .toArray(),
  ).toEqual([
    [
      [0, 0],
      [10, 20],
    ],
    [
      [0, 0],
      [30, 40],
    ],
  ]);
  expect(layer.forward(random([1, 5, 1])).dtype).toBe('float64');
  expect(layer.parameters()).toEqual([]);
  expectRefused(() => layer.forward(Tensor.zeros([2, 2])), 'ERR_SHAPE', 'input: expected shape [N, T, H], got [2, 2]');
});

describe('Sequential', () => {
  const make = () => ({ rnn: makeRNN(), ln: new LayerNorm({ size: 3, dtype: 'float64' }), last: new LastStep() });

  test('does what its layers do one after another', () => {
    const [inside, outside] = [make(), make()];
    const model = new Sequential(inside);
    const x = random([2, 4, 2]);
    const output = model.forward(x);
    expect(output).toEqual(outside.last.forward(outside.ln.forward(outside.rnn.forward(x))));
    const gradOutput = random([2, 3], 'float64', 9);
    expect(model.backward(gradOutput)).toEqual(outside.rnn.backward(outside.ln.backward(outside.last.backward(gradOutput))));
    const expected = [...outside.rnn.parameters(), ...outside.ln.parameters()].map(({ grad }) => grad);
    expect(model.parameters().map(({ grad }) => grad)).toEqual(expected);
  });

  test('names come from the record, or count up', () => {
    expect(Object.keys(new Sequential(make()).stateDict())).toEqual([
      'rnn.weight_ih_l0',
      'rnn.weight_hh_l0',
      'rnn.bias_ih_l0',
      'rnn.bias_hh_l0',
      'ln.weight',
      'ln.bias',
    ]);
    const model = new Sequential([new LayerNorm({ size: 1 }), new Sequential({ inner: new RMSNorm({ size: 1 }) })]);
    expect(Object.keys(model.stateDict())).toEqual(['0.weight', '0.bias', '1.inner.weight']);
    expect(model.parameters().map(({ name }) => name)).toEqual(Object.keys(model.stateDict()));
    const many = new Sequential(Array.from({ length: 11 }, () => new RMSNorm({ size: 1 })));
    expect(Object.keys(many.stateDict()).at(-1)).toBe('10.weight');
  });

  test('its parameters are those of its layers', () => {
    const layers = make();
    const model = new Sequential(layers);
    expect(model.layers).toEqual(layers);
    expect(model.parameters()[0]?.value).toBe(layers.rnn.parameters()[0]?.value);
    expect(model.parameters()[4]?.grad).toBe(layers.ln.parameters()[0]?.grad);
    expect(model.stateDict()['ln.bias']).toBe(layers.ln.stateDict().bias);
    expect(model.parameters()[0]).toBe(model.parameters()[0]);
  });

  test.each<[unknown, string]>([
    [{}, 'layers: expected at least one layer'],
    [[], 'layers: expected at least one layer'],
    [new LastStep(), 'layers: expected a record or an array of layers, got an instance of LastStep'],
    [{ a: { forward() {} } }, 'layers.a: expected a layer (it has no method backward), got an object'],
    [[null], 'layers.0: expected a layer (it has no method forward), got null'],
    [{ 1: new LastStep() }, 'names that are not numbers, which a record would reorder, got "1"'],
    [{ 'a.b': new LastStep() }, 'neither empty nor hold a dot, got "a.b"'],
    [{ '': new LastStep() }, 'neither empty nor hold a dot'],
  ])('refuses %#', (layers, text) => {
    expectRefused(() => new Sequential(layers as Layer[]), 'ERR_OPTION', text);
  });

  test('refuses a layer that stands there twice, however deep', () => {
    const layer = new LastStep();
    expectRefused(() => new Sequential([layer, layer]), 'ERR_OPTION', 'layers.1: expected each layer once');
    expectRefused(() => new Sequential([layer, new Sequential([new Sequential([layer])])]), 'ERR_OPTION', 'each layer once');
  });

  test('takes a layer of your own', () => {
    const scale = new Parameter('factor', Tensor.from([3]));
    let input: Tensor | undefined;
    const custom: Layer = {
      forward(x) {
        input = x;
        return new Tensor(x.data.map((value) => value * (scale.value.data[0] as number)) as Float32Array, x.shape);
      },
      backward(grad) {
        for (const [i, value] of grad.data.entries())
          scale.grad.data[0] = (scale.grad.data[0] as number) + value * (input?.data[i] as number);
        return new Tensor(grad.data.map((value) => value * (scale.value.data[0] as number)) as Float32Array, grad.shape);
      },
      parameters: () => [scale],
      stateDict: () => ({ factor: scale.value }),
      loadStateDict: () => {},
    };
    const model = new Sequential({ custom, last: new LastStep() });
    expect(model.forward(Tensor.from([[[1], [2]]])).toArray()).toEqual([[6]]);
    expect(model.backward(Tensor.from([[10]])).toArray()).toEqual([[[0], [30]]]);
    expect(model.parameters()[0]).toMatchObject({ name: 'custom.factor', grad: Tensor.from([20]) });
    model.loadStateDict({ 'custom.factor': Tensor.from([5]) });
    expect(scale.value.toArray()).toEqual([5]);
  });

  test('loading is strict over all layers, and nothing is half-loaded', () => {
    const model = new Sequential(make());
    const before = model.stateDict()['rnn.bias_ih_l0']?.toArray();
    const state = new Sequential(make()).stateDict();
    state['rnn.bias_ih_l0'] = Tensor.from([1, 2, 3], { dtype: 'float64' });
    expectRefused(
      () => model.loadStateDict({ ...state, 'ln.bias': Tensor.from([1], { dtype: 'float64' }) }),
      'ERR_SHAPE',
      'state["ln.bias"]',
    );
    const { 'ln.bias': _, ...incomplete } = state;
    expectRefused(() => model.loadStateDict(incomplete), 'ERR_STATE', 'Missing: ln.bias.');
    expect(model.stateDict()['rnn.bias_ih_l0']?.toArray()).toEqual(before);
    model.loadStateDict(state);
    expect(model.stateDict()['rnn.bias_ih_l0']?.toArray()).toEqual([1, 2, 3]);
  });

  test('layers of unlike size or dtype are found out at the first forward call', () => {
    const wrongSize = new Sequential([makeRNN(), new LayerNorm({ size: 4, dtype: 'float64' })]);
    expectRefused(() => wrongSize.forward(random([1, 1, 2])), 'ERR_SHAPE', 'input: expected shape [..., 4], got [1, 1, 3]');
    const wrongType = new Sequential([makeRNN(), new LayerNorm({ size: 3 })]);
    expectRefused(() => wrongType.forward(random([1, 1, 2])), 'ERR_DTYPE', 'input: expected a float32 tensor, got float64');
  });
});
