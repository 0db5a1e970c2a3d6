import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats } from 'node:fs';
import { checkString, fail } from '../check';
import { EvenkeelError } from '../errors';

/** Checks for a path that the operating system can take. */
export function checkPath(argument: string, value: unknown): string {
  const path = checkString(argument, value);
  if (path.includes('\0')) fail('ERR_OPTION', argument, 'a path without NUL characters', path);
  return path;
}

/**
 * Opens a regular file for reading, gives its descriptor and size to `read`, and closes it whatever happens.
 * @throws EvenkeelError ERR_FILE when the path cannot be read or is a directory, pipe or device
 */
export function withFile<T>(path: string, read: (descriptor: number, size: number) => T): T {
  let descriptor: number | undefined;
  try {
    // Without O_NONBLOCK the open itself would wait for ever on a pipe that nobody writes to.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const status = fstatSync(descriptor);
    checkRegular(path, status);
    return read(descriptor, status.size);
  } catch (cause) {
    return rethrow('read', path, cause);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/**
 * Opens a file of a results folder, which may come from someone else: a regular file in its own place. No symbolic link is followed, and no pipe
 * waited for.
 * @param flags of open(2), such as `O_RDWR | O_CREAT`
 * @throws EvenkeelError ERR_FILE for anything else
 */
export function openInPlace(path: string, flags: number): number {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o666);
    checkRegular(path, fstatSync(descriptor));
    return descriptor;
  } catch (cause) {
    if (descriptor !== undefined) closeSync(descriptor);
    if (isLink(path)) fileFault(path, 'a regular file', 'a symbolic link', 'Remove the link, or choose another folder.');
    return rethrow(flags & (constants.O_WRONLY | constants.O_RDWR) ? 'write' : 'read', path, cause);
  }
}

/** Whether there is anything at the path itself, even a link that leads nowhere. */
export function isThere(path: string): boolean {
  return statusAt(path) !== undefined;
}

/** Whether there is a symbolic link at the path itself. */
export function isLink(path: string): boolean {
  return statusAt(path)?.isSymbolicLink() === true;
}

/**
 * What is at the path itself; undefined where nothing is, or could be: within a file, or of too long a name.
 * @throws EvenkeelError ERR_FILE where it cannot be told
 */
export function statusAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    return code === 'ENOTDIR' || code === 'ENAMETOOLONG' ? undefined : rethrow('read', path, cause);
  }
}

/**
 * The whole contents of a file.
 * @param most bytes that it may have
 * @param descriptor of the file where it is open already; it stays open
 * @throws EvenkeelError ERR_FILE when it cannot be read, or is longer
 */
export function readWhole(path: string, most: number, descriptor?: number): Buffer {
  if (descriptor === undefined) return withFile(path, (opened) => readWhole(path, most, opened));
  const { size } = fstatSync(descriptor);
  if (size > most) fileFault(path, `a file of at most ${most} bytes`, `${size}`);
  const buffer = Buffer.allocUnsafe(size);
  let read = 0;
  for (let count = -1; count !== 0 && read < size; read += count) {
    count = readSync(descriptor, buffer, read, Math.min(size - read, 2 ** 30), read);
  }
  return buffer.subarray(0, read);
}

/** Checks that a path leads to a file proper. */
export function checkRegular(path: string, status: Stats): void {
  if (!status.isFile()) fileFault(path, 'a regular file', status.isDirectory() ? 'a directory' : 'a pipe or device');
}

const MENDS: Partial<Record<string, string>> = {
  ENOENT: 'There is no such file or folder. Check the path.',
  ENOTDIR: 'A part of the path is a file, not a folder. Check the path.',
  EISDIR: 'It is a directory. Name a file in it.',
  EACCES: 'Permission is denied. Check the owner and mode of the file and its folder.',
  EPERM: 'Permission is denied. Check the owner and mode of the file and its folder.',
  EROFS: 'The file system is read-only. Choose another folder.',
  ENOSPC: 'The disk is full. Free some space or choose another folder.',
  EDQUOT: 'The disk quota is used up. Free some space or choose another folder.',
  EMFILE: 'Too many files are open. Close some, or raise the limit with ulimit -n.',
  ENAMETOOLONG: 'The name is too long. Choose a shorter one.',
  ELOOP: 'The symbolic links go round in a circle. Mend the links.',
};

/** Throws what Node's fs threw as an ERR_FILE, the cause kept; any other error passes unchanged. */
export function rethrow(action: 'read' | 'write', path: string, cause: unknown): never {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (cause instanceof EvenkeelError || typeof code !== 'string') throw cause;
  throw new EvenkeelError('ERR_FILE', `${path}: could not ${action} the file. ${MENDS[code] ?? message}`, { cause });
}

/** An ERR_FILE for what a file holds. `where` begins with its path; `hint` is a full sentence. */
export function fileFault(where: string, expected: string, got: string, hint?: string): never {
  throw new EvenkeelError('ERR_FILE', `${where}: expected ${expected}, got ${got}.${hint === undefined ? '' : ` ${hint}`}`);
}

/** Text from a file for a message: short and on one line, whatever it contains. */
export function quote(text: string, longest = 60): string {
  return JSON.stringify(text.length > longest ? `${text.slice(0, longest - 3)}...` : text);
}
