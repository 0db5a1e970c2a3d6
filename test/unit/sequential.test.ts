import {
  type DType,
  Generator,
  LastStep,
  type Layer,
  LayerNorm,
  Parameter,
  RMSNorm,
  RNN,
  type RNNOptions,
  Sequential,
  Tensor,
} from '../../lib/index';
import { expectRefused } from '../helpers/errors';

const options = { inputSize: 2, hiddenSize: 3, dtype: 'float64' as const };
const random = (shape: number[], dtype: DType = 'float64', seed = 1) => Tensor.randn(shape, { dtype, generator: new Generator(seed) });
const makeRNN = (extra: Partial<RNNOptions> = {}) => new RNN({ ...options, generator: new Generator(7), ...extra });

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
