import { writeFiles } from '../io/folder';
import { chartFiles } from './charts';
import { renderStudy } from './page';
import type { StudyResults } from './results';

/** Files that a study may write. */
export const studyFiles = ['results.json', 'index.html', ...chartFiles] as const;

/**
 * Writes the page and its charts, each file whole or not at all; results.json, to which the page links, is written by whoever has the results.
 * @returns the paths, the page first
 * @throws EvenkeelError ERR_FILE with the reason
 */
export async function writeStudy(results: StudyResults, folder: string): Promise<string[]> {
  const { page, charts } = await renderStudy(results);
  return writeFiles(folder, new Map([['index.html', page], ...charts]), chartFiles);
}
