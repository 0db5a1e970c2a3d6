/** Dates and times as files write them. */
import { isDateInDigits } from './csv-cells';

/** Milliseconds since 1970-01-01 UTC, and what else a text says. */
interface Moment {
  time: number;
  hasClock: boolean;
  /** of its zone, in minutes; undefined where it names none, which is taken for UTC */
  offset?: number;
}

const CLOCK = String.raw`(?:(?:T|,? +)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?: *([ap]m))?(?: *(z|utc|gmt|[+-]\d{2}(?::?\d{2})?))?)?`;
/** 2025-01-06, 2025/1/6, 2025-01, 2025 */
const YEAR_FIRST = new RegExp(String.raw`^(\d{4})(?:([-/.])(\d{1,2})(?:\2(\d{1,2}))?)?${CLOCK}$`, 'i');
/** 06.01.2025 and, day or month first, 1/6/2025 */
const YEAR_LAST = new RegExp(String.raw`^(\d{1,2})([-/.])(\d{1,2})\2(\d{4})${CLOCK}$`, 'i');
/** 6 Jan 2025, 06-Jan-2025, Jan 6 2025, January 6, 2025, Jan 2025 */
const DAY_NAME = new RegExp(String.raw`^(\d{1,2})[- ]([a-z]{3,9})\.?[-, ] *(\d{4})${CLOCK}$`, 'i');
const NAME_DAY = new RegExp(String.raw`^([a-z]{3,9})\.? +(?:(\d{1,2}),? +)?(\d{4})${CLOCK}$`, 'i');
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH = new RegExp(
  `^(?:${['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december'].map((name) => (name.length === 3 ? name : `${name.slice(0, 3)}(?:${name.slice(3)})?`)).join('|')}|sept)$`,
);
/** Seconds since 1970, or milliseconds. */
const EPOCH = /^(?:\d{9,10}|\d{12,13})$/;

type Groups = readonly (string | undefined)[];

/** Undefined for what is no moment. @param dayFirst how 1/6/2025 is meant */
function parseMoment(text: string, dayFirst: boolean): Moment | undefined {
  if (isDateInDigits(text)) {
    const [year = '', ...parts] = text.match(/^\d{4}|\d{2}/g) ?? [];
    const [month, day, ...clock] = parts;
    return moment(year, month, day, clock.length === 0 ? [] : [clock[0], clock[1] ?? '00', clock[2]]);
  }
  if (EPOCH.test(text)) return { time: Number(text) * (text.length <= 10 ? 1000 : 1), hasClock: true, offset: 0 };
  let match: Groups | null = YEAR_FIRST.exec(text);
  if (match !== null) return moment(match[1], match[3], match[4], match.slice(5));
  match = YEAR_LAST.exec(text);
  if (match !== null) {
    const [, first, mark, second, year, ...clock] = match;
    return dayFirst || mark === '.' ? moment(year, second, first, clock) : moment(year, first, second, clock);
  }
  match = DAY_NAME.exec(text);
  if (match !== null) return moment(match[3], monthNumber(match[2]), match[1], match.slice(4));
  match = NAME_DAY.exec(text);
  return match === null ? undefined : moment(match[3], monthNumber(match[1]), match[2], match.slice(4));
}

function monthNumber(name = ''): string {
  return MONTH.test(name.toLowerCase()) ? String(MONTHS.indexOf(name.slice(0, 3).toLowerCase()) + 1) : '0';
}

/** Undefined where there is no such day or hour. */
function moment(
  year = '',
  month = '1',
  day = '1',
  [hours, minutes = '0', seconds = '0', fraction = '', half, zone]: Groups,
): Moment | undefined {
  const [y, m, d, min, s] = [year, month, day, minutes, seconds].map(Number) as [number, number, number, number, number];
  const milliseconds = Number(fraction.padEnd(3, '0').slice(0, 3));
  const hour = Number(hours ?? 0);
  if (half !== undefined && (hour < 1 || hour > 12)) return undefined;
  const h = half === undefined ? hour : (hour % 12) + (half.toLowerCase() === 'pm' ? 12 : 0);
  const date = new Date(Date.UTC(y, m - 1, d));
  // Date takes the years 0 to 99 for those of the twentieth century.
  const isDay = date.getUTCFullYear() === y && date.getUTCMonth() === m - 1 && date.getUTCDate() === d;
  if (!isDay || h > 23 || min > 59 || s > 59) return undefined;
  const offset = zone === undefined ? undefined : zoneOffset(zone);
  if (Number.isNaN(offset)) return undefined;
  const time = date.getTime() + ((h * 60 + min - (offset ?? 0)) * 60 + s) * 1000 + milliseconds;
  return { time, hasClock: hours !== undefined, ...(offset !== undefined && { offset }) };
}

/** Minutes east of Greenwich; NaN where it is none. */
function zoneOffset(zone: string): number {
  if (!/^[+-]/.test(zone)) return 0;
  const digits = zone.slice(1).replace(':', '');
  const [hours, minutes] = [Number(digits.slice(0, 2)), Number(digits.slice(2) || 0)];
  if (hours > 23 || minutes > 59) return Number.NaN;
  return (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes);
}

/** How the times of a column are written. */
export interface TimeStyle {
  /** whether any has hours and minutes */
  hasClock: boolean;
  /** of the last row's zone, in minutes east of Greenwich; undefined where it names none */
  offset?: number;
}

/** Reads a column of dates and times cell by cell. Whether 1/6/2025 begins with the day is known only when all have been read. */
export class TimeReader {
  /** by day first, by month first */
  readonly #readings: [number[], number[]] = [[], []];
  /** the row of the first cell that cannot be read so; Infinity where there is none */
  readonly #faults: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  readonly #faultTexts: [string, string] = ['', ''];
  #differs = false;
  readonly style: TimeStyle = { hasClock: false };

  add(text: string): void {
    const dayFirst = parseMoment(text, true);
    const monthFirst = YEAR_LAST.test(text) ? parseMoment(text, false) : dayFirst;
    for (const [i, reading] of [dayFirst, monthFirst].entries() as Iterable<[0 | 1, Moment | undefined]>) {
      if (reading === undefined && this.#faults[i] === Number.POSITIVE_INFINITY) {
        this.#faults[i] = this.#readings[i].length;
        this.#faultTexts[i] = text;
      }
      this.#readings[i].push(reading?.time ?? Number.NaN);
    }
    this.#differs ||= dayFirst?.time !== monthFirst?.time;
    const known = dayFirst ?? monthFirst;
    this.style.hasClock ||= known?.hasClock === true;
    this.style.offset = known?.offset;
  }

  /** The times, or the row of the first cell that is none, or `'ambiguous'` where days and months cannot be told apart. */
  finish(): number[] | { fault: number; text: string } | 'ambiguous' {
    const [dayFirst, monthFirst] = this.#faults;
    if (dayFirst < Number.POSITIVE_INFINITY && monthFirst < Number.POSITIVE_INFINITY) {
      return { fault: Math.max(dayFirst, monthFirst), text: this.#faultTexts[dayFirst >= monthFirst ? 0 : 1] };
    }
    if (dayFirst === monthFirst && this.#differs) return this.#chooseByOrder();
    return this.#readings[dayFirst < Number.POSITIVE_INFINITY ? 1 : 0];
  }

  /** Where every cell may be either, the reading in which the rows rise, if that is one of the two. */
  #chooseByOrder(): number[] | 'ambiguous' {
    const rising = this.#readings.filter((times) => times.every((time, i) => i === 0 || time > (times[i - 1] as number)));
    return rising.length === 1 ? (rising[0] as number[]) : 'ambiguous';
  }
}

/**
 * Times that go on after those of a series: by calendar months where all of its steps are whole months, by its median step else.
 * @param times at least two, rising
 */
export function nextTimes(times: Float64Array, count: number): number[] {
  const months = monthStep(times.slice(-RECENT));
  if (months !== undefined) {
    const recent = times.slice(-RECENT);
    return Array.from({ length: count }, (_, i) => addMonths(recent[0] as number, months * (recent.length + i)));
  }
  const last = times.at(-1) as number;
  const step = medianStep(times);
  return Array.from({ length: count }, (_, i) => last + step * (i + 1));
}

/** Rows that tell whether steps are months. */
const RECENT = 25;

function medianStep(times: Float64Array): number {
  const steps = times.subarray(1).map((time, i) => time - (times[i] as number));
  return steps.sort()[steps.length >> 1] as number;
}

/** How many months each step is, where all are equally many; undefined else. */
function monthStep(times: Float64Array): number | undefined {
  const [first, second] = times as unknown as [number, number];
  const count = monthsBetween(new Date(first), new Date(second));
  return count > 0 && times.every((time, i) => addMonths(first, i * count) === time) ? count : undefined;
}

function monthsBetween(from: Date, to: Date): number {
  return (to.getUTCFullYear() - from.getUTCFullYear()) * 12 + to.getUTCMonth() - from.getUTCMonth();
}

/** The last day of a month stays one. */
function addMonths(time: number, months: number): number {
  const date = new Date(time);
  const dayAfter = new Date(time + 86_400_000);
  const isLastDay = dayAfter.getUTCDate() === 1;
  const [year, month, clock] = [date.getUTCFullYear(), date.getUTCMonth() + months, time % 86_400_000];
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const day = isLastDay ? lastDay : Math.min(date.getUTCDate(), lastDay);
  return Date.UTC(year, month, day) + (clock < 0 ? clock + 86_400_000 : clock);
}

/** A time in ISO 8601, in the style of its column. */
export function formatTime(time: number, { hasClock, offset }: TimeStyle): string {
  const local = new Date(time + (offset ?? 0) * 60_000).toISOString();
  if (!hasClock) return local.slice(0, 10);
  const clock = local.endsWith('.000Z') ? local.slice(0, 19) : local.slice(0, 23);
  if (offset === undefined) return clock;
  if (offset === 0) return `${clock}Z`;
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60].map((part) => String(part).padStart(2, '0'));
  return `${clock}${offset < 0 ? '-' : '+'}${hours}:${minutes}`;
}
