import { type DType, Generator, type NormalizationOptions, type Placement, RNN, type RNNOptions, Tensor } from '../../lib/index';
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
