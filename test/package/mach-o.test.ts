import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-mach-o-'));
afterAll(() => rmSync(folder, { recursive: true }));

const reader = join(__dirname, '../../scripts/release/mach-o.mjs');
const SYSTEM = '/usr/lib/libSystem.B.dylib';
const PAGE_BITS = 12;

/** The facts, or the message of the error. */
function read(bytes: Buffer) {
  const file = join(folder, 'evenkeel.node');
  writeFileSync(file, bytes);
  const script = `import(${JSON.stringify(reader)}).then(({ machFacts }) => console.log(JSON.stringify(machFacts(${JSON.stringify(file)}))))
    .catch((error) => console.log(JSON.stringify(error.message)));`;
  return JSON.parse(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }));
}

const word = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer);
const bigEndian = (...values: number[]) => word(...values).swap32();
const command = (kind: number, body: Buffer) => {
  const padded = Buffer.concat([body, Buffer.alloc(-body.length & 7)]);
  return Buffer.concat([word(kind, 8 + padded.length), padded]);
};
const segment = (rights: number) => command(0x19, Buffer.concat([Buffer.alloc(16), Buffer.alloc(32), word(rights, rights, 0, 0)]));
const named = (kind: number, fixed: number[], name: string) =>
  command(kind, Buffer.concat([word(8 + 4 * (1 + fixed.length), ...fixed), Buffer.from(`${name}\0`)]));

interface Parts {
  processor?: number;
  fileType?: number;
  flags?: number;
  rights?: number;
  searchPath?: string;
  isSigned?: boolean;
}

/** The tree of exported names, with two that begin alike. */
function exportTree(): Buffer {
  const [common, first, second] = ['_napi_', 'register_module_v1', 'more'].map((text) => Buffer.from(`${text}\0`)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const leaf = Buffer.from([2, 0, 0, 0]);
  const top = 2 + common.length + 1;
  const branch = 2 + first.length + 2 + second.length + 1;
  // The first number is of two bytes.
  const next = top + branch;
  return Buffer.concat([
    Buffer.from([0, 1]),
    common,
    Buffer.from([top, 0, 2]),
    first,
    Buffer.from([0x80 | next, 0]),
    second,
    Buffer.from([next + leaf.length]),
    leaf,
    leaf,
  ]);
}

/** A bundle as a linker writes one: without code, with four symbols, and a signature of all that stands before it. */
function bundle({ processor = 0x0100_000c, fileType = 8, flags = 0, rights = 5, searchPath, isSigned = true }: Parts = {}): Buffer {
  const names = Buffer.from('\0_napi_register_module_v1\0_napi_throw\0_malloc\0_hidden\0');
  const symbol = (name: string, type: number, library: number) =>
    Buffer.concat([word(names.indexOf(`${name}\0`)), Buffer.from([type, 1, 0, library]), Buffer.alloc(8)]);
  const table = Buffer.concat([
    symbol('_hidden', 0x1f, 0),
    symbol('_napi_register_module_v1', 0x0f, 0),
    symbol('_napi_throw', 0x01, 0xfe),
    symbol('_malloc', 0x01, 1),
  ]);
  const tree = exportTree();
  const commands = (tableAt: number, end: number) => [
    command(0x8000_0022, word(0, 0, 0, 0, 0, 0, 0, 0, tableAt + table.length + names.length, tree.length)),
    segment(rights),
    command(0x32, word(1, (12 << 16) | (3 << 8), 12 << 16, 0)),
    named(0x0c, [0, 0, 0], SYSTEM),
    command(0x02, word(tableAt, 4, tableAt + table.length, names.length)),
    ...(searchPath === undefined ? [] : [named(0x8000_001c, [], searchPath)]),
    ...(isSigned ? [command(0x1d, word(end, 0))] : []),
  ];
  const size = Buffer.concat(commands(0, 0)).length;
  // More than a page, so that there are two hashes.
  const tableAt = Math.max(32 + size, 2 ** PAGE_BITS);
  const end = (tableAt + table.length + names.length + tree.length + 15) & ~15;
  const list = commands(tableAt, end);
  const header = word(0xfeedfacf, processor, 0, fileType, list.length, size, flags, 0);
  const file = Buffer.alloc(end);
  Buffer.concat([header, ...list]).copy(file);
  Buffer.concat([table, names, tree]).copy(file, tableAt);
  return isSigned ? Buffer.concat([file, signature(file)]) : file;
}

function signature(file: Buffer): Buffer {
  const pages = Math.ceil(file.length / 2 ** PAGE_BITS);
  const hashes = Array.from({ length: pages }, (_, page) =>
    createHash('sha256')
      .update(file.subarray(page << PAGE_BITS, (page + 1) << PAGE_BITS))
      .digest(),
  );
  const fixed = 44;
  const length = fixed + 32 * pages;
  const directory = Buffer.concat([
    bigEndian(0xfade0c02, length, 0x20001, 0x20002, fixed, 0, 0, pages, file.length),
    Buffer.from([32, 2, 0, PAGE_BITS]),
    Buffer.alloc(4),
    ...hashes,
  ]);
  return Buffer.concat([bigEndian(0xfade0cc0, 20 + length, 1, 0, 20), directory]);
}

test('what a binary for macOS asks for is read off it', () => {
  const hardening = { 'no segment both written and executed': true, 'stack not executable': true, 'no search path': true };
  expect(read(bundle())).toEqual({
    processor: 'arm64',
    minimum: [12, 3],
    needed: [SYSTEM],
    exported: ['_napi_more', '_napi_register_module_v1'],
    imported: { [SYSTEM]: ['_malloc'] },
    lookedUp: ['_napi_throw'],
    hardening,
  });
  expect(read(bundle({ processor: 0x0100_0007 })).processor).toBe('x64');
  expect(read(bundle({ rights: 7 })).hardening).toEqual({ ...hardening, 'no segment both written and executed': false });
  expect(read(bundle({ flags: 0x20000 })).hardening).toEqual({ ...hardening, 'stack not executable': false });
  expect(read(bundle({ searchPath: '@loader_path' })).hardening).toEqual({ ...hardening, 'no search path': false });
});

test('a page that is not what was signed is found, and a signature that is missing', () => {
  const signed = bundle();
  for (const [at, page] of [
    [2000, 0],
    [2 ** PAGE_BITS + 1, 1],
  ] as const) {
    const changed = Buffer.from(signed);
    changed[at] = (changed[at] as number) ^ 1;
    expect(read(changed).signature).toBe(`page ${page} is not what was signed`);
  }
  expect(read(bundle({ isSigned: false })).signature).toBe('not signed');
});

test('other files are refused', () => {
  expect(read(Buffer.from('\x7fELF'.padEnd(64)))).toMatch('is no Mach-O file of 64 bits');
  expect(read(bundle({ processor: 7 }))).toMatch('is no bundle for x64 or arm64');
  expect(read(bundle({ fileType: 6 }))).toMatch('is no bundle for x64 or arm64');
});
