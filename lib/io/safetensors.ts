import { readSync } from 'node:fs';
import { endianness } from 'node:os';
import { checkBoolean, checkNames, fail, isPlainObject, nearestName, readOptions, readSafely } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { checkMemory } from '../memory';
import { allocate, checkTensor, type DType, elementCount, Tensor } from '../tensor';
import { writeFileAtomic } from './atomic-file';
import { CHECKSUM_KEY, checksum, isMisnamedChecksum } from './checksum';
import { checkPath, fileFault, quote, withFile } from './file';
import { FILE_DTYPES, READABLE, type Reading } from './safetensors-dtypes';
import { DAMAGED, type Header, type HeaderEntry, METADATA_KEY, parseHeader } from './safetensors-header';

/** The format's limit; a longer header is hostile. */
const MAX_HEADER_BYTES = 100_000_000;
/** The header's length, a 64-bit little-endian integer, comes first. */
const PREFIX_BYTES = 8;

/** Bytes read or converted at a time; a multiple of every element's. */
const PIECE = 2 ** 20;

const ELEMENT_BYTES: Record<DType, number> = { float32: 4, float64: 8 };
const WRITTEN: Record<DType, string> = { float32: 'F32', float64: 'F64' };

/** Options of saveState. */
export interface SaveStateOptions {
  /** texts by name to keep with the tensors, such as `{ format: 'pt' }`; {@link loadMetadata} and Python's `safe_open(…).metadata()` give them */
  metadata?: Readonly<Record<string, string>>;
  /**
   * Whether a checksum of all contents stands in the metadata too, as `evenkeel.sha256`, by which {@link loadState} sees that a file was damaged.
   * True unless metadata are given, which then are what other programs find, and nothing else.
   */
  checksum?: boolean;
}

/** Options of loadState. */
export interface LoadStateOptions {
  /** which tensors to read; without it all */
  names?: readonly string[];
}

/**
 * Writes tensors to a safetensors file (https://huggingface.co/docs/safetensors), byte for byte as Python's safetensors writes them with the
 * same metadata, among which is a checksum unless it is left out. The file appears whole or not at all, see writeFileAtomic.
 * @param path the file to write or replace
 * @param state tensors by name, such as a layer's state dict
 * @throws EvenkeelError ERR_OPTION for a state that is no record of tensors or metadata that is no record of texts, ERR_STATE for a tensor
 * whose buffer was transferred away, ERR_FILE when the file cannot be written
 *
 * @example
 * const model = new GRU({ inputSize: 4, hiddenSize: 16 });
 * saveState('model.safetensors', model.stateDict());
 * model.loadStateDict(loadState('model.safetensors'));
 */
export function saveState(path: string, state: Record<string, Tensor>, options: SaveStateOptions = {}): void {
  requireLittleEndian();
  const given = readOptions('saveState options', options, ['metadata', 'checksum']);
  const { metadata: givenMetadata = {}, checksum: givenChecksum = given.metadata === undefined } = given;
  const hasChecksum = checkBoolean('checksum', givenChecksum);
  const metadata = checkMetadata(givenMetadata).filter(([name]) => name !== CHECKSUM_KEY);
  const tensors = fileOrder(checkState(state));
  const entries = describeTensors(tensors);
  const pieces = tensors.map(([, tensor]) => bytesOf(tensor));
  if (hasChecksum) metadata.push([CHECKSUM_KEY, checksum(metadata, entries, pieces)]);
  const header = formatHeader(entries, metadata);
  writeFileAtomic(path, [header, ...pieces]);
}

/**
 * Reads tensors of a safetensors file, each into an array of its own. The whole header is checked first, so a damaged or hostile file
 * gives an error and never a part of its tensors.
 *
 * No number changes. F32, F16, BF16, BOOL (as 0 and 1) and integers of up to 16 bits become float32; F64 and wider integers float64. An integer
 * beyond ±2^53, which float64 would round, is an error.
 * @returns tensors by name, in the header's order, as a record without a prototype (a tensor may be called `__proto__`)
 * @throws EvenkeelError ERR_FILE with the path and the reason, for an element type that no tensor can hold too; ERR_OPTION for a name that is
 * not in the file; ERR_MEMORY when a tensor is too large for memory
 */
export function loadState(path: string, options: LoadStateOptions = {}): Record<string, Tensor> {
  const { names } = readOptions('loadState options', options, ['names']);
  return readStateFile(path, names === undefined ? undefined : checkNames('names', names, 'tensor name'));
}

/**
 * Reads the texts that a safetensors file carries beside its tensors, but for the checksum of {@link saveState}.
 * @returns texts by name, as a record without a prototype; empty when there are none
 * @throws EvenkeelError ERR_FILE with the path and the reason
 */
export function loadMetadata(path: string): Record<string, string> {
  requireLittleEndian();
  return withFile(checkPath('path', path), (descriptor, size) => {
    const { metadata } = readHeader(path, descriptor, size);
    delete metadata[CHECKSUM_KEY];
    return metadata;
  });
}

/**
 * Reads all tensors and texts of one file at once, so that they belong together.
 * @param hasChecksum whether the file must have a {@link checksum}
 * @throws EvenkeelError as loadState does
 * @internal
 */
export function loadAll(path: string, hasChecksum: boolean): { state: Record<string, Tensor>; metadata: Record<string, string> } {
  let metadata: Record<string, string> = {};
  const state = readStateFile(path, undefined, (header) => {
    ({ metadata } = header);
    if (hasChecksum && metadata[CHECKSUM_KEY] === undefined) {
      fileFault(path, `a checksum of its contents, "${CHECKSUM_KEY}", in its metadata`, 'none', 'Another program has written the file.');
    }
  });
  delete metadata[CHECKSUM_KEY];
  return { state, metadata };
}

function readStateFile(path: string, names?: readonly string[], look: (header: Header) => void = () => {}): Record<string, Tensor> {
  requireLittleEndian();
  return withFile(checkPath('path', path), (descriptor, size) => {
    const { entries, metadata, dataStart } = readHeader(path, descriptor, size);
    look({ entries, metadata });
    checkContents(path, descriptor, dataStart, { entries, metadata });
    const readings = chooseEntries(path, entries, names).map((entry) => ({ entry, reading: findReading(path, entry) }));
    const bytes = readings.map(({ entry, reading }) => elementCount(entry.shape) * ELEMENT_BYTES[reading.dtype]);
    checkMemory(
      path,
      bytes.reduce((sum, one) => sum + one, 0),
      'Read fewer tensors with names.',
    );
    const state: Record<string, Tensor> = Object.create(null);
    for (const { entry, reading } of readings) state[entry.name] = readTensor(path, descriptor, dataStart, entry, reading);
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
    if (name === METADATA_KEY || !isWhole(name)) {
      fail('ERR_OPTION', 'state', `tensor names that are whole Unicode text and not "${METADATA_KEY}"`, name);
    }
    return [name, checkTensor(`state[${quote(name)}]`, value)];
  });
}

function checkMetadata(metadata: unknown): [string, string][] {
  const entries = readSafely('metadata', () => (isPlainObject(metadata) ? Object.entries(metadata) : undefined));
  if (entries === undefined) fail('ERR_OPTION', 'metadata', 'a record of texts by name', metadata);
  return entries.map(([name, text]) => {
    if (!isWhole(name)) fail('ERR_OPTION', 'metadata', 'names that are whole Unicode text', name);
    if (typeof text !== 'string' || !isWhole(text)) {
      fail('ERR_OPTION', `metadata[${quote(name)}]`, 'a whole Unicode text', text, 'Write other values with JSON.stringify.');
    }
    return [name, text];
  });
}

/** Whether UTF-8 can hold a text: no half of a surrogate pair stands alone. */
function isWhole(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** Widest elements first, so that every tensor is aligned, and then by name: the order of Python's safetensors. */
function fileOrder(tensors: [string, Tensor][]): [string, Tensor][] {
  const keyed = tensors.map(([name, tensor]) => ({ name, tensor, key: Buffer.from(name), width: ELEMENT_BYTES[tensor.dtype] }));
  keyed.sort((a, b) => b.width - a.width || Buffer.compare(a.key, b.key));
  return keyed.map(({ name, tensor }) => [name, tensor]);
}

function describeTensors(tensors: readonly [string, Tensor][]): HeaderEntry[] {
  let end = 0;
  return tensors.map(([name, tensor]) => {
    const begin = end;
    end += byteCount(tensor);
    return { name, dtype: WRITTEN[tensor.dtype], shape: [...tensor.shape], begin, end };
  });
}

/** The header with its length before it, padded with spaces so that the data start at a multiple of 8 bytes. */
function formatHeader(entries: readonly HeaderEntry[], metadata: readonly [string, string][]): Uint8Array {
  const texts = metadata.map(([name, text]) => `${JSON.stringify(name)}:${JSON.stringify(text)}`);
  const tensors = entries.map(
    ({ name, dtype, shape, begin, end }) => `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`,
  );
  if (texts.length > 0) tensors.unshift(`${JSON.stringify(METADATA_KEY)}:{${texts.join(',')}}`);
  const text = Buffer.from(`{${tensors.join(',')}}`);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > MAX_HEADER_BYTES)
    fail('ERR_OPTION', 'state', `a header of names, shapes and metadata of at most ${MAX_HEADER_BYTES} bytes`, length);
  const header = Buffer.alloc(PREFIX_BYTES + length, ' ');
  header.writeBigUInt64LE(BigInt(length));
  text.copy(header, PREFIX_BYTES);
  return header;
}

/** A tensor's bytes: a view, or a copy where other threads could change them between the checksum and the writing. */
function bytesOf(tensor: Tensor): Uint8Array {
  const bytes = new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, byteCount(tensor));
  return tensor.data.buffer instanceof SharedArrayBuffer ? bytes.slice() : bytes;
}

function byteCount(tensor: Tensor): number {
  return tensor.size * ELEMENT_BYTES[tensor.dtype];
}

/** The whole header, checked: the tensors cover the data, and each has the bytes that its shape needs. */
function readHeader(path: string, descriptor: number, size: number): Header & { dataStart: number } {
  const headerBytes = readHeaderLength(path, descriptor, size);
  const dataStart = PREFIX_BYTES + headerBytes;
  const header = parseHeader(path, readText(path, descriptor, headerBytes));
  checkLayout(path, header.entries, size - dataStart);
  for (const entry of header.entries) checkSize(path, entry);
  return { ...header, dataStart };
}

/** Checks the contents against the checksum that {@link saveState} wrote; files of other programs have none. */
function checkContents(path: string, descriptor: number, dataStart: number, { entries, metadata }: Header): void {
  const expected = metadata[CHECKSUM_KEY];
  if (expected === undefined) {
    const misnamed = Object.keys(metadata).find(isMisnamedChecksum);
    if (misnamed !== undefined) damaged(path, `the checksum under ${quote(CHECKSUM_KEY)}`, quote(misnamed));
    return;
  }
  const dataBytes = Math.max(0, ...entries.map(({ end }) => end));
  const got = checksum(Object.entries(metadata), entries, readPieces(path, descriptor, dataStart, dataBytes));
  if (got === expected) return;
  const hint = `The file is damaged, or a program has changed it and kept "${CHECKSUM_KEY}" in its metadata, which it should drop.`;
  fileFault(path, `contents with the SHA-256 ${quote(expected, 64)}`, got, hint);
}

/** Goes through a part of a file; a piece is valid until the next. */
function* readPieces(path: string, descriptor: number, begin: number, length: number): Iterable<Uint8Array> {
  const buffer = new Uint8Array(Math.min(length, PIECE));
  for (let done = 0; done < length; done += PIECE) {
    const piece = buffer.subarray(0, length - done);
    readFully(path, descriptor, piece, begin + done);
    yield piece;
  }
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

/** What Python's reader counts elements and bits in. */
const MAX_COUNT = 2n ** 64n - 1n;

/** Checks that element type, shape and offsets agree. */
function checkSize(path: string, { name, dtype, shape, begin, end }: HeaderEntry): void {
  const where = tensorLabel(path, name);
  const { bits } = FILE_DTYPES.get(dtype) ?? damaged(where, `a dtype of the format, such as F32`, quote(dtype));
  let count = 1n;
  for (const size of [...shape, bits]) {
    count *= BigInt(size);
    if (count > MAX_COUNT) damaged(where, 'at most 2^64 - 1 bits', `shape ${formatShape(shape)}`);
  }
  if (count !== 8n * BigInt(end - begin)) {
    const needed = count % 8n === 0n ? `${count / 8n} bytes` : `${count} bits`;
    damaged(where, `${needed} for ${formatShape(shape)}`, `data_offsets ${formatShape([begin, end])}`);
  }
}

function chooseEntries(path: string, entries: readonly HeaderEntry[], names: readonly string[] | undefined): readonly HeaderEntry[] {
  if (names === undefined) return entries;
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  return names.map((name, i) => {
    const entry = byName.get(name);
    if (entry !== undefined) return entry;
    const nearest = nearestName(name, [...byName.keys()]);
    const hint = nearest === undefined ? undefined : `Did you mean ${quote(nearest)}?`;
    return fail('ERR_OPTION', `names[${i}]`, `the name of a tensor in ${path}`, name, hint);
  });
}

function findReading(path: string, { name, dtype }: HeaderEntry): Reading {
  const reading = FILE_DTYPES.get(dtype)?.reading;
  if (reading !== undefined) return reading;
  const hint = 'Convert the tensor in Python, or leave it out with names.';
  return fileFault(tensorLabel(path, name), `one of the dtypes ${READABLE.join(', ')}`, quote(dtype), hint);
}

function readTensor(
  path: string,
  descriptor: number,
  dataStart: number,
  { name, shape, begin, end }: HeaderEntry,
  reading: Reading,
): Tensor {
  const { dtype, convert } = reading;
  const data = allocate(dtype, elementCount(shape));
  const position = dataStart + begin;
  if (convert === undefined) readFully(path, descriptor, new Uint8Array(data.buffer), position);
  else {
    const bytesEach = (end - begin) / data.length;
    for (let done = 0; done < end - begin; done += PIECE) {
      const piece = new Uint8Array(Math.min(PIECE, end - begin - done));
      readFully(path, descriptor, piece, position + done);
      convert(piece, data.subarray(done / bytesEach), tensorLabel(path, name));
    }
  }
  return new Tensor(data, shape);
}

function tensorLabel(path: string, name: string): string {
  return `${path}, tensor ${quote(name)}`;
}

function damaged(where: string, expected: string, got: string): never {
  fileFault(where, expected, got, DAMAGED);
}
