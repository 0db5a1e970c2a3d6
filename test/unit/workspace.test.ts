import {
  Adam,
  clipGradNorm,
  crossEntropyLoss,
  Generator,
  LastStep,
  type Layer,
  LayerNorm,
  Linear,
  mseLoss,
  RMSNorm,
  RNN,
  Sequential,
  Tensor,
  Workspace,
} from '../../lib/index';
import { detach, expectRefused } from '../helpers/errors';

const generator = () => new Generator(5);
const tensor = (shape: readonly number[], seed: number) => Tensor.randn(shape, { generator: new Generator(seed) });

const layers: [string, () => Layer][] = [
  ['RNN', () => new RNN({ inputSize: 3, hiddenSize: 4, generator: generator() })],
  ['RNN that keeps few states', () => new RNN({ inputSize: 3, hiddenSize: 4, generator: generator(), checkpointing: { every: 2 } })],
  ['RNN that returns its last state', () => new RNN({ inputSize: 3, hiddenSize: 4, generator: generator(), returnSequences: false })],
  ['LayerNorm', () => new LayerNorm({ size: 3 })],
  ['RMSNorm', () => new RMSNorm({ size: 3 })],
  ['Linear', () => new Linear({ inputSize: 3, outputSize: 4, generator: generator() })],
  ['Linear without bias', () => new Linear({ inputSize: 3, outputSize: 4, bias: false, generator: generator() })],
  ['LastStep', () => new LastStep()],
  ['Sequential', () => new Sequential([new RNN({ inputSize: 3, hiddenSize: 4, generator: generator() }), new LayerNorm({ size: 4 })])],
];

/** One forward and backward pass; everything that it returned. */
function pass(layer: Layer, seed: number): Tensor[] {
  const output = layer.forward(tensor([2, 5, 3], seed));
  const loss = mseLoss(output, tensor(output.shape, seed + 1));
  const labels = Int32Array.from({ length: output.size / (output.shape.at(-1) as number) }, (_, row) => row % 3);
  return [output, loss.grad, crossEntropyLoss(output, labels).grad, layer.backward(loss.grad)];
}

const spoil = (tensors: readonly Tensor[]) => {
  for (const { data } of tensors) data.fill(Number.NaN);
};

describe.each(layers)('%s', (_, make) => {
  test('gives the numbers that it gives in new memory, whatever the memory held', () => {
    const [layer, twin] = [make(), make()];
    const workspace = new Workspace();
    for (const seed of [1, 11, 21]) {
      const expected = pass(twin, seed);
      const results = workspace.run(() => pass(layer, seed));
      expect(results.map(({ data }) => [...data])).toEqual(expected.map(({ data }) => [...data]));
      for (const [index, { grad }] of layer.parameters().entries()) expect(grad).toEqual(twin.parameters()[index]?.grad);
      spoil(results);
    }
  });

  test('takes the memory of the run before', () => {
    const layer = make();
    const workspace = new Workspace();
    const buffers = () => workspace.run(() => pass(layer, 1)).map(({ data }) => data.buffer);
    const first = buffers();
    expect(new Set(first).size).toBe(first.length);
    expect(buffers()).toEqual(first);
    expect(buffers().every((buffer, index) => buffer === first[index])).toBe(true);
  });
});

test('a whole training run gives the same weights', () => {
  const train = (step: (body: () => void) => void) => {
    const model = new Sequential([
      new RNN({ inputSize: 3, hiddenSize: 4, generator: generator() }),
      new LayerNorm({ size: 4 }),
      new LastStep(),
      new Linear({ inputSize: 4, outputSize: 2, generator: generator() }),
    ]);
    const optimizer = new Adam(model.parameters(), { learningRate: 0.01 });
    for (let seed = 0; seed < 12; seed++) {
      step(() => {
        optimizer.zeroGrad();
        // Every third batch is smaller.
        const n = seed % 3 === 0 ? 2 : 4;
        const { grad } = mseLoss(model.forward(tensor([n, 6, 3], seed)), tensor([n, 2], seed + 50));
        model.backward(grad);
        clipGradNorm(model.parameters(), { maxNorm: 0.5 });
        optimizer.step();
      });
    }
    return model.parameters().map(({ value }) => value.toArray());
  };
  const workspace = new Workspace();
  expect(train((body) => workspace.run(body))).toEqual(train((body) => body()));
});

test('memory of another shape or dtype, or that was transferred away, is not used', () => {
  const workspace = new Workspace();
  const norm = (rows: number, dtype: 'float32' | 'float64' = 'float32') =>
    workspace.run(() => new LayerNorm({ size: 3, dtype }).forward(Tensor.zeros([rows, 3], { dtype })));
  const first = norm(2);
  expect(norm(3).data.buffer).not.toBe(first.data.buffer);
  expect(norm(3, 'float64').dtype).toBe('float64');
  const last = norm(2);
  detach(last.data);
  expect(norm(2).size).toBe(6);
});

test('outside of a run, and in runs of two workspaces, memory is not shared', () => {
  const layer = new LayerNorm({ size: 3 });
  const input = tensor([2, 3], 1);
  const [one, two] = [new Workspace(), new Workspace()];
  const results = [one.run(() => layer.forward(input)), two.run(() => layer.forward(input)), layer.forward(input), layer.forward(input)];
  expect(new Set(results.map(({ data }) => data.buffer)).size).toBe(4);
});

test("an RNN's final state and gradient of the initial state outlive the next run", () => {
  const rnn = new RNN({ inputSize: 3, hiddenSize: 4, generator: generator() });
  const workspace = new Workspace();
  workspace.run(() => pass(rnn, 1));
  const kept = [rnn.finalState, rnn.gradInitialState];
  const before = kept.map((state) => state.toArray());
  workspace.run(() => pass(rnn, 2));
  expect(kept.map((state) => state.toArray())).toEqual(before);
});

test('runs do not nest, and an error in a run ends it', () => {
  const workspace = new Workspace();
  const nested = () => workspace.run(() => new Workspace().run(() => 1));
  expectRefused(nested, 'ERR_STATE', 'Workspace.run: expected no other run under way');
  const mine = new Error('mine');
  expect(() =>
    workspace.run(() => {
      throw mine;
    }),
  ).toThrow(mine);
  expect(workspace.run(() => 7)).toBe(7);
});

test('an asynchronous body is refused, and what becomes of it bothers nobody', async () => {
  const workspace = new Workspace();
  const body = async () => {
    await Promise.resolve();
    throw new Error('later');
  };
  expectRefused(() => workspace.run(body), 'ERR_OPTION', 'body: expected a synchronous function, got one that returns a promise');
  await new Promise((resolve) => setImmediate(resolve));
  expect(workspace.run(() => 1)).toBe(1);
});

test('a body that is no function is refused', () => {
  expectRefused(() => new Workspace().run(3 as never), 'ERR_OPTION', 'body: expected a function');
});
