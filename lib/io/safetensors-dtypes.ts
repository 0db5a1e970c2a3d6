import type { DType, TensorData } from '../tensor';
import { fileFault } from './file';

/** How one element type of a safetensors file becomes a tensor's. */
export interface Reading {
  /** of the tensor: the narrower one that holds every value of the file's type exactly; for 64-bit integers float64 */
  dtype: DType;
  /**
   * Writes the numbers in `bytes`, a whole buffer, to the start of `data`; absent where the bytes are the tensor's already.
   * @param where the tensor, as an error names it
   */
  convert?: (bytes: Uint8Array, data: TensorData, where: string) => void;
}

interface FileDType {
  /** of one element; those of 4 and 6 bits are packed */
  bits: number;
  /** absent where no tensor of ours can hold the numbers */
  reading?: Reading;
}

/** Every element type that the format knows. */
export const FILE_DTYPES: ReadonlyMap<string, FileDType> = new Map<string, FileDType>([
  ['F32', { bits: 32, reading: { dtype: 'float32' } }],
  ['F64', { bits: 64, reading: { dtype: 'float64' } }],
  ['F16', { bits: 16, reading: { dtype: 'float32', convert: widenFloat16 } }],
  ['BF16', { bits: 16, reading: { dtype: 'float32', convert: widenBFloat16 } }],
  ['BOOL', { bits: 8, reading: { dtype: 'float32', convert: (bytes, data) => data.set(bytes.map((byte) => (byte === 0 ? 0 : 1))) } }],
  ['U8', { bits: 8, reading: { dtype: 'float32', convert: (bytes, data) => data.set(bytes) } }],
  ['I8', { bits: 8, reading: { dtype: 'float32', convert: ({ buffer }, data) => data.set(new Int8Array(buffer)) } }],
  ['U16', { bits: 16, reading: { dtype: 'float32', convert: ({ buffer }, data) => data.set(new Uint16Array(buffer)) } }],
  ['I16', { bits: 16, reading: { dtype: 'float32', convert: ({ buffer }, data) => data.set(new Int16Array(buffer)) } }],
  ['U32', { bits: 32, reading: { dtype: 'float64', convert: ({ buffer }, data) => data.set(new Uint32Array(buffer)) } }],
  ['I32', { bits: 32, reading: { dtype: 'float64', convert: ({ buffer }, data) => data.set(new Int32Array(buffer)) } }],
  [
    'U64',
    { bits: 64, reading: { dtype: 'float64', convert: ({ buffer }, data, where) => copyExactly(new BigUint64Array(buffer), data, where) } },
  ],
  [
    'I64',
    { bits: 64, reading: { dtype: 'float64', convert: ({ buffer }, data, where) => copyExactly(new BigInt64Array(buffer), data, where) } },
  ],
  ['C64', { bits: 64 }],
  ['F8_E4M3', { bits: 8 }],
  ['F8_E5M2', { bits: 8 }],
  ['F8_E8M0', { bits: 8 }],
  ['F8_E4M3FNUZ', { bits: 8 }],
  ['F8_E5M2FNUZ', { bits: 8 }],
  ['F6_E2M3', { bits: 6 }],
  ['F6_E3M2', { bits: 6 }],
  ['F4', { bits: 4 }],
]);

/** The names of those that can be read. */
export const READABLE: readonly string[] = [...FILE_DTYPES].filter(([, { reading }]) => reading !== undefined).map(([name]) => name);

/** IEEE 754 binary16: sign, 5 bits of exponent with bias 15, 10 bits of fraction. */
function widenFloat16({ buffer }: Uint8Array, data: TensorData): void {
  for (const [i, half] of new Uint16Array(buffer).entries()) {
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    const size =
      exponent === 0x1f
        ? fraction === 0
          ? Infinity
          : NaN
        : exponent === 0
          ? fraction * 2 ** -24
          : (1024 + fraction) * 2 ** (exponent - 25);
    data[i] = half & 0x8000 ? -size : size;
  }
}

/** The upper half of a float32. */
function widenBFloat16({ buffer }: Uint8Array, data: TensorData): void {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  for (const [i, half] of new Uint16Array(buffer).entries()) bits[i] = half << 16;
}

const LARGEST = 2n ** 53n;

function copyExactly(integers: BigInt64Array | BigUint64Array, data: TensorData, where: string): void {
  for (const [i, integer] of integers.entries()) {
    if (integer > LARGEST || integer < -LARGEST) {
      const hint = 'A float64 would round it: save the tensor as F64 in Python, or choose other names.';
      fileFault(where, 'whole numbers from -2^53 to 2^53', `${integer}`, hint);
    }
    data[i] = Number(integer);
  }
}
