import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type ReadSeriesOptions, readSeries } from '../../lib/data/csv';
import { EvenkeelError } from '../../lib/errors';

let folder: string;
let path: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
  path = join(folder, 'series.csv');
});
afterAll(() => rmSync(folder, { recursive: true }));

function read(contents: string | Uint8Array, options?: ReadSeriesOptions) {
  writeFileSync(path, contents);
  return readSeries(path, options);
}

const plain = 'day,rain,temp\nmon,0.5,12\ntue,-1e1,+.25\n';

describe('readSeries', () => {
  test('takes the columns of numbers and lists the others', () => {
    expect(read(plain)).toEqual({
      columns: ['rain', 'temp'],
      rows: 2,
      values: new Float64Array([0.5, 12, -10, 0.25]),
      target: 0,
      ignored: ['day'],
    });
  });

  test('takes the columns asked for, in that order, and the target', () => {
    expect(read(plain, { columns: ['temp', 'rain'], target: 'rain' })).toEqual({
      columns: ['temp', 'rain'],
      rows: 2,
      values: new Float64Array([12, 0.5, 0.25, -10]),
      target: 1,
      ignored: [],
    });
    expect(read(plain, { target: 'temp' })).toMatchObject({ columns: ['rain', 'temp'], target: 1 });
    expect(read(plain, { columns: ['temp'] }).values).toEqual(new Float64Array([12, 0.25]));
  });

  test.each([
    ['Windows line ends', 'a,b\r\n1,2\r\n3,4\r\n'],
    ['old Mac line ends', 'a,b\r1,2\r3,4\r'],
    ['mixed line ends', 'a,b\r\n1,2\n3,4'],
    ['no line end at the end', 'a,b\n1,2\n3,4'],
    ['empty lines at the end', 'a,b\n1,2\n3,4\n\n  \r\n\n'],
    ['a byte order mark', '\ufeffa,b\n1,2\n3,4\n'],
    ['semicolons', 'a;b\n1;2\n3;4\n'],
    ['tabs', 'a\tb\n1\t2\n3\t4\n'],
    ['spaces around the cells', ' a , b\n 1,2 \n3 ,\t4\n'],
    ['quotes', '"a","b"\n"1",2\n3,"4"\n'],
    ['spaces around quotes', '"a", "b"\n"1" ,2\n3,4\n'],
  ])('reads %s', (_, text) => {
    expect(read(text)).toEqual({ columns: ['a', 'b'], rows: 2, values: new Float64Array([1, 2, 3, 4]), target: 0, ignored: [] });
  });

  test('reads names that hold the other delimiters, quotes and line breaks', () => {
    expect(read('"a;b","say ""c""\n"\n1,2\n').columns).toEqual(['a;b', 'say "c"\n']);
    expect(read('"1,5";x\n1;2\n').columns).toEqual(['1,5', 'x']);
  });

  test('reads a single column, and the name of a prototype member', () => {
    expect(read('constructor\n1\n2\n')).toMatchObject({ columns: ['constructor'], rows: 2 });
    expect(read('__proto__,b\n1,2\n', { target: '__proto__' }).columns).toEqual(['__proto__', 'b']);
  });

  test('leaves out columns of dates, words and nothing', () => {
    expect(read('date,time,ip,word,none,x\n2020-01-01,12:30,10.0.0.1,NaN,,1\n2020-01-02,12:31,10.0.0.2,inf,,2\n')).toMatchObject({
      columns: ['x'],
      ignored: ['date', 'time', 'ip', 'word', 'none'],
    });
  });

  test.each<[string, string | Uint8Array, string]>([
    ['an empty file', '', ': expected a header line with column names, got an empty file.'],
    ['a file of empty lines', '\n\n', ': expected a header line with column names, got an empty file.'],
    ['a header alone', 'a,b\n', ': expected rows of numbers under the header, got only a header.'],
    ['an empty first line', '\na,b\n1,2\n', ', line 1: expected a header with column names, got an empty line.'],
    [
      'no header',
      '1,2\n3,4\n',
      ', line 1: expected a header with column names, got only numbers. Put a line with one name per column first.',
    ],
    ['an unnamed column', ',b\n1,2\n', ', line 1, column number 1: expected a column name, got none.'],
    ['a delimiter at the end', 'a,b,\n1,2,\n', ', line 1, column number 3: expected a column name, got none.'],
    ['a name twice', 'a,b,a\n1,2,3\n', ', line 1, column number 3: expected a name that no other column has, got "a".'],
    ['two delimiters', 'a,b;c\n1,2;3\n', ', line 1: expected one kind of delimiter, got comma and semicolon.'],
    ['a short row', 'a,b\n1,2\n3\n', ', line 3: expected 2 cells as in the header, got 1.'],
    ['a long row', 'a,b\n1,2,3\n', ', line 2: expected 2 cells as in the header, got 3.'],
    ['an empty line between', 'a\n1\n\n2\n', ', line 3: expected a row, got an empty line. Remove it.'],
    [
      'an empty cell',
      'a,b\n1,2\n3,\n',
      ', line 3, column "b": expected a number, got an empty cell. Fill it in, remove the row, choose other columns, or say',
    ],
    ['a blank cell', 'a,b\n1, \n3,4\n', ', line 2, column "b": expected a number, got an empty cell.'],
    ['text among numbers', 'a,b\n1,2\n3,n/a\n', ', line 3, column "b": expected a finite number, got "n/a". Correct it,'],
    ['a number among text', 'a,b\nx,1\n2,1\n', ', line 2, column "a": expected a finite number, got "x".'],
    ['NaN', 'a,b\n1,2\n3,NaN\n', ', line 3, column "b": expected a finite number, got "NaN".'],
    ['Infinity', 'a,b\n-Infinity,2\n3,4\n', ', line 2, column "a": expected a finite number, got "-Infinity".'],
    ['an overflow', 'a,b\n1e999,2\n3,4\n', ', line 2, column "a": expected a finite number, got "1e999".'],
    ['hexadecimal', 'a,b\n0x10,2\n3,4\n', ', line 2, column "a": expected a finite number, got "0x10".'],
    [
      'thousands separators throughout',
      'a,b\n"1,234",2\n"5,678",4\n',
      ', line 2, column "a": expected a finite number, got "1,234". Write numbers with a decimal point',
    ],
    [
      'decimal commas throughout',
      'a;b\n1,5;2\n3,5;4\n',
      ', line 2, column "a": expected a finite number, got "1,5". Write numbers with a decimal point',
    ],
    [
      'thousands and decimals the other way',
      'a;b\n1.234,5;2\n',
      ', line 2, column "a": expected a finite number, got "1.234,5". Write numbers with a decimal point',
    ],
    ['no numbers at all', 'a,b\nx,y\n', ': expected at least one column of numbers, got columns of text: "a", "b".'],
    ['a quote never closed', 'a,b\n1,2\n3,"4\n5,6\n7,8\n', ', line 3, column "b": a double quote is opened and never closed.'],
    ['a quote never closed in the header', 'a,"b\n1,2\n', ', line 1, column number 2: a double quote is opened and never closed.'],
    ['a quote inside a cell', 'a,b\n1,2\n3"4,5\n', ', line 3, column "a": a double quote stands inside a cell.'],
    ['text after a quote', 'a,b\n"1"2,3\n', ', line 2, column "a": a double quote stands inside a cell.'],
    ['an escape character', 'a,b\n\x1b[2J,1\n2,1\n', ', line 2, column "a": expected a finite number, got "\\u001b[2J".'],
    ['a zero byte', 'a,b\n1\0,2\n3,4\n', ', line 2, column "a": expected a finite number, got "1\\u0000".'],
    ['UTF-16', Buffer.from('\ufeffa,b\n1,2\n', 'utf16le'), ': expected text in UTF-8, got other bytes. Save the file as "CSV UTF-8".'],
    ['Latin-1', Buffer.from('temp \xb0C,b\n1,2\n', 'latin1'), ': expected text in UTF-8'],
  ])('refuses %s', (_, text, message) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ name: 'EvenkeelError', code: 'ERR_FILE' }));
    expect(() => read(text)).toThrow(`${path}${message}`);
  });

  test('counts lines through cells with line breaks', () => {
    expect(() => read('note,"a\r\nb"\r\n"x\r\n\r\ny",1\r\n"z\n",\r\n')).toThrow(
      ', line 6, column "a\\r\\nb": expected a number, got an empty cell.',
    );
    expect(() => read('note,a\n"x\ny",1\n"z\nz\n')).toThrow(', line 4, column "note": a double quote is opened and never closed.');
  });

  test('cuts long cells and long lists short', () => {
    expect(() => read(`a\n1\n${'x'.repeat(1000)}\n`)).toThrow(`got "${'x'.repeat(57)}...".`);
    const names = Array.from({ length: 30 }, (_, i) => `column${i}`);
    expect(() => read(`${names}\n${names.map(() => 1)}\n`, { target: 'zzz' })).toThrow('"column19", and 10 more.');
  });

  test.each<[string, unknown, string]>([
    ['an unknown option', { colums: ['a'] }, 'unknown option "colums". Did you mean "columns"?'],
    ['a list that is none', { columns: 'rain' }, 'columns: expected an array of at least one column name, got "rain"'],
    ['an empty list', { columns: [] }, 'columns: expected an array of at least one column name, got an array of length 0'],
    ['a name that is none', { columns: ['rain', 1] }, 'columns[1]: expected a non-empty string, got 1'],
    ['a name twice', { columns: ['rain', 'rain'] }, 'columns[1]: expected a name that was not given before'],
    [
      'an unknown column',
      { columns: ['rian'] },
      `columns: there is no column "rian" in SERIES. Did you mean "rain"? Its columns: "day", "rain", "temp".`,
    ],
    ['an unknown target', { target: 'humidity' }, 'target: there is no column "humidity" in SERIES. Its columns: '],
    [
      'a target that is not among the columns',
      { columns: ['rain'], target: 'temp' },
      'target: expected one of the columns "rain", got "temp". Add it to columns',
    ],
    ['a target that is none', { target: 3 }, 'target: expected a non-empty string, got 3'],
  ])('refuses %s', (_, options, message) => {
    writeFileSync(path, plain);
    expect(() => readSeries(path, options as ReadSeriesOptions)).toThrow(
      expect.objectContaining({ name: 'EvenkeelError', code: 'ERR_OPTION' }),
    );
    expect(() => readSeries(path, options as ReadSeriesOptions)).toThrow(message.replace('SERIES', path));
  });

  test.each([{ columns: ['rain', 'day'] }, { target: 'day' }])('names the first cell of a text column that is asked for: %j', (options) => {
    expect(() => read(plain, options)).toThrow(`${path}, line 2, column "day": expected a finite number, got "mon".`);
  });

  test.each([
    ['a missing file', () => join(folder, 'missing.csv'), 'There is no such file or folder'],
    ['a directory', () => folder, 'expected a regular file, got a directory'],
    ['a device', () => '/dev/null', 'expected a regular file, got a pipe or device'],
  ])('refuses %s', (_, target, message) => {
    expect(() => readSeries(target())).toThrow(expect.objectContaining({ code: 'ERR_FILE', message: expect.stringContaining(message) }));
    expect(() => readSeries(target())).toThrow(target());
  });

  test('property: numbers written in any way that JavaScript prints them come back exactly', () => {
    const row = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 20 }),
        fc.constantFrom(',', ';', '\t'),
        fc.constantFrom('\n', '\r\n'),
        (rows, delimiter, end) => {
          const text = [['a', 'b', 'c'], ...rows.map((numbers) => numbers.map((number) => (Object.is(number, -0) ? '-0' : `${number}`)))];
          const series = read(text.map((cells) => cells.join(delimiter)).join(end));
          expect([...series.values]).toEqual(rows.flat());
        },
      ),
    );
  });

  test('property: any text is read or refused with ERR_FILE', () => {
    const piece = fc.oneof(
      fc.constantFrom('a', 'b', '1', '2.5', ',', ',', ';', '\t', '\n', '\n', '\r', '"', ' ', '\ufeff', '\0'),
      fc.string({ unit: 'binary' }),
    );
    let wasRead = 0;
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        try {
          const { columns, rows, values } = read(`a,b\n${pieces.join('')}`);
          expect(values).toHaveLength(rows * columns.length);
          expect(values.every(Number.isFinite)).toBe(true);
          wasRead++;
        } catch (error) {
          if (!(error instanceof EvenkeelError)) throw error;
          expect(error.code).toBe('ERR_FILE');
        }
      }),
      { numRuns: 1000, examples: [[['1', ',', '2', '\n']]] },
    );
    expect(wasRead).toBeGreaterThan(0);
  });
});
