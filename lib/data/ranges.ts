import { checkInteger, copyList, fail, readOptions, readSafely } from '../check';
import type { RowRange } from './series';

/** More than any series has. */
const MAX_RANGES = 1e7;

/** One range of rows or several, as they are now, read once; all rows where none is given. */
export function checkRanges(argument: string, value: unknown, rows: number): RowRange[] {
  if (value === undefined) return [{ begin: 0, end: rows }];
  const list = readSafely(argument, () => {
    if (!Array.isArray(value)) return undefined;
    return value.length >= 1 && value.length <= MAX_RANGES ? copyList(value as unknown[]) : 'other';
  });
  if (list === 'other') fail('ERR_OPTION', argument, 'a range of rows, or an array of at least one', value);
  if (list === undefined) return [checkRange(argument, value, rows)];
  return list.map((range, i) => checkRange(`${argument}[${i}]`, range, rows));
}

function checkRange(argument: string, range: unknown, rows: number): RowRange {
  const given = readOptions(argument, range, ['begin', 'end']);
  const end = checkInteger(`${argument}.end`, given.end, 1, rows);
  return { begin: checkInteger(`${argument}.begin`, given.begin, 0, end - 1), end };
}
