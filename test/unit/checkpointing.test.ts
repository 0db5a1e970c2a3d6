import { LastStep } from '../../lib/layers/last-step';
import { type Checkpointing, segmentSteps } from '../../lib/layers/recurrent/checkpointing';
import { RNN, type RNNOptions } from '../../lib/layers/rnn';
import { availableMemory } from '../../lib/memory';
import { Generator } from '../../lib/random';
import { type DType, Tensor } from '../../lib/tensor';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';

const [I, H] = [3, 5];

function makeRnn(options: Partial<RNNOptions> = {}): RNN {
  return new RNN({ inputSize: I, hiddenSize: H, dtype: 'float64', generator: new Generator(1), ...options });
}

function randn(shape: number[], dtype: DType = 'float64', seed = 2): Tensor {
  return Tensor.randn(shape, { dtype, generator: new Generator(seed) });
}

/** The steps of a chunk of a layer's native scan. */
function chunkSteps(n: number, options: Partial<RNNOptions> = {}): number {
  return makeRnn(options).scanInFloat64().chunkSteps(n);
}

/** All that a training step gives: output, final state and every gradient. */
function step(rnn: RNN, x: Tensor, gradOutput: Tensor, initialState?: Tensor, gradFinalState?: Tensor): Tensor[] {
  for (const { grad } of rnn.parameters()) grad.data.fill(0);
  const output = rnn.forward(x, initialState === undefined ? {} : { initialState });
  const gradInput = rnn.backward(gradOutput, gradFinalState === undefined ? {} : { gradFinalState });
  return [output, rnn.finalState, gradInput, rnn.gradInitialState, ...rnn.parameters().map(({ grad }) => grad)];
}

const bits = (tensors: Tensor[]): string[] =>
  tensors.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'));

describe.each<DType>(['float32', 'float64'])('%s gradients are the same bits whatever is kept', (dtype) => {
  test.each([1, 2, 37])('of the last state of %i sequences', (n) => {
    const chunk = chunkSteps(n);
    const t = 3 * chunk + 5;
    const [x, gradOutput, h0, gradFinalState] = [
      randn([n, t, I], dtype),
      randn([n, H], dtype),
      randn([n, H], dtype, 3),
      randn([n, H], dtype, 4),
    ];
    const run = (checkpointing: Checkpointing) =>
      bits(step(makeRnn({ dtype, returnSequences: false, checkpointing }), x, gradOutput, h0, gradFinalState));
    const whole = run('none');
    for (const every of [1, chunk, 2 * chunk, t]) expect(run({ every })).toEqual(whole);
    expect(run('auto')).toEqual(whole);
    const least = segmentBytes(n, t, chunk, dtype);
    expect(run({ budget: least })).toEqual(whole);
  });

  test.each([96, 97])('of one sequence with %i units, whose columns threads share', (hiddenSize) => {
    const chunk = chunkSteps(1, { hiddenSize });
    const [x, gradOutput] = [randn([1, 5 * chunk + 3, I], dtype), randn([1, hiddenSize], dtype)];
    const run = (checkpointing: Checkpointing) =>
      bits(step(makeRnn({ dtype, hiddenSize, returnSequences: false, checkpointing }), x, gradOutput));
    expect(run({ every: 2 * chunk })).toEqual(run('none'));
  });

  test.each([
    [17, 242],
    [20, 128],
    [2, 450],
  ])('of %i sequences with %i units, where the last piece is a single step', (n, hiddenSize) => {
    const chunk = chunkSteps(n, { hiddenSize });
    const [x, gradOutput] = [randn([n, chunk + 1, I], dtype), randn([n, hiddenSize], dtype)];
    const run = (checkpointing: Checkpointing) =>
      bits(step(makeRnn({ dtype, hiddenSize, returnSequences: false, checkpointing }), x, gradOutput));
    expect(run({ every: chunk })).toEqual(run('none'));
  });

  const placements = ['preactivation', 'split-preactivation', 'recurrent-input', 'hidden'] as const;
  test.each(placements.flatMap((placement) => [1, 2].map((n) => [placement, n] as const)))(
    'with a normalisation in the recurrence (%s) of %i sequences, of the last state and of all, with a window and without',
    (normalization, n) => {
      const chunk = chunkSteps(n, { normalization });
      const t = 2 * chunk + 7;
      const x = randn([n, t, I], dtype);
      for (const returnSequences of [true, false]) {
        const gradOutput = randn(returnSequences ? [n, t, H] : [n, H], dtype, 3);
        for (const truncateAfter of [undefined, chunk + 3]) {
          const run = (checkpointing: Checkpointing) => {
            const options = { dtype, normalization, returnSequences, checkpointing };
            return bits(step(makeRnn(truncateAfter === undefined ? options : { ...options, truncateAfter }), x, gradOutput));
          };
          expect(run({ every: 1 })).toEqual(run('none'));
        }
      }
    },
  );

  test('of all states, and with a window', () => {
    const n = 2;
    const chunk = chunkSteps(n);
    const t = 2 * chunk + 7;
    const [x, gradOutput] = [randn([n, t, I], dtype), randn([n, t, H], dtype)];
    const run = (options: Partial<RNNOptions>) => bits(step(makeRnn({ dtype, ...options }), x, gradOutput));
    expect(run({ checkpointing: { every: 1 } })).toEqual(run({ checkpointing: 'none' }));
    const truncateAfter = chunk + 3;
    expect(run({ checkpointing: { every: 1 }, truncateAfter })).toEqual(run({ checkpointing: 'none', truncateAfter }));
  });
});

/** What segments of one chunk take, as the layer counts it. */
function segmentBytes(n: number, t: number, chunk: number, dtype: DType): number {
  const state = n * H * (dtype === 'float64' ? 8 : 4);
  return Math.ceil(t / chunk) * state + chunk * (4 * state + 2 * n * I * (dtype === 'float64' ? 8 : 4));
}

test('returnSequences: false is a LastStep after the layer', () => {
  const [x, gradOutput] = [randn([4, 9, I]), randn([4, H])];
  const last = new LastStep();
  const rnn = makeRnn();
  const whole = last.forward(rnn.forward(x));
  const gradInput = rnn.backward(last.backward(gradOutput));
  const [output, finalState, ownGradInput, ...gradients] = step(makeRnn({ returnSequences: false }), x, gradOutput) as [
    Tensor,
    Tensor,
    Tensor,
    ...Tensor[],
  ];
  expect(output.shape).toEqual([4, H]);
  expect(bits([output, finalState, ownGradInput])).toEqual(bits([whole, whole, gradInput]));
  expect(bits(gradients)).toEqual(bits([rnn.gradInitialState, ...rnn.parameters().map(({ grad }) => grad)]));
});

test('gradFinalState joins two calls into one', () => {
  const x = randn([2, 10, I]);
  const gradOutput = randn([2, 10, H], 'float64', 3);
  const whole = step(makeRnn(), x, gradOutput);
  const part = ({ data, shape }: Tensor, begin: number, end: number) =>
    new Tensor(
      Float64Array.from(
        [0, 1].flatMap((n) => [...data.subarray((n * 10 + begin) * (shape[2] as number), (n * 10 + end) * (shape[2] as number))]),
      ),
      [2, end - begin, shape[2] as number],
    );
  const rnn = makeRnn();
  rnn.forward(part(x, 0, 6));
  const middle = rnn.finalState;
  rnn.forward(part(x, 6, 10), { initialState: middle });
  rnn.backward(part(gradOutput, 6, 10));
  const gradFinalState = rnn.gradInitialState;
  rnn.forward(part(x, 0, 6));
  rnn.backward(part(gradOutput, 0, 6), { gradFinalState });
  rnn.parameters().forEach(({ name, grad }, index) => {
    expectClose(grad, whole[4 + index] as Tensor, { within: 1e-12, label: name });
  });
});

test('truncateAfter is a detached state after every so many steps', () => {
  const [n, t, k] = [2, 10, 4];
  const [x, gradOutput] = [randn([n, t, I]), randn([n, t, H], 'float64', 3)];
  const [, , gradInput, gradInitialState, ...gradients] = step(makeRnn({ truncateAfter: k }), x, gradOutput) as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    ...Tensor[],
  ];
  const rnn = makeRnn();
  const rows = ({ data, shape }: Tensor, begin: number, end: number) => {
    const width = shape[2] as number;
    const taken = Array.from({ length: n }, (_, row) => [...data.subarray((row * t + begin) * width, (row * t + end) * width)]);
    return new Tensor(Float64Array.from(taken.flat()), [n, end - begin, width]);
  };
  let initialState: Tensor | undefined;
  for (let begin = 0; begin < t; begin += k) {
    const end = Math.min(t, begin + k);
    rnn.forward(rows(x, begin, end), initialState === undefined ? {} : { initialState });
    initialState = rnn.finalState;
    const windowGradInput = rnn.backward(rows(gradOutput, begin, end));
    expectClose(rows(gradInput, begin, end), windowGradInput, { within: 1e-12, label: `dx from ${begin}` });
    if (begin === 0) expectClose(gradInitialState, rnn.gradInitialState, { within: 1e-12, label: 'dh_0' });
  }
  rnn.parameters().forEach(({ name, grad }, index) => {
    expectClose(gradients[index] as Tensor, grad, { within: 1e-12, label: name });
  });
});

describe('stateful', () => {
  test('goes on from the state that the call before left, until it is reset', () => {
    const x = randn([2, 6, I]);
    const [plain, stateful] = [makeRnn(), makeRnn({ stateful: true })];
    const first = plain.forward(x);
    const second = plain.forward(x, { initialState: plain.finalState });
    expect(bits([stateful.forward(x), stateful.forward(x)])).toEqual(bits([first, second]));
    stateful.resetState();
    expect(bits([stateful.forward(x)])).toEqual(bits([first]));
    expect(bits([stateful.forward(x, { initialState: Tensor.zeros([2, H], { dtype: 'float64' }) })])).toEqual(bits([first]));
  });

  test('refuses another number of sequences, and takes it after a reset', () => {
    const rnn = makeRnn({ stateful: true });
    rnn.forward(randn([2, 6, I]));
    expectRefused(() => rnn.forward(randn([3, 6, I])), 'ERR_SHAPE', 'resetState()');
    rnn.resetState();
    rnn.forward(randn([3, 6, I]));
  });
});

describe('segments', () => {
  const kept = {
    steps: 1_000_000,
    chunkSteps: 512,
    stateBytes: 256,
    bytesPerStep: 256,
    scratchPerStep: 768,
    outputBytes: 0,
    reusableBytes: () => 0,
  };

  test.each<[Checkpointing, number]>([
    ['none', 1_000_000],
    ['auto', 1_000_000],
    [{ every: 1 }, 512],
    [{ every: 513 }, 1024],
    [{ every: 2_000_000 }, 1_000_000],
    [{ budget: 256_000_000 }, 1_000_000],
    [{ budget: 255_999_999 }, 4096],
    [{ budget: 2e6 }, 512],
  ])('%j gives segments of %i steps', (checkpointing, steps) => {
    expect(segmentSteps(checkpointing, kept)).toBe(steps);
  });

  test('grow as √T, and so does what is kept', () => {
    const large = {
      chunkSteps: 1,
      stateBytes: 25_600,
      bytesPerStep: 25_600,
      scratchPerStep: 76_800,
      outputBytes: 0,
      reusableBytes: () => 0,
    };
    const steps = [1e6, 4e6, 16e6].map((t) => segmentSteps({ budget: 1e10 }, { ...large, steps: t }));
    expect(steps).toEqual([500, 1000, 2000]);
  });

  test.each<Checkpointing>(['none', { every: 1e9 }])(
    '%j of more than there is is refused, with what is needed and available',
    (checkpointing) => {
      const stateBytes = (2 * availableMemory()) / kept.steps;
      expectRefused(
        () => segmentSteps(checkpointing, { ...kept, stateBytes, bytesPerStep: stateBytes }),
        'ERR_MEMORY',
        'bytes) are available',
      );
    },
  );

  test('a budget that the smallest segments exceed is refused', () => {
    expectRefused(() => segmentSteps({ budget: 100_000 }, kept), 'ERR_MEMORY', 'are allowed');
    expectRefused(
      () => makeRnn({ returnSequences: false, checkpointing: { budget: 1 } }).forward(randn([1, 9, I])),
      'ERR_MEMORY',
      'are allowed',
    );
  });

  test.each<[unknown, string]>([
    [{ every: 0 }, 'checkpointing.every: expected'],
    [{ budget: 0 }, 'checkpointing.budget: expected'],
    [{ budget: Number.NaN }, 'checkpointing.budget: expected'],
    [{ every: 1, budget: 1 }, '{ every: steps } or { budget: bytes }'],
    [{}, '{ every: steps } or { budget: bytes }'],
    ['sometimes', '"auto", "none", { every: steps }'],
    [{ evry: 1 }, 'Did you mean "every"'],
  ])('%j is refused', (checkpointing, text) => {
    expectRefused(() => makeRnn({ checkpointing: checkpointing as Checkpointing }), 'ERR_OPTION', text);
  });
});
