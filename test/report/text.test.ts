import { escapeHtml, formatNumber, formatTable, printable, wrap } from '../../lib/report/text';

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
