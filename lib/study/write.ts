import { accessSync, constants, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { EvenkeelError } from '../errors';
import { writeFileAtomic } from '../io/atomic-file';
import { rethrow } from '../io/file';
import { chartFiles } from './charts';
import { renderStudy } from './page';
import type { StudyResults } from './results';

/**
 * Makes the folder for the files, if it is not there, so that an unusable one is known before any training.
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
  if (status !== undefined) throw new EvenkeelError('ERR_FILE', `${folder}: expected a folder, got a file. Choose another --out.`);
  if (!existsSync(dirname(folder))) makeFolder(dirname(folder));
  mkdirSync(folder);
}

/**
 * Writes results.json, the page and its charts, each file whole or not at all.
 * @returns the paths, the page first
 * @throws EvenkeelError ERR_FILE with the reason
 */
export async function writeStudy(folder: string, results: StudyResults): Promise<string[]> {
  const { page, charts } = await renderStudy(results);
  const files = new Map([['index.html', page], ['results.json', `${JSON.stringify(results)}\n`], ...charts]);
  for (const [file, contents] of files) writeFileAtomic(join(folder, file), contents);
  // Charts of an earlier study that this one, interrupted, does not have would pass for its own.
  for (const file of chartFiles) if (!charts.has(file)) rmSync(join(folder, file), { force: true });
  return [...files.keys()].map((file) => join(folder, file));
}
