import type { Series } from '../../lib/data/series';
import { splitInTime } from '../../lib/data/split';
import { makeWindows, standardize, type WindowOptions } from '../../lib/data/windows';
import { EvenkeelError } from '../../lib/errors';

/** Rows of [100 + row, row², 7]. */
function series(rows: number, target = 1): Series {
  const values = Float64Array.from({ length: rows * 3 }, (_, i) => [100 + Math.floor(i / 3), Math.floor(i / 3) ** 2, 7][i % 3] as number);
  return { columns: ['a', 'b', 'constant'], rows, values, target };
}

const column = (values: Float64Array, width: number, index: number): number[] => [...values].filter((_, i) => i % width === index);

describe('splitInTime', () => {
  test('gives 70 % to training and 15 % each to validation and test, without gap or overlap', () => {
    expect(splitInTime(1461, 50)).toEqual({
      train: { begin: 0, end: 1023 },
      validation: { begin: 1023, end: 1242 },
      test: { begin: 1242, end: 1461 },
    });
  });

  test.each([1, 2, 3, 7, 50, 365, 10_000])('says how many rows a window of %i needs, and that many are enough', (window) => {
    let message = '';
    try {
      splitInTime(window, window);
    } catch (error) {
      message = (error as Error).message;
    }
    const needed = Number(/^rows: expected at least (\d+),/.exec(message)?.[1]);
    expect(() => splitInTime(needed - 1, window)).toThrow(
      `rows: expected at least ${needed}, so that the training part holds a window of ${window}`,
    );
    const { train, validation, test: last } = splitInTime(needed, window);
    expect(train.end - window).toBeGreaterThanOrEqual(1);
    expect(validation.end - validation.begin).toBeGreaterThanOrEqual(1);
    expect(last.end - last.begin).toBeGreaterThanOrEqual(1);
  });

  test.each([
    [-1, 5, 'rows: expected an integer'],
    [1.5, 5, 'rows: expected an integer'],
    [100, 0, 'window: expected an integer'],
    [100, Number.NaN, 'window: expected an integer'],
  ])('refuses %p rows with a window of %p', (rows, window, message) => {
    expect(() => splitInTime(rows, window)).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION', message: expect.stringContaining(message) }),
    );
  });
});

describe('standardize', () => {
  test('brings the fitted rows to mean 0 and standard deviation 1, and treats the others alike', () => {
    const original = series(10);
    const before = original.values.slice();
    const { series: result, mean, std, constantColumns } = standardize(original, { begin: 2, end: 8 });
    // Rows 2 to 7: a is 102 … 107; b is 4, 9, 16, 25, 36, 49.
    expect([...mean]).toEqual([104.5, expect.closeTo(139 / 6, 12), 7]);
    expect([...std]).toEqual([expect.closeTo(Math.sqrt(35 / 12), 12), expect.closeTo(Math.sqrt(4675 / 6 - (139 / 6) ** 2), 12), 1]);
    expect(constantColumns).toEqual(['constant']);
    expect(column(result.values, 3, 0)[9]).toBeCloseTo((109 - 104.5) / Math.sqrt(35 / 12), 12);
    expect(column(result.values, 3, 2)).toEqual(Array(10).fill(0));
    for (const index of [0, 1]) {
      const fitted = column(result.values, 3, index).slice(2, 8);
      expect(fitted.reduce((sum, value) => sum + value, 0) / 6).toBeCloseTo(0, 12);
      expect(fitted.reduce((sum, value) => sum + value ** 2, 0) / 6).toBeCloseTo(1, 12);
    }
    expect(result).toMatchObject({ columns: original.columns, rows: 10, target: 1 });
    expect(original.values).toEqual(before);
  });

  test('what comes after the fitted rows has no say', () => {
    const changed = series(10);
    changed.values.fill(1e9, 8 * 3);
    const fit = { begin: 0, end: 8 };
    expect(standardize(changed, fit).mean).toEqual(standardize(series(10), fit).mean);
    expect(standardize(changed, fit).std).toEqual(standardize(series(10), fit).std);
  });

  test('a column whose equal numbers do not add up evenly still counts as constant', () => {
    const tenth = { columns: ['x'], rows: 11, values: new Float64Array(11).fill(0.1).fill(0.3, 10), target: 0 };
    const { series: result, std, constantColumns } = standardize(tenth, { begin: 0, end: 10 });
    expect([constantColumns, ...std]).toEqual([['x'], 1]);
    expect([...result.values.subarray(0, 10)]).toEqual(Array(10).fill(0));
    expect(result.values[10]).toBeCloseTo(0.2, 12);
  });

  test('a large offset does not drown a small change', () => {
    const offset = { columns: ['x'], rows: 4, values: new Float64Array([1e9, 1e9 + 1, 1e9, 1e9 + 1]), target: 0 };
    expect([...standardize(offset, { begin: 0, end: 4 }).series.values]).toEqual([-1, 1, -1, 1]);
  });

  test.each([
    ['too large', [1e308, 1e308, -1e308]],
    ['too small', [1e-200, 2e-200, 3e-200]],
    ['not a number', [1, Number.NaN, 2]],
  ])('refuses a column that is %s', (_, numbers) => {
    const values = new Float64Array(numbers);
    expect(() => standardize({ columns: ['x'], rows: 3, values, target: 0 }, { begin: 0, end: 3 })).toThrow(
      expect.objectContaining({ code: 'ERR_NON_FINITE', message: expect.stringContaining('column "x"') }),
    );
  });
});

describe('makeWindows', () => {
  test('puts the window just before each target', () => {
    const { inputs, targets, firstRow } = makeWindows(series(5), { window: 2, dtype: 'float64' });
    expect(firstRow).toBe(2);
    expect(inputs.toArray()).toEqual([
      [
        [100, 0, 7],
        [101, 1, 7],
      ],
      [
        [101, 1, 7],
        [102, 4, 7],
      ],
      [
        [102, 4, 7],
        [103, 9, 7],
      ],
    ]);
    expect(targets.toArray()).toEqual([[4], [9], [16]]);
    expect([inputs.dtype, targets.dtype]).toEqual(['float64', 'float64']);
  });

  test('reaches back beyond the range for inputs, never for targets', () => {
    const { inputs, targets, firstRow } = makeWindows(series(10, 0), { window: 3, range: { begin: 6, end: 8 } });
    expect(firstRow).toBe(6);
    expect(targets.toArray()).toEqual([[106], [107]]);
    expect(inputs.shape).toEqual([2, 3, 3]);
    expect(inputs.data[0]).toBe(103);
    expect(inputs.dtype).toBe('float32');
  });

  test('the parts of a split share no target and miss none that has a window', () => {
    const data = series(60, 0);
    const split = splitInTime(60, 10);
    const targets = [split.train, split.validation, split.test].flatMap((range) => [
      ...makeWindows(data, { window: 10, range }).targets.data,
    ]);
    expect(targets).toEqual(Array.from({ length: 50 }, (_, i) => 110 + i));
  });

  test('says which row is the first that could be forecast', () => {
    expect(() => makeWindows(series(5), { window: 5 })).toThrow('range: expected an end of at least 6 for windows of 5, got 5.');
    expect(() => makeWindows(series(20), { window: 10, range: { begin: 0, end: 10 } })).toThrow(
      expect.objectContaining({ code: 'ERR_SHAPE' }),
    );
    expect(makeWindows(series(20), { window: 10, range: { begin: 0, end: 11 } }).targets.shape).toEqual([1, 1]);
  });

  test.each<[string, unknown, unknown, string, string]>([
    ['no window', {}, {}, 'ERR_OPTION', 'window: expected an integer of at least 1, got undefined'],
    ['an unknown option', {}, { window: 1, stride: 2 }, 'ERR_OPTION', 'unknown option "stride"'],
    ['a dtype that is none', {}, { window: 1, dtype: 'int8' }, 'ERR_DTYPE', 'dtype'],
    ['a range that is none', {}, { window: 1, range: [0, 1] }, 'ERR_OPTION', 'range'],
    [
      'a range beyond the rows',
      {},
      { window: 1, range: { begin: 0, end: 9 } },
      'ERR_OPTION',
      'range.end: expected an integer from 1 to 5, got 9',
    ],
    [
      'a range in reverse',
      {},
      { window: 1, range: { begin: 3, end: 3 } },
      'ERR_OPTION',
      'range.begin: expected an integer from 0 to 2, got 3',
    ],
    ['columns that are a count', { columns: 3 }, { window: 1 }, 'ERR_OPTION', 'series.columns'],
    ['no rows', { rows: 0 }, { window: 1 }, 'ERR_OPTION', 'series.rows'],
    ['a target by name', { target: 'a' }, { window: 1 }, 'ERR_OPTION', 'series.target: expected an integer from 0 to 2'],
    ['a target out of range', { target: 3 }, { window: 1 }, 'ERR_OPTION', 'series.target'],
    ['values of another type', { values: new Float32Array(15) }, { window: 1 }, 'ERR_DTYPE', 'series.values: expected a Float64Array'],
    ['too few values', { values: new Float64Array(14) }, { window: 1 }, 'ERR_SHAPE', 'series.values: expected 5 x 3 numbers'],
  ])('refuses %s', (_, change, options, code, message) => {
    const data = { ...series(5), ...(change as Partial<Series>) };
    expect(() => makeWindows(data, options as WindowOptions)).toThrow(EvenkeelError);
    expect(() => makeWindows(data, options as WindowOptions)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});
