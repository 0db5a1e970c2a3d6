import {
  Adam,
  AdamW,
  AdaptiveGradientClipping,
  clipGradNorm,
  clipGradValue,
  crossEntropyLoss,
  Embedding,
  fit,
  Generator,
  GRU,
  getNumThreads,
  Linear,
  type Parameter,
  RMSprop,
  Sequential,
  SGD,
  setNumThreads,
  Tensor,
} from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';
import { checkGradients, dot } from '../helpers/gradient-check';

const dtype = 'float64';
const [V, D] = [9, 4];
const make = (options: { sparse?: boolean; paddingIndex?: number; vocabularySize?: number } = {}) =>
  new Embedding({ vocabularySize: V, embeddingSize: D, dtype, generator: new Generator(1), ...options });
const random = (shape: number[], seed = 1) => Tensor.randn(shape, { dtype, generator: new Generator(seed) });
const symbols = (numbers: number[], shape = [numbers.length]) => new Tensor(Float64Array.from(numbers), shape);
const rowOf = ({ data }: Tensor, row: number) => [...data.subarray(row * D, (row + 1) * D)];
const threads = getNumThreads();
afterAll(() => setNumThreads(threads));

test('gives the row of each symbol, and adds each gradient to its row', () => {
  const layer = make({ paddingIndex: 2 });
  const [weight] = layer.parameters() as [Parameter];
  const output = layer.forward(symbols([3, 2, 3, 8], [2, 2]));
  expect(output.shape).toEqual([2, 2, D]);
  for (const [i, symbol] of [3, 2, 3, 8].entries()) expect(rowOf(output, i)).toEqual(rowOf(weight.value, symbol));
  expect(rowOf(weight.value, 2)).toEqual([0, 0, 0, 0]);
  const dy = random([2, 2, D], 2);
  const gradInput = layer.backward(dy);
  expect(gradInput.shape).toEqual([2, 2]);
  expect(gradInput.data.every((value) => value === 0)).toBe(true);
  expect(rowOf(weight.grad, 3)).toEqual(rowOf(dy, 0).map((value, i) => value + (rowOf(dy, 2)[i] as number)));
  expect(rowOf(weight.grad, 8)).toEqual(rowOf(dy, 3));
  for (const row of [0, 1, 2, 4, 5, 6, 7]) expect(rowOf(weight.grad, row)).toEqual([0, 0, 0, 0]);
});

test('its gradient agrees with central differences', () => {
  const layer = make();
  const [x, dy] = [symbols([3, 2, 3, 8, 0, 3]), random([6, D], 2)];
  layer.forward(x);
  layer.backward(dy);
  const [{ value, grad }] = layer.parameters() as [Parameter];
  checkGradients(() => dot(layer.forward(x), dy), { weight: { value, grad } });
});

test('steps that do not count may hold anything, and neither read nor change a row', () => {
  const layer = make();
  const output = layer.forward(symbols([3, Number.NaN, -1, 5, 6, 99], [2, 3]), { lengths: [1, 2] });
  expect(rowOf(output, 1)).toEqual([0, 0, 0, 0]);
  const dy = random([2, 3, D], 2);
  dy.data.fill(Number.NaN, D, 3 * D);
  layer.backward(dy);
  const [{ grad }] = layer.parameters() as [Parameter];
  expect([...grad.data].every(Number.isFinite)).toBe(true);
  for (const [row, from] of [
    [3, 0],
    [5, 3],
    [6, 4],
  ] as const)
    expect(rowOf(grad, row)).toEqual(rowOf(dy, from));
});

test('any number of threads gives the same bits, also of a symbol that is everywhere', () => {
  const generator = new Generator(4);
  const x = symbols(Array.from({ length: 5000 }, () => (generator.uniform() < 0.5 ? 7 : generator.integer(V))));
  const dy = random([5000, D], 2);
  const gradients = [1, 2, 3, 7].map((count) => {
    setNumThreads(count);
    const layer = make();
    layer.forward(x);
    layer.backward(dy);
    return layer.parameters()[0]?.grad.data;
  });
  for (const other of gradients) expect(other).toEqual(gradients[0]);
});

describe('with a sparse gradient', () => {
  const V2 = 1000;
  const steps = [[3, 7, 7], [999, 3], [0], [7, 500, 3, 3]];

  function train(
    sparse: boolean,
    optimizer: (list: Parameter[]) => SGD | Adam,
    between: (list: Parameter[]) => unknown = () => {},
  ): Tensor[] {
    const layer = make({ sparse, vocabularySize: V2 });
    const list = layer.parameters();
    const trainer = optimizer(list);
    const seen: unknown[] = [];
    for (const [index, numbers] of steps.entries()) {
      trainer.zeroGrad();
      layer.forward(symbols(numbers));
      layer.backward(random([numbers.length, D], index));
      seen.push(between(list));
      trainer.step();
    }
    const [{ value, grad }] = list as [Parameter];
    return [value, grad, new Tensor(Float64Array.from(seen.flat() as number[]), [seen.flat().length])];
  }

  test.each<[string, (list: Parameter[]) => unknown]>([
    ['nothing', () => []],
    ['clipGradNorm', (list) => [clipGradNorm(list, { maxNorm: 0.5 })]],
    ['clipGradNorm, largest', (list) => [clipGradNorm(list, { maxNorm: 0.5, normType: Number.POSITIVE_INFINITY })]],
    ['clipGradValue', (list) => [clipGradValue(list, { clipValue: 0.3 })].slice(1)],
    ['AdaptiveGradientClipping', (list) => [new AdaptiveGradientClipping({ ratio: 0.1 }).clip(list).norm]],
  ])('SGD makes the steps of a dense one, with %s in between', (_, between) => {
    const make = (list: Parameter[]) => new SGD(list, { learningRate: 0.3 });
    const [dense, sparse] = [train(false, make, between), train(true, make, between)];
    for (const [index, tensor] of dense.entries()) {
      if (tensor.size > 0) expectClose(sparse[index] as Tensor, tensor, { within: 1e-15 });
    }
  });

  test('Adam leaves rows alone that were not used, and so their averages', () => {
    const [value] = train(true, (list) => new Adam(list, { learningRate: 0.1 })) as [Tensor];
    const before = make({ vocabularySize: V2 }).parameters()[0]?.value as Tensor;
    const used = new Set(steps.flat());
    for (let row = 0; row < V2; row++) expect(rowOf(value, row).some((x, i) => x !== rowOf(before, row)[i])).toBe(used.has(row));
  });

  test('what cannot leave rows alone is refused', () => {
    const list = make({ sparse: true }).parameters();
    expectRefused(() => new SGD(list, { learningRate: 0.1, momentum: 0.9 }), 'ERR_OPTION', 'momentum: expected 0 for a sparse gradient');
    expectRefused(() => new SGD(list, { learningRate: 0.1, weightDecay: 0.1 }), 'ERR_OPTION', 'weightDecay: expected 0');
    expectRefused(() => new Adam(list, { amsgrad: true }), 'ERR_OPTION', 'amsgrad: expected false');
    expectRefused(() => new AdamW(list), 'ERR_OPTION', 'weightDecay: expected 0');
    expectRefused(() => new RMSprop(list), 'ERR_OPTION', 'dense gradients');
  });

  test('fit trains it, and a step that is refused leaves no trace', async () => {
    const models = [true, false].map((sparse) => {
      const generator = new Generator(1);
      return new Sequential({
        embedding: new Embedding({ vocabularySize: 50, embeddingSize: 4, sparse, dtype, generator }),
        rnn: new GRU({ inputSize: 4, hiddenSize: 5, dtype, generator }),
        head: new Linear({ inputSize: 5, outputSize: 50, dtype, generator }),
      });
    }) as [Sequential, Sequential];
    const batch = { input: symbols([3, 7, 9, 3, 1, 0], [2, 3]), target: [7, 9, 3, 1, 4, 4], lengths: [3, 2] };
    const [sparse, dense] = await Promise.all(
      models.map(async (model) => {
        const optimizer = new SGD(model.parameters(), { learningRate: 0.5 });
        const { loss } = await fit(model, [batch, batch, batch], { loss: crossEntropyLoss, optimizer, clip: { maxNorm: 0.5 } });
        return { loss, weight: model.stateDict()['embedding.weight'] as Tensor };
      }),
    );
    expect(sparse?.loss[2]).toBeLessThan(sparse?.loss[0] as number);
    expectClose(sparse?.weight as Tensor, dense?.weight as Tensor, { within: 1e-14 });
    const [model] = models;
    const before = (model.stateDict()['embedding.weight'] as Tensor).data.slice();
    const huge = new SGD(model.parameters(), { learningRate: Number.MAX_VALUE });
    const history = await fit(model, [batch], {
      loss(output, labels: number[], options) {
        const { value, grad } = crossEntropyLoss(output, labels, options);
        return { value, grad: new Tensor(grad.data.map((x) => x * 1e10) as Float64Array, grad.shape) };
      },
      optimizer: huge,
      nonFinite: 'skip',
    });
    expect(history.skipped).toEqual([true]);
    expect((model.stateDict()['embedding.weight'] as Tensor).data).toEqual(before);
  });
});

test('symbols in shared memory are copied before they are checked', () => {
  const shared = new Float64Array(new SharedArrayBuffer(4 * 8));
  shared.set([1, 2, 3, 4]);
  const layer = make();
  layer.forward(new Tensor(shared, [4]));
  shared.fill(1e9);
  layer.backward(random([4, D]));
  const [{ grad }] = layer.parameters() as [Parameter];
  expect(rowOf(grad, 1)).toEqual(rowOf(random([4, D]), 0));
});

test('refuses what is no symbol, and names its place', () => {
  const layer = make();
  for (const bad of [-1, V, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expectRefused(() => layer.forward(symbols([0, bad])), 'ERR_OPTION', 'input[1]: expected a symbol, a whole number from 0 to 8');
  }
  expectRefused(() => layer.forward(Tensor.zeros([2])), 'ERR_DTYPE', 'float64');
  expectRefused(() => layer.forward(symbols([])), 'ERR_SHAPE', 'at least one symbol');
  expectRefused(() => make({ paddingIndex: V }), 'ERR_OPTION', 'paddingIndex: expected an integer from 0 to 8');
  expectRefused(() => new Embedding({ vocabularySize: 2 ** 24 + 1, embeddingSize: 1 }), 'ERR_OPTION', 'vocabularySize');
});
