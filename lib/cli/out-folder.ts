/** The folder of a command's files: made if it is not there, and never one in which it would write over what someone else wrote. */
import { readSync } from 'node:fs';
import { join } from 'node:path';
import { EvenkeelError } from '../errors';
import { isLink, isThere, withFile } from '../io/file';
import { prepareFolder } from '../io/folder';
import { isOwnPage } from '../report/page';

export const forceHelp = 'write over files in the folder that evenkeel did not write';

/** What tells, by its beginning, that evenkeel wrote a file; the others of a folder are its own where one of these is. */
const marks: Record<string, (text: string) => boolean> = {
  'index.html': isOwnPage,
  'results.json': (text) => text.startsWith('{"schema":"evenkeel/'),
  'forecaster.json': (text) => text.startsWith('{"schema":"evenkeel/'),
  'training.json': (text) => text.startsWith('{"schema":"evenkeel/'),
  'definition.json': (text) => text.startsWith('{"schema":"evenkeel/'),
};

/**
 * @param files names of those that the command may write
 * @param force write over files of others
 * @throws EvenkeelError ERR_FILE for a folder that cannot be used, or has files of others under these names
 */
export function prepareOut(folder: string, files: readonly string[], force = false): void {
  prepareFolder(folder);
  const isOwn = (name: string) => hasFile(folder, name) && marks[name]?.(beginningOf(join(folder, name))) === true;
  const isOwnFolder = Object.keys(marks).some(isOwn);
  const foreign = files.filter((name) => hasFile(folder, name) && !(name in marks ? isOwn(name) : isOwnFolder));
  if (force || foreign.length === 0) return;
  throw new EvenkeelError(
    'ERR_FILE',
    `${folder}: expected no files of others, got ${foreign.join(', ')}, which evenkeel did not write. Choose another folder, or write over ${foreign.length === 1 ? 'it' : 'them'} with --force.`,
  );
}

/** A link is replaced, and what it leads to stays. */
function hasFile(folder: string, name: string): boolean {
  const path = join(folder, name);
  return isThere(path) && !isLink(path);
}

function beginningOf(path: string): string {
  const buffer = Buffer.alloc(4096);
  return withFile(path, (descriptor) => buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, buffer.length, 0)));
}
