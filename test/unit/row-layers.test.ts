import {
  Activation,
  type ActivationKind,
  type DType,
  Generator,
  LastStep,
  type Layer,
  LayerNorm,
  Linear,
  RMSNorm,
  Tensor,
} from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';

const random = (shape: number[], dtype: DType = 'float64', seed = 1) => Tensor.randn(shape, { dtype, generator: new Generator(seed) });

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

describe('Activation', () => {
  const of = (kind: ActivationKind, values: number[]) =>
    new Activation({ kind }).forward(Tensor.from(values, { dtype: 'float64' })).toArray();

  test('has the values that its formulas have', () => {
    expect(of('relu', [-2, 0, 3])).toEqual([0, 0, 3]);
    expect(of('tanh', [0, 1])).toEqual([0, Math.tanh(1)]);
    expect(of('sigmoid', [0, Math.log(3)])).toEqual([0.5, expect.closeTo(0.75, 15)]);
    expect(of('softmax', [0, Math.log(3)])).toEqual([expect.closeTo(0.25, 15), expect.closeTo(0.75, 15)]);
  });

  test('stays in range where e^x does not', () => {
    expect(of('softmax', [1000, 0, 1000])).toEqual([0.5, 0, 0.5]);
    expect(of('sigmoid', [-1000, 1000])).toEqual([0, 1]);
  });

  test.each(['relu', 'tanh', 'sigmoid', 'softmax'] as const)('%s: a NaN comes out, in its row alone', (kind) => {
    const layer = new Activation({ kind });
    const output = layer.forward(new Tensor(Float32Array.of(Number.NaN, 1, 1, 2), [2, 2]));
    expect(output.data[0]).toBeNaN();
    expect([...output.data.subarray(2)].every(Number.isFinite)).toBe(true);
    layer.forward(Tensor.from([[0.5, 1]]));
    expect(layer.backward(Tensor.from([[Number.NaN, 1]])).data[0]).toBeNaN();
  });

  test('relu passes no gradient at 0, as PyTorch', () => {
    const layer = new Activation({ kind: 'relu' });
    layer.forward(Tensor.from([0, 1, -1]));
    expect(layer.backward(Tensor.from([5, 5, 5])).toArray()).toEqual([0, 5, 0]);
  });

  test('refuses what has no rows, and a kind that it does not know', () => {
    const layer = new Activation({ kind: 'relu' });
    for (const shape of [[], [0, 3]])
      expectRefused(() => layer.forward(Tensor.zeros(shape)), 'ERR_SHAPE', 'input: expected shape [..., width]');
    expectRefused(() => new Activation({ kind: 'gelu' as 'relu' }), 'ERR_OPTION', 'kind: expected one of');
  });
});
