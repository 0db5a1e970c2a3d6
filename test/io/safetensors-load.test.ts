// What loadState takes, and what it refuses.
import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LoadStateOptions, loadMetadata, loadState, saveState } from '../../lib/io/safetensors';
import { errorOf, f32, folder, path, writeFile } from './safetensors-files';

describe('loadState', () => {
  test('gives each tensor an array of its own, without a prototype around them', () => {
    writeFile({ a: f32([2], 0, 8), b: f32([1], 8, 12) }, 12);
    const state = loadState(path);
    expect(state.a?.data.buffer.byteLength).toBe(8);
    expect(state.b?.data.buffer).not.toBe(state.a?.data.buffer);
    expect(state.constructor).toBeUndefined();
  });

  test('takes what the format allows: any order, white space, odd alignment, empty tensors and shapes that only begin with zero', () => {
    writeFile(
      ` { "d" : {"shape":[ 0 , 9007199254740991, 9007199254740991],"data_offsets":[12,12],"dtype":"F32"},\n\t"b":{"dtype":"F64","shape":[],"data_offsets":[4,12]},
        "a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]} }  \n`.trimStart(),
      12,
    );
    expect(Object.entries(loadState(path)).map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
      ['d', 'float32', [0, 9007199254740991, 9007199254740991]],
      ['b', 'float64', []],
      ['a', 'float32', [1, 1]],
    ]);
    writeFile('{}');
    expect(Object.keys(loadState(path))).toEqual([]);
  });

  test('reads the names that are asked for, in that order', () => {
    writeFile({ a: f32([2], 0, 8), b: f32([1], 8, 12), ['__proto__']: f32([0], 12, 12) }, 12);
    expect(Object.keys(loadState(path, { names: ['b', 'a'] }))).toEqual(['b', 'a']);
    expect(loadState(path, { names: ['b'] }).b?.data).toEqual(loadState(path).b?.data);
    expect(Object.keys(loadMetadata(path))).toEqual([]);
  });

  test.each<[string, unknown, string]>([
    ['names that are none', { names: 'a' }, 'names: expected an array of at least one tensor name, got "a"'],
    ['no name', { names: [] }, 'names: expected an array of at least one tensor name, got an array of length 0'],
    ['too many names', { names: new Array(2 ** 32 - 1) }, 'got an array of length 4294967295'],
    ['a name twice', { names: ['weight', 'weight'] }, 'names[1]: expected a name that was not given before'],
    [
      'a name that is not there',
      { names: ['weight', 'wieght'] },
      'names[1]: expected the name of a tensor in PATH, got "wieght". Did you mean "weight"?',
    ],
    ['an unknown option', { name: ['weight'] }, 'unknown option "name". Did you mean "names"?'],
  ])('refuses %s', (_, options, message) => {
    writeFile({ weight: f32([1], 0, 4) }, 4);
    expect(errorOf(() => loadState(path, options as LoadStateOptions))).toMatchObject({
      code: 'ERR_OPTION',
      message: expect.stringContaining(message.replace('PATH', path)),
    });
  });

  test('reads names with escapes', () => {
    writeFile('{"\\u0061\\n\\"\\ud83d\\ude00":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4);
    expect(Object.keys(loadState(path))).toEqual(['a\n"\u{1f600}']);
  });

  const a = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';
  const entry = (dtype: string, shape: string, offsets: string) => `{"a":{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}}`;
  const hostile: [string, string | Buffer | object, number, string][] = [
    ['an empty header', '', 0, 'character 1: expected "{", got its end'],
    ['a header that is no object', '[1]', 0, 'expected "{", got "[1]"'],
    ['a byte order mark', '\ufeff{}', 0, 'character 1: expected "{"'],
    ['bad UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 0, 'expected a header in UTF-8'],
    ['a surrogate in UTF-8', Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x7d]), 0, 'expected a header in UTF-8'],
    ['half a surrogate pair', `{"\\ud83d":${a.slice(4)}}`, 4, 'whole Unicode characters'],
    ['an object cut off', `{${a}`, 4, 'expected "}", got its end'],
    ['a name cut off', '{"abc', 0, 'expected a closed string'],
    ['a name that ends in a backslash', '{"abc\\', 0, 'expected a closed string'],
    ['a bad escape', '{"\\x":{}}', 0, 'expected a closed string without stray backslashes'],
    ['a newline in a name', '{"a\nb":{}}', 0, 'or control characters'],
    ['something after the header', `{${a}}x`, 4, 'nothing but spaces after the closing "}", got "x"'],
    ['zeros after the header', '{}\0', 0, 'nothing but spaces'],
    ['a trailing comma', `{${a},}`, 4, 'expected a name in double quotes, got "}"'],
    ['duplicate metadata', '{"__metadata__":{},"__metadata__":{}}', 0, 'expected __metadata__ once'],
    ['duplicate keys in an entry', '{"a":{"dtype":"F32","dtype":"F64"}}', 0, 'expected dtype once'],
    ['metadata that is no object', '{"__metadata__":1}', 0, 'expected "{", got "1}"'],
    ['metadata that is no text', '{"__metadata__":{"a":1}}', 0, 'expected a text, got "1}}"'],
    ['an entry that is no object', '{"a":1}', 0, 'expected "{", got "1}"'],
    ['an entry of nothing', '{"a":[]}', 0, 'expected the name of an element type, got "]}"'],
    ['no dtype', '{"a":{"shape":[1],"data_offsets":[0,4]}}', 4, 'expected dtype, shape and two data_offsets for tensor "a"'],
    ['no shape', '{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4, 'expected dtype, shape and two data_offsets for tensor "a"'],
    ['no data_offsets', '{"a":{"dtype":"F32","shape":[1]}}', 4, 'expected dtype, shape and two data_offsets for tensor "a"'],
    ['one offset', entry('"F32"', '[1]', '[0]'), 4, 'expected dtype, shape and two data_offsets for tensor "a"'],
    ['three offsets', entry('"F32"', '[1]', '[0,4,8]'), 4, 'at most 2 numbers in a row'],
    ['a dtype that is no text', entry('1', '[1]', '[0,4]'), 4, 'expected the name of an element type, got "1,'],
    ['an unsupported dtype', entry('"C64"', '[1]', '[0,8]'), 8, 'tensor "a": expected one of the dtypes F32, F64, F16, BF16, BOOL,'],
    [
      'a dtype of no format',
      entry('"constructor"', '[1]', '[0,4]'),
      4,
      'tensor "a": expected a dtype of the format, such as F32, got "constructor"',
    ],
    ['a shape that is no list', entry('"F32"', '1', '[0,4]'), 4, 'expected "[", got "1,'],
    ['a negative size', entry('"F32"', '[-1]', '[0,4]'), 4, 'expected a whole number from 0 to 2^53 - 1, got "-1]'],
    ['a negative zero', entry('"F32"', '[-0]', '[0,0]'), 0, 'expected a whole number'],
    ['a fractional size', entry('"F32"', '[1.5]', '[0,6]'), 6, 'expected a whole number'],
    ['a size as a decimal', entry('"F32"', '[1.0]', '[0,4]'), 4, 'expected a whole number'],
    ['a size as a power', entry('"F32"', '[1e0]', '[0,4]'), 4, 'expected a whole number'],
    ['a size with a leading zero', entry('"F32"', '[01]', '[0,4]'), 4, 'expected a whole number'],
    ['a size as text', entry('"F32"', '["1"]', '[0,4]'), 4, 'expected a whole number'],
    ['a size beyond 2^53', entry('"F32"', '[9007199254740992]', '[0,4]'), 4, 'expected a whole number'],
    ['a size beyond 2^1024', entry('"F32"', `[${'9'.repeat(400)}]`, '[0,4]'), 4, 'expected a whole number'],
    ['more dimensions than a tensor has', entry('"F32"', `[${Array(33).fill(1)}]`, '[0,4]'), 4, 'at most 32 numbers in a row'],
    ['a product that overflows', entry('"F32"', '[4294967296,4294967296]', '[0,4]'), 4, 'tensor "a": expected at most 2^64 - 1 bits'],
    [
      'a product that overflows to zero',
      entry('"F32"', '[9007199254740991,9007199254740991,0]', '[0,0]'),
      0,
      'expected at most 2^64 - 1 bits',
    ],
    ['a size that does not match', entry('"F32"', '[3]', '[0,8]'), 8, 'expected 12 bytes for [3], got data_offsets [0, 8]'],
    ['F64 in the bytes of F32', entry('"F64"', '[1]', '[0,4]'), 4, 'expected 8 bytes for [1]'],
    ['offsets beyond the file', entry('"F32"', '[2]', '[0,8]'), 4, 'expected data up to some byte from 0 to 4, got data_offsets [0, 8]'],
    ['offsets in reverse', entry('"F32"', '[0]', '[0,0]').replace('[0,0]', '[4,0]'), 4, 'data_offsets [4, 0]'],
    ['a hole at the start', entry('"F32"', '[1]', '[4,8]'), 8, 'expected data from byte 0 on'],
    [
      'a hole between',
      { a: f32([1], 0, 4), b: f32([1], 8, 12) },
      12,
      'tensor "b": expected data from byte 4 on, where the tensor before ends, got data_offsets [8, 12]',
    ],
    ['an overlap', { a: f32([2], 0, 8), b: f32([1], 4, 8) }, 8, 'tensor "b": expected data from byte 8 on'],
    ['two tensors at one place', { a: f32([1], 0, 4), b: f32([1], 0, 4) }, 4, 'tensor "b": expected data from byte 4 on'],
    ['an empty tensor inside another', { a: f32([2], 0, 8), b: f32([0], 4, 4) }, 8, 'tensor "b": expected data from byte 8 on'],
    ['trailing bytes', `{${a}}`, 5, 'expected tensors that cover all 5 bytes of data, got tensors for 4 bytes'],
    ['data without tensors', '{}', 1, 'expected tensors that cover all 1 bytes'],
    ['data cut off', `{${a}}`, 3, 'expected data up to some byte from 0 to 3'],
  ];

  test.each(hostile)('refuses %s', (_, header, dataBytes, message) => {
    writeFile(header, dataBytes);
    const error = errorOf(() => loadState(path));
    expect(error.code).toBe('ERR_FILE');
    expect(error.message.startsWith(path)).toBe(true);
    expect(error.message).toContain(message);
  });

  test('refuses a name that would move the terminal cursor without printing it raw', () => {
    writeFile({ '\x1b[2J\n': { ...f32([1], 0, 4), dtype: 'U8' } }, 4);
    expect(errorOf(() => loadState(path)).message).toContain('tensor "\\u001b[2J\\n"');
  });

  test('refuses a dtype that would do the same', () => {
    writeFile({ a: { ...f32([1], 0, 4), dtype: '\x1b[2J' } }, 4);
    expect(errorOf(() => loadState(path)).message).toContain('got "\\u001b[2J"');
  });

  test('refuses a file shorter than its length field', () => {
    writeFileSync(path, Buffer.alloc(7));
    expect(errorOf(() => loadState(path))).toMatchObject({ code: 'ERR_FILE', message: expect.stringContaining('at least 8 bytes, got 7') });
  });

  test.each([
    ['beyond the file', 3n, 'a header of at most 2 bytes, got a header length of 3'],
    ['beyond 2^63', 2n ** 64n - 1n, 'got a header length of 18446744073709551615'],
  ])('refuses a header length %s', (_, length, message) => {
    const file = Buffer.from('........{}');
    file.writeBigUInt64LE(length);
    writeFileSync(path, file);
    expect(errorOf(() => loadState(path))).toMatchObject({ code: 'ERR_FILE', message: expect.stringContaining(message) });
  });

  test("refuses a header above the format's limit although the file is long enough", () => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(100_000_001n);
    writeFileSync(path, length);
    // A sparse file: it takes no room on disk.
    truncateSync(path, 200_000_000);
    expect(errorOf(() => loadState(path)).message).toContain('a header of at most 100000000 bytes, got a header length of 100000001');
  });

  test.each([
    ['a missing file', () => join(folder, 'missing'), 'There is no such file or folder'],
    ['a directory', () => folder, 'expected a regular file, got a directory'],
    ['a device', () => '/dev/null', 'expected a regular file, got a pipe or device'],
    ['a file used as a folder', () => join(__filename, 'x'), 'is a file, not a folder'],
  ])('refuses %s', (_, target, message) => {
    expect(errorOf(() => loadState(target()))).toMatchObject({ code: 'ERR_FILE', message: expect.stringContaining(message) });
  });

  test('does not wait for a pipe that nobody writes to', () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(errorOf(() => loadState(pipe)).message).toContain('got a pipe or device');
  });

  test.each([undefined, null, 1, '', 'a\0b', {}])('refuses %p as a path', (value) => {
    expect(errorOf(() => loadState(value as string)).code).toBe('ERR_OPTION');
    expect(errorOf(() => saveState(value as string, {})).code).toBe('ERR_OPTION');
  });
});
