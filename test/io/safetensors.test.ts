import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { EvenkeelError } from '../../lib/errors';
import { type LoadStateOptions, loadMetadata, loadState, type SaveStateOptions, saveState } from '../../lib/io/safetensors';
import { type DType, Tensor } from '../../lib/tensor';

const fixture = (name: string): string => join(__dirname, 'fixtures', name);
let folder: string;
let path: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
});
beforeEach(() => {
  path = join(folder, 'model.safetensors');
  rmSync(path, { force: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

function errorOf(action: () => unknown): EvenkeelError {
  try {
    action();
  } catch (error) {
    if (error instanceof EvenkeelError) return error;
    throw error;
  }
  throw new Error('expected an EvenkeelError, but nothing was thrown');
}

/** A file with this header text, or this header as JSON, and data of this many bytes. */
function writeFile(header: unknown, dataBytes = 0): void {
  const text = Buffer.isBuffer(header) ? header : Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text, Buffer.alloc(dataBytes, 1)]));
}

const f32 = (shape: number[], begin: number, end: number) => ({ dtype: 'F32', shape, data_offsets: [begin, end] });

/** Element i is ((i · 7 + seed) mod 23 − 11) / 8, as in fixtures/make_python_state.py. */
function tensor(shape: number[], dtype: DType, seed: number): Tensor {
  const result = Tensor.zeros(shape, { dtype });
  for (let i = 0; i < result.size; i++) result.data[i] = (((i * 7 + seed) % 23) - 11) / 8;
  return result;
}

function pythonState(): Record<string, Tensor> {
  return {
    'rnn.weight_ih_l0': tensor([4, 3], 'float32', 1),
    'rnn.weight_hh_l0': tensor([4, 4], 'float32', 2),
    'rnn.bias_ih_l0': tensor([4], 'float32', 3),
    'rnn.bias_hh_l0': tensor([4], 'float32', 4),
    'ln.weight': tensor([4], 'float64', 5),
    'ln.bias': tensor([4], 'float64', 6),
    scalar: tensor([], 'float32', 7),
    empty: tensor([0, 2], 'float32', 8),
    ['__proto__']: tensor([1], 'float32', 9),
    10: tensor([1], 'float32', 10),
    9: tensor([1], 'float32', 11),
    'quote " backslash \\ newline \n escape \x1b delete \x7f separator \u2028': tensor([1], 'float32', 12),
    é: tensor([1], 'float64', 13),
    '\ufffd': tensor([1], 'float32', 14),
    '\u{1f600}': tensor([1], 'float32', 15),
  };
}

/** The same names with the same dtypes, shapes and bits. */
function expectSame(actual: Record<string, Tensor>, expected: Record<string, Tensor>): void {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, tensor] of Object.entries(expected)) {
    const loaded = actual[name] as Tensor;
    expect([name, loaded.dtype, loaded.shape]).toEqual([name, tensor.dtype, tensor.shape]);
    expect(bytes(loaded).equals(bytes(tensor))).toBe(true);
  }
}

const bytes = ({ data }: Tensor): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

describe('with Python', () => {
  test("loads what Python's safetensors wrote", () => {
    expectSame(loadState(fixture('python-state.safetensors')), pythonState());
  });

  test('writes the same state byte for byte as Python does, with a checksum that Python computes too', () => {
    const file = fixture('python-checksum.safetensors');
    saveState(path, pythonState());
    expect(readFileSync(path).equals(readFileSync(file))).toBe(true);
    expectSame(loadState(file), pythonState());
    expect({ ...loadMetadata(file) }).toEqual({});
  });

  test('reads metadata, and writes the same file', () => {
    const file = fixture('python-metadata.safetensors');
    expectSame(loadState(file), { weight: tensor([2], 'float32', 1) });
    const metadata = loadMetadata(file);
    expect({ ...metadata }).toEqual({ format: 'pt', note: 'é \n' });
    saveState(path, loadState(file), { metadata });
    expect(loadMetadata(path)).toEqual(metadata);
    // Python writes the texts in no certain order.
    saveState(path, loadState(file), { metadata: Object.fromEntries(Object.entries(metadata)) });
    expect(readFileSync(path).equals(readFileSync(file))).toBe(true);
  });

  test('widens float16', () => {
    const state = { fine: tensor([2], 'float32', 1), weight: tensor([2], 'float32', 1) };
    expectSame(loadState(fixture('python-float16.safetensors')), state);
  });
});

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

describe('saveState', () => {
  test('saves views into larger and shared buffers, and keeps every bit, NaN and -0 included', () => {
    const shared = new Float64Array(new SharedArrayBuffer(32), 8, 2);
    shared.set([Number.NaN, -0]);
    const view = new Float32Array([9, 1, 2, 3, 9]).subarray(1, 4);
    new Uint32Array(view.buffer)[1] = 0x7fa00001;
    const state = { shared: new Tensor(shared, [2]), view: new Tensor(view, [3]), tiny: new Tensor(new Float32Array([1e-45]), [1]) };
    saveState(path, state);
    expectSame(loadState(path), state);
  });

  test('starts the data at a multiple of eight bytes', () => {
    for (let length = 1; length <= 8; length++) {
      saveState(path, { ['n'.repeat(length)]: tensor([1], 'float64', 1) });
      expect((8 + Number(readFileSync(path).readBigUInt64LE())) % 8).toBe(0);
    }
  });

  test.each<[string, unknown, string, string]>([
    ['no record', null, 'ERR_OPTION', 'state: expected a record of tensors by name, got null'],
    ['an array', [tensor([1], 'float32', 1)], 'ERR_OPTION', 'got an array'],
    ['a Map', new Map([['a', tensor([1], 'float32', 1)]]), 'ERR_OPTION', 'got an instance of Map. For a model give model.stateDict().'],
    ['a tensor', tensor([1], 'float32', 1), 'ERR_OPTION', 'got an instance of Tensor'],
    ['an array in the record', { weight: new Float32Array(1) }, 'ERR_OPTION', 'state["weight"]: expected a Tensor, got a Float32Array'],
    ['a record in the record', { rnn: { weight: tensor([1], 'float32', 1) } }, 'ERR_OPTION', 'state["rnn"]: expected a Tensor'],
    ['the reserved name', { __metadata__: tensor([1], 'float32', 1) }, 'ERR_OPTION', 'not "__metadata__"'],
    ['half a surrogate pair', { '\ud83d': tensor([1], 'float32', 1) }, 'ERR_OPTION', 'whole Unicode text'],
    ['a name beyond the header limit', { ['n'.repeat(100_000_001)]: tensor([1], 'float32', 1) }, 'ERR_OPTION', 'at most 100000000 bytes'],
    [
      'a record that throws',
      Object.defineProperty({}, 'a', {
        enumerable: true,
        get: () => {
          throw new Error('no');
        },
      }),
      'ERR_OPTION',
      'state',
    ],
  ])('refuses %s before it touches the file', (_, state, code, message) => {
    writeFileSync(path, 'before');
    const error = errorOf(() => saveState(path, state as Record<string, Tensor>));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(readFileSync(path, 'utf8')).toBe('before');
  });

  test('keeps metadata of any text, and gives none unless there are some', () => {
    const metadata = Object.fromEntries([
      ['format', 'pt'],
      ['', ''],
      ['__proto__', '"\\\n\0é\u{1f600}'],
      ['2', 'b'],
      ['1', 'a'],
    ]);
    saveState(path, { a: tensor([3], 'float64', 1) }, { metadata });
    expect(Object.entries(loadMetadata(path))).toEqual(Object.entries(metadata));
    expectSame(loadState(path), { a: tensor([3], 'float64', 1) });
    for (const options of [{ metadata: {} }, { checksum: false }]) {
      saveState(path, {}, options);
      expect(readFileSync(path, 'utf8').slice(8)).toBe('{}      ');
    }
    for (const options of [{}, undefined, { metadata: {}, checksum: true }]) {
      saveState(path, {}, options);
      expect(readFileSync(path, 'utf8').slice(8).trimEnd()).toMatch(/^\{"__metadata__":\{"evenkeel\.sha256":"[0-9a-f]{64}"\}\}$/);
      expect(Object.entries(loadMetadata(path))).toEqual([]);
    }
  });

  test('of a tensor in shared memory writes what it has summed up', () => {
    const shared = new Tensor(new Float32Array(new SharedArrayBuffer(16), 4, 2).fill(3), [2]);
    saveState(path, { shared });
    expectSame(loadState(path), { shared });
  });

  test.each<[string, unknown, string]>([
    ['metadata that is none', { metadata: 'pt' }, 'metadata: expected a record of texts by name, got "pt"'],
    ['a Map', { metadata: new Map([['format', 'pt']]) }, 'metadata: expected a record of texts by name, got an instance of Map'],
    [
      'a number',
      { metadata: { epoch: 3 } },
      'metadata["epoch"]: expected a whole Unicode text, got 3. Write other values with JSON.stringify.',
    ],
    ['half a surrogate pair', { metadata: { note: '\ud83d' } }, 'metadata["note"]: expected a whole Unicode text'],
    ['half a pair in a name', { metadata: { '\ud83d': 'x' } }, 'metadata: expected names that are whole Unicode text'],
    ['more than a header takes', { metadata: { note: 'n'.repeat(100_000_001) } }, 'at most 100000000 bytes'],
    ['a checksum that is given', { checksum: 'abc' }, 'checksum: expected true or false, got "abc"'],
    ['an unknown option', { metdata: {} }, 'unknown option "metdata". Did you mean "metadata"?'],
    ['options that are none', 'pt', 'saveState options: expected an options object'],
  ])('refuses %s', (_, options, message) => {
    writeFileSync(path, 'before');
    expect(errorOf(() => saveState(path, {}, options as SaveStateOptions))).toMatchObject({
      code: 'ERR_OPTION',
      message: expect.stringContaining(message),
    });
    expect(readFileSync(path, 'utf8')).toBe('before');
  });

  test('refuses a tensor whose buffer was transferred away', () => {
    const moved = tensor([2], 'float32', 1);
    structuredClone(moved.data.buffer, { transfer: [moved.data.buffer as ArrayBuffer] });
    expect(errorOf(() => saveState(path, { fine: tensor([1], 'float32', 1), moved }))).toMatchObject({
      code: 'ERR_STATE',
      message: expect.stringContaining('state["moved"]'),
    });
    expect(readdirSync(folder)).not.toContain('model.safetensors');
  });

  test('loads back through a symbolic link', () => {
    const link = join(folder, 'link');
    symlinkSync('model.safetensors', link);
    saveState(link, { a: tensor([3], 'float32', 1) });
    expectSame(loadState(path), { a: tensor([3], 'float32', 1) });
    rmSync(link);
  });
});

describe('the checksum', () => {
  const state = { a: tensor([3], 'float32', 1), b: tensor([2, 2], 'float64', 2) };
  const replaceIn = (text: string, other: string) => {
    const bytes = readFileSync(path);
    const at = bytes.indexOf(text);
    expect(at).toBeGreaterThan(0);
    bytes.write(other, at);
    writeFileSync(path, bytes);
  };

  test('finds every flipped bit of the data, and of what the header says', () => {
    saveState(path, state, { metadata: { note: 'x' }, checksum: true });
    const whole = readFileSync(path);
    const dataStart = 8 + Number(whole.readBigUInt64LE());
    const unseen: number[] = [];
    for (let bit = 0; bit < 8 * whole.length; bit++) {
      const flipped = Buffer.from(whole);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      writeFileSync(path, flipped);
      try {
        loadState(path);
        unseen.push(bit >> 3);
      } catch (error) {
        expect(error).toMatchObject({ name: 'EvenkeelError', code: 'ERR_FILE' });
      }
    }
    expect(unseen.filter((byte) => byte >= dataStart)).toEqual([]);
    // All that may change is the name of the checksum itself, and spaces.
    const key = whole.indexOf('evenkeel.sha256');
    expect(unseen.filter((byte) => !(byte >= key && byte < key + 15) && whole[byte] !== 0x20)).toEqual([]);
  });

  test('is not passed over where only some tensors are read', () => {
    saveState(path, state);
    const file = readFileSync(path);
    file[file.length - 1] = (file.at(-1) as number) ^ 1;
    writeFileSync(path, file);
    expect(errorOf(() => loadState(path, { names: ['b'] })).message).toContain('expected contents with the SHA-256 "');
    expect(errorOf(() => loadState(path, { names: ['b'] })).message).toContain('which it should drop.');
  });

  test('sees another name, and a text that changed', () => {
    saveState(path, state, { metadata: { note: 'x' }, checksum: true });
    replaceIn('"a":', '"c":');
    expect(errorOf(() => loadState(path)).code).toBe('ERR_FILE');
    replaceIn('"c":', '"a":');
    expectSame(loadState(path), state);
    replaceIn('"note":"x"', '"note":"y"');
    expect(errorOf(() => loadState(path)).code).toBe('ERR_FILE');
  });

  test('is made anew, or left out, when that of another file is given as metadata', () => {
    for (const checksum of [true, false]) {
      saveState(path, state, { metadata: { 'evenkeel.sha256': 'of another file' }, checksum });
      expectSame(loadState(path), state);
    }
  });
});

describe('properties', () => {
  const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
  const anyTensor = fc.tuple(shapes, fc.boolean(), fc.infiniteStream(fc.double())).map(([shape, wide, numbers]) => {
    const result = Tensor.zeros(shape, { dtype: wide ? 'float64' : 'float32' });
    for (let i = 0; i < result.size; i++) result.data[i] = numbers.next().value as number;
    return result;
  });
  const names = fc.oneof(fc.string({ unit: 'grapheme', minLength: 1 }), fc.constantFrom('__proto__', 'constructor', '0', '\\', '"'));
  const states = fc.dictionary(
    names.filter((name) => name !== '__metadata__' && !/\p{Surrogate}/u.test(name)),
    anyTensor,
    { maxKeys: 6 },
  );

  const texts = fc.dictionary(
    fc.string({ unit: 'grapheme' }).filter((name) => !/\p{Surrogate}/u.test(name)),
    fc.string({ unit: 'grapheme' }).filter((text) => !/\p{Surrogate}/u.test(text)),
  );

  test('what was saved loads back bit by bit', () => {
    fc.assert(
      fc.property(states, texts, fc.boolean(), (state, metadata, checksum) => {
        saveState(path, state, { metadata, checksum });
        expectSame(loadState(path), state);
        expect({ ...loadMetadata(path) }).toEqual({ ...metadata });
      }),
      { numRuns: 200 },
    );
  });

  test('a damaged file loads whole or is refused with ERR_FILE', () => {
    const file = readFileSync(fixture('python-state.safetensors'));
    const headerEnd = 8 + Number(file.readBigUInt64LE());
    const place = fc.oneof(fc.nat(headerEnd - 1), fc.nat(file.length - 1));
    const damage = fc.oneof(
      fc.record({ at: place, bit: fc.nat(7) }).map(({ at, bit }) => {
        const copy = Buffer.from(file);
        copy[at] = (copy[at] as number) ^ (1 << bit);
        return { copy, isHarmless: at >= headerEnd };
      }),
      place.map((at) => ({ copy: file.subarray(0, at), isHarmless: false })),
      fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 20 })).map(([at, extra]) => ({
        copy: Buffer.concat([file.subarray(0, at), extra, file.subarray(at)]),
        isHarmless: false,
      })),
    );
    let refused = 0;
    fc.assert(
      fc.property(damage, ({ copy, isHarmless }) => {
        writeFileSync(path, copy);
        try {
          const state = loadState(path);
          // A flip in the header can change a name or swap equal sizes, but never what the tensors cover.
          const covered = Object.values(state).reduce((sum, { data }) => sum + data.byteLength, 0);
          expect(covered).toBe(copy.length - 8 - Number(copy.readBigUInt64LE()));
        } catch (error) {
          if (!(error instanceof EvenkeelError)) throw error;
          expect([error.code, isHarmless]).toEqual(['ERR_FILE', false]);
          refused++;
        }
      }),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(1000);
  });

  test('any header text is refused with ERR_FILE or loads', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      ' ',
      '"a"',
      '"b"',
      '"dtype"',
      '"F32"',
      '"shape"',
      '"data_offsets"',
      '"__metadata__"',
      '0',
      '4',
      '-1',
      '1.5',
      'null',
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (tokens) => {
        writeFile(`{${tokens.join('')}`, 4);
        try {
          loadState(path);
        } catch (error) {
          if (!(error instanceof EvenkeelError)) throw error;
          expect(error.code).toBe('ERR_FILE');
        }
      }),
      { numRuns: 1000 },
    );
  });
});
