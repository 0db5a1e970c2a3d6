/**
 * TensorBoard's event files: records of a protocol buffer each. A record is its length (64 bits), a checksum of that, the bytes, and a checksum of
 * these, all little-endian (tensorflow/core/lib/io/record_writer.cc); the messages are those of tensorflow/core/util/event.proto and
 * tensorflow/core/framework/summary.proto, of which few fields are written.
 */

/** CRC-32C (Castagnoli, polynomial 0x1EDC6F41) of every byte. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

/** Masked, as TensorFlow stores a checksum beside what may hold checksums itself. */
export function maskedCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] as number);
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

export function frame(message: Uint8Array): Buffer {
  const record = Buffer.alloc(16 + message.length);
  record.writeBigUInt64LE(BigInt(message.length));
  record.writeUInt32LE(maskedCrc(record.subarray(0, 8)), 8);
  record.set(message, 12);
  record.writeUInt32LE(maskedCrc(message), 12 + message.length);
  return record;
}

/** How a field's value is written (protobuf.dev/programming-guides/encoding). */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

const tag = (field: number, type: number) => varint(BigInt((field << 3) | type));
const integer = (field: number, value: number) => Buffer.concat([tag(field, VARINT), varint(BigInt(value))]);
const bytes = (field: number, value: Uint8Array) => Buffer.concat([tag(field, BYTES), varint(BigInt(value.length)), value]);
const text = (field: number, value: string) => bytes(field, Buffer.from(value));

function float(field: number, value: number): Buffer {
  const four = Buffer.alloc(4);
  four.writeFloatLE(value);
  return Buffer.concat([tag(field, FIXED32), four]);
}

function doubles(values: readonly number[]): Buffer {
  const all = Buffer.alloc(8 * values.length);
  for (const [i, value] of values.entries()) all.writeDoubleLE(value, 8 * i);
  return all;
}

const double = (field: number, value: number) => Buffer.concat([tag(field, FIXED64), doubles([value])]);

/** The first record of a file. @param seconds since 1970 */
export function versionEvent(seconds: number): Buffer {
  return Buffer.concat([double(1, seconds), text(3, 'brain.Event:2')]);
}

/** @param values each made by {@link scalarValue} or {@link histogramValue} */
export function summaryEvent(seconds: number, step: number, values: readonly Uint8Array[]): Buffer {
  return Buffer.concat([double(1, seconds), integer(2, step), bytes(5, Buffer.concat(values.map((value) => bytes(1, value))))]);
}

export function scalarValue(name: string, value: number): Buffer {
  return Buffer.concat([text(1, name), float(2, value)]);
}

/** How many values lie up to each limit, and above the one before. */
export interface Histogram {
  readonly min: number;
  readonly max: number;
  readonly count: number;
  readonly sum: number;
  readonly sumOfSquares: number;
  readonly limits: readonly number[];
  readonly counts: readonly number[];
}

export function histogramValue(name: string, { min, max, count, sum, sumOfSquares, limits, counts }: Histogram): Buffer {
  const moments = [min, max, count, sum, sumOfSquares].map((value, index) => double(index + 1, value));
  return Buffer.concat([text(1, name), bytes(5, Buffer.concat([...moments, bytes(6, doubles(limits)), bytes(7, doubles(counts))]))]);
}
