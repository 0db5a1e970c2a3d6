import { Tensor } from '../../lib/index';
import { copyState, matchState } from '../../lib/state-dict';
import { detach, expectRefused } from '../helpers/errors';

const own = () => ({ weight: Tensor.from([[1, 2]]), bias: Tensor.from([3]) });

test('copies values, and leaves the given tensors alone', () => {
  const [target, source] = [own(), { bias: Tensor.from([30]), weight: Tensor.from([[10, 20]]) }];
  copyState(matchState('state', target, source));
  expect(target.weight.toArray()).toEqual([[10, 20]]);
  expect(target.bias.toArray()).toEqual([30]);
  source.bias.data[0] = 99;
  expect(target.bias.toArray()).toEqual([30]);
});

test('two tensors may change places', () => {
  const target = { a: Tensor.from([1]), b: Tensor.from([2]) };
  copyState(matchState('state', target, { a: target.b, b: target.a }));
  expect([target.a.toArray(), target.b.toArray()]).toEqual([[2], [1]]);
});

test('lists every name that is missing or unexpected', () => {
  expectRefused(
    () => matchState('state', own(), { weights: Tensor.from([1]), bias: Tensor.from([1]), extra: Tensor.from([1]) }),
    'ERR_STATE',
    'state: expected exactly the 2 names of the state dict. Missing: weight. Unexpected: weights, extra.',
  );
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`x${i}`, Tensor.from(1)]));
  expectRefused(() => matchState('state', {}, many), 'ERR_STATE', 'x19 and 30 more');
});

test('names of Object.prototype are names like others', () => {
  expectRefused(() => matchState('state', { toString: Tensor.from(1) }, {}), 'ERR_STATE', 'Missing: toString');
  expectRefused(() => matchState('state', {}, JSON.parse('{"__proto__": 1}')), 'ERR_STATE', 'Unexpected: __proto__');
});

test.each<[unknown, 'ERR_SHAPE' | 'ERR_DTYPE' | 'ERR_OPTION', string]>([
  [{ weight: Tensor.from([1, 2]), bias: Tensor.from([3]) }, 'ERR_SHAPE', 'state["weight"]: expected shape [1, 2], got [2]'],
  [
    { weight: Tensor.from([[1, 2]], { dtype: 'float64' }), bias: Tensor.from([3]) },
    'ERR_DTYPE',
    'state["weight"]: expected a float32 tensor',
  ],
  [{ weight: [[1, 2]], bias: Tensor.from([3]) }, 'ERR_OPTION', 'state["weight"]: expected a Tensor, got an array'],
  [new Map(), 'ERR_OPTION', 'state: expected a record of tensors by name, got an instance of Map'],
  [null, 'ERR_OPTION', 'got null'],
])('refuses %# and changes nothing', (given, code, text) => {
  const target = own();
  expectRefused(() => copyState(matchState('state', target, given)), code, text);
  expect(target.weight.toArray()).toEqual([[1, 2]]);
});

test('refuses when a buffer of either side is gone', () => {
  const [gone, source] = [own(), own()];
  detach(gone.weight.data);
  expectRefused(() => matchState('state', gone, source), 'ERR_STATE', 'weight: expected the 2 elements');
  expectRefused(() => matchState('state', source, gone), 'ERR_STATE', 'state["weight"]');
});

describe("the hint for PyTorch's names", () => {
  const one = Tensor.from(1);
  const own = { weight_ih_l0: one, bias_ih_l0: one };
  const named = (...names: string[]) => Object.fromEntries(names.map((name) => [name, one]));

  test('names the prefix that a module around this one put there', () => {
    const hint = 'Take "module." away from the names: a module around this one, such as DataParallel';
    expectRefused(() => matchState('state', own, named('module.weight_ih_l0', 'module.bias_ih_l0')), 'ERR_STATE', hint);
    expectRefused(
      () => matchState('state', own, named('module.rnn.weight_ih_l0', 'module.rnn.bias_ih_l0')),
      'ERR_STATE',
      'Take "module.rnn." away',
    );
    expectRefused(
      () => matchState('state', { 'rnn.w': one, 'ln.w': one }, named('module.rnn.w', 'module.ln.w')),
      'ERR_STATE',
      'Take "module." away',
    );
  });

  test('names a further layer and a second direction', () => {
    const layers = ['_l0', '_l1'].flatMap((layer) => [`module.weight_ih${layer}`, `module.bias_ih${layer}`]);
    expectRefused(() => matchState('state', own, named(...layers)), 'ERR_STATE', 'Take "module." away');
    expectRefused(
      () => matchState('state', own, named(...layers)),
      'ERR_STATE',
      ' weight_ih_l1 is of a further layer: make this one with numLayers: 2.',
    );
    const both = ['weight_ih_l0', 'bias_ih_l0', 'weight_ih_l0_reverse', 'bias_ih_l0_reverse'];
    expectRefused(
      () => matchState('state', own, named(...both)),
      'ERR_STATE',
      ' weight_ih_l0_reverse is of a reverse direction: make the layer with bidirectional: true.',
    );
  });

  test('is not there for other names', () => {
    const others = [['weight', 'bias'], ['a.weight_ih', 'b.bias_ih_l0'], ['.', '..'], ['.weight', 'bias'], ['weight_ih_l0'], []];
    for (const names of others) {
      expect(() => matchState('state', own, named(...names))).toThrow(/Unexpected: [^ ]*(?:, [^ ]*)*\.$/);
    }
  });
});
