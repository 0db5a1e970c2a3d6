import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadMetadata, loadState } from '../../lib/io/safetensors';
import { expectRefused } from '../helpers/errors';

interface OddFile {
  what: string;
  header?: string;
  headerHex?: string;
  data?: number;
  hex?: string;
  tensors?: Record<string, { shape: number[]; values: (number | string)[] }>;
  metadata?: Record<string, string>;
}

/** By fixtures/make_odd_files.py: what Python's reader opens, with the numbers in it, and what it refuses. */
const golden: { digests: Record<string, string>; files: OddFile[] } = JSON.parse(
  readFileSync(join(__dirname, 'fixtures', 'odd-files.json'), 'utf8'),
);

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
  path = join(folder, 'odd.safetensors');
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(header: Buffer, data: Uint8Array): void {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(path, Buffer.concat([length, header, data]));
}

function writeOdd({ header, headerHex, data, hex }: OddFile): void {
  const pattern = Uint8Array.from({ length: data ?? 0 }, (_, i) => (i * 37 + 11) % 251);
  write(
    headerHex === undefined ? Buffer.from(header ?? '') : Buffer.from(headerHex, 'hex'),
    hex === undefined ? pattern : Buffer.from(hex, 'hex'),
  );
}

const SPECIAL: Record<string, number> = { inf: Infinity, '-inf': -Infinity, nan: Number.NaN };

test('there is a golden of each verdict', () => {
  expect(golden.files.filter(({ tensors }) => tensors !== undefined).length).toBeGreaterThan(70);
  expect(golden.files.filter(({ tensors }) => tensors === undefined).length).toBeGreaterThan(200);
});

test.each(golden.files.map((file): [string, OddFile] => [`${file.what}: ${file.header ?? file.headerHex}`, file]))(
  'as Python: %s',
  (_, file) => {
    writeOdd(file);
    if (file.tensors === undefined) {
      expectRefused(() => loadState(path), 'ERR_FILE', path);
      return;
    }
    const state = loadState(path);
    expect(Object.keys(state).sort()).toEqual(Object.keys(file.tensors).sort());
    for (const [name, { shape, values }] of Object.entries(file.tensors)) {
      expect([...(state[name]?.shape ?? [])]).toEqual(shape);
      expect([...(state[name]?.data ?? [])]).toEqual(values.map((value) => (typeof value === 'number' ? value : SPECIAL[value])));
    }
    expect({ ...loadMetadata(path) }).toEqual(file.metadata);
  },
);

test.each(Object.keys(golden.digests))('widens every number of %s as PyTorch does', (dtype) => {
  const header = Buffer.from(JSON.stringify({ all: { dtype, shape: [65536], data_offsets: [0, 131072] } }));
  write(header, new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer));
  const { data } = loadState(path).all as { data: Float32Array };
  const bits = new Uint32Array(data.slice().buffer);
  for (const [i, number] of data.entries()) if (Number.isNaN(number)) bits[i] = 0x7fc00000;
  expect(createHash('sha256').update(new Uint8Array(bits.buffer)).digest('hex')).toBe(golden.digests[dtype]);
});

describe('what Python opens and a Tensor cannot hold', () => {
  const entry = (dtype: string, shape: string, end: number) =>
    `{"fine":{"dtype":"U8","shape":[1],"data_offsets":[${end},${end + 1}]},"a":{"dtype":"${dtype}","shape":${shape},"data_offsets":[0,${end}]}}`;
  const wide = (value: bigint, signed: boolean) => new Uint8Array((signed ? BigInt64Array : BigUint64Array).of(value).buffer);

  test.each<[string, string, Uint8Array, string]>([
    ['complex numbers', entry('C64', '[1]', 8), new Uint8Array(8), 'tensor "a": expected one of the dtypes F32, F64, F16,'],
    [
      'numbers of eight bits',
      entry('F8_E4M3', '[1]', 1),
      new Uint8Array(1),
      'got "F8_E4M3". Convert the tensor in Python, or leave it out with names.',
    ],
    ['packed numbers', entry('F4', '[2]', 1), new Uint8Array(1), 'got "F4"'],
    [
      'a whole number beyond 2^53',
      entry('U64', '[1]', 8),
      wide(2n ** 53n + 1n, false),
      'tensor "a": expected whole numbers from -2^53 to 2^53, got 9007199254740993',
    ],
    ['one beyond 2^63', entry('U64', '[1]', 8), wide(2n ** 64n - 1n, false), 'got 18446744073709551615'],
    ['one below -2^53', entry('I64', '[1]', 8), wide(-(2n ** 53n) - 1n, true), 'got -9007199254740993. A float64 would round it'],
  ])('refuses %s, and reads the tensors beside', (_, header, data, message) => {
    write(Buffer.from(header), Buffer.concat([data, Buffer.of(7)]));
    expectRefused(() => loadState(path), 'ERR_FILE', message);
    expect([...(loadState(path, { names: ['fine'] }).fine?.data ?? [])]).toEqual([7]);
  });

  test.each([
    ['more dimensions than a tensor has', entry('U8', JSON.stringify(Array(33).fill(1)), 1), 1, 'at most 32 numbers in a row'],
    ['a size beyond 2^53', entry('U8', '[9007199254740993,0]', 0), 0, 'expected a whole number from 0 to 2^53 - 1'],
  ])('refuses a header with %s', (_, header, bytes, message) => {
    write(Buffer.from(header), new Uint8Array(bytes + 1));
    expectRefused(() => loadState(path), 'ERR_FILE', message);
  });
});

test('numbers are converted in pieces', () => {
  const count = 2 ** 20 + 3;
  const header = Buffer.from(JSON.stringify({ a: { dtype: 'I16', shape: [count], data_offsets: [0, 2 * count] } }));
  const numbers = Int16Array.from({ length: count }, (_, i) => i);
  write(header, new Uint8Array(numbers.buffer));
  expect(loadState(path).a?.data).toEqual(Float32Array.from(numbers));
});
