/**
 * The wire format of protocol buffers (https://protobuf.dev/programming-guides/encoding/), read and written by tables of a message's fields.
 * Own code, since a file may be hostile: what it needs is 200 lines that check every length before they use it, count what they make, and keep
 * 64-bit integers; the packages for it either check nothing (pbf) or are 4 MB with a reflection of their own (protobufjs).
 */
import { fileFault } from '../../io/file';

type Scalar = 'int' | 'float' | 'double' | 'text' | 'bytes';

/** One field of a message. */
export interface Field {
  readonly name: string;
  /** a function, since messages hold messages of their own kind */
  readonly type: Scalar | (() => MessageType);
  readonly repeated?: boolean;
}

/** The fields of a message by number; others are passed over, as every reader of the format does. */
export type MessageType = Readonly<Record<number, Field>>;

/** A message's fields by name: numbers, texts, bytes, messages, arrays of these for repeated ones; those that are not there are undefined. */
export type Message = Record<string, unknown>;

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

/** Subgraphs within subgraphs. */
const MAX_DEPTH = 40;
/** What a file makes in memory: more messages than a model of a million nodes has, and more numbers than stand outside raw data. */
const MAX_MESSAGES = 4_000_000;
const MAX_NUMBERS = 2 ** 25;

/**
 * @param where begins with the file's path
 * @throws EvenkeelError ERR_FILE with the byte and the reason
 */
export function readMessage(where: string, bytes: Uint8Array, type: MessageType): Message {
  return new WireReader(where, bytes).message(0, bytes.length, type, 0);
}

class WireReader {
  readonly #where: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #messages = 0;
  #numbers = 0;

  constructor(where: string, bytes: Uint8Array) {
    this.#where = where;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  message(begin: number, end: number, type: MessageType, depth: number): Message {
    if (depth > MAX_DEPTH) this.#fail(`messages nested at most ${MAX_DEPTH} deep`, 'more');
    if (++this.#messages > MAX_MESSAGES) this.#fail(`at most ${MAX_MESSAGES} messages`, 'more');
    const message: Message = Object.create(null);
    this.#at = begin;
    while (this.#at < end) {
      const tag = this.#varint(end);
      const [number, wire] = [Number(tag >> 3n), Number(tag & 7n)];
      if (number === 0 || number >= 2 ** 29) this.#fail('the number of a field', `${number}`);
      const field = type[number];
      if (field === undefined) this.#skip(wire, end);
      else this.#field(message, field, wire, end, depth);
    }
    return message;
  }

  #field(message: Message, field: Field, wire: number, end: number, depth: number): void {
    const { name, type } = field;
    if (!field.repeated) {
      message[name] = this.#value(field, wire, end, depth);
      return;
    }
    const list = (message[name] ?? []) as unknown[];
    message[name] = list;
    const isPacked = wire === DELIMITED && (type === 'int' || type === 'float' || type === 'double');
    if (!isPacked) {
      list.push(this.#value(field, wire, end, depth));
      return;
    }
    const until = this.#length(end);
    const single = type === 'int' ? VARINT : type === 'float' ? FIXED32 : FIXED64;
    while (this.#at < until) list.push(this.#value(field, single, until, depth));
  }

  #value({ name, type }: Field, wire: number, end: number, depth: number): unknown {
    const wanted = type === 'int' ? VARINT : type === 'float' ? FIXED32 : type === 'double' ? FIXED64 : DELIMITED;
    if (wire !== wanted) this.#fail(`wire type ${wanted} for the field ${name}`, `${wire}`);
    if (wanted !== DELIMITED && ++this.#numbers > MAX_NUMBERS) this.#fail(`at most ${MAX_NUMBERS} numbers outside raw data`, 'more');
    if (type === 'int') return Number(BigInt.asIntN(64, this.#varint(end)));
    if (type === 'float') return this.#view.getFloat32(this.#advance(4, end), true);
    if (type === 'double') return this.#view.getFloat64(this.#advance(8, end), true);
    const until = this.#length(end);
    const begin = this.#at;
    this.#at = until;
    if (type === 'bytes') return this.#bytes.subarray(begin, until);
    if (type === 'text') return this.#text(begin, until);
    const message = this.message(begin, until, type(), depth + 1);
    this.#at = until;
    return message;
  }

  #text(begin: number, end: number): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.#bytes.subarray(begin, end));
    } catch {
      return this.#fail('a text in UTF-8', 'other bytes', begin);
    }
  }

  #skip(wire: number, end: number): void {
    if (wire === VARINT) this.#varint(end);
    else if (wire === FIXED64) this.#advance(8, end);
    else if (wire === FIXED32) this.#advance(4, end);
    else if (wire === DELIMITED) this.#at = this.#length(end);
    else this.#fail('wire type 0, 1, 2 or 5', `${wire}`);
  }

  #varint(end: number): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#advance(1, end)] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    return this.#fail('an integer of at most 10 bytes', 'a longer one');
  }

  /** Where the bytes end whose length stands here. */
  #length(end: number): number {
    const length = this.#varint(end);
    if (length > BigInt(end - this.#at)) this.#fail(`at most ${end - this.#at} bytes`, `a length of ${length}`);
    return this.#at + Number(length);
  }

  /** @returns where the next `count` bytes begin */
  #advance(count: number, end: number): number {
    const begin = this.#at;
    if (begin + count > end) this.#fail(`${count} more bytes`, `the end of the message after ${end - begin}`);
    this.#at = begin + count;
    return begin;
  }

  #fail(expected: string, got: string, at = this.#at): never {
    fileFault(`${this.#where}, byte ${at}`, expected, got, 'The file is damaged or not an ONNX file.');
  }
}

/** The bytes of a message, in pieces; repeated numbers are packed. Fields that are undefined, and empty lists, are left out. */
export function writeMessage(message: Readonly<Message>, type: MessageType): Uint8Array[] {
  return Object.entries(type).flatMap(([number, field]) => {
    const value = message[field.name];
    if (value === undefined) return [];
    if (!field.repeated) return writeField(Number(number), field, value);
    const list = value as readonly unknown[];
    const isNumber = field.type === 'int' || field.type === 'float' || field.type === 'double';
    if (!isNumber) return list.flatMap((item) => writeField(Number(number), field, item));
    return list.length === 0
      ? []
      : delimited(
          Number(number),
          list.map((item) => scalar(field.type as Scalar, item as number)),
        );
  });
}

function writeField(number: number, { type }: Field, value: unknown): Uint8Array[] {
  if (type === 'int') return [varint((number << 3) | VARINT), scalar(type, value as number)];
  if (type === 'float') return [varint((number << 3) | FIXED32), scalar(type, value as number)];
  if (type === 'double') return [varint((number << 3) | FIXED64), scalar(type, value as number)];
  if (type === 'bytes') return delimited(number, [value as Uint8Array]);
  if (type === 'text') return delimited(number, [Buffer.from(value as string)]);
  return delimited(number, writeMessage(value as Message, type()));
}

function delimited(number: number, pieces: readonly Uint8Array[]): Uint8Array[] {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return [varint((number << 3) | DELIMITED), varint(length), ...pieces];
}

function scalar(type: Scalar, value: number): Uint8Array {
  if (type === 'int') return varint(value);
  const bytes = Buffer.alloc(type === 'float' ? 4 : 8);
  if (type === 'float') bytes.writeFloatLE(value);
  else bytes.writeDoubleLE(value);
  return bytes;
}

/** Negative numbers as 64-bit two's complement. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, BigInt(value));
  while (left >= 0x80n) {
    bytes.push(Number(left & 0x7fn) | 0x80);
    left >>= 7n;
  }
  bytes.push(Number(left));
  return Uint8Array.from(bytes);
}
