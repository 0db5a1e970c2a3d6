// Several layers and both directions: what does not need a reference.
import {
  Adam,
  type Checkpointing,
  Generator,
  GRU,
  gradientFlow,
  LSTM,
  type LSTMState,
  lyapunovExponents,
  mseLoss,
  type RecurrentLayer,
  RNN,
  Sequential,
  setNumThreads,
  Tensor,
  Workspace,
} from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';

const dtype = 'float64';
const [N, T, I, H] = [5, 12, 3, 4];
const lengths = [7, 12, 0, 1, 7];
const random = (shape: readonly number[], seed = 1) => Tensor.randn(shape, { dtype, generator: new Generator(seed) });
const seeded = () => ({ dtype, generator: new Generator(9) }) as const;

const CELLS = { rnn: RNN, lstm: LSTM, gru: GRU };
const KINDS = Object.keys(CELLS) as (keyof typeof CELLS)[];
const make = (kind: keyof typeof CELLS, options: object = {}) =>
  new CELLS[kind]({ inputSize: I, hiddenSize: H, ...seeded(), ...options }) as RecurrentLayer<unknown>;
const gradientsOf = (layer: RecurrentLayer<unknown>) => layer.parameters().map(({ grad }) => grad.data.slice());
const partsOf = (state: unknown): Tensor[] => (state instanceof Tensor ? [state] : Object.values(state as LSTMState));

/** x with a number of its own kind where nothing counts. */
function padded(tensor: Tensor, value: number, counts: readonly number[] = lengths): Tensor {
  const [n, t, width] = tensor.shape as [number, number, number];
  const data = tensor.data.slice();
  for (let row = 0; row < n; row++) data.fill(value, (row * t + (counts[row] as number)) * width, (row + 1) * t * width);
  return new Tensor(data, tensor.shape);
}

/** All that a forward and a backward pass give. */
function passes(layer: RecurrentLayer<unknown>, x: Tensor, dy: Tensor, options: object = {}) {
  for (const { grad } of layer.parameters()) grad.data.fill(0);
  const output = layer.forward(x, options);
  const final = partsOf(layer.finalState).map(({ data }) => data.slice());
  const gradInput = layer.backward(dy);
  const initial = partsOf(layer.gradInitialState).map(({ data }) => data.slice());
  return { output: output.data.slice(), gradInput: gradInput.data.slice(), final, initial, gradients: gradientsOf(layer) };
}

describe.each(KINDS)('%s', (kind) => {
  test('a stack gives the bits of its layers one after another', () => {
    const stack = make(kind, { numLayers: 3 });
    const single = [I, H, H].map((inputSize) => make(kind, { inputSize }));
    for (const [index, layer] of single.entries()) {
      const own = Object.entries(stack.stateDict()).filter(([name]) => name.endsWith(`_l${index}`));
      layer.loadStateDict(Object.fromEntries(own.map(([name, tensor]) => [name.replace(/\d$/, '0'), tensor])));
    }
    const model = new Sequential(single);
    const [x, dy] = [random([N, T, I]), random([N, T, H], 2)];
    expect(stack.forward(x, { lengths }).data).toEqual(model.forward(x, { lengths }).data);
    expect(stack.backward(dy).data).toEqual(model.backward(dy).data);
    expect(gradientsOf(stack)).toEqual(single.flatMap(gradientsOf));
    for (const [index, layer] of single.entries()) {
      for (const [part, all] of partsOf(stack.finalState).entries()) {
        const own = partsOf(layer.finalState)[part] as Tensor;
        expect(all.data.slice(index * own.size, (index + 1) * own.size)).toEqual(own.data);
      }
    }
  });

  test('the reverse direction is a layer on the sequences from their ends', () => {
    const both = make(kind, { bidirectional: true });
    const one = make(kind);
    const own = Object.entries(both.stateDict()).filter(([name]) => name.endsWith('_reverse'));
    one.loadStateDict(Object.fromEntries(own.map(([name, tensor]) => [name.replace('_reverse', ''), tensor])));
    const x = random([N, T, I]);
    const flipped = new Tensor(x.data.slice(), x.shape);
    const flip = (from: Tensor, to: Tensor, width: number, column = 0, columns = width) => {
      for (const [row, length] of lengths.entries()) {
        for (let step = 0; step < length; step++) {
          const source = (row * T + length - 1 - step) * columns + column;
          to.data.set(from.data.subarray(source, source + width), (row * T + step) * width);
        }
      }
    };
    flip(x, flipped, I);
    const output = Tensor.zeros([N, T, H], { dtype });
    flip(both.forward(x, { lengths }), output, H, H, 2 * H);
    expect(output.data).toEqual(one.forward(flipped, { lengths }).data);
  });

  describe.each([
    { numLayers: 2 },
    { bidirectional: true },
    { numLayers: 2, bidirectional: true },
    { numLayers: 2, bidirectional: true, returnSequences: false },
  ])('%o', (options) => {
    const width = options.bidirectional ? 2 * H : H;
    const dy = random(options.returnSequences === false ? [N, width] : [N, T, width], 2);
    const x = random([N, T, I]);

    test('what stands in the padding changes nothing, and gets nothing', () => {
      const [clean, dirty] = [0, Number.NaN].map((value) =>
        passes(make(kind, options), padded(x, value), options.returnSequences === false ? dy : padded(dy, value), { lengths }),
      );
      expect(dirty).toEqual(clean);
      const { gradInput, output } = clean as ReturnType<typeof passes>;
      expect(padded(new Tensor(gradInput, x.shape), 0).data).toEqual(gradInput);
      if (options.returnSequences !== false) expect(padded(new Tensor(output, dy.shape), 0).data).toEqual(output);
    });

    test('permuting the batch permutes the results', () => {
      const order = [3, 0, 4, 2, 1];
      const permute = (tensor: Tensor) => {
        const size = tensor.size / N;
        const data = tensor.data.slice();
        for (const [to, from] of order.entries()) data.set(tensor.data.subarray(from * size, (from + 1) * size), to * size);
        return new Tensor(data, tensor.shape);
      };
      const first = passes(make(kind, options), x, dy, { lengths });
      const second = passes(make(kind, options), permute(x), permute(dy), { lengths: order.map((row) => lengths[row] as number) });
      expectClose(second.output, permute(new Tensor(first.output, dy.shape)).data, { within: 1e-13 });
      expectClose(second.gradInput, permute(new Tensor(first.gradInput, x.shape)).data, { within: 1e-12 });
      for (const [index, gradient] of first.gradients.entries())
        expectClose(second.gradients[index] as Float64Array, gradient, { within: 1e-12 });
    });

    test('same bits whatever the checkpointing, the number of threads, in a workspace and in predict', () => {
      const expected = passes(make(kind, options), x, dy, { lengths });
      for (const checkpointing of [{ every: 1 }, { every: 5 }, { budget: 3000 }] as Checkpointing[]) {
        try {
          expect(passes(make(kind, { ...options, checkpointing }), x, dy, { lengths })).toEqual(expected);
        } catch (error) {
          // A budget may be too small for some of these.
          if ((error as { code?: string }).code !== 'ERR_MEMORY' || !('budget' in (checkpointing as object))) throw error;
        }
      }
      for (const threads of [1, 2, 3, 7]) {
        setNumThreads(threads);
        expect(passes(make(kind, options), x, dy, { lengths })).toEqual(expected);
      }
      setNumThreads(2);
      const [layer, workspace] = [make(kind, options), new Workspace()];
      for (let run = 0; run < 3; run++) workspace.run(() => expect(passes(layer, x, dy, { lengths })).toEqual(expected));
      expect(layer.predict(x, { lengths }).data).toEqual(expected.output);
    });
  });

  test('the state of a stack goes on from call to call, and through carriedState', () => {
    const options = { numLayers: 2 };
    const [whole, parts, resumed] = [
      make(kind, options),
      make(kind, { ...options, stateful: true }),
      make(kind, { ...options, stateful: true }),
    ];
    const x = random([N, T, I]);
    const cut = (begin: number, end: number) =>
      new Tensor(
        Float64Array.from({ length: N * (end - begin) * I }, (_, index) => {
          const [row, rest] = [Math.floor(index / ((end - begin) * I)), index % ((end - begin) * I)];
          return x.data[row * T * I + begin * I + rest] as number;
        }),
        [N, end - begin, I],
      );
    whole.forward(x);
    parts.forward(cut(0, 5));
    resumed.loadCarriedState(parts.carriedState());
    for (const layer of [parts, resumed]) {
      layer.forward(cut(5, T));
      for (const [index, part] of partsOf(whole.finalState).entries())
        expectClose(partsOf(layer.finalState)[index] as Tensor, part, { within: 1e-14 });
    }
    const single = make(kind, { stateful: true });
    single.forward(x);
    expectRefused(() => parts.loadCarriedState(single.carriedState()), 'ERR_SHAPE');
    expectRefused(() => parts.forward(random([N + 1, T, I])), 'ERR_SHAPE', '5 sequences');
  });

  test('gradientFlow has an entry for each layer and direction', () => {
    const model = new Sequential({ cell: make(kind, { numLayers: 2, bidirectional: true }) });
    const { layers } = gradientFlow(model, random([4, 30, I]), { loss: 'all-steps' });
    expect(layers.map(({ name }) => name)).toEqual(['cell.l0', 'cell.l0_reverse', 'cell.l1', 'cell.l1_reverse']);
    for (const { logNorms } of layers) expect(logNorms).toHaveLength(30);
  });

  test('the limit of the state gradient acts in each layer and direction', () => {
    const layer = make(kind, { numLayers: 2, bidirectional: true, stateGradientLimit: 1e-6 });
    layer.recordStateGradients = true;
    layer.forward(random([N, T, I]));
    layer.backward(random([N, T, 2 * H], 2));
    // What the last layer lets through may be below the limit of the first.
    expect(layer.limitedStateGradients).toBeGreaterThanOrEqual(2 * N * T);
    expect(layer.stateGradientLogNorms.shape).toEqual([4, N, T]);
    expect(layer.stateLogNorms.shape).toEqual([4, N, T]);
    for (const part of Object.values(layer.stateGradientPartLogNorms)) expect(part.shape).toEqual([4, N, T]);
  });
});

test('normalisations of several layers have names of their own', () => {
  const names = new LSTM({
    ...seeded(),
    inputSize: I,
    hiddenSize: H,
    bidirectional: true,
    normalization: 'hidden',
    cellNormalization: 'output',
  });
  expect(names.parameters().map(({ name }) => name)).toEqual([
    ...['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0'],
    ...['norm.weight', 'norm.bias', 'norm_cell.weight', 'norm_cell.bias'],
    ...['weight_ih_l0_reverse', 'weight_hh_l0_reverse', 'bias_ih_l0_reverse', 'bias_hh_l0_reverse'],
    ...['norm_l0_reverse.weight', 'norm_l0_reverse.bias', 'norm_cell_l0_reverse.weight', 'norm_cell_l0_reverse.bias'],
  ]);
});

test('without returnSequences each direction puts out what it ends with', () => {
  const x = random([N, T, I]);
  const [whole, last] = [true, false].map((returnSequences) => make('gru', { bidirectional: true, returnSequences }));
  const [all, ends] = [whole?.forward(x).toArray() as number[][][], last?.forward(x).toArray() as number[][]];
  for (const [row, end] of ends.entries()) {
    expect(end).toEqual([...(all[row]?.[T - 1]?.slice(0, H) ?? []), ...(all[row]?.[0]?.slice(H) ?? [])]);
  }
});

test('options and states that do not fit are refused', () => {
  expectRefused(() => make('rnn', { stateful: true, bidirectional: true }), 'ERR_OPTION', 'stateful: expected false where bidirectional');
  expectRefused(() => make('rnn', { numLayers: 0 }), 'ERR_OPTION', 'numLayers');
  expectRefused(() => make('rnn', { numLayers: 1e9 }), 'ERR_OPTION', 'numLayers');
  const stack = make('rnn', { numLayers: 2 });
  expectRefused(() => stack.forward(random([N, T, I]), { initialState: random([N, H]) }), 'ERR_SHAPE', 'initialState');
  expectRefused(() => lyapunovExponents(stack, random([N, T, I])), 'ERR_OPTION', 'one layer in one direction');
});

test('a bidirectional stack learns what neither direction sees alone', () => {
  const layer = new GRU({ inputSize: 1, hiddenSize: 8, bidirectional: true, generator: new Generator(3) });
  const generator = new Generator(4);
  const model = new Sequential({ layer, back: new GRU({ inputSize: 16, hiddenSize: 1, generator }) });
  const optimizer = new Adam(model.parameters(), { learningRate: 0.02 });
  const input = Tensor.randn([16, 10, 1], { generator });
  // The next step's input, which the reverse direction alone has seen.
  const target = new Tensor(
    input.data.map((_, index) => (index % 10 === 9 ? 0 : 0.5 * Math.tanh(input.data[index + 1] as number))),
    input.shape,
  );
  let loss = Number.NaN;
  for (let step = 0; step < 300; step++) {
    optimizer.zeroGrad();
    const { value, grad } = mseLoss(model.forward(input), target);
    model.backward(grad, { inputGradient: false });
    optimizer.step();
    loss = value;
  }
  expect(loss).toBeLessThan(0.01);
});
