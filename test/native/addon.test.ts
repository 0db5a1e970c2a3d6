// The addon's own checks, which stand between a mistake in TypeScript and a corrupted process.
import type { BesideArguments, NativeAddon } from '../../lib/native/addon';
import { native } from '../../lib/native/load';
import type { TensorData } from '../../lib/tensor';
import { backwardArguments, NO_NORM, normArrays, normTerm, rnnArrays, runRnn } from './helpers';

const addon = native();
const [n, t, i, h] = [3, 4, 2, 5];

type Call = (...args: unknown[]) => unknown;
const arrays = () => rnnArrays(n, t, i, h, 'float32');
const forwardArguments = (a = arrays(), norm = NO_NORM): unknown[] => [
  n,
  t,
  i,
  h,
  0,
  a.input,
  a.initialState,
  a.weightIh,
  a.weightHh,
  a.biasIh,
  a.biasHh,
  a.output,
  ...norm,
];

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

describe('rnnForward', () => {
  const call = addon.rnnForward as unknown as Call;

  test.each([...forwardArguments().slice(0, 12).keys()])('argument %i may be nothing else', (index) => {
    for (const bad of wrongFor(forwardArguments()[index])) expect(() => call(...forwardArguments().with(index, bad))).toThrow(refused);
    expect(() => call(...forwardArguments())).not.toThrow();
  });

  describe.each([1, 2, 3, 4])('with a normalisation, placement %i', (placement) => {
    const good = () => forwardArguments(arrays(), normArrays(placement, 0, n, t, h, 'float32')[0]);
    // eps may be any number; an array that the placement has no use for is not looked at.
    const places = [...good().keys()].filter((index) => index >= 12 && index !== 14 && good()[index] !== null);

    test.each(places)('argument %i may be nothing else', (index) => {
      for (const bad of wrongFor(good()[index])) expect(() => call(...good().with(index, bad))).toThrow(refused);
      expect(() => call(...good())).not.toThrow();
    });
  });

  test('sizes whose product overflows 64 bits are refused', () => {
    const big = 2 ** 31 - 1;
    expect(() => call(big, big, big, 1, ...forwardArguments().slice(4))).toThrow(expect.objectContaining({ code: 'ERR_SHAPE' }));
  });

  test('a call with no arguments is refused', () => {
    for (const [name, value] of Object.entries(addon) as [keyof NativeAddon, Call][]) {
      if (['getNumThreads', 'runtimeInfo', 'measureMachine'].includes(name)) continue; // take no arguments
      expect(() => value()).toThrow(expect.objectContaining({ name: 'EvenkeelError' }));
    }
  });
});

describe('rnnTangents', () => {
  const call = addon.rnnTangents as unknown as Call;
  const count = 2;
  const good = (placement = 2): unknown[] => [
    ...forwardArguments(rnnArrays(n, t, i, h, 'float64'), normArrays(placement, 0, n, t, h, 'float64')[0]),
    count,
    new Float64Array(n * count * h),
    new Float64Array(n * t * count),
  ];
  // eps may be any number.
  const places = [...good().keys()].filter((index) => index !== 14 && good()[index] !== null);
  const wrong = (value: unknown) =>
    value instanceof Float64Array ? [...wrongFor(0), new Float64Array(value.length + 1), new Float32Array(value.length)] : wrongFor(value);

  test.each(places)('argument %i may be nothing else', (index) => {
    for (const bad of wrong(good()[index])) expect(() => call(...good().with(index, bad))).toThrow(refused);
    expect(() => call(...good())).not.toThrow();
  });

  test('no more tangents than units, and what the normalisations keep must have its place', () => {
    expect(() => call(...good().with(23, h + 1))).toThrow('count: expected an integer from 1 to 5');
    expect(() => call(...good().with(17, null))).toThrow('norm[0].inputs');
    expect(() => call(...good(3).with(18, null))).toThrow('norm[0].statistics');
  });
});

describe('rnnBackward', () => {
  const call = addon.rnnBackward as unknown as Call;
  const good = (): unknown[] => [
    ...backwardArguments(n, t, i, h, arrays(), normArrays(2, 0, n, t, h, 'float32'), [1, new Float64Array(n * t), new Int32Array(n)]),
    ...beside(t + 2),
  ];
  const beside = (steps: number): BesideArguments => {
    const { input, initialState, output } = rnnArrays(n, steps, i, h, 'float32');
    return [steps, input, initialState, output, ...normArrays(2, 0, n, steps, h, 'float32')[0]];
  };
  // eps and the limit may be any number.
  const places = [...good().keys()].filter((index) => ![21, 34, 43].includes(index) && good()[index] !== null);

  test.each(places)('argument %i may be nothing else', (index) => {
    for (const bad of wrongFor(good()[index])) expect(() => call(...good().with(index, bad))).toThrow(refused);
    expect(() => call(...good())).not.toThrow();
  });

  test.each([
    [24, 'norm[0].inputs'],
    [29, 'norm[1].statistics'],
    [35, 'logNorms, exponents: expected both or neither'],
    [36, 'logNorms, exponents: expected both or neither'],
  ])('argument %i may not be left out', (index, text) => {
    expect(() => call(...good().with(index, null))).toThrow(text);
  });
});

test.each([Float32Array, Float64Array])('how far past the begin of a cache line a %p begins', (Kind) => {
  const array = new Kind(128);
  const first = addon.bytesPastLine(array);
  const all = Array.from({ length: 64 }, (_, k) => addon.bytesPastLine(array.subarray(k)));
  expect(all).toEqual(Array.from({ length: 64 }, (_, k) => (first + k * Kind.BYTES_PER_ELEMENT) % 64));
  expect(first % Kind.BYTES_PER_ELEMENT).toBe(0);
});

test('a transferred buffer is refused, and one that moved inside a larger buffer is read where it is', () => {
  const a = arrays();
  structuredClone(a.weightHh.buffer, { transfer: [a.weightHh.buffer as ArrayBuffer] });
  expect(() => (addon.rnnForward as unknown as Call)(...forwardArguments(a))).toThrow(expect.objectContaining({ code: 'ERR_STATE' }));

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
  addon.scale([shared], 2);
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
    addon.rnnForward(
      1,
      1,
      1,
      3,
      nonlinearity,
      Float64Array.of(Number.NaN),
      null,
      weight,
      new Float64Array(9),
      new Float64Array(3),
      new Float64Array(3),
      output,
      ...NO_NORM,
    );
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

describe('passes over all parameters', () => {
  // ES2024, which Node has and the types of ES2023 have not
  const resizable = (length: number, maxByteLength: number) =>
    new (ArrayBuffer as unknown as new (...args: unknown[]) => ArrayBuffer & { resize(length: number): void })(length, { maxByteLength });
  const lists = () => Array.from({ length: 4 }, () => [new Float32Array(5).fill(0.5), new Float64Array(3).fill(0.5)]);
  const settings = [1e-3, 0.9, 0.999, 1e-8, 0, false, 1] as const;
  const make = addon.adamPass as unknown as Call;

  test('float32 and float64 may stand beside each other, and each is updated', () => {
    const [values, grads, first, second] = lists() as [TensorData[], TensorData[], TensorData[], TensorData[]];
    addon.adamPass(values, grads, first, second)(...settings);
    for (const [index, value] of values.entries()) {
      const alone = lists().map((list) => [list[index] as TensorData]) as [TensorData[], TensorData[], TensorData[], TensorData[]];
      addon.adamPass(...alone)(...settings);
      expect(value).toEqual(alone[0][0]);
      expect(value[0]).not.toBe(0.5);
    }
  });

  test.each([0, 1, 2, 3])('list %i of wrong kinds, lengths or buffers that are gone is refused', (at) => {
    const gone = new Float64Array(3);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    const float32 = new Float32Array(5);
    for (const wrong of [
      undefined,
      'xx',
      {},
      float32,
      [],
      [float32],
      [float32, null],
      [float32, gone],
      [float32, new Float64Array(4)],
      [float32, new Float32Array(3)],
      [float32, new Int32Array(3)],
      [new Float64Array(5), new Float64Array(3)],
    ]) {
      const given: unknown[] = lists();
      given[at] = wrong;
      expect(() => make(...given)).toThrow(
        expect.objectContaining({ name: 'EvenkeelError', code: expect.stringMatching(/^ERR_(SHAPE|DTYPE)$/) }),
      );
    }
  });

  test.each([0, 1, 2, 3])(
    'an array of list %i that is gone since the first step is refused at the next one, and nothing is updated',
    (at) => {
      const given = lists() as [TensorData[], TensorData[], TensorData[], TensorData[]];
      const step = addon.adamPass(...given);
      step(...settings);
      const before = structuredClone(given);
      const [, { buffer }] = given[at] as [TensorData, TensorData];
      structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
      const name = ['values', 'grads', 'firstMoments', 'secondMoments'][at];
      const message = `adamPass: ${name}[1]: expected 3 elements, got 0. Was its buffer transferred to another thread?`;
      expect(() => step(...settings)).toThrow(expect.objectContaining({ name: 'EvenkeelError', code: 'ERR_STATE', message }));
      for (const [list, arrays] of given.entries()) expect(arrays[0]).toEqual(before[list]?.[0]);
    },
  );

  test('an array that shrank with its buffer is refused, and one that may be longer by now is not read beyond what it was', () => {
    const buffer = resizable(12, 24);
    const fill = addon.zeroPass([new Float32Array(buffer, 0, 3), new Float32Array(buffer)]);
    fill();
    buffer.resize(8);
    expect(fill).toThrow(expect.objectContaining({ name: 'EvenkeelError', code: 'ERR_STATE' }));
    buffer.resize(24);
    expect(fill).toThrow(expect.objectContaining({ name: 'EvenkeelError', code: 'ERR_SHAPE' }));
  });

  test.each([Float32Array, Float64Array])('the first array that is not finite is found, whatever its length (%p)', (Array_) => {
    const sizes = [1, 7, 16, 257, 20_000];
    const largest = Array_ === Float32Array ? 3.4e38 : Number.MAX_VALUE;
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const values = sizes.map((size) => new Array_(size).fill(-largest));
      const find = addon.finitePass(values);
      expect(find()).toBe(-1);
      for (const index of [4, 3, 2, 1, 0]) {
        for (const at of [0, (sizes[index] as number) >> 1, (sizes[index] as number) - 1]) {
          const array = values[index] as TensorData;
          const before = array[at] as number;
          array[at] = bad;
          expect(find()).toBe(index);
          array[at] = before;
        }
        (values[index] as TensorData)[0] = bad;
      }
    }
  });

  test('copies go from one list to the other, bit for bit', () => {
    const from = [Float64Array.of(1, Number.NaN, -0), Float32Array.from({ length: 20_000 }, (_, i) => i), new Float32Array(0)];
    const to = [new Float64Array(3), new Float32Array(20_000), new Float32Array(0)];
    addon.copyPass(from, to)();
    expect(to).toEqual(from);
    expect(() => addon.copyPass(from, [new Float64Array(2), new Float32Array(20_000), new Float32Array(0)])).toThrow(
      expect.objectContaining({ code: 'ERR_SHAPE' }),
    );
  });

  test('the arrays live as long as the function', () => {
    const size = 1 << 20;
    const fill = addon.zeroPass(Array.from({ length: 4 }, () => new Float64Array(size).fill(1)));
    for (let i = 0; i < 100; i++) new Float64Array(size).fill(2);
    expect(fill).not.toThrow();
  });

  test('what an optimiser does without momentum', () => {
    const [values, grads] = lists() as [TensorData[], TensorData[]];
    addon.sgdPass(values, grads, null)(0.5, 0, false, 0, true);
    expect([...(values[0] as TensorData)]).toEqual([0.25, 0.25, 0.25, 0.25, 0.25]);
    expect(() => addon.sgdPass(null as never, grads, null)).toThrow(expect.objectContaining({ code: 'ERR_DTYPE' }));
    expect(() => addon.rmspropPass(values, grads, null as never, null)).toThrow(expect.objectContaining({ code: 'ERR_DTYPE' }));
  });

  test('one term for each array', () => {
    expect(addon.normTerms([Float32Array.of(3, -4), Float64Array.of(-2)], 2)).toEqual([25, 4]);
    expect(addon.normTerms([], 2)).toEqual([]);
  });
});
