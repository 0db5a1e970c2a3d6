// A file of its own for each test, and what is written to it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EvenkeelError } from '../../lib/errors';
import { type DType, Tensor } from '../../lib/tensor';

export const fixture = (name: string): string => join(__dirname, 'fixtures', name);
export const folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
export const path = join(folder, 'model.safetensors');

beforeEach(() => rmSync(path, { force: true }));
afterAll(() => rmSync(folder, { recursive: true }));

export function errorOf(action: () => unknown): EvenkeelError {
  try {
    action();
  } catch (error) {
    if (error instanceof EvenkeelError) return error;
    throw error;
  }
  throw new Error('expected an EvenkeelError, but nothing was thrown');
}

/** A file with this header text, or this header as JSON, and data of this many bytes. */
export function writeFile(header: unknown, dataBytes = 0): void {
  const text = Buffer.isBuffer(header) ? header : Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text, Buffer.alloc(dataBytes, 1)]));
}

export const f32 = (shape: number[], begin: number, end: number) => ({ dtype: 'F32', shape, data_offsets: [begin, end] });

/** Element i is ((i · 7 + seed) mod 23 − 11) / 8, as in fixtures/make_python_state.py. */
export function tensor(shape: number[], dtype: DType, seed: number): Tensor {
  const result = Tensor.zeros(shape, { dtype });
  for (let i = 0; i < result.size; i++) result.data[i] = (((i * 7 + seed) % 23) - 11) / 8;
  return result;
}

export function pythonState(): Record<string, Tensor> {
  return {
    'rnn.weight_ih_l0': tensor([4, 3], 'float32', 1),
    'rnn.weight_hh_l0': tensor([4, 4], 'float32', 2),
    'rnn.bias_ih_l0': tensor([4], 'float32', 3),
    'rnn.bias_hh_l0': tensor([4], 'float32', 4),
    'ln.weight': tensor([4], 'float64', 5),
    'ln.bias': tensor([4], 'float64', 6),
    scalar: tensor([], 'float32', 7),
    empty: tensor([0, 2], 'float32', 8),
    ['__proto__']: tensor([1], 'float32', 9),
    10: tensor([1], 'float32', 10),
    9: tensor([1], 'float32', 11),
    'quote " backslash \\ newline \n escape \x1b delete \x7f separator \u2028': tensor([1], 'float32', 12),
    é: tensor([1], 'float64', 13),
    '\ufffd': tensor([1], 'float32', 14),
    '\u{1f600}': tensor([1], 'float32', 15),
  };
}

/** The same names with the same dtypes, shapes and bits. */
export function expectSame(actual: Record<string, Tensor>, expected: Record<string, Tensor>): void {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, tensor] of Object.entries(expected)) {
    const loaded = actual[name] as Tensor;
    expect([name, loaded.dtype, loaded.shape]).toEqual([name, tensor.dtype, tensor.shape]);
    expect(bytes(loaded).equals(bytes(tensor))).toBe(true);
  }
}

export const bytes = ({ data }: Tensor): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
