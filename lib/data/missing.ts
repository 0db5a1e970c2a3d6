import { fileFault, quote } from '../io/file';
import { cellLabel, type RowKeys } from './csv-keys';
import { keepRows, type RowOrder } from './csv-order';
import type { Column } from './csv-table';
import type { RowRange } from './series';

/** What may become of missing cells. */
export const MISSING_WAYS = ['error', 'forward', 'previous', 'mean', 'drop'] as const;
export type Missing = (typeof MISSING_WAYS)[number];

/**
 * Drops the rows in which a cell is missing, in place.
 * @returns how many rows are left
 * @throws EvenkeelError ERR_FILE where nothing is left
 */
export function dropMissing(path: string, columns: readonly Column[], rows: number, keys: RowKeys | undefined): number {
  const gaps = columns.filter(({ missing }) => missing !== undefined);
  const kept = keepRows(columns, rows, keys, (row) => !gaps.some(({ numbers }) => Number.isNaN(numbers[row])));
  if (kept === 0) fileFault(path, 'at least one row without a missing cell', 'none', 'Choose other columns, or another way with missing.');
  return kept;
}

/**
 * Fills in the missing cells of columns whose rows are in order, from the same series alone.
 * @throws EvenkeelError ERR_FILE where there is nothing to fill a cell with
 */
export function fillMissing(path: string, columns: readonly Column[], how: 'forward' | 'mean', order: RowOrder): void {
  const ranges = order.sequences ?? [{ begin: 0, end: order.rows }];
  for (const column of columns.filter(({ missing }) => missing !== undefined)) {
    for (const range of ranges) {
      if (how === 'mean') fillWithMean(path, column, range);
      else fillForward(path, column, range, order.lines);
    }
  }
}

function fillForward(path: string, { name, numbers, missing }: Column, { begin, end }: RowRange, lines: number[] | undefined): void {
  if (Number.isNaN(numbers[begin])) {
    const where = cellLabel(path, lines?.[begin] ?? missing?.line ?? 0, quote(name));
    fileFault(where, 'a number above the first missing cell', 'none', 'Remove the first rows, or choose "drop" or "mean".');
  }
  for (let i = begin + 1; i < end; i++) if (Number.isNaN(numbers[i])) numbers[i] = numbers[i - 1] as number;
}

function fillWithMean(path: string, { name, numbers }: Column, { begin, end }: RowRange): void {
  const own = numbers.slice(begin, end);
  const present = own.filter((number) => !Number.isNaN(number));
  if (present.length === 0) fileFault(`${path}, column ${quote(name)}`, 'at least one number', 'none', 'Choose other columns.');
  // Each is divided first, so that no sum overflows.
  const mean = present.reduce((sum, number) => sum + number / present.length, 0);
  for (let i = begin; i < end; i++) if (Number.isNaN(numbers[i])) numbers[i] = mean;
}
