import { createHash } from 'node:crypto';
import type { HeaderEntry } from './safetensors-header';

/** The metadata under which a safetensors file of ours states the {@link checksum} of its contents. */
export const CHECKSUM_KEY = 'evenkeel.sha256';

/** Whether a name is that of the {@link checksum} but for one character: damage must not hide the checksum that would tell of it. */
export function isMisnamedChecksum(name: string): boolean {
  if (name.length !== CHECKSUM_KEY.length) return false;
  return Array.from(CHECKSUM_KEY).filter((character, at) => name[at] !== character).length === 1;
}

/** One call of the hash takes less than 2 GiB. */
const PIECE = 2 ** 30;

/**
 * SHA-256, in hexadecimal digits, of what a header says and of the data after it: first the JSON text of `[metadata, entries]`, where metadata
 * are the pairs of names and texts but the checksum's own, by name, and an entry is `[name, dtype, shape, begin, end]`; then all data.
 */
export function checksum(
  metadata: readonly (readonly [name: string, text: string])[],
  entries: readonly HeaderEntry[],
  data: Iterable<Uint8Array>,
): string {
  const texts = metadata.filter(([name]) => name !== CHECKSUM_KEY).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const tensors = entries.map(({ name, dtype, shape, begin, end }) => [name, dtype, shape, begin, end]);
  const hash = createHash('sha256').update(JSON.stringify([texts, tensors]));
  for (const piece of data) for (let begin = 0; begin < piece.length; begin += PIECE) hash.update(piece.subarray(begin, begin + PIECE));
  return hash.digest('hex');
}
