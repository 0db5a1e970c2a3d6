import { escapeHtml, formatBytes, formatDuration, formatNumber, printable, threeDigits, trimZeros, wrap } from '../../lib/report/text';
import { formatTable } from '../../lib/text-table';

describe('text from outside', () => {
  test('markup becomes text', () => {
    expect(escapeHtml(`<b title="a" id='b'>&amp;</b>`)).toBe('&lt;b title=&quot;a&quot; id=&#39;b&#39;&gt;&amp;amp;&lt;/b&gt;');
  });

  test('control characters, lone surrogates and non-characters are replaced, everything else stays', () => {
    expect(printable('a\u0000b\u001b[31m\r\n\u0085\ud800\ufffe')).toBe('a\ufffdb\ufffd[31m\ufffd\ufffd\ufffd\ufffd\ufffd');
    expect(printable('température °C 温度 🌡')).toBe('température °C 温度 🌡');
  });
});

describe('formatNumber', () => {
  test.each([
    [0, '0.0000'],
    [0.50342, '0.5034'],
    [-1.23456, '-1.2346'],
    [12.34567, '12.346'],
    [123.4567, '123.46'],
    [1234.567, '1234.6'],
    [999999, '999999.0'],
    [1e6, '1.00e6'],
    [0.001, '0.0010'],
    [0.0009, '9.00e-4'],
    [Number.NaN, 'NaN'],
    [-Infinity, '-Infinity'],
  ])('%p is %s', (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  test('takes fewer digits', () => {
    expect([2.7772, 27.772, 0.5].map((value) => formatNumber(value, 2))).toEqual(['2.78', '27.8', '0.50']);
  });
});

test.each([
  [0.0000123, '0.0123 µs'],
  [0.0123, '12.3 µs'],
  [0.09999, '0.100 ms'],
  [2.407, '2.41 ms'],
  [999.4, '999 ms'],
  [999.6, '1.00 s'],
  [21_122, '21.1 s'],
  [1_234_567, '1,235 s'],
  [0, '0.00 ms'],
])('%p ms are %s', (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});

test.each([
  [0, '0.00 KiB'],
  [512, '0.500 KiB'],
  [2 ** 20 - 1, '1,024 KiB'],
  [1.5 * 2 ** 20, '1.50 MiB'],
  [2 ** 31, '2.00 GiB'],
  [2 ** 51, '2,048 TiB'],
])('%p bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [9.996, '10.0'],
  [-0.00123, '-0.00123'],
  [12_345, '12,345'],
  [Number.NaN, 'NaN'],
])('three digits of %p are %s', (value, text) => {
  expect(threeDigits(value)).toBe(text);
});

test('trimZeros leaves the zeros that count', () => {
  expect(['10.0 ms', '0.500 ms', '100 ms', '1.02 ms', '20 %', '2.0'].map(trimZeros)).toEqual([
    '10 ms',
    '0.5 ms',
    '100 ms',
    '1.02 ms',
    '20 %',
    '2',
  ]);
});

test('formatTable sets names left and numbers right', () => {
  expect(
    formatTable([
      ['system', 'loss'],
      ['none', '1.5'],
      ['a longer name', '10.25'],
    ]),
  ).toBe('system          loss\nnone             1.5\na longer name  10.25');
});

test('wrap breaks between words and leaves longer words whole', () => {
  expect(wrap('one two three', 9, '  ')).toBe('  one two\n  three');
  expect(wrap('unbreakable', 4)).toBe('unbreakable');
});

describe('a table in a narrow terminal', () => {
  const rows = [
    ['A long heading of rows', 'first', 'second', 'third column', 'fourth'],
    ['  a row', '1.25', '1.5', 'words that say much', '4'],
    ['another row with a longer name', '2', '3', '', '5'],
  ];

  test.each([30, 40, 50, 60])('keeps within %i columns, breaks between words, and loses nothing', (width) => {
    const table = formatTable(rows, width);
    for (const line of table.split('\n')) expect(line.length).toBeLessThanOrEqual(width);
    for (const word of rows.flat().flatMap((cell) => cell.split(' '))) expect(table).toContain(word);
  });

  test('repeats the first column', () => {
    expect(
      formatTable(
        [
          ['a', 'bbbbbbbb', 'cccccccc', 'dddddddd'],
          ['x', '1', '2', '3'],
        ],
        24,
      ),
    ).toBe('a  bbbbbbbb  cccccccc\nx         1         2\n\na  dddddddd\nx         3');
  });
});
