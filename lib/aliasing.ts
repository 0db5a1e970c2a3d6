/** Which arrays share memory: by the bytes that they view, not by the objects that view them. */
import { types } from 'node:util';
import { EvenkeelError } from './errors';
import { native } from './native/load';
import type { TensorData } from './tensor';
import { bufferOf, typedArrayLength } from './typed-arrays';

/** A stretch of memory, bytes [begin, end). */
export interface MemoryRange {
  /** the buffer that the bytes are counted in; undefined for shared memory, which has any number of handles: there they are addresses */
  readonly buffer: ArrayBufferLike | undefined;
  readonly begin: number;
  readonly end: number;
}

/** Where the elements of an array are. */
export function memoryOf(array: TensorData): MemoryRange {
  const { buffer, offset } = bufferOf(array);
  const isShared = types.isSharedArrayBuffer(buffer);
  const begin = isShared ? native().addressOf(array) : offset;
  return { buffer: isShared ? undefined : buffer, begin, end: begin + typedArrayLength(array) * array.BYTES_PER_ELEMENT };
}

/** Whether two stretches have a byte in common. */
export function overlap(a: MemoryRange, b: MemoryRange): boolean {
  return a.buffer === b.buffer && a.begin < b.end && b.begin < a.end;
}

/** Memory that a call writes, and how an error names it. */
export interface Written {
  readonly name: string;
  readonly memory: MemoryRange;
}

/**
 * Checks that nothing which a call writes lies in what it reads.
 * @param argument how an error names `read`; undefined reads nothing
 * @throws EvenkeelError ERR_OPTION
 */
export function checkSeparate(argument: string, read: TensorData | undefined, written: readonly Written[]): void {
  if (read === undefined || written.length === 0) return;
  const memory = memoryOf(read);
  for (let i = 0; i < written.length; i++) {
    const other = written[i] as Written;
    if (overlap(memory, other.memory)) {
      throw new EvenkeelError(
        'ERR_OPTION',
        `${argument}: expected memory of its own, but it is that of ${other.name}, which the call writes. Give it a copy.`,
      );
    }
  }
}
