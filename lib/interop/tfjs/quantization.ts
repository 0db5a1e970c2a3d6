import { isPlainObject } from '../../check';
import { fileFault } from '../../io/file';
import { FILE_DTYPES } from '../../io/safetensors-dtypes';
import { kindOf } from '../keras/config';

/** How one number of a weight stands in a file. */
export interface Coding {
  readonly bytes: number;
  /** @param bytes a whole buffer of its own */
  decode(bytes: Uint8Array, count: number): Float32Array;
}

const FLOAT32: Coding = { bytes: 4, decode: ({ buffer }, count) => new Float32Array(buffer as ArrayBuffer, 0, count) };

/** Bits as a number's: the same as in a safetensors file. */
const FLOAT16: Coding = {
  bytes: 2,
  decode(bytes, count) {
    const data = new Float32Array(count);
    FILE_DTYPES.get('F16')?.reading?.convert?.(bytes, data, '');
    return data;
  },
};

/**
 * Reads a weight's dtype and quantization: float32, float16, or whole numbers of 8 or 16 bits that stand for min + scale · q.
 * @throws EvenkeelError ERR_FILE for another
 */
export function readCoding(where: string, dtype: unknown, quantization: unknown): Coding {
  if (dtype !== 'float32') return fileFault(where, 'dtype float32', kindOf(dtype));
  if (quantization === undefined || quantization === null) return FLOAT32;
  const { dtype: stored, min, scale } = isPlainObject(quantization) ? quantization : {};
  if (stored === 'float16') return FLOAT16;
  if (stored !== 'uint8' && stored !== 'uint16') return fileFault(where, 'quantization to uint8, uint16 or float16', kindOf(stored));
  if (!Number.isFinite(min) || !Number.isFinite(scale))
    return fileFault(where, 'min and scale of the quantization', `${kindOf(min)} and ${kindOf(scale)}`);
  const [first, step] = [min as number, scale as number];
  return {
    bytes: stored === 'uint8' ? 1 : 2,
    decode(bytes, count) {
      const whole = stored === 'uint8' ? bytes : new Uint16Array(bytes.buffer, 0, count);
      return Float32Array.from({ length: count }, (_, i) => (whole[i] as number) * step + first);
    },
  };
}
