// What a binary for macOS asks of a machine, read off its load commands: of Apple's <mach-o/loader.h> and <kern/cs_blobs.h> the parts that a
// bundle of one processor has.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const processors = new Map([
  [0x0100_0007, 'x64'],
  [0x0100_000c, 'arm64'],
]);
const commands = new Map([
  [0x02, 'symbols'],
  [0x0c, 'library'],
  [0x19, 'segment'],
  [0x1d, 'signature'],
  [0x32, 'build'],
  [0x8000_0018, 'library'],
  [0x8000_001c, 'search path'],
  [0x8000_001f, 'library'],
  [0x8000_0022, 'binding'],
]);
const MH_BUNDLE = 8;
const MH_ALLOW_STACK_EXECUTION = 0x20000;
const WRITE = 2;
const EXECUTE = 4;

/**
 * minimum: the oldest macOS, such as [12, 0]; lookedUp: symbols that any loaded image may have, as Node has those of Node-API; imported: symbols by
 * the library that has them; signature: what is wrong with it, or undefined
 * @throws Error of a file that is no bundle of a 64-bit processor
 */
export function machFacts(file) {
  const bytes = readFileSync(file);
  if (bytes.length < 32 || bytes.readUInt32LE(0) !== 0xfeedfacf) throw new Error(`${file} is no Mach-O file of 64 bits`);
  const processor = processors.get(bytes.readUInt32LE(4));
  if (processor === undefined || bytes.readUInt32LE(12) !== MH_BUNDLE) throw new Error(`${file} is no bundle for x64 or arm64`);
  const found = loadCommands(bytes);
  const needed = found.library.map((at) => text(bytes, at + bytes.readUInt32LE(at + 8)));
  const { lookedUp, imported } = undefinedSymbols(bytes, found.symbols[0], needed);
  const segments = found.segment.map((at) => bytes.readInt32LE(at + 60));
  return {
    processor,
    minimum: found.build.map((at) => [bytes.readUInt16LE(at + 14), bytes[at + 13]])[0],
    needed,
    exported: exportedNames(bytes, found.binding[0]),
    imported,
    lookedUp,
    hardening: {
      'no segment both written and executed': segments.every((rights) => (rights & (WRITE | EXECUTE)) !== (WRITE | EXECUTE)),
      'stack not executable': (bytes.readUInt32LE(24) & MH_ALLOW_STACK_EXECUTION) === 0,
      'no search path': found['search path'].length === 0,
    },
    signature: signatureProblem(bytes, found.signature[0]),
  };
}

/** offsets by kind */
function loadCommands(bytes) {
  const found = Object.fromEntries([...commands.values()].map((kind) => [kind, []]));
  let at = 32;
  for (let left = bytes.readUInt32LE(16); left > 0; left--) {
    const kind = commands.get(bytes.readUInt32LE(at));
    if (kind !== undefined) found[kind].push(at);
    at += bytes.readUInt32LE(at + 4);
  }
  return found;
}

/** From the table of symbols (nlist_64): each that is undefined has the number of its library. */
function undefinedSymbols(bytes, at, libraries) {
  const [table, count, names] = [8, 12, 16].map((offset) => bytes.readUInt32LE(at + offset));
  const DYNAMIC_LOOKUP = 0xfe;
  const lookedUp = [];
  const imported = Object.fromEntries(libraries.map((name) => [name, []]));
  for (let index = 0; index < count; index++) {
    const entry = table + 16 * index;
    const type = bytes[entry + 4];
    const isExternal = (type & 0x01) !== 0;
    const isDefined = (type & 0x0e) !== 0;
    if (!isExternal || isDefined) continue;
    const name = text(bytes, names + bytes.readUInt32LE(entry));
    const library = bytes[entry + 7];
    if (library === DYNAMIC_LOOKUP) lookedUp.push(name);
    else imported[libraries[library - 1]].push(name);
  }
  return { lookedUp, imported };
}

/** From the tree in which macOS looks for them: a node has what is known of its symbol, if it is one, and how names go on from it. */
function exportedNames(bytes, command) {
  if (command === undefined) return [];
  const root = bytes.readUInt32LE(command + 40);
  const names = [];
  const walk = (node, name) => {
    let [size, at] = readNumber(bytes, root + node);
    if (size > 0) names.push(name);
    at += size;
    for (let left = bytes[at++]; left > 0; left--) {
      const more = text(bytes, at);
      const [child, next] = readNumber(bytes, at + more.length + 1);
      walk(child, name + more);
      at = next;
    }
  };
  if (bytes.readUInt32LE(command + 44) > 0) walk(0, '');
  return names.sort();
}

/** LEB128: seven bits a byte, the lowest first; and where it ends. */
function readNumber(bytes, start) {
  let value = 0;
  for (let at = start, shift = 0; ; at++, shift += 7) {
    value |= (bytes[at] & 0x7f) << shift;
    if (bytes[at] < 0x80) return [value, at + 1];
  }
}

/** The hashes of the pages, which macOS compares when it loads them. Its numbers are big-endian. */
function signatureProblem(bytes, command) {
  if (command === undefined) return 'not signed';
  const blob = bytes.readUInt32LE(command + 8);
  if (bytes.readUInt32BE(blob) !== 0xfade0cc0) return 'no signature where one should be';
  const directory = blob + bytes.readUInt32BE(blob + 16);
  if (bytes.readUInt32BE(blob + 12) !== 0 || bytes.readUInt32BE(directory) !== 0xfade0c02) return 'a signature without hashes';
  const [hashes, , , pages, end] = [16, 20, 24, 28, 32].map((offset) => bytes.readUInt32BE(directory + offset));
  const [size, kind, , pageBits] = bytes.subarray(directory + 36, directory + 40);
  if (size !== 32 || kind !== 2) return 'hashes that are not SHA-256';
  if (end !== blob || pages !== Math.ceil(end / 2 ** pageBits)) return 'a signature of other pages than there are';
  for (let page = 0; page < pages; page++) {
    const content = bytes.subarray(page << pageBits, Math.min((page + 1) << pageBits, end));
    const hash = bytes.subarray(directory + hashes + size * page, directory + hashes + size * (page + 1));
    if (!createHash('sha256').update(content).digest().equals(hash)) return `page ${page} is not what was signed`;
  }
  return undefined;
}

function text(bytes, at) {
  return bytes.toString('latin1', at, bytes.indexOf(0, at));
}
