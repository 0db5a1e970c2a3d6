import { EvenkeelError } from '../errors';
import { quote } from '../io/file';
import type { Column } from './csv-table';

const CLOCK = /(?:^|[^a-z])(?:date|time|datetime|timestamp|epoch|unix|ts)$/i;
const CALENDAR = /^(?:year|quarter|month|week|weekday|day|hour|minute|second)s?$/i;

/**
 * The column that is forecast when none is named: the first that can be meant. One that rises by the same amount in every row, as a counter
 * does, is taken only where nothing else is left.
 * @returns its index
 * @throws EvenkeelError ERR_OPTION where all are constant, times or dates
 */
export function defaultTarget(path: string, columns: readonly Column[]): number {
  const candidates = columns.map((column, index) => ({ column, index })).filter(({ column }) => whyNot(column) === undefined);
  const chosen = candidates.find(({ column }) => !isCounter(column)) ?? candidates[0];
  if (chosen !== undefined) return chosen.index;
  const reasons = columns.slice(0, 20).map((column) => `${quote(column.name)} ${whyNot(column)}`);
  throw new EvenkeelError(
    'ERR_OPTION',
    `target: expected the name of a column, since none of ${path} can be meant: ${reasons.join(', ')}. Name it if it is meant.`,
  );
}

function whyNot({ name, numbers, isDates }: Column): string | undefined {
  if (isDates) return 'holds dates';
  if (numbers.length > 1 && numbers.every((number) => number === numbers[0])) return 'is constant';
  if (CALENDAR.test(name) && numbers.every(Number.isInteger)) return 'is a part of a date';
  if (CLOCK.test(name) && numbers.every((number, i) => i === 0 || number >= (numbers[i - 1] as number))) return 'is a time';
  return undefined;
}

function isCounter({ numbers }: Column): boolean {
  const step = (numbers[1] ?? 0) - (numbers[0] ?? 0);
  return numbers.length > 2 && step > 0 && numbers.every((number, i) => i === 0 || number - (numbers[i - 1] as number) === step);
}
