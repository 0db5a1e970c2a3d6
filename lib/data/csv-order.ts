import { EvenkeelError } from '../errors';
import { quote } from '../io/file';
import { cellLabel, type RowKeys } from './csv-keys';
import type { Column } from './csv-table';
import type { SequenceRange } from './series';

/** What is known of the rows of a table besides their numbers, in the order of the rows. */
export interface RowOrder {
  rows: number;
  sequences?: SequenceRange[];
  times?: Float64Array;
  /** of each row, where rows have keys */
  lines?: number[];
}

/**
 * Puts the rows of columns in order, in place: those of one series together, the series as they first appear, and by their times where there are
 * any.
 * @throws EvenkeelError ERR_FILE where two rows of a series have one time
 */
export function orderRows(path: string, timeName: string, columns: readonly Column[], rows: number, keys: RowKeys | undefined): RowOrder {
  if (keys === undefined) return { rows };
  const { times, sequences, ids } = keys;
  const order = Array.from({ length: rows }, (_, row) => row);
  const byKey = (a: number, b: number) =>
    (sequences === undefined ? 0 : (sequences[a] as number) - (sequences[b] as number)) ||
    (times === undefined ? 0 : (times[a] as number) - (times[b] as number));
  if (order.some((row) => row > 0 && byKey(row - 1, row) > 0)) {
    order.sort(byKey);
    for (const column of columns) column.numbers = order.map((row) => column.numbers[row] as number);
  }
  if (times !== undefined) checkDistinct(path, timeName, order, keys);
  return {
    rows,
    lines: order.map((row) => keys.lines[row] as number),
    ...(sequences && { sequences: rangesOf(ids, order, sequences) }),
    ...(times && { times: Float64Array.from(order, (row) => times[row] as number) }),
  };
}

function checkDistinct(path: string, name: string, order: readonly number[], { times = [], sequences = [], ids, lines }: RowKeys): void {
  for (let i = 1; i < order.length; i++) {
    const [before, row] = [order[i - 1] as number, order[i] as number];
    if (times[before] !== times[row] || sequences[before] !== sequences[row]) continue;
    const own = sequences[row] === undefined ? '' : ` of the series ${quote(ids[sequences[row]] ?? '')}`;
    const hint =
      sequences[row] === undefined
        ? 'Name the column that tells them apart with sequenceId (--sequence-id), or remove one.'
        : 'Remove one.';
    throw new EvenkeelError(
      'ERR_FILE',
      `${cellLabel(path, lines[row] as number, quote(name))}: expected a time that no other row${own} has, got the one of line ${lines[before]}. ${hint}`,
    );
  }
}

function rangesOf(ids: readonly string[], order: readonly number[], sequences: readonly number[]): SequenceRange[] {
  const ranges: SequenceRange[] = [];
  for (const [i, row] of order.entries()) {
    const id = ids[sequences[row] as number] as string;
    const last = ranges.at(-1);
    if (last?.id === id) last.end = i + 1;
    else ranges.push({ id, begin: i, end: i + 1 });
  }
  return ranges;
}

/** Leaves out the rows that `keeps` does not want, in place. @returns how many are left */
export function keepRows(columns: readonly Column[], rows: number, keys: RowKeys | undefined, keeps: (row: number) => boolean): number {
  const kept = Array.from({ length: rows }, (_, row) => row).filter(keeps);
  if (kept.length === rows) return rows;
  const pick = (list: number[]) => kept.map((row) => list[row] as number);
  for (const column of columns) column.numbers = pick(column.numbers);
  if (keys !== undefined) {
    keys.lines = pick(keys.lines);
    if (keys.times) keys.times = pick(keys.times);
    if (keys.sequences) keys.sequences = pick(keys.sequences);
  }
  return kept.length;
}
