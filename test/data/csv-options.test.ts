import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type ReadSeriesOptions, readSeries, readSeriesAsync } from '../../lib/data/csv';
import { expectRefused } from '../helpers/errors';

let folder: string;
let path: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
  path = join(folder, 'series.csv');
});
afterAll(() => rmSync(folder, { recursive: true }));

function read(contents: string, options?: ReadSeriesOptions) {
  writeFileSync(path, contents);
  return readSeries(path, options);
}

const values = (contents: string, options?: ReadSeriesOptions): number[] => [...read(contents, options).values];

describe('dates and times', () => {
  test.each([
    ['digits with a time', '20250106 170000', '20250106 170100'],
    ['digits alone', '20250106', '20250107'],
    ['digits to the minute', '202501061700', '202501061701'],
    ['digits to the second', '20250106170000', '20250106170100'],
    ['groups with spaces', '2025 01 06', '2025 01 07'],
    ['German ones', '06.01.2025', '07.01.2025'],
    ['German ones with a time', '06.01.2025 17:00', '06.01.2025 17:01'],
    ['American ones', '1/6/2025', '1/7/2025'],
    ['ISO with a zone', '2025-01-06T17:00:00+02:00', '2025-01-06T17:01:00Z'],
    ['ISO without', '2025-01-06 17:00', '2025-01-06 17:01'],
    ['a day of the year', '2025 006', '2025 007'],
    ['times in groups', '17 00', '17 01'],
    ['times in three', '17 00 59', '17 01 00'],
    ['network addresses', '192.168.100.200', '192.168.100.201'],
  ])('leaves out %s', (_, first, second) => {
    for (const between of [';', '\t']) {
      const text = `when${between}x\n${first}${between}1\n${second}${between}3\n`;
      expect(read(text)).toMatchObject({ columns: ['x'], ignored: ['when'], target: 0 });
      expect(read(text, { decimal: ',' })).toMatchObject({ columns: ['x'], ignored: ['when'] });
    }
  });

  test('digits that cannot all be dates are numbers, and so are dates that are asked for', () => {
    expect(read('a,b\n20250106,1\n20251301,2\n').columns).toEqual(['a', 'b']);
    expect(read('a,b\n20250106,1\n20250107.5,2\n').columns).toEqual(['a', 'b']);
    expect(read('a,b\n20250106,1\n20250107,3\n', { columns: ['a', 'b'] })).toMatchObject({ columns: ['a', 'b'], target: 1 });
    expect(read('a,b\n20250106,1\n20250107,3\n', { target: 'a' })).toMatchObject({ columns: ['a', 'b'], target: 0 });
    expectRefused(() => read('a\n20250106\n'), 'ERR_FILE', 'columns of text: "a". Check the delimiter');
  });
});

describe('the target', () => {
  test.each([
    ['a constant', 'a,b\n5,1\n5,3\n5,2\n'],
    ['a counter', 'a,b\n0,1\n1,3\n2,2\n'],
    ['a time in seconds', 'unix,b\n1736121600,1\n1736121660,3\n1736121780,2\n'],
    ['an opening time', 'open_time,b\n1,1\n2,3\n4,2\n'],
    ['a year', 'Year,b\n2024,1\n2024,3\n2025,2\n'],
    ['an hour', 'hour,b\n22,1\n23,3\n0,2\n'],
  ])('is not %s', (_, text) => {
    expect(read(text)).toMatchObject({ target: 1 });
    expect(read(text, { target: read(text).columns[0] as string })).toMatchObject({ target: 0 });
  });

  test('is a counter where there is nothing else, and the first of one row', () => {
    expect(read('a,b\n1,7\n2,7\n3,7\n').target).toBe(0);
    expect(read('a,b\n1,2\n').target).toBe(0);
    expect(read('response_time,b\n12,1\n11,2\n').target).toBe(0);
  });

  test('must be named where none can be meant', () => {
    const text = 'time,year,a\n1,2024,7\n3,2025,7\n';
    expectRefused(() => read(text), 'ERR_OPTION', `"time" is a time, "year" is a part of a date, "a" is constant. Name it if it is meant.`);
    expect(read(text, { target: 'a' }).target).toBe(2);
  });
});

describe('the columns asked for', () => {
  test('alone are checked', () => {
    const text = ',a,note,note,b,\n0,1,x,y,3,\n1,2,3,"4",4,\n';
    expect(values(text, { columns: ['b', 'a'] })).toEqual([3, 1, 4, 2]);
    expectRefused(() => read(text), 'ERR_FILE', 'line 1, column number 1: expected a column name');
    expectRefused(() => read(text, { columns: ['a', 'note'] }), 'ERR_FILE', 'column number 4: expected a name that no other column has');
    expectRefused(() => read(text, { columns: ['a'], target: 'b' }), 'ERR_OPTION', 'expected one of the columns "a", got "b"');
    expectRefused(() => read('a,b\n1,2\n3\n', { columns: ['a'] }), 'ERR_FILE', 'line 3: expected 2 cells as in the header, got 1');
  });

  test('may not be without end', () => {
    expectRefused(() => read('a\n1\n', { columns: new Array(2 ** 32 - 1) }), 'ERR_OPTION', 'got an array of length 4294967295');
  });
});

describe('decimal and delimiter', () => {
  test.each<[string, string, ReadSeriesOptions, number[]]>([
    ['decimal commas', 'a;b\n1,5;-,25\n+2,;3e-1\n', { decimal: ',' }, [1.5, -0.25, 2, 0.3]],
    ['decimal commas in quotes', 'a,b\n"1,5",2\n"0,5",3\n', { decimal: ',' }, [1.5, 2, 0.5, 3]],
    ['decimal commas in one column', 'a\n1,5\n2,5\n', { decimal: ',' }, [1.5, 2.5]],
    ['a byte order mark and CRLF', '\ufeffa;b\r\n1,5;"2,5"\r\n', { decimal: ',' }, [1.5, 2.5]],
    ['bars', 'a|b\n1|2\n', { delimiter: '|' }, [1, 2]],
    ['spaces', 'a b\n1 2\n"3" 4\n', { delimiter: ' ' }, [1, 2, 3, 4]],
    ['a header that holds another delimiter', 'a, in m;b\n1;2\n', { delimiter: ';' }, [1, 2]],
  ])('reads %s', (_, text, options, expected) => {
    expect(values(text, options)).toEqual(expected);
  });

  test.each<[string, string, ReadSeriesOptions, string]>([
    [
      'a point among commas',
      'a;b\n1,5;2.5\n',
      { decimal: ',' },
      'line 2, column "b": expected a finite number, got "2.5". Write numbers with a decimal comma',
    ],
    [
      'thousands',
      'a;b\n1.234,5;2\n',
      { decimal: ',' },
      'column "a": expected a finite number, got "1.234,5". Write numbers with a decimal comma',
    ],
    [
      'a comma among points',
      'a;b\n1;2,5\n',
      {},
      `got "2,5". Write numbers with a decimal point (or give decimal: ',', which is --decimal ,)`,
    ],
    ['thousands in groups', 'a;b\n1;2 500\n', {}, 'got "2 500". Write numbers with a decimal point'],
  ])('refuses %s', (_, text, options, message) => {
    expectRefused(() => read(text, options), 'ERR_FILE', message);
  });

  test.each<[Record<string, unknown>, string]>([
    [{ decimal: ';' }, 'decimal: expected one of ".", ",", got ";"'],
    [{ delimiter: '' }, 'delimiter: expected one character'],
    [{ delimiter: '::' }, 'delimiter: expected one character'],
    [{ delimiter: '"' }, 'delimiter: expected one character'],
    [{ delimiter: '1' }, 'delimiter: expected one character'],
    [{ missing: 'backward' }, 'missing: expected one of "error", "forward", "previous", "mean", "drop", got "backward"'],
  ])('refuses %j', (options, message) => {
    expectRefused(() => read('a\n1\n', options as ReadSeriesOptions), 'ERR_OPTION', message);
  });
});

describe('missing cells', () => {
  const text = 'a,b,note\n1,10,x\n,20,\nNaN,n/a,?\n7,30,y\n';

  test('are filled or dropped as asked, and counted', () => {
    expect(read(text, { missing: 'forward' })).toMatchObject({ columns: ['a', 'b'], rows: 4, missing: 3, ignored: ['note'] });
    expect(values(text, { missing: 'forward' })).toEqual([1, 10, 1, 20, 1, 20, 7, 30]);
    expect(values(text, { missing: 'previous' })).toEqual(values(text, { missing: 'forward' }));
    expect(values(text, { missing: 'mean' })).toEqual([1, 10, 4, 20, 4, 20, 7, 30]);
    expect(read(text, { missing: 'drop' })).toMatchObject({ rows: 2, values: new Float64Array([1, 10, 7, 30]) });
    expect(read(text, { missing: 'drop', columns: ['b'] })).toMatchObject({ rows: 3, missing: 1 });
    expect('missing' in read('a\n1\n')).toBe(false);
    expectRefused(() => read(text), 'ERR_FILE', 'line 3, column "a": expected a number, got an empty cell');
  });

  test.each(['', ' ', 'NaN', '-nan', 'NA', 'N/A', '#N/A', 'null', 'None', '?', '-', '.', '<NA>', '""'])('may be written %j', (cell) => {
    expect(values(`a,b\n1,2\n3,${cell}\n`, { missing: 'forward' })).toEqual([1, 2, 3, 2]);
  });

  test.each<[string, string, ReadSeriesOptions, string]>([
    [
      'a first cell without one above',
      'a,b\n1,\n2,\n3,4\n',
      { missing: 'forward' },
      'line 2, column "b": expected a number above the first missing cell',
    ],
    [
      'a column asked for without numbers',
      'a,b\n1,\n2,\n',
      { missing: 'mean', columns: ['b'] },
      'column "b": expected at least one number, got none',
    ],
    ['nothing left', 'a,b\n1,\n,2\n', { missing: 'drop' }, 'expected at least one row without a missing cell'],
    ['infinity', 'a\n1\ninf\n', { missing: 'drop' }, 'line 3, column "a": expected a finite number, got "inf"'],
    ['a word', 'a\n1\noops\n', { missing: 'mean' }, 'line 3, column "a": expected a finite number, got "oops"'],
  ])('refuses %s', (_, contents, options, message) => {
    expectRefused(() => read(contents, options), 'ERR_FILE', message);
  });

  test('a mean of large numbers does not overflow', () => {
    expect(values('a\n1.5e308\n\n', { missing: 'mean' })).toEqual([1.5e308]);
    expect(values('a,b\n1.5e308,1\n1.5e308,1\n,2\n', { missing: 'mean' })[4]).toBe(1.5e308);
  });
});

describe('slices', () => {
  /** More than one slice, with quoted cells over lines here and there. */
  function longText(rows: number, end: string): string {
    const lines = Array.from({ length: rows }, (_, i) => `${i * i},${i % 7 === 0 ? `"é${end}""${i}"` : 'é'},${-i}`);
    return `a,note,b${end}${lines.join(end)}${end}`;
  }

  test.each([
    ['\n', 0],
    ['\r\n', 1],
    ['\r', 2],
  ])('give the same numbers wherever they are cut: %j', (end, shift) => {
    const rows = 30_000;
    const series = read(`${' '.repeat(shift)}${longText(rows, end)}`);
    expect(series).toMatchObject({ columns: ['a', 'b'], rows, ignored: ['note'] });
    expect(series.values).toEqual(Float64Array.from({ length: 2 * rows }, (_, i) => (i % 2 === 0 ? (i / 2) ** 2 : 0 - (i - 1) / 2)));
  });

  test('count lines across', () => {
    const text = longText(30_000, '\r\n');
    const lines = text.split('\r\n').length;
    expectRefused(() => read(`${text}1,x,oops\r\n`), 'ERR_FILE', `line ${lines}, column "b": expected a finite number, got "oops"`);
    expectRefused(
      () => read(`${text}1,"x,oops\r\n2,3,4\r\n`),
      'ERR_FILE',
      `line ${lines}, column "note": a double quote is opened and never closed`,
    );
  });

  test('a quote that is never closed, and a line without end, end', () => {
    const rows = '1,x,2\n'.repeat(750_000);
    expectRefused(() => read(`a,note,b\n1,"x,2\n${rows}`), 'ERR_FILE', 'line 2, column "note": a double quote is opened and never closed');
    expectRefused(
      () => read(`a,note,b\n1,"x,2\n3,"y",4\n${rows}`),
      'ERR_FILE',
      'line 2, column "note": a double quote stands inside a cell',
    );
    expectRefused(() => read(`a,b\n${'1,'.repeat(2_500_000)}`), 'ERR_FILE', 'expected lines of at most 4194304 characters');
  });

  test('asynchronously let the event loop go on, and give the same', async () => {
    writeFileSync(path, longText(30_000, '\n'));
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    try {
      expect(await readSeriesAsync(path, { target: 'b' })).toEqual(readSeries(path, { target: 'b' }));
    } finally {
      clearInterval(timer);
    }
    expect(turns).toBeGreaterThan(1);
    await expect(readSeriesAsync(path, { target: 'c' })).rejects.toThrow('target: there is no column "c"');
    await expect(readSeriesAsync('')).rejects.toThrow('path: expected a non-empty string');
  });
});

test('property: quotes around cells change nothing, in any delimiter, decimal mark and line end', () => {
  const row = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 2, maxLength: 2 });
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 20 }),
      fc.constantFrom(';', '\t', '|'),
      fc.constantFrom('.', ','),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.infiniteStream(fc.boolean()),
      (rows, delimiter, decimal, end, quotes) => {
        const cell = (value: number) => {
          const text = String(Object.is(value, -0) ? '-0' : value).replace('.', decimal);
          return quotes.next().value ? `"${text}"` : text;
        };
        const text = ['a', ...rows.map(() => '')]
          .map((_, i) => (i === 0 ? ['a', 'b'] : (rows[i - 1] as number[]).map(cell)).join(delimiter))
          .join(end);
        expect(values(text, { delimiter, decimal: decimal as '.' | ',', target: 'a' })).toEqual(rows.flat());
      },
    ),
  );
});
