import { readSync } from 'node:fs';
import { endianness } from 'node:os';
import { fail, isPlainObject, readSafely } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { allocate, checkTensor, type DType, Tensor } from '../tensor';
import { writeFileAtomic } from './atomic-file';
import { checkPath, fileFault, quote, withFile } from './file';
import { DAMAGED, type HeaderEntry, METADATA_KEY, parseHeader } from './safetensors-header';

/** The format's limit; a longer header is hostile. */
const MAX_HEADER_BYTES = 100_000_000;
/** The header's length, a 64-bit little-endian integer, comes first. */
const PREFIX_BYTES = 8;

const ELEMENT_BYTES: Record<DType, number> = { float32: 4, float64: 8 };
const FILE_DTYPES: Record<DType, string> = { float32: 'F32', float64: 'F64' };
const DTYPES = new Map<string, DType>([
  ['F32', 'float32'],
  ['F64', 'float64'],
]);

/**
 * Writes tensors to a safetensors file (https://huggingface.co/docs/safetensors), byte for byte as Python's safetensors writes them.
 * The file appears whole or not at all, see writeFileAtomic.
 * @param path the file to write or replace
 * @param state tensors by name, such as a layer's state dict
 * @throws EvenkeelError ERR_OPTION for a state that is no record of tensors, ERR_STATE for a tensor whose buffer was transferred away,
 * ERR_FILE when the file cannot be written
 */
export function saveState(path: string, state: Record<string, Tensor>): void {
  requireLittleEndian();
  const tensors = fileOrder(checkState(state));
  const header = formatHeader(tensors);
  const pieces = tensors.map(([, tensor]) => new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, byteCount(tensor)));
  writeFileAtomic(path, [header, ...pieces]);
}

/**
 * Reads all tensors of a safetensors file, each into an array of its own. The whole header is checked first, so a damaged or hostile file
 * gives an error and never a part of its tensors.
 * @returns tensors by name, in the header's order, as a record without a prototype (a tensor may be called `__proto__`)
 * @throws EvenkeelError ERR_FILE with the path and the reason; ERR_MEMORY when a tensor is too large for memory
 */
export function loadState(path: string): Record<string, Tensor> {
  requireLittleEndian();
  return withFile(checkPath('path', path), (descriptor, size) => {
    const headerBytes = readHeaderLength(path, descriptor, size);
    const dataStart = PREFIX_BYTES + headerBytes;
    const entries = parseHeader(path, readText(path, descriptor, headerBytes));
    checkLayout(path, entries, size - dataStart);
    const dtypes = entries.map((entry) => checkEntry(path, entry));
    const state: Record<string, Tensor> = Object.create(null);
    for (const [i, { name, shape, begin, end }] of entries.entries()) {
      const dtype = dtypes[i] as DType;
      const data = allocate(dtype, (end - begin) / ELEMENT_BYTES[dtype]);
      readFully(path, descriptor, new Uint8Array(data.buffer), dataStart + begin);
      state[name] = new Tensor(data, shape);
    }
    return state;
  });
}

function requireLittleEndian(): void {
  if (endianness() === 'LE') return;
  throw new EvenkeelError('ERR_FILE', 'safetensors files hold little-endian numbers; this big-endian machine is not supported.');
}

function checkState(state: unknown): [string, Tensor][] {
  // A Map or a layer would look like an empty record.
  const entries = readSafely('state', () => (isPlainObject(state) ? Object.entries(state) : undefined));
  if (entries === undefined) fail('ERR_OPTION', 'state', 'a record of tensors by name', state, 'For a model give model.stateDict().');
  return entries.map(([name, value]) => {
    if (name === '' || name === METADATA_KEY || /\p{Surrogate}/u.test(name)) {
      fail('ERR_OPTION', 'state', `tensor names that are whole Unicode text, not empty and not "${METADATA_KEY}"`, name);
    }
    return [name, checkTensor(`state[${quote(name)}]`, value)];
  });
}

/** Widest elements first, so that every tensor is aligned, and then by name: the order of Python's safetensors. */
function fileOrder(tensors: [string, Tensor][]): [string, Tensor][] {
  const keyed = tensors.map(([name, tensor]) => ({ name, tensor, key: Buffer.from(name), width: ELEMENT_BYTES[tensor.dtype] }));
  keyed.sort((a, b) => b.width - a.width || Buffer.compare(a.key, b.key));
  return keyed.map(({ name, tensor }) => [name, tensor]);
}

/** The header with its length before it, padded with spaces so that the data start at a multiple of 8 bytes. */
function formatHeader(tensors: [string, Tensor][]): Uint8Array {
  let end = 0;
  const entries = tensors.map(([name, tensor]) => {
    const begin = end;
    end += byteCount(tensor);
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype: FILE_DTYPES[tensor.dtype], shape: tensor.shape, data_offsets: [begin, end] })}`;
  });
  const text = Buffer.from(`{${entries.join(',')}}`);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > MAX_HEADER_BYTES) fail('ERR_OPTION', 'state', `a header of names and shapes of at most ${MAX_HEADER_BYTES} bytes`, length);
  const header = Buffer.alloc(PREFIX_BYTES + length, ' ');
  header.writeBigUInt64LE(BigInt(length));
  text.copy(header, PREFIX_BYTES);
  return header;
}

function byteCount(tensor: Tensor): number {
  return tensor.size * ELEMENT_BYTES[tensor.dtype];
}

function readHeaderLength(path: string, descriptor: number, size: number): number {
  if (size < PREFIX_BYTES) damaged(path, `at least ${PREFIX_BYTES} bytes`, `${size}`);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  readFully(path, descriptor, prefix, 0);
  const length = prefix.readBigUInt64LE();
  const limit = Math.min(MAX_HEADER_BYTES, size - PREFIX_BYTES);
  if (length > limit) damaged(path, `a header of at most ${limit} bytes`, `a header length of ${length}`);
  return Number(length);
}

function readText(path: string, descriptor: number, length: number): string {
  const bytes = Buffer.alloc(length);
  readFully(path, descriptor, bytes, PREFIX_BYTES);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return damaged(path, 'a header in UTF-8', 'other bytes');
  }
}

/** Fills `bytes` from the file, in pieces that one system call can take. */
function readFully(path: string, descriptor: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    const count = readSync(descriptor, bytes, done, Math.min(bytes.length - done, 2 ** 30), position + done);
    if (count === 0) damaged(path, `data up to byte ${position + bytes.length}`, `the end at byte ${position + done}`);
    done += count;
  }
}

/** Checks that the tensors cover the data section exactly: no hole, no overlap, nothing behind the last one. */
function checkLayout(path: string, entries: readonly HeaderEntry[], dataBytes: number): void {
  let covered = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    const where = tensorLabel(path, name);
    const got = `data_offsets ${formatShape([begin, end])}`;
    if (begin !== covered) damaged(where, `data from byte ${covered} on, where the tensor before ends`, got);
    if (end < begin || end > dataBytes) damaged(where, `data up to some byte from ${begin} to ${dataBytes}`, got);
    covered = end;
  }
  if (covered !== dataBytes) damaged(path, `tensors that cover all ${dataBytes} bytes of data`, `tensors for ${covered} bytes`);
}

/** Checks that the element type is one of ours and that shape and offsets agree. */
function checkEntry(path: string, { name, dtype: fileDType, shape, begin, end }: HeaderEntry): DType {
  const where = tensorLabel(path, name);
  const dtype = DTYPES.get(fileDType);
  if (dtype === undefined) {
    return fileFault(where, 'dtype F32 or F64', quote(fileDType), 'Convert the tensor to one of them in Python, and save the file again.');
  }
  let bytes = ELEMENT_BYTES[dtype];
  for (const size of shape) {
    bytes *= size;
    if (!Number.isSafeInteger(bytes)) damaged(where, 'at most 2^53 - 1 bytes', `shape ${formatShape(shape)}`);
  }
  if (bytes !== end - begin) damaged(where, `${bytes} bytes for ${formatShape(shape)}`, `data_offsets ${formatShape([begin, end])}`);
  return dtype;
}

function tensorLabel(path: string, name: string): string {
  return `${path}, tensor ${quote(name)}`;
}

function damaged(where: string, expected: string, got: string): never {
  fileFault(where, expected, got, DAMAGED);
}
