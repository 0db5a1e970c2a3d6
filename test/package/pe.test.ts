/** What scripts/release/pe.mjs reads off a DLL, of one that is put together here: two imports, one export, a section of code and one of data. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-pe-'));
afterAll(() => rmSync(folder, { recursive: true }));

const HARDENED = 0x160;
const CODE = 0x6000_0020;
const DATA = 0xc000_0040;

/** @param flags DllCharacteristics, of Microsoft's "PE Format" @param rights of the section of data */
function dll({ machine = 0x8664, flags = HARDENED, rights = DATA, time = 0 }): Buffer {
  const bytes = Buffer.alloc(0x600);
  bytes.write('MZ', 0);
  const at = 0x80;
  bytes.writeUInt32LE(at, 60);
  bytes.write('PE\0\0', at, 'latin1');
  bytes.writeUInt16LE(machine, at + 4);
  bytes.writeUInt16LE(2, at + 6);
  bytes.writeUInt32LE(time, at + 8);
  bytes.writeUInt16LE(240, at + 20);
  bytes.writeUInt16LE(0x2022, at + 22);
  const optional = at + 24;
  bytes.writeUInt16LE(0x20b, optional);
  bytes.writeUInt16LE(flags, optional + 70);
  // All that is read stands in the second section, which begins at 0x2000 in memory and at 0x400 in the file.
  const section = (index: number, address: number, offset: number, kind: number) => {
    const header = optional + 240 + 40 * index;
    for (const [field, value] of [
      [8, 0x200],
      [12, address],
      [16, 0x200],
      [20, offset],
      [36, kind],
    ] as const)
      bytes.writeUInt32LE(value, header + field);
  };
  section(0, 0x1000, 0x200, CODE);
  section(1, 0x2000, 0x400, rights);
  const text = (address: number, name: string) => bytes.write(`${name}\0`, address - 0x2000 + 0x400, 'latin1');
  const word = (address: number, value: number) => bytes.writeUInt32LE(value, address - 0x2000 + 0x400);
  word(0x2000 + 24, 1);
  word(0x2000 + 32, 0x2040);
  word(0x2040, 0x2050);
  text(0x2050, 'napi_register_module_v1');
  word(0x2080 + 12, 0x2100);
  word(0x2094 + 12, 0x2120);
  text(0x2100, 'KERNEL32.dll');
  text(0x2120, 'msvcrt.dll');
  bytes.writeUInt32LE(0x2000, optional + 112);
  bytes.writeUInt32LE(0x2080, optional + 120);
  return bytes;
}

function factsOf(bytes: Buffer) {
  const file = join(folder, 'evenkeel.node');
  writeFileSync(file, bytes);
  const script = `import(${JSON.stringify(join(__dirname, '../../scripts/release/pe.mjs'))}).then(({ peFacts }) => console.log(JSON.stringify(peFacts(${JSON.stringify(file)}))))`;
  return JSON.parse(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }));
}

test('processor, time, DLLs and names are those of the file', () => {
  expect(factsOf(dll({ time: 77 }))).toMatchObject({
    processor: 'x64',
    time: 77,
    needed: ['KERNEL32.dll', 'msvcrt.dll'],
    exported: ['napi_register_module_v1'],
  });
  expect(factsOf(dll({ machine: 0xaa64 })).processor).toBe('arm64');
});

test.each([
  ['all', {}, [true, true, true]],
  ['not loaded anywhere', { flags: HARDENED & ~0x40 }, [false, true, true]],
  ['not in 64 bits', { flags: HARDENED & ~0x20 }, [false, true, true]],
  ['data executable', { flags: HARDENED & ~0x100 }, [true, false, true]],
  ['a section both written and executed', { rights: 0xe000_0040 }, [true, true, false]],
])('hardening: %s', (_, options, holds) => {
  expect(Object.values(factsOf(dll(options)).hardening)).toEqual(holds);
});

test('what is no DLL is refused', () => {
  expect(() => factsOf(Buffer.from('\x7fELF'))).toThrow('is no PE file');
  expect(() => factsOf(dll({ machine: 0x14c }))).toThrow('is no DLL for x64 or arm64');
});
