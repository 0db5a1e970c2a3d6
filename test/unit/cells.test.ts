import {
  type Checkpointing,
  GRU,
  type GRUOptions,
  LSTM,
  type LSTMOptions,
  type LSTMState,
  type RecurrentLayer,
  type RecurrentOptions,
} from '../../lib/index';
import { native } from '../../lib/native/load';
import { Generator } from '../../lib/random';
import { type DType, Tensor } from '../../lib/tensor';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';

const [I, H] = [3, 5];

type Options = Partial<LSTMOptions & GRUOptions>;

function randn(shape: number[], dtype: DType = 'float64', seed = 2): Tensor {
  return Tensor.randn(shape, { dtype, generator: new Generator(seed) });
}

function make(cell: string, options: Options = {}): RecurrentLayer<unknown> {
  const all = { inputSize: I, hiddenSize: H, dtype: 'float64', generator: new Generator(1), ...options } as const;
  return cell === 'LSTM' ? new LSTM(all) : new GRU(all);
}

const partsOf = (state: unknown): Tensor[] => (state instanceof Tensor ? [state] : Object.values(state as LSTMState));

/** All that a training step gives: output, final state and every gradient. */
function step(layer: RecurrentLayer<unknown>, x: Tensor, gradOutput: Tensor): Tensor[] {
  for (const { grad } of layer.parameters()) grad.data.fill(0);
  const output = layer.forward(x);
  const gradInput = layer.backward(gradOutput);
  return [
    output,
    ...partsOf(layer.finalState),
    gradInput,
    ...partsOf(layer.gradInitialState),
    ...layer.parameters().map(({ grad }) => grad),
  ];
}

const bits = (tensors: Tensor[]): string[] =>
  tensors.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'));

/** Each cell, as it is and with all that may stand within it. */
const KINDS: [title: string, cell: string, options: Options][] = [
  ['LSTM', 'LSTM', {}],
  ['LSTM with a projection', 'LSTM', { projSize: 3 }],
  ['LSTM, split and output', 'LSTM', { normalization: { placement: 'split-preactivation', scope: 'gate' }, cellNormalization: 'output' }],
  ['LSTM, preactivation and carried', 'LSTM', { normalization: 'preactivation', cellNormalization: 'carried', projSize: 3 }],
  ['LSTM, hidden', 'LSTM', { normalization: 'hidden' }],
  ['GRU', 'GRU', {}],
  ['GRU, split', 'GRU', { normalization: 'split-preactivation' }],
  ['GRU, preactivation', 'GRU', { normalization: { placement: 'preactivation', scope: 'gate' } }],
  ['GRU, reset before', 'GRU', { resetAfter: false }],
  ['GRU, reset before, recurrent input', 'GRU', { resetAfter: false, normalization: 'recurrent-input' }],
  ['GRU, reset before, split', 'GRU', { resetAfter: false, normalization: 'split-preactivation' }],
];

const outputSize = (options: Options): number => options.projSize ?? options.hiddenSize ?? H;
const threadsBefore = native().getNumThreads();

describe.each<DType>(['float32', 'float64'])('%s: the same bits', (dtype) => {
  afterEach(() => {
    native().setNumThreads(threadsBefore);
    native().setScanStrategy('auto');
  });

  describe.each(KINDS)('%s', (_, cell, kind) => {
    test.each([
      [1, 40, H],
      [19, 9, 17],
    ])('for every number of threads, on every way through time: N %i, T %i, H %i', (n, t, hiddenSize) => {
      const options = { ...kind, hiddenSize, dtype };
      const [x, gradOutput] = [randn([n, t, I], dtype), randn([n, t, outputSize(options)], dtype, 3)];
      for (const strategy of ['auto', 'blas', 'panels', 'single', 'columns', 'lanes']) {
        native().setScanStrategy(strategy);
        const [first, ...others] = [1, 2, 3].map((threads) => {
          native().setNumThreads(threads);
          return bits(step(make(cell, options), x, gradOutput));
        });
        for (const other of others) expect(other).toEqual(first);
      }
    });

    test.each([1, 2, 19])('whatever is kept: %i sequences', (n) => {
      for (const returnSequences of [true, false]) {
        const options = { ...kind, dtype, returnSequences };
        const chunk = chunkSteps(n, cell, options);
        const t = 2 * chunk + 7;
        const p = outputSize(options);
        const [x, gradOutput] = [randn([n, t, I], dtype), randn(returnSequences ? [n, t, p] : [n, p], dtype, 3)];
        const run = (given: Partial<RecurrentOptions>) => bits(step(make(cell, { ...options, ...given }), x, gradOutput));
        const every: Checkpointing = { every: 1 };
        expect(run({ checkpointing: every })).toEqual(run({ checkpointing: 'none' }));
        const truncateAfter = chunk + 3;
        expect(run({ checkpointing: every, truncateAfter })).toEqual(run({ checkpointing: 'none', truncateAfter }));
      }
    });

    test('when gradients of states are recorded', () => {
      const [x, gradOutput] = [randn([4, 30, I], dtype), randn([4, 30, outputSize(kind)], dtype, 3)];
      const layer = make(cell, { ...kind, dtype });
      const plain = bits(step(layer, x, gradOutput));
      layer.recordStateGradients = true;
      expect(bits(step(layer, x, gradOutput))).toEqual(plain);
      expect(layer.stateGradientLogNorms.data.every(Number.isFinite)).toBe(true);
    });
  });
});

/** The steps of a chunk, as the addon cuts time: found by what a segment is rounded up to. */
function chunkSteps(n: number, cell: string, options: Options): number {
  return make(cell, options).scanInFloat64().chunkSteps(n);
}

describe.each(KINDS)('%s', (_, cell, kind) => {
  const p = outputSize(kind);

  test('a window is a call of its own that goes on from the state before, whose gradient stays within it', () => {
    const [n, t, window] = [3, 12, 5];
    const [x, gradOutput] = [randn([n, t, I]), randn([n, t, p], 'float64', 3)];
    const whole = step(make(cell, { ...kind, truncateAfter: window }), x, gradOutput);
    const stream = make(cell, { ...kind, stateful: true });
    const outputs: Tensor[] = [];
    for (let begin = 0; begin < t; begin += window) {
      const end = Math.min(t, begin + window);
      outputs.push(stream.forward(steps(x, begin, end)));
      stream.backward(steps(gradOutput, begin, end));
    }
    const gradients = stream.parameters().map(({ grad }) => grad);
    for (const [index, grad] of gradients.entries()) {
      expectClose(whole[whole.length - gradients.length + index] as Tensor, grad, { within: 1e-12, label: `parameter ${index}` });
    }
    expectClose(steps(whole[0] as Tensor, 10, 12), outputs[2] as Tensor, { within: 1e-13 });
  });

  test('a limit on the gradient by the whole state holds at every step', () => {
    const [n, t, limit] = [3, 20, 0.5];
    const layer = make(cell, { ...kind, stateGradientLimit: limit });
    layer.recordStateGradients = true;
    step(layer, randn([n, t, I]), randn([n, t, p], 'float64', 3));
    const above = layer.stateGradientLogNorms.data.filter((value) => value > Math.log(limit)).length;
    expect(above).toBeGreaterThan(0);
    expect(layer.limitedStateGradients).toBe(above);
  });

  test.each<[string, Partial<RecurrentOptions>]>([
    ['all outputs', {}],
    ['the last ones', { returnSequences: false }],
    ['segments', { checkpointing: { every: 4 } }],
    ['windows and segments of the last ones', { truncateAfter: 5, checkpointing: { every: 4 }, returnSequences: false }],
  ])('with lengths each sequence gives what it gives by itself: %s', (_title, given) => {
    const [t, lengths] = [11, [4, 0, 11, 7]];
    const n = lengths.length;
    const x = randn([n, t, I]);
    // What stands in the padding does not matter.
    for (const [row, length] of lengths.entries()) x.data.fill(Number.NaN, (row * t + length) * I, (row + 1) * t * I);
    const gradOutput = randn(given.returnSequences === false ? [n, p] : [n, t, p], 'float64', 3);
    const layer = make(cell, { ...kind, ...given });
    const output = layer.forward(x, { lengths });
    const states = partsOf(layer.finalState);
    const gradInput = layer.backward(gradOutput);
    const alone = make(cell, { ...kind, ...given });
    for (const [row, length] of lengths.entries()) {
      const rowOf = (tensor: Tensor) => (tensor.shape.length === 2 ? rows(tensor, row) : steps(rows(tensor, row), 0, length));
      if (length === 0) continue;
      expectClose(rowOf(output), alone.forward(rowOf(x)), { within: 1e-13 });
      for (const [index, state] of partsOf(alone.finalState).entries()) {
        expectClose(rows(states[index] as Tensor, row), state, { within: 1e-13 });
      }
      expectClose(rowOf(gradInput), alone.backward(rowOf(gradOutput)), { within: 1e-12 });
    }
    for (const [index, { name, grad }] of layer.parameters().entries()) {
      expectClose(grad, alone.parameters()[index]?.grad as Tensor, { within: 1e-11, label: name });
    }
    expect(gradInput.data.every(Number.isFinite)).toBe(true);
  });

  test('NaN in one sequence stays there, and in no other', () => {
    const [n, t] = [5, 4];
    const x = randn([n, t, I]);
    x.data[2 * t * I + I] = Number.NaN;
    const output = make(cell, kind).forward(x).data;
    const isLost = Array.from({ length: n * t }, (_unused, row) => Number.isNaN(output[row * p] as number));
    expect(isLost).toEqual(Array.from({ length: n * t }, (_unused, row) => Math.floor(row / t) === 2 && row % t >= 1));
  });
});

/** The sequence `row` alone. */
function rows({ data, shape }: Tensor, row: number): Tensor {
  const size = data.length / (shape[0] as number);
  return new Tensor(data.slice(row * size, (row + 1) * size), [1, ...shape.slice(1)]);
}

function steps({ data, shape, dtype }: Tensor, begin: number, end: number): Tensor {
  const [n, t, width] = shape as [number, number, number];
  const part = Tensor.zeros([n, end - begin, width], { dtype });
  for (let row = 0; row < n; row++) {
    part.data.set(data.subarray((row * t + begin) * width, (row * t + end) * width), row * (end - begin) * width);
  }
  return part;
}

describe('initial values', () => {
  test('all uniform in ±1/√H, with the shapes of PyTorch', () => {
    const lstm = new LSTM({ inputSize: 7, hiddenSize: 25, projSize: 4, generator: new Generator(1) });
    expect(lstm.parameters().map(({ name, value }) => [name, value.shape])).toEqual([
      ['weight_ih_l0', [100, 7]],
      ['weight_hh_l0', [100, 4]],
      ['bias_ih_l0', [100]],
      ['bias_hh_l0', [100]],
      ['weight_hr_l0', [4, 25]],
    ]);
    for (const { value } of [...lstm.parameters(), ...new GRU({ inputSize: 7, hiddenSize: 25 }).parameters()]) {
      const largest = Math.max(...value.data.map(Math.abs));
      expect(largest).toBeLessThanOrEqual(Math.fround(0.2));
      expect(largest).toBeGreaterThan(0.15);
    }
  });

  test('the forget gate starts at its bias, the other gates as without it', () => {
    const given = { inputSize: 2, hiddenSize: 4 };
    const [plain, biased] = [undefined, 1].map((forgetBias) => new LSTM({ ...given, forgetBias, generator: new Generator(3) }).stateDict());
    for (const [name, forget] of [
      ['bias_ih_l0', 1],
      ['bias_hh_l0', 0],
    ] as const) {
      const values = [...(biased?.[name]?.data ?? [])];
      expect(values.slice(4, 8)).toEqual([forget, forget, forget, forget]);
      expect([...values.slice(0, 4), ...values.slice(8)]).toEqual([...(plain?.[name]?.data ?? [])].filter((_, i) => i < 4 || i >= 8));
    }
    expect(biased?.weight_hh_l0?.data).toEqual(plain?.weight_hh_l0?.data);
  });

  test('recurrent weights are orthogonal gate by gate', () => {
    const { weight_hh_l0: weight } = new GRU({
      inputSize: 2,
      hiddenSize: 3,
      recurrentInitializer: 'orthogonal',
      dtype: 'float64',
    }).stateDict();
    const data = weight?.data as Float64Array;
    for (const gate of [0, 1, 2]) {
      for (const [a, b] of [
        [0, 0],
        [0, 1],
        [1, 2],
      ] as const) {
        const row = (r: number) => data.subarray((gate * 3 + r) * 3, (gate * 3 + r + 1) * 3);
        expect(row(a).reduce((sum, value, i) => sum + value * (row(b)[i] as number), 0)).toBeCloseTo(a === b ? 1 : 0, 12);
      }
    }
  });
});

describe('refused', () => {
  const given = { inputSize: 2, hiddenSize: 4 };
  test.each([
    ['a projection as wide as the cell', { projSize: 4 }, 'projSize'],
    ['a projection of nothing', { projSize: 0 }, 'projSize'],
    ['a forget bias without biases', { forgetBias: 1, bias: false }, 'forgetBias'],
    ['an unknown cell normalisation', { cellNormalization: 'outputs' }, 'cellNormalization'],
    ['an unknown scope', { normalization: { placement: 'preactivation', scope: 'gates' } }, 'scope'],
    ['an option of a GRU', { resetAfter: true }, 'resetAfter'],
  ])('%s', (_, options, word) => {
    expectRefused(() => new LSTM({ ...given, ...options } as LSTMOptions), 'ERR_OPTION', word);
  });

  test('a state that is not that of an LSTM', () => {
    const lstm = new LSTM(given);
    const x = Tensor.zeros([3, 2, 2]);
    const h = Tensor.zeros([3, 4]);
    expectRefused(() => lstm.forward(x, { initialState: h as never }), 'ERR_OPTION', 'initialState');
    expectRefused(() => lstm.forward(x, { initialState: { h } as never }), 'ERR_OPTION', 'initialState.c');
    expectRefused(() => lstm.forward(x, { initialState: { h, c: Tensor.zeros([2, 4]) } }), 'ERR_SHAPE', 'initialState.c');
    expectRefused(
      () => lstm.forward(x, { initialState: { h, c: Tensor.zeros([3, 4], { dtype: 'float64' }) } }),
      'ERR_DTYPE',
      'initialState.c',
    );
  });
});
