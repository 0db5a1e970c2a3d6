/** Several series in one file, and rows with times: from the file to windows. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ReadSeriesOptions, readSeries } from '../../lib/data/csv';
import { Scaler } from '../../lib/data/scaler';
import type { Series } from '../../lib/data/series';
import { splitSeries } from '../../lib/data/split';
import { latestWindows, makeWindows } from '../../lib/data/windows';
import { Tensor } from '../../lib/tensor';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'a.csv');
function read(text: string, options: ReadSeriesOptions = {}) {
  writeFileSync(path, text);
  return readSeries(path, options);
}

const cities = 'city,day,x,note\nB,2025-01-02,20,a\nA,2025-01-02,2,b\nB,2025-01-01,10,c\nA,2025-01-01,1,d\nA,2025-01-03,3,e\n';

describe('readSeries', () => {
  test('puts rows in the order of series and times', () => {
    const series = read(cities, { sequenceId: 'city', time: 'day' });
    expect(series).toMatchObject({
      columns: ['x'],
      rows: 5,
      ignored: ['note'],
      sequences: [
        { id: 'B', begin: 0, end: 2 },
        { id: 'A', begin: 2, end: 5 },
      ],
      timeStyle: { hasClock: false },
    });
    expect([...series.values]).toEqual([10, 20, 1, 2, 3]);
    expect(series.times?.[4]).toBe(Date.UTC(2025, 0, 3));
  });

  test('keeps the order of rows without times', () => {
    const series = read(cities, { sequenceId: 'city' });
    expect([...series.values]).toEqual([20, 10, 2, 1, 3]);
    expect('times' in series).toBe(false);
  });

  test('sorts one series, newest first as banks write it', () => {
    expect([...read('t,x\n2025-01-03,3\n2025-01-02,2\n2025-01-01,1\n', { time: 't' }).values]).toEqual([1, 2, 3]);
  });

  test('reads a file as Excel writes it in Germany', () => {
    const text = '\ufeffDatum;"Wert ""x""";Art\r\n31.12.2024 23:00;1,5;a\r\n01.01.2025 00:00;-2,25;b\r\n';
    const series = read(text, { time: 'Datum', decimal: ',' });
    expect([...series.values]).toEqual([1.5, -2.25]);
    expect(series.columns).toEqual(['Wert "x"']);
  });

  test.each<[string, string, ReadSeriesOptions, string]>([
    ['no such time', 'day,x\n2025-01-01,1\n', { time: 'dai' }, 'time: there is no column "dai"'],
    ['no such series', 'day,x\n2025-01-01,1\n', { sequenceId: 'city' }, 'sequenceId: there is no column "city"'],
    ['one column for two', 'day,x\n2025-01-01,1\n', { sequenceId: 'day', time: 'day' }, 'sequenceId: expected another column than time'],
    ['a time as target', 'day,x\n2025-01-01,1\n', { target: 'day', time: 'day' }, 'target: expected another column than time'],
    ['a time among columns', 'day,x\n2025-01-01,1\n', { columns: ['x', 'day'], time: 'day' }, 'columns: expected none of time'],
    ['no date', 'day,x\n2025-01-01,1\nsoon,2\n', { time: 'day' }, 'line 3, column "day": expected a date or time'],
    ['no date at all', 'day,x\n2025-01-01,1\n,2\n', { time: 'day' }, 'line 3, column "day": expected a date or time'],
    [
      'two readings',
      'day,x\n1/2/2025,1\n2/3/2025,2\n',
      { time: 'day' },
      'got "1/2/2025", "2/3/2025", where day and month may be meant either way round',
    ],
    [
      'one time twice',
      'day,x\n2025-01-01,1\n2025-01-02,2\n2025-01-01,3\n',
      { time: 'day' },
      'line 4, column "day": expected a time that no other row has, got the one of line 2. Name the column',
    ],
    [
      'one time twice in a series',
      `${cities}A,2025-01-03,4,f\n`,
      { sequenceId: 'city', time: 'day' },
      'line 7, column "day": expected a time that no other row of the series "A" has, got the one of line 6. Remove one.',
    ],
    ['no name', 'city,x\nA,1\n,2\n', { sequenceId: 'city' }, 'line 3, column "city": expected the name of a series, got an empty cell'],
  ])('says what is wrong: %s', (_, text, options, message) => {
    expect(() => read(text, options)).toThrow(message);
  });

  const gaps = 'city,t,x,y\nB,2,,6\nA,1,1,2\nB,1,5,6\nA,2,,4\nA,3,3,6\n';
  test('fills gaps from the same series, in the order of time', () => {
    const at = (missing: ReadSeriesOptions['missing']) => [
      ...read(gaps.replaceAll(/,([123]),/g, ',2025-01-0$1,'), { sequenceId: 'city', time: 't', missing }).values,
    ];
    expect(at('forward')).toEqual([5, 6, 5, 6, 1, 2, 1, 4, 3, 6]);
    expect(at('mean')).toEqual([5, 6, 5, 6, 1, 2, 2, 4, 3, 6]);
    expect(at('drop')).toEqual([5, 6, 1, 2, 3, 6]);
  });

  test('marks what it has filled in', () => {
    expect([...(read(gaps, { sequenceId: 'city', columns: ['x'], missing: 'mean' }).filled ?? [])]).toEqual([1, 0, 0, 1, 0]);
    expect('filled' in read(gaps, { sequenceId: 'city', columns: ['y'], missing: 'mean' })).toBe(false);
  });

  test('names the line of a series that begins with a gap', () => {
    expect(() => read(gaps, { sequenceId: 'city', missing: 'forward' })).toThrow('line 2, column "x": expected a number above');
  });
});

/** Two series of 20 and 10 rows: 0 … 19 and 100 … 109, one day each. */
function twoSeries(withTimes: boolean): Series {
  const values = Float64Array.from({ length: 30 }, (_, i) => (i < 20 ? i : 80 + i));
  const times = Float64Array.from({ length: 30 }, (_, i) => (i < 20 ? i : i - 20));
  const sequences = [
    { id: 'a', begin: 0, end: 20 },
    { id: 'b', begin: 20, end: 30 },
  ];
  return { columns: ['x'], rows: 30, values, target: 0, sequences, ...(withTimes && { times }) };
}

describe('splitSeries', () => {
  test('cuts each series by its rows where there are no times', () => {
    expect(splitSeries(twoSeries(false), { window: 3 })).toEqual({
      train: [
        { begin: 0, end: 14 },
        { begin: 20, end: 27 },
      ],
      validation: [
        { begin: 14, end: 17 },
        { begin: 27, end: 29 },
      ],
      test: [
        { begin: 17, end: 20 },
        { begin: 29, end: 30 },
      ],
    });
  });

  test('cuts all at the same moments where there are', () => {
    const series = twoSeries(true);
    const split = splitSeries(series, { window: 3 });
    const latest = Math.max(...split.train.map(({ end }) => series.times?.[end - 1] as number));
    const earliest = Math.min(...[...split.validation, ...split.test].map(({ begin }) => series.times?.[begin] as number));
    expect(latest).toBeLessThan(earliest);
    // The second series ends before the others are validated.
    expect(split).toEqual({
      train: [
        { begin: 0, end: 11 },
        { begin: 20, end: 30 },
      ],
      validation: [{ begin: 11, end: 16 }],
      test: [{ begin: 16, end: 20 }],
    });
  });

  test('is splitInTime for one series, with room for a horizon', () => {
    const { sequences: _, ...one } = twoSeries(false);
    expect(splitSeries(one, { window: 3, horizon: 4 }).test).toEqual([{ begin: 26, end: 30 }]);
    expect(() => splitSeries(one, { window: 3, horizon: 5 })).toThrow(
      'rows: expected at least 32, so that the training part holds a window of 3 and its 5 targets and the other parts 5 targets each, got 30',
    );
  });

  test('refuses windows that no series holds', () => {
    expect(() => splitSeries(twoSeries(false), { window: 14 })).toThrow(
      'series: expected one whose train part holds a window of 14 and 1 target, got none; the longest has 20 rows',
    );
    expect(() => splitSeries(twoSeries(false), { window: 13, horizon: 4 })).toThrow(expect.objectContaining({ code: 'ERR_SHAPE' }));
  });
});

describe('windows', () => {
  test('never span two series', () => {
    const { inputs, targets, rows, firstRow } = makeWindows(twoSeries(false), { window: 8, horizon: 2, dtype: 'float64' });
    expect(inputs.shape).toEqual([12, 8, 1]);
    expect(targets.shape).toEqual([12, 2]);
    expect(firstRow).toBe(8);
    expect([...rows]).toEqual([8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 28]);
    expect([...targets.data.subarray(22)]).toEqual([108, 109]);
    expect([...inputs.data.subarray(11 * 8)]).toEqual([100, 101, 102, 103, 104, 105, 106, 107]);
  });

  test('keep targets within their ranges', () => {
    const { rows } = makeWindows(twoSeries(false), {
      window: 2,
      horizon: 3,
      range: [
        { begin: 5, end: 9 },
        { begin: 27, end: 30 },
      ],
    });
    expect([...rows]).toEqual([5, 6, 27]);
  });

  test('have no target that was filled in', () => {
    const filled = Uint8Array.from({ length: 30 }, (_, i) => Number(i === 6));
    expect([...makeWindows({ ...twoSeries(false), filled }, { window: 4, horizon: 2, range: { begin: 0, end: 10 } }).rows]).toEqual([
      4, 7, 8,
    ]);
    expect(() => makeWindows({ ...twoSeries(false), filled: filled.fill(1) }, { window: 4 })).toThrow('none of them missing');
  });

  test('the latest ones end where the series do', () => {
    const { inputs, sequences } = latestWindows(twoSeries(false), { window: 3, dtype: 'float64' });
    expect(inputs.toArray()).toEqual([
      [[17], [18], [19]],
      [[107], [108], [109]],
    ]);
    expect(sequences.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(latestWindows(twoSeries(false), { window: 20 }).sequences.map(({ id }) => id)).toEqual(['a']);
    expect(() => latestWindows(twoSeries(false), { window: 21 })).toThrow('series: expected at least 21 rows, a whole window, got 20');
  });
});

describe('Scaler', () => {
  test('scales each series by itself, and one it has not seen by all', () => {
    const series = twoSeries(false);
    const scaler = Scaler.fit(series, [
      { begin: 0, end: 2 },
      { begin: 20, end: 22 },
    ]);
    expect(scaler.momentsOf('x', 'a')).toEqual({ mean: 0.5, std: 0.5 });
    expect(scaler.momentsOf('x', 'b')).toEqual({ mean: 100.5, std: 0.5 });
    expect(scaler.momentsOf('x', 'c')).toEqual(scaler.momentsOf('x'));
    expect(scaler.momentsOf('x').mean).toBe(50.5);
    expect([scaler.knows('b'), scaler.knows('c')]).toEqual([true, false]);
    const { values } = scaler.transform(series);
    expect([...values.subarray(0, 3), values[20]]).toEqual([-1, 1, 3, -1]);
    expect(scaler.inverseTransform(Tensor.from([[-1, 3]], { dtype: 'float64' }), 'x', 'b').toArray()).toEqual([[100, 102]]);
  });

  test('survives JSON', () => {
    const series = twoSeries(false);
    const scaler = Scaler.fit(series);
    const again = Scaler.from(JSON.parse(JSON.stringify(scaler)));
    expect(again.toJSON()).toEqual(scaler.toJSON());
    expect(again.transform(series).values).toEqual(scaler.transform(series).values);
  });

  test('knows after JSON which columns are constant', () => {
    const series: Series = { columns: ['a', 'x'], rows: 2, values: Float64Array.of(5, 1, 5, 2), target: 1 };
    const scaler = Scaler.fit(series);
    const again = Scaler.from(JSON.parse(JSON.stringify(scaler)));
    expect([scaler.constantColumns, again.constantColumns]).toEqual([['a'], ['a']]);
    expect(again.toJSON()).toEqual(scaler.toJSON());
  });

  test('does not count cells that were filled in, and fills them with the mean of the fitted rows', () => {
    const filled = new Uint8Array(6);
    filled[1] = filled[5] = 1;
    const series: Series = { columns: ['x'], rows: 6, values: Float64Array.of(1, 99, 3, 5, 7, 99), target: 0, filled };
    const scaler = Scaler.fit(series, { begin: 0, end: 3 });
    expect(scaler.momentsOf('x')).toEqual({ mean: 2, std: 1 });
    expect([...scaler.fillMissing(series).values]).toEqual([1, 2, 3, 5, 7, 2]);
    expect(() => Scaler.fit(series, { begin: 5, end: 6 })).toThrow(
      'column "x": expected a number in the rows that the scaler is fitted on',
    );
  });

  test.each([
    [{}, 'state.columns: expected an array'],
    [{ columns: ['x'], mean: [1], std: [0] }, 'state.std: expected 1 numbers above 0'],
    [{ columns: ['x'], mean: [1, 2], std: [1] }, 'state.mean: expected 1 finite numbers'],
    [
      { columns: ['x'], mean: [1], std: [1], sequences: { a: { mean: [Number.NaN], std: [1] } } },
      'state.sequences["a"].mean: expected 1 finite numbers',
    ],
    [{ columns: ['x'], mean: [1], std: [1], constantColumns: ['y'] }, 'state.constantColumns: expected some of state.columns, got "y"'],
    [{ columns: ['x'], mean: [1], std: [1], scale: 1 }, 'unknown option "scale"'],
  ])('refuses the state %j', (state, message) => {
    expect(() => Scaler.from(state as never)).toThrow(message);
  });

  test('refuses a series of other columns', () => {
    const scaler = Scaler.fit(twoSeries(false));
    expect(() => scaler.transform({ ...twoSeries(false), columns: ['y'] })).toThrow("series.columns: expected the scaler's, x, got");
    expect(() => scaler.momentsOf('y')).toThrow('column: expected one of x, got "y"');
  });
});
