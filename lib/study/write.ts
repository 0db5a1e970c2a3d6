import { writeFiles } from '../io/folder';
import { chartFiles } from './charts';
import { renderStudy } from './page';
import type { StudyResults } from './results';

/**
 * Writes results.json, the page and its charts, each file whole or not at all.
 * @returns the paths, the page first
 * @throws EvenkeelError ERR_FILE with the reason
 */
export async function writeStudy(folder: string, results: StudyResults): Promise<string[]> {
  const { page, charts } = await renderStudy(results);
  return writeFiles(folder, new Map([['index.html', page], ['results.json', `${JSON.stringify(results)}\n`], ...charts]), chartFiles);
}
