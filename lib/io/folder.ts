import { accessSync, constants, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { EvenkeelError } from '../errors';
import { writeFileAtomic } from './atomic-file';
import { rethrow } from './file';

/**
 * Makes the folder for a command's files, if it is not there, so that an unusable one is known before any work.
 * @throws EvenkeelError ERR_FILE with the reason
 */
export function prepareFolder(folder: string): void {
  try {
    makeFolder(resolve(folder));
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    rethrow('write', folder, cause);
  }
}

/** With its parents. Not by mkdirSync's `recursive`, which never returns where a parent is there but takes no folders, as in /proc. */
function makeFolder(folder: string): void {
  const status = statSync(folder, { throwIfNoEntry: false });
  if (status?.isDirectory()) return;
  if (status !== undefined) throw new EvenkeelError('ERR_FILE', `${folder}: expected a folder, got a file. Choose another folder.`);
  if (!existsSync(dirname(folder))) makeFolder(dirname(folder));
  mkdirSync(folder);
}

/**
 * Writes files into a folder that is there, each whole or not at all, and removes what an earlier run wrote and this one did not: it would pass
 * for this one's.
 * @param possible names of files that a run may write
 * @returns the paths, in the order of `files`
 * @throws EvenkeelError ERR_FILE with the reason
 */
export function writeFiles(folder: string, files: ReadonlyMap<string, string>, possible: readonly string[]): string[] {
  for (const [file, contents] of files) writeFileAtomic(join(folder, file), contents, 'replace');
  for (const file of possible) if (!files.has(file)) rmSync(join(folder, file), { force: true });
  return [...files.keys()].map((file) => join(folder, file));
}
