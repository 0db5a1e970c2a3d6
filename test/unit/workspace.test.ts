import {
  Activation,
  Adam,
  clipGradNorm,
  crossEntropyLoss,
  fit,
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
  ['Activation', () => new Activation({ kind: 'softmax' })],
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

test.each([Object.freeze, Object.seal, Object.preventExtensions])('%p on a tensor of a run stops no later run', (harden) => {
  const make = () => new Linear({ inputSize: 3, outputSize: 4, generator: generator() });
  const [layer, twin] = [make(), make()];
  const workspace = new Workspace();
  const frozen = workspace.run(() => layer.forward(tensor([2, 5, 3], 1)));
  harden(frozen);
  const before = [...frozen.data];
  for (const seed of [2, 3]) {
    const output = workspace.run(() => layer.forward(tensor([2, 5, 3], seed)));
    expect([...output.data]).toEqual([...twin.forward(tensor([2, 5, 3], seed)).data]);
  }
  // What is frozen keeps its elements; all else has expired.
  expect([...frozen.data]).toEqual(harden === Object.freeze ? before : []);
});

test('a class for a body is refused with an error of the library', () => {
  expectRefused(
    () => new Workspace().run(class {} as unknown as () => void),
    'ERR_OPTION',
    'body: expected a function to call, got a class',
  );
});

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
    const second = buffers();
    expect(second).toHaveLength(first.length);
    expect(second.every((buffer, index) => buffer === first[index])).toBe(true);
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

test("an RNN's final state and gradient of the initial state outlive the next run, but not the one after it", () => {
  const rnn = new RNN({ inputSize: 3, hiddenSize: 4, generator: generator() });
  const workspace = new Workspace();
  workspace.run(() => pass(rnn, 1));
  const kept = [rnn.finalState, rnn.gradInitialState];
  const before = kept.map((state) => state.toArray());
  workspace.run(() => {
    pass(rnn, 2);
    rnn.forward(tensor([2, 5, 3], 3), { initialState: kept[0] as Tensor });
  });
  expect(kept.map((state) => state.toArray())).toEqual(before);
  workspace.run(() => pass(rnn, 3));
  for (const state of kept) expectRefused(() => rnn.forward(tensor([2, 5, 3], 3), { initialState: state }), 'ERR_STATE', 'earlier run');
});

test('a stateful RNN goes on from a state of any run', () => {
  const [rnn, twin] = [0, 1].map(() => new RNN({ inputSize: 3, hiddenSize: 4, generator: generator(), stateful: true })) as [RNN, RNN];
  const workspace = new Workspace();
  for (const seed of [1, 2, 3]) {
    const expected = twin.forward(tensor([2, 5, 3], seed)).toArray();
    expect(workspace.run(() => rnn.forward(tensor([2, 5, 3], seed)).toArray())).toEqual(expected);
    for (let other = 0; other < 3; other++) workspace.run(() => pass(new LayerNorm({ size: 3 }), other));
  }
});

test.each<[string, (tensor: Tensor) => unknown]>([
  ['a layer', (old) => new LayerNorm({ size: 3 }).forward(old)],
  ['a loss', (old) => mseLoss(old, tensor(old.shape, 2))],
  ['toArray', (old) => old.toArray()],
])('%s refuses a tensor of an earlier run, and its elements cannot be read', (_, use) => {
  const layer = new LayerNorm({ size: 3 });
  const workspace = new Workspace();
  const old = workspace.run(() => layer.forward(tensor([2, 3], 1)));
  use(old);
  expect(old.data.every(Number.isFinite)).toBe(true);
  workspace.run(() => layer.forward(tensor([2, 3], 2)));
  expectRefused(() => use(old), 'ERR_STATE', 'one of an earlier run');
  expect(old.data).toHaveLength(0);
  expect(Object.isFrozen(old)).toBe(true);
});

test('backward of a forward call in an earlier run is refused', () => {
  const [first, second] = [new LayerNorm({ size: 3 }), new LayerNorm({ size: 3 })];
  const workspace = new Workspace();
  workspace.run(() => second.forward(first.forward(tensor([2, 3], 1))));
  workspace.run(() => expectRefused(() => second.backward(tensor([2, 3], 2)), 'ERR_STATE', 'one of an earlier run'));
  const rnn = new RNN({ inputSize: 3, hiddenSize: 4, generator: generator() });
  workspace.run(() => rnn.forward(tensor([2, 5, 3], 1)));
  workspace.run(() => expectRefused(() => rnn.backward(tensor([2, 5, 4], 2)), 'ERR_STATE', 'output of the last forward call'));
});

describe('after the first steps', () => {
  const model = () =>
    new Sequential([
      new RNN({ inputSize: 10, hiddenSize: 64, generator: generator(), normalization: 'preactivation' }),
      new RMSNorm({ size: 64 }),
      new RNN({ inputSize: 64, hiddenSize: 64, generator: generator(), returnSequences: false }),
      new LayerNorm({ size: 64 }),
      new Linear({ inputSize: 64, outputSize: 32, generator: generator() }),
    ]);
  const batch = { input: tensor([32, 50, 10], 1), target: tensor([32, 32], 2) };
  const arrayBytes = () => process.memoryUsage().arrayBuffers;

  test('a loop allocates no arrays, and the system no pages', () => {
    const trained = model();
    const optimizer = new Adam(trained.parameters());
    const workspace = new Workspace();
    const step = () =>
      workspace.run(() => {
        optimizer.zeroGrad();
        trained.backward(mseLoss(trained.forward(batch.input), batch.target).grad);
        clipGradNorm(trained.parameters(), { maxNorm: 1 });
        optimizer.step();
      });
    for (let warmUp = 0; warmUp < 30; warmUp++) step();
    const bytes: number[] = [];
    const faults = process.resourceUsage().minorPageFault;
    for (let count = 0; count < 100; count++) {
      step();
      bytes.push(arrayBytes());
    }
    // A collection may free what came before; nothing may be added. An output alone is 410 kB, 100 pages; V8 itself takes some.
    for (const [index, now] of bytes.entries()) expect(now).toBeLessThanOrEqual(bytes[index - 1] ?? now);
    expect((process.resourceUsage().minorPageFault - faults) / 100).toBeLessThan(50);
  });

  test('so does fit', async () => {
    const bytes: number[] = [];
    const trained = model();
    await fit(
      trained,
      Array.from({ length: 40 }, () => batch),
      {
        optimizer: new Adam(trained.parameters()),
        loss: mseLoss,
        epochs: 1,
        onStep: () => {
          bytes.push(arrayBytes());
        },
      },
    );
    for (const [index, now] of bytes.entries()) if (index > 3) expect(now).toBeLessThanOrEqual(bytes[index - 1] as number);
  });
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

test('what a body returns is handed back as it is, also where asking it for a method throws', () => {
  const trap = new Proxy(
    {},
    {
      get() {
        throw new Error('a trap');
      },
    },
  );
  expect(new Workspace().run(() => trap) === trap).toBe(true);
});

test('a body that is no function is refused', () => {
  expectRefused(() => new Workspace().run(3 as never), 'ERR_OPTION', 'body: expected a function');
});
