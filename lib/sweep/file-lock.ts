import { closeSync, constants, fstatSync, rmSync } from 'node:fs';
import { EvenkeelError } from '../errors';
import { isLink, openInPlace, rethrow, statusAt } from '../io/file';
import { native } from '../native/load';

/**
 * Takes an exclusive lock on a file, made if it is not there, and holds it until the returned function is called or the process ends,
 * however it ends: the lock is the kernel's (flock), so that a killed owner leaves nothing to clean up. The file itself stays; removing it
 * would let two processes lock two files of one name. A symbolic link in its place is removed, and its target left alone.
 * @returns undefined when another process holds the lock
 * @throws EvenkeelError ERR_FILE when the file cannot be made, is a pipe or the like, or its file system has no locks
 */
export function lockFile(path: string): (() => void) | undefined {
  removeLink(path);
  // Node opens with O_CLOEXEC: no child process inherits the lock and holds it on.
  const descriptor = openInPlace(path, constants.O_RDWR | constants.O_CREAT);
  try {
    if (native().lockFile(descriptor) && isAt(path, descriptor)) return () => closeSync(descriptor);
  } catch (cause) {
    closeSync(descriptor);
    throw new EvenkeelError('ERR_FILE', `${path}: could not lock the file: ${(cause as Error).message} Choose another folder.`, { cause });
  }
  closeSync(descriptor);
  return undefined;
}

function removeLink(path: string): void {
  try {
    if (isLink(path)) rmSync(path, { force: true });
  } catch (cause) {
    rethrow('write', path, cause);
  }
}

/** Whether the open file is still the one of that name: another process may have removed it, as a link that it took it for. */
function isAt(path: string, descriptor: number): boolean {
  const [open, named] = [fstatSync(descriptor), statusAt(path)];
  return open.ino === named?.ino && open.dev === named.dev;
}
