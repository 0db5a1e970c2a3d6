import { closeSync, openSync } from 'node:fs';
import { EvenkeelError } from '../errors';
import { rethrow } from '../io/file';
import { native } from '../native/load';

/**
 * Takes an exclusive lock on a file, made if it is not there, and holds it until the returned function is called or the process ends,
 * however it ends: the lock is the kernel's (flock), so that a killed owner leaves nothing to clean up. The file itself stays; removing it
 * would let two processes lock two files of one name.
 * @returns undefined when another process holds the lock
 * @throws EvenkeelError ERR_FILE when the file cannot be made, or its file system has no locks
 */
export function lockFile(path: string): (() => void) | undefined {
  let descriptor: number;
  try {
    // Node opens with O_CLOEXEC: no child process inherits the lock and holds it on.
    descriptor = openSync(path, 'a');
  } catch (cause) {
    return rethrow('write', path, cause);
  }
  try {
    if (native().lockFile(descriptor)) return () => closeSync(descriptor);
  } catch (cause) {
    closeSync(descriptor);
    throw new EvenkeelError('ERR_FILE', `${path}: could not lock the file: ${(cause as Error).message} Choose another folder.`, { cause });
  }
  closeSync(descriptor);
  return undefined;
}
