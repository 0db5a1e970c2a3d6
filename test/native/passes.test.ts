// Calls over the arrays of all parameters at once: an optimiser's update, norms, copies.
import { native } from '../../lib/native/load';
import type { TensorData } from '../../lib/tensor';
import { normTerms } from './helpers';

const addon = native();

type Call = (...args: unknown[]) => unknown;

describe('passes over all parameters', () => {
  type Five = [TensorData[], TensorData[], TensorData[], TensorData[], TensorData[]];
  // ES2024, which Node has and the types of ES2023 have not
  const resizable = (length: number, maxByteLength: number) =>
    new (ArrayBuffer as unknown as new (...args: unknown[]) => ArrayBuffer & { resize(length: number): void })(length, { maxByteLength });
  const lists = () => Array.from({ length: 5 }, () => [new Float32Array(5).fill(0.5), new Float64Array(3).fill(0.5)]) as Five;
  const settings = [1e-3, 0.9, 0.999, 1e-8, 0, false, 1, false] as const;
  const make = addon.adamPass as unknown as Call;

  test('float32 and float64 may stand beside each other, and each is updated', () => {
    const given = lists();
    const [values] = given;
    addon.adamPass(...given)(...settings);
    for (const [index, value] of values.entries()) {
      const alone = lists().map((list) => [list[index] as TensorData]) as Five;
      addon.adamPass(...alone)(...settings);
      expect(value).toEqual(alone[0][0]);
      expect(value[0]).not.toBe(0.5);
    }
  });

  test.each([0, 1, 2, 3, 4])('list %i of wrong kinds, lengths or buffers that are gone is refused', (at) => {
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
        expect.objectContaining({ name: 'EvenkeelError', code: expect.stringMatching(/^ERR_(SHAPE|DTYPE|STATE)$/) }),
      );
    }
  });

  test.each([0, 1, 2, 3, 4])(
    'an array of list %i that is gone since the first step is refused at the next one, and nothing is updated',
    (at) => {
      const given = lists();
      const step = addon.adamPass(...given);
      step(...settings);
      const before = structuredClone(given);
      const [, { buffer }] = given[at] as [TensorData, TensorData];
      structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
      const name = ['values', 'grads', 'firstMoments', 'secondMoments', 'largestSecondMoments'][at];
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
    // A NaN whose bits are no arithmetic's own.
    new DataView((from[0] as Float64Array).buffer).setBigUint64(8, 0xfff8_dead_beef_0123n, true);
    const to = [new Float64Array(3), new Float32Array(20_000), new Float32Array(0)];
    addon.copyPass(from, to)();
    const bytes = (arrays: TensorData[]) => arrays.map(({ buffer }) => new Uint8Array(buffer));
    expect(bytes(to)).toEqual(bytes(from));
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
    const [values, grads] = lists();
    addon.sgdPass(values, grads, null)(0.5, 0, false, 0, true, 0, false);
    expect([...(values[0] as TensorData)]).toEqual([0.25, 0.25, 0.25, 0.25, 0.25]);
    expect(() => addon.sgdPass(null as never, grads, null)).toThrow(expect.objectContaining({ code: 'ERR_DTYPE' }));
    expect(() => addon.rmspropPass(values, grads, null as never, null, null)).toThrow(expect.objectContaining({ code: 'ERR_DTYPE' }));
  });

  test('one term for each array', () => {
    expect(normTerms(addon, [Float32Array.of(3, -4), Float64Array.of(-2)], 2)).toEqual(Float64Array.of(25, 4));
    expect(normTerms(addon, [], 2)).toEqual(new Float64Array(0));
    expect(() => addon.normTerms([new Float32Array(1), new Float32Array(1)], 2, new Float64Array(1))).toThrow('terms: expected 2 elements');
  });
});
