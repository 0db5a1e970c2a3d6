/** The files that trials read: where they may lie, and that they are still what they were. */
import { createHash } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { EvenkeelError } from '../errors';
import { rethrow, withFile } from '../io/file';
import type { Slices } from '../slices';

/** The real path of a file that lies in the folder, links followed. */
export function inside(folder: string, file: string): string {
  let root: string;
  let real: string;
  try {
    root = realpathSync(folder);
    real = realpathSync(resolve(root, file));
  } catch (cause) {
    return rethrow('read', file, cause);
  }
  if (real.startsWith(root.endsWith(sep) ? root : root + sep)) return real;
  throw new EvenkeelError('ERR_OPTION', `expected a file in the definition's folder ${root} or below, got ${JSON.stringify(file)}.`);
}

/** Bytes hashed in one slice. */
const SLICE = 2 ** 22;

/** SHA-256 of a file's contents in hexadecimal digits. */
export function* fileHash(path: string): Slices<string> {
  const bytes = withFile(path, (descriptor) => readFileSync(descriptor));
  const hash = createHash('sha256');
  for (let begin = 0; begin < bytes.length; begin += SLICE) {
    hash.update(bytes.subarray(begin, begin + SLICE));
    yield;
  }
  return hash.digest('hex');
}

/** In hexadecimal digits. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The contents of a task's file, if they are still those that its hash names. */
export function readTaskFile(path: string, sha256: string): Buffer {
  const bytes = withFile(path, (descriptor) => readFileSync(descriptor));
  if (sha256Of(bytes) !== sha256) {
    throw new EvenkeelError('ERR_FILE', `${path}: expected the file as it was when the sweep began, got other contents.`);
  }
  return bytes;
}
