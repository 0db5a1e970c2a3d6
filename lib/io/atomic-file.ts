import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { checkPath, checkRegular, rethrow } from './file';

/**
 * Writes a whole file or nothing: into a temporary file beside the target, synced to disk, then renamed over it. Whoever reads the path sees
 * the old file or the new one, never a part. After a failure the old one is untouched and nothing is left behind; only a process that is
 * killed on the way leaves its `.evenkeel-*.tmp`, which a later write into the folder removes.
 * The mode of a file that is there already stays.
 * @param contents text (written as UTF-8) or pieces of bytes, written one after another
 * @param links `'follow'`: a symbolic link stays and its target is replaced; `'replace'`: the link is replaced and its target stays, for the
 * files of a results folder, which may come from someone else
 * @throws EvenkeelError ERR_FILE with the reason, ERR_OPTION for a path that is none
 */
export function writeFileAtomic(path: string, contents: string | Iterable<Uint8Array>, links: 'follow' | 'replace' = 'follow'): void {
  checkPath('path', path);
  try {
    const target = links === 'follow' ? linkTarget(path) : path;
    const replaced = checkReplaceable(target);
    const chunks = typeof contents === 'string' ? [Buffer.from(contents)] : contents;
    const temporary = temporaryBeside(target);
    try {
      writeAndSync(temporary, chunks, replaced);
      renameOver(temporary, target);
    } catch (cause) {
      removeQuietly(temporary);
      throw cause;
    }
    syncFolder(dirname(target));
  } catch (cause) {
    rethrow('write', path, cause);
  }
}

/**
 * Tries a path that {@link writeFileAtomic} shall write to later, so that an unusable one is known before any work: a temporary file is made
 * beside the target and removed again.
 * @returns the path
 * @throws EvenkeelError ERR_FILE with the reason, ERR_OPTION for a path that is none
 */
export function checkDestination(argument: string, value: unknown): string {
  const path = checkPath(argument, value);
  try {
    const target = linkTarget(path);
    checkReplaceable(target);
    const temporary = temporaryBeside(target);
    writeAndSync(temporary, [], undefined);
    rmSync(temporary);
  } catch (cause) {
    rethrow('write', path, cause);
  }
  return path;
}

/** How long a rename is tried again, in milliseconds: the waits double. */
const LAST_WAIT = 512;

/** Renames, over what is there. Windows refuses for the moments in which a virus scanner or an indexer has one of the files open: it is tried again. */
export function renameOver(from: string, to: string): void {
  for (let wait = 1; ; wait *= 2) {
    try {
      renameSync(from, to);
      return;
    } catch (cause) {
      const isBusy = process.platform === 'win32' && ['EPERM', 'EACCES', 'EBUSY'].includes((cause as NodeJS.ErrnoException).code ?? '');
      if (!isBusy || wait > LAST_WAIT) throw cause;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, wait);
    }
  }
}

function temporaryBeside(target: string): string {
  return join(dirname(target), `.evenkeel-${randomBytes(8).toString('hex')}.tmp`);
}

/** The file that writing to `path` is meant for: where its symbolic links lead, even when nothing is there yet. */
export function linkTarget(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const isDanglingLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink();
    return isDanglingLink ? linkTarget(resolve(realpathSync(dirname(path)), readlinkSync(path))) : path;
  }
}

/** The status of the file to be replaced, if there is one; renaming would replace a device or a write-protected file without asking. */
function checkReplaceable(target: string): Stats | undefined {
  const status = lstatSync(target, { throwIfNoEntry: false });
  if (status === undefined || status.isSymbolicLink()) return undefined;
  checkRegular(target, status);
  closeSync(openSync(target, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW));
  return status;
}

function writeAndSync(path: string, chunks: Iterable<Uint8Array>, replaced: Stats | undefined): void {
  const descriptor = openSync(path, 'wx', 0o666);
  try {
    removeLeftOvers(dirname(path), fstatSync(descriptor).mtimeMs);
    if (replaced !== undefined) fchmodSync(descriptor, replaced.mode & 0o777);
    for (const chunk of chunks) writeAll(descriptor, chunk);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Folders that this process has searched for left-over files. */
const searched = new Set<string>();
/** A write at work touches its file all the time: one untouched for so long, in milliseconds, belongs to a process that was killed. */
const leftOverAge = 3_600_000;

/** Removes what killed writers of this user have left in a folder. @param now by the file system's own clock, which may be another machine's */
function removeLeftOvers(folder: string, now: number): void {
  if (searched.has(folder)) return;
  searched.add(folder);
  try {
    for (const name of readdirSync(folder)) {
      if (!/^\.evenkeel-[0-9a-f]{16}\.tmp$/.test(name)) continue;
      const path = join(folder, name);
      const status = lstatSync(path, { throwIfNoEntry: false });
      if (status?.isFile() && status.uid === (process.getuid?.() ?? 0) && now - status.mtimeMs > leftOverAge) removeQuietly(path);
    }
  } catch {}
}

/** As far as it goes: what matters has happened already, or is being thrown. */
export function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {}
}

/** One system call takes at most 2 GiB and may take less than it is given. */
const MAX_WRITE = 2 ** 30;

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(descriptor, bytes, written, Math.min(bytes.length - written, MAX_WRITE));
  }
}

/** Makes new names in a folder survive a power failure. Best effort: the file is in place either way, and some file systems refuse. */
export function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, constants.O_RDONLY);
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {}
}
