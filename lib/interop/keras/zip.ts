import { crc32 } from 'node:zlib';
import { EvenkeelError } from '../../errors';
import { fileFault, quote } from '../../io/file';
import { checkMemory } from '../../memory';
import { importOptional } from '../../optional-package';

type Fflate = typeof import('fflate');

/** How many times its packed size an entry may have: floating-point numbers pack badly, and Keras does not pack them. */
const MOST_RATIO = 20;
/** A config packs better, and is short. */
const ALWAYS_ALLOWED = 16 * 2 ** 20;

/**
 * Unpacks some entries of a zip file, all or nothing.
 * @param where begins with the file's path
 * @throws EvenkeelError ERR_FILE when one is missing, damaged or larger than it can be, ERR_MEMORY, ERR_STATE where fflate is not installed
 */
export async function unzip<Name extends string>(
  where: string,
  contents: Uint8Array,
  names: readonly Name[],
): Promise<Record<Name, Uint8Array>> {
  const { unzipSync } = await loadFflate();
  const sizes = new Map<string, number>();
  const entries = attempt(where, () =>
    unzipSync(contents, {
      filter: ({ name, size, originalSize }) => {
        if (!names.includes(name as Name)) return false;
        if (sizes.has(name)) fileFault(where, `one entry ${quote(name)}`, 'two');
        if (originalSize > Math.max(MOST_RATIO * size, ALWAYS_ALLOWED)) {
          fileFault(`${where}, entry ${quote(name)}`, `at most ${MOST_RATIO} times its ${size} packed bytes`, `${originalSize}`);
        }
        checkMemory(where, originalSize, 'Give the process more memory.');
        sizes.set(name, originalSize);
        return true;
      },
    }),
  );
  for (const name of names) {
    const entry = Object.hasOwn(entries, name) ? (entries[name] as Uint8Array) : undefined;
    if (entry === undefined) return fileFault(where, `an entry ${quote(name)}`, 'none', 'The file is no model that Keras 3 saved.');
    if (entry.length !== sizes.get(name))
      fileFault(`${where}, entry ${quote(name)}`, `${sizes.get(name)} bytes`, `${entry.length}`, 'The file is damaged.');
    checkSum(where, contents, name, entry);
  }
  return entries as Record<Name, Uint8Array>;
}

function attempt<Result>(where: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (error instanceof EvenkeelError) throw error;
    return fileFault(where, 'a sound zip file', quote(String(error), 120), 'The file is damaged.');
  }
}

async function loadFflate(): Promise<Fflate> {
  try {
    return await importOptional<Fflate>('fflate');
  } catch (cause) {
    throw new EvenkeelError('ERR_STATE', 'Files of Keras 3 need the package fflate. Install it: npm install fflate', { cause });
  }
}

/** Of an entry of the central directory: where its CRC-32, the length of its name and the name stand. */
const ENTRY = { signature: Buffer.from('PK\x01\x02', 'latin1'), crc: 16, nameLength: 28, name: 46 };

/** fflate does not look at the checksum that a zip file has for each entry. */
function checkSum(where: string, contents: Uint8Array, name: string, entry: Uint8Array): void {
  const file = Buffer.from(contents.buffer, contents.byteOffset, contents.length);
  for (let at = file.lastIndexOf(ENTRY.signature); at !== -1; at = at === 0 ? -1 : file.lastIndexOf(ENTRY.signature, at - 1)) {
    if (at + ENTRY.name > file.length) continue;
    const length = file.readUInt16LE(at + ENTRY.nameLength);
    if (file.toString('utf8', at + ENTRY.name, at + ENTRY.name + length) !== name) continue;
    if (file.readUInt32LE(at + ENTRY.crc) === crc32(entry)) return;
    break;
  }
  fileFault(`${where}, entry ${quote(name)}`, 'contents with the checksum of the zip file', 'others', 'The file is damaged.');
}
