// What a binary for Windows asks of a machine, read off its headers: of Microsoft's "PE Format" the parts that a DLL of 64 bits has.
import { readFileSync } from 'node:fs';

const processors = new Map([
  [0x8664, 'x64'],
  [0xaa64, 'arm64'],
]);
const DLL = 0x2000;
const PE32_PLUS = 0x20b;
const HIGH_ENTROPY = 0x20;
const DYNAMIC_BASE = 0x40;
const NX_COMPAT = 0x100;
const WRITE = 0x8000_0000;
const EXECUTE = 0x2000_0000;

/**
 * needed: the DLLs; exported: names; time: when it was linked, 0 where that is not said
 * @throws Error of a file that is no DLL of a 64-bit processor
 */
export function peFacts(file) {
  const bytes = readFileSync(file);
  const at = bytes.length < 64 ? -1 : bytes.readUInt32LE(60);
  if (bytes.toString('latin1', 0, 2) !== 'MZ' || at < 0 || bytes.toString('latin1', at, at + 4) !== 'PE\0\0')
    throw new Error(`${file} is no PE file`);
  const processor = processors.get(bytes.readUInt16LE(at + 4));
  const optional = at + 24;
  if (processor === undefined || (bytes.readUInt16LE(at + 22) & DLL) === 0 || bytes.readUInt16LE(optional) !== PE32_PLUS)
    throw new Error(`${file} is no DLL for x64 or arm64`);
  const sections = sectionsOf(bytes, at, optional);
  const offset = (address) => {
    const section = sections.find(({ begin, size }) => address >= begin && address < begin + size);
    if (section === undefined) throw new Error(`${file} has nothing at ${address}`);
    return address - section.begin + section.at;
  };
  const text = (address) => bytes.toString('latin1', offset(address), bytes.indexOf(0, offset(address)));
  const flags = bytes.readUInt16LE(optional + 70);
  const [exports, imports] = [bytes.readUInt32LE(optional + 112), bytes.readUInt32LE(optional + 120)];
  return {
    processor,
    time: bytes.readUInt32LE(at + 8),
    needed: importedDlls(bytes, offset(imports)).map(text),
    exported: exports === 0 ? [] : exportedNames(bytes, offset(exports), offset).map(text),
    hardening: {
      'loaded anywhere in 64 bits': (flags & (DYNAMIC_BASE | HIGH_ENTROPY)) === (DYNAMIC_BASE | HIGH_ENTROPY),
      'data not executable': (flags & NX_COMPAT) !== 0,
      'no section both written and executed': sections.every(({ rights }) => (rights & WRITE) === 0 || (rights & EXECUTE) === 0),
    },
  };
}

function sectionsOf(bytes, at, optional) {
  const first = optional + bytes.readUInt16LE(at + 20);
  return Array.from({ length: bytes.readUInt16LE(at + 6) }, (_, i) => {
    const section = first + 40 * i;
    return {
      begin: bytes.readUInt32LE(section + 12),
      size: bytes.readUInt32LE(section + 16),
      at: bytes.readUInt32LE(section + 20),
      rights: bytes.readUInt32LE(section + 36),
    };
  });
}

/** Addresses of their names. */
function importedDlls(bytes, begin) {
  const names = [];
  for (let at = begin; bytes.readUInt32LE(at + 12) !== 0; at += 20) names.push(bytes.readUInt32LE(at + 12));
  return names;
}

/** Likewise. */
function exportedNames(bytes, at, offset) {
  const names = offset(bytes.readUInt32LE(at + 32));
  return Array.from({ length: bytes.readUInt32LE(at + 24) }, (_, i) => bytes.readUInt32LE(names + 4 * i));
}
