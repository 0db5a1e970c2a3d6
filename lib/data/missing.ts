import { fileFault, quote } from '../io/file';
import { type Column, cellLabel } from './csv-table';

/** What may become of missing cells. */
export const MISSING_WAYS = ['error', 'forward', 'previous', 'mean', 'drop'] as const;
export type Missing = (typeof MISSING_WAYS)[number];

/**
 * Fills in the missing cells of columns, or drops their rows.
 * @returns how many rows are left
 * @throws EvenkeelError ERR_FILE where there is nothing to fill a cell with, or nothing is left
 */
export function fillMissing(path: string, columns: readonly Column[], how: Missing): number {
  const gaps = columns.filter(({ missing }) => missing !== undefined);
  for (const column of gaps) {
    if (how === 'mean') fillWithMean(path, column);
    else if (how !== 'drop') fillForward(path, column);
  }
  if (how === 'drop' && gaps.length > 0) dropRows(path, columns, gaps);
  return columns[0]?.numbers.length ?? 0;
}

function fillForward(path: string, { name, numbers, missing }: Column): void {
  if (Number.isNaN(numbers[0])) {
    const where = cellLabel(path, missing?.line ?? 0, quote(name));
    fileFault(where, 'a number above the first missing cell', 'none', 'Remove the first rows, or choose "drop" or "mean".');
  }
  for (let i = 1; i < numbers.length; i++) if (Number.isNaN(numbers[i])) numbers[i] = numbers[i - 1] as number;
}

function fillWithMean(path: string, { name, numbers }: Column): void {
  const present = numbers.filter((number) => !Number.isNaN(number));
  if (present.length === 0) fileFault(`${path}, column ${quote(name)}`, 'at least one number', 'none', 'Choose other columns.');
  // Each is divided first, so that no sum overflows.
  const mean = present.reduce((sum, number) => sum + number / present.length, 0);
  for (let i = 0; i < numbers.length; i++) if (Number.isNaN(numbers[i])) numbers[i] = mean;
}

function dropRows(path: string, columns: readonly Column[], gaps: readonly Column[]): void {
  const rows = columns[0]?.numbers.length ?? 0;
  let kept = 0;
  for (let row = 0; row < rows; row++) {
    if (gaps.some(({ numbers }) => Number.isNaN(numbers[row]))) continue;
    for (const { numbers } of columns) numbers[kept] = numbers[row] as number;
    kept++;
  }
  for (const { numbers } of columns) numbers.length = kept;
  if (kept === 0) fileFault(path, 'at least one row without a missing cell', 'none', 'Choose other columns, or another way with missing.');
}
