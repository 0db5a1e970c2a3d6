// The addon's own checks, which stand between a mistake in TypeScript and a corrupted process.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { native } from '../../lib/native/load';
import type { TensorData } from '../../lib/tensor';
import { backwardArguments, layerOf, normArrays, normTerm, normTerms, rnnArrays, runRnn, tapeOf } from './helpers';

const addon = native();
const [n, t, i, h] = [3, 4, 2, 5];

type Call = (...args: unknown[]) => unknown;
const arrays = () => rnnArrays(n, t, i, h, 'float32');

/** Arguments that are wrong in every place where these are not right. */
function wrongFor(good: unknown): unknown[] {
  const wrong = [
    undefined,
    'x',
    {},
    Number.NaN,
    -1,
    1.5,
    2 ** 31,
    new Float64Array(6),
    new Uint8Array(6),
    new DataView(new ArrayBuffer(8)),
    new Float32Array(0),
  ];
  if (!(good instanceof Float32Array)) return wrong;
  return [...wrong, new Float32Array(good.length + 1), new Float32Array(good.length - 1)];
}

const refused = expect.objectContaining({ name: 'EvenkeelError', code: expect.stringMatching(/^ERR_(SHAPE|DTYPE|OPTION|STATE)$/) });

describe('recurrentLayer', () => {
  const call = addon.recurrentLayer as unknown as Call;
  const options = { cell: 'elman', inputSize: i, hiddenSize: h, placement: 1 };
  const lists = (): [TensorData[], TensorData[]] => {
    const a = arrays();
    const { weights, gradients } = normArrays(1, 0, h, 'float32');
    return [
      [a.weightIh, a.weightHh, a.biasIh, a.biasHh, ...weights],
      [a.gradWeightIh, a.gradWeightHh, a.gradBiasIh, a.gradBiasHh, ...gradients],
    ];
  };

  test.each([0, 1])('list %i may be nothing else', (list) => {
    const wrongLists = (good: TensorData[]): unknown[] => [
      undefined,
      'x',
      {},
      [],
      good.slice(1),
      [...good, new Float32Array(h)],
      ...good.flatMap((array, at) => wrongFor(array).map((bad) => good.with(at, bad as TensorData))),
    ];
    const good = lists();
    for (const bad of wrongLists(good[list] as TensorData[])) {
      expect(() => call(...good.with(list, bad as TensorData[]), options)).toThrow(refused);
    }
    expect(() => call(...good, options)).not.toThrow();
  });

  test.each([
    ['cell', ['gru?', 1, undefined]],
    ['inputSize', [0, -1, 1.5, '2', 2 ** 31, Number.NaN, undefined]],
    ['hiddenSize', [0, 6, undefined]],
    ['outputSize', [0, 'x']],
    ['nonlinearity', [2, -1, 'tanh']],
    ['bias', [1, 'true', false]],
    ['placement', [5, 0.5, 'hidden', 0]],
    ['normKind', [2, 'layer', 1]],
    ['eps', ['x']],
  ])('option %s may be nothing else', (name, wrong) => {
    for (const bad of wrong) expect(() => call(...lists(), { ...options, [name]: bad })).toThrow(refused);
  });

  test('sizes whose product overflows 64 bits are refused', () => {
    const big = 2 ** 31 - 1;
    const layer = layerOf(addon, i, h, arrays());
    expect(() => layer.forward(big, big, new Float32Array(1), null, new Float32Array(1), null, null)).toThrow(
      expect.objectContaining({ code: 'ERR_SHAPE' }),
    );
  });

  test('an array that is gone since the layer was made is refused at the next call', () => {
    const a = arrays();
    const layer = layerOf(addon, i, h, a);
    const gone = (b: TensorData) => structuredClone(b.buffer, { transfer: [b.buffer as ArrayBuffer] });
    const refusal = (array: string) =>
      expect.objectContaining({ code: 'ERR_STATE', message: expect.stringContaining(`${array}: expected 5 elements, got 0`) });
    const forward = () => layer.forward(n, t, a.input, null, a.output, null, null);
    const [input, output, state] = [a.input, a.output, new Float32Array(n * h)];
    gone(a.gradBiasHh);
    // Forward has nothing to do with gradients.
    expect(forward).not.toThrow();
    expect(() => layer.backward(n, t, input, null, output, null, output.slice(), null, state, 0, null, null, null)).toThrow(
      refusal('gradients[3]'),
    );
    gone(a.biasHh);
    expect(forward).toThrow(refusal('weights[3]'));
  });

  test('a call with no arguments is refused', () => {
    const layer = layerOf(addon, i, h, arrays());
    for (const [name, value] of [...Object.entries(addon), ...Object.entries(layer)] as [string, Call][]) {
      if (['getNumThreads', 'runtimeInfo', 'measureMachine', 'keepWeights'].includes(name)) continue; // take no arguments
      if (typeof value === 'function') expect(() => value()).toThrow(expect.objectContaining({ name: 'EvenkeelError' }));
    }
  });

  test('methods live as long as they are held', () => {
    const a = arrays();
    const { forward } = layerOf(addon, i, h, a);
    for (let k = 0; k < 100; k++) new Float64Array(1 << 20).fill(2);
    expect(() => forward(n, t, a.input, null, a.output, null, null)).not.toThrow();
  });
});

describe.each([0, 1, 2, 3, 4])('the calls of a layer, placement %i', (placement) => {
  const norm = normArrays(placement, 0, h, 'float32');
  const a = arrays();
  const layer = layerOf(addon, i, h, a, norm);
  const forward: unknown[] = [n, t, a.input, a.initialState, a.output, new Float32Array(n * h), tapeOf(layer, n, t, 'float32')];
  const backward: unknown[] = [
    ...backwardArguments(n, t, a, tapeOf(layer, n, t, 'float32'), [1, new Float64Array(n * t), new Int32Array(n)]),
    t + 2,
    ...(() => {
      const { input, initialState, output } = rnnArrays(n, t + 2, i, h, 'float32');
      return [input, initialState, output, new Float32Array(n * h), tapeOf(layer, n, t + 2, 'float32')];
    })(),
  ];
  const state: unknown[] = [n, t, 1, a.output, null, new Float32Array(n * h)];

  test.each([
    ['forward', forward],
    ['backward', backward],
    ['readState', state],
  ] as [keyof typeof layer, unknown[]][])('%s: an argument may be nothing else', (name, good) => {
    const call = layer[name] as unknown as Call;
    for (const index of good.keys()) {
      // The limit may be any number; null is a tape that is not there.
      if (good[index] === null || (name === 'backward' && index === 9)) continue;
      for (const bad of wrongFor(good[index])) expect(() => call(...good.with(index, bad))).toThrow(refused);
    }
    expect(() => call(...good)).not.toThrow();
  });

  test('what backward needs may not be left out', () => {
    const call = layer.backward as unknown as Call;
    for (const index of [10, 11])
      expect(() => call(...backward.with(index, null))).toThrow('logNorms, exponents: expected both or neither');
    if (placement > 0) expect(() => call(...backward.with(5, null))).toThrow('tape');
  });

  test('lengths are whole numbers from 0 to t, the longest first, and none beside what they do not go with', () => {
    const sorted = [t, ...Array.from({ length: n - 1 }, () => 1)];
    const tape = (steps: number, rows: number) => tapeOf(layer, rows, steps, 'float32')?.length ?? 0;
    const length = tape(1, n) + (t > 1 ? tape(t - 1, 1) : 0);
    const parts = length === 0 ? null : new Float32Array(length);
    const first = forward.with(6, parts).concat([null, null]);
    const second = backward.slice(0, 14).with(5, parts).with(10, null).with(11, null);
    for (const [name, good] of [
      ['forward', first],
      ['backward', second],
    ] as const) {
      const call = layer[name] as unknown as Call;
      expect(() => call(...good, Int32Array.from(sorted))).not.toThrow();
      const wrong = [sorted.toReversed(), sorted.with(0, t + 1), sorted.with(-1, -1), sorted.slice(1), sorted.concat(0)];
      for (const lengths of wrong) expect(() => call(...good, Int32Array.from(lengths))).toThrow(refused);
      for (const bad of wrongFor(Int32Array.from(sorted))) expect(() => call(...good, bad)).toThrow(refused);
    }
    const call = layer.backward as unknown as Call;
    const beside = [t, ...forward.slice(2, 7), null, null, null];
    expect(() => call(...second, Int32Array.from(sorted), ...beside)).toThrow('lengths: expected none where');
    expect(() => call(...backward.slice(0, 14).with(5, parts), Int32Array.from(sorted))).toThrow('lengths: expected none where');
    expect(() => (layer.forward as unknown as Call)(...first.with(5, null), Int32Array.from(sorted))).toThrow('finalState');
  });

  test.each([2 ** 31 - 1, -(2 ** 31)])('exponents of %i do not wrap around', (exponent) => {
    const given = arrays();
    given.gradInitialState.fill(1e30);
    const exponents = new Int32Array(n).fill(exponent);
    const own = layerOf(addon, i, h, given, norm);
    const recorded = [Number.POSITIVE_INFINITY, new Float64Array(n * t), exponents] as [number, Float64Array, Int32Array];
    own.backward(...backwardArguments(n, t, given, tapeOf(own, n, t, 'float32'), recorded, { gradOutput: null }));
    for (const left of exponents) expect(Math.sign(left)).toBe(Math.sign(exponent));
  });
});

describe('tangents', () => {
  const count = 2;
  const a = rnnArrays(n, t, i, h, 'float64');
  const layer = layerOf(addon, i, h, a, normArrays(2, 0, h, 'float64'));
  const call = layer.tangents as unknown as Call;
  const good: unknown[] = [
    n,
    t,
    a.input,
    a.initialState,
    a.output,
    new Float64Array(n * h),
    count,
    new Float64Array(n * count * h),
    new Float64Array(n * t * count),
  ];
  const wrong = (value: unknown) =>
    value instanceof Float64Array ? [...wrongFor(0), new Float64Array(value.length + 1), new Float32Array(value.length)] : wrongFor(value);

  test.each([...good.keys()])('argument %i may be nothing else', (index) => {
    for (const bad of wrong(good[index])) expect(() => call(...good.with(index, bad))).toThrow(refused);
    expect(() => call(...good)).not.toThrow();
  });

  test('no more tangents than units, and in float64 alone', () => {
    expect(() => call(...good.with(6, h + 1))).toThrow('count: expected an integer from 1 to 5');
    expect(() => (layerOf(addon, i, h, arrays()).tangents as unknown as Call)(...good)).toThrow('float64');
  });
});

test('a transferred buffer is refused, and one that moved inside a larger buffer is read where it is', () => {
  const a = arrays();
  const layer = layerOf(addon, i, h, a);
  structuredClone(a.weightHh.buffer, { transfer: [a.weightHh.buffer as ArrayBuffer] });
  expect(() => layer.forward(n, t, a.input, null, a.output, null, null)).toThrow(expect.objectContaining({ code: 'ERR_STATE' }));

  const [plain, shifted] = [arrays(), arrays()];
  // An odd offset inside a larger buffer: not aligned for any SIMD load.
  for (const [name, array] of Object.entries(shifted)) {
    const moved = new Float32Array(new ArrayBuffer(array.byteLength + 12), 12, array.length);
    moved.set(array);
    Object.assign(shifted, { [name]: moved });
  }
  expect(runRnn(addon, n, t, i, h, shifted).map((array) => [...array])).toEqual(
    runRnn(addon, n, t, i, h, plain).map((array) => [...array]),
  );
});

test('arrays over a SharedArrayBuffer work in place', () => {
  const shared = new Float32Array(new SharedArrayBuffer(12));
  shared.set([1, -2, 3]);
  addon.scale([shared], 2, 1);
  expect([...shared]).toEqual([2, -4, 6]);
  expect(normTerm(addon, shared, 2)).toBe(56);
});

test('NaN and infinity are passed on, never hidden', () => {
  for (const order of [0, 1, 2] as const) {
    for (const at of [0, 1, 6, 16, 17, 40]) {
      const values = new Float32Array(41).fill(1);
      values[at] = Number.NaN;
      expect(normTerm(addon, values, order)).toBeNaN();
      values[at] = Number.NEGATIVE_INFINITY;
      expect(normTerm(addon, values, order)).toBe(Number.POSITIVE_INFINITY);
    }
  }
  for (const nonlinearity of [0, 1]) {
    const output = new Float64Array(3);
    const weight = Float64Array.of(1, 0, 1);
    const zeros = (length: number) => new Float64Array(length);
    const layer = addon.recurrentLayer([weight, zeros(9), zeros(3), zeros(3)], [zeros(3), zeros(9), zeros(3), zeros(3)], {
      cell: 'elman',
      inputSize: 1,
      hiddenSize: 3,
      nonlinearity,
    });
    layer.forward(1, 1, Float64Array.of(Number.NaN), null, output, null, null);
    expect([...output]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  }
});

test('labels outside the classes are refused before anything is read with them', () => {
  for (const label of [-1, 3, 2 ** 31 - 1, -(2 ** 31)]) {
    expect(() => addon.crossEntropy(2, 3, new Float32Array(6), Int32Array.of(0, label), new Float32Array(6))).toThrow(
      'labels[1]: expected a class from 0 to 2',
    );
  }
});

describe('memory that others can change', () => {
  const gone = (array: TensorData) => structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });

  test('a getter of a list that takes another array of it away is refused', () => {
    for (const at of [0, 1]) {
      const arrays = [new Float32Array(1 << 16).fill(1), new Float32Array(1 << 16).fill(1)];
      const other = arrays[1 - at] as Float32Array;
      const get = () => {
        gone(other);
        return new Float32Array(4);
      };
      const list = Object.defineProperty([...arrays], at, { enumerable: true, get });
      expect(() => addon.scale(list, 1, 2)).toThrow(expect.objectContaining({ code: 'ERR_STATE' }));
      expect(() => normTerms(addon, list, 2)).toThrow(expect.objectContaining({ name: 'EvenkeelError' }));
    }
  });

  test('a list that claims more arrays than it has costs nothing', () => {
    for (const length of [1, 1e6, 1e6 + 1, 2 ** 32 - 1]) {
      expect(() => addon.scale(new Array(length), 1, 1)).toThrow(expect.objectContaining({ code: 'ERR_DTYPE' }));
    }
  });

  test('no setter of a prototype runs while results are made', () => {
    const [first, second] = [new Float32Array([3]), new Float32Array([4])];
    const ran: unknown[] = [];
    Object.defineProperty(Array.prototype, 0, { configurable: true, set: (value) => ran.push(value) });
    let terms: Float64Array;
    try {
      terms = normTerms(addon, [first, second], 2);
    } finally {
      Reflect.deleteProperty(Array.prototype, 0);
    }
    expect([ran, terms]).toEqual([[], Float64Array.of(9, 16)]);
  });

  test('labels that another thread changes during the call are never out of their range', async () => {
    const rows = 20_000;
    const labels = new Int32Array(new SharedArrayBuffer(4 * rows));
    const hammer = new Worker(
      'const l = require("worker_threads").workerData; for (;;) { l[l.length - 1] = 9e8; for (let i = 0; i < 100; i++) Atomics.load(l, 0); l[l.length - 1] = 1; for (let i = 0; i < 3e4; i++) Atomics.load(l, 0); }',
      { eval: true, workerData: labels },
    );
    await once(hammer, 'online');
    const logits = new Float32Array(4 * rows);
    const seen = new Set<unknown>();
    for (const end = Date.now() + 500; Date.now() < end; ) {
      try {
        seen.add(Math.abs(addon.crossEntropy(rows, 4, logits, labels, new Float32Array(4 * rows)) - Math.log(4)) < 1e-3);
      } catch (error) {
        seen.add((error as { code: string }).code);
      }
    }
    await hammer.terminate();
    seen.delete('ERR_OPTION');
    expect([...seen]).toEqual([true]);
  });
});
