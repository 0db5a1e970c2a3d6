// What layers carry from one forward call to the next can be taken out and put back, whole or not at all.
import { Generator, type Layer, Linear, RNN, Sequential, Tensor } from '../../lib/index';
import { expectRefused } from '../helpers/errors';

const float64 = { dtype: 'float64' } as const;
const input = (n = 2, seed = 3) => Tensor.randn([n, 3, 2], { ...float64, generator: new Generator(seed) });
const makeRNN = (stateful = true) => new RNN({ inputSize: 2, hiddenSize: 2, stateful, generator: new Generator(1), ...float64 });
const makeModel = () =>
  new Sequential([
    new Sequential({ first: makeRNN() }),
    makeRNN(),
    new Linear({ inputSize: 2, outputSize: 2, generator: new Generator(5), ...float64 }),
  ]);

test.each<[string, () => Required<Pick<Layer, 'forward' | 'carriedState' | 'loadCarriedState'>>, string[]]>([
  ['an RNN', makeRNN, ['state']],
  ['a Sequential in a Sequential', makeModel, ['0.first.state', '1.state']],
])('%s goes on from where it was, and so does another', (_, make, names) => {
  const layer = make();
  expect(layer.carriedState()).toEqual({});
  const first = layer.forward(input()).toArray();
  const carried = layer.carriedState();
  expect(Object.keys(carried)).toEqual(names);
  const second = layer.forward(input()).toArray();
  expect(second).not.toEqual(first);
  layer.forward(input());
  layer.loadCarriedState(carried);
  expect(layer.forward(input()).toArray()).toEqual(second);
  const other = make();
  other.loadCarriedState(carried);
  expect(other.forward(input()).toArray()).toEqual(second);
  layer.loadCarriedState({});
  expect(layer.forward(input()).toArray()).toEqual(first);
});

test('what was given may change afterwards', () => {
  const rnn = makeRNN();
  const state = Tensor.from([[1, 2]], float64);
  rnn.loadCarriedState({ state });
  state.data.fill(Number.NaN);
  expect(rnn.carriedState().state?.toArray()).toEqual([[1, 2]]);
});

test('a layer that is not stateful carries nothing', () => {
  const rnn = makeRNN(false);
  rnn.forward(input());
  expect(rnn.carriedState()).toEqual({});
  rnn.loadCarriedState({});
  expect(rnn.finalState.shape).toEqual([2, 2]);
  expectRefused(() => rnn.loadCarriedState({ state: rnn.finalState }), 'ERR_STATE', 'this layer carries no state');
});

test.each<[string, unknown, string, string]>([
  ['nothing', undefined, 'ERR_OPTION', 'a record of tensors'],
  ['a name of no layer', { '5.state': Tensor.zeros([2, 2], float64) }, 'ERR_STATE', 'begin with one of 0, 1, 2'],
  ['a name without a layer', { state: Tensor.zeros([2, 2], float64) }, 'ERR_STATE', 'begin with one of'],
  ['a name that a layer does not know', { '1.cell': Tensor.zeros([2, 2], float64) }, 'ERR_STATE', 'got "cell"'],
  ['a state for a layer without one', { '2.state': Tensor.zeros([2, 2], float64) }, 'ERR_STATE', 'carries no state'],
  ['another width', { '0.first.state': Tensor.zeros([2, 2], float64), '1.state': Tensor.zeros([2, 3], float64) }, 'ERR_SHAPE', '[N, 2]'],
  ['another dtype', { '1.state': Tensor.zeros([2, 2]) }, 'ERR_DTYPE', 'float64'],
  ['an array', { '1.state': [1, 2] }, 'ERR_OPTION', 'a Tensor'],
])('%s is refused, and nothing is changed', (_, state, code, text) => {
  const model = makeModel();
  model.forward(input());
  const before = model.carriedState();
  expectRefused(() => model.loadCarriedState(state as Record<string, Tensor>), code as 'ERR_STATE', text);
  expect(model.carriedState()).toEqual(before);
});
