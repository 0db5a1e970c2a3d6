/** What a cell of a CSV file may be. */

/** The character before the fraction. */
export type DecimalMark = '.' | ',';

const NUMBERS: Record<DecimalMark, RegExp> = {
  '.': /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/,
  ',': /^[+-]?(?:\d+,?\d*|,\d+)(?:[eE][+-]?\d+)?$/,
};

/** The finite number that a cell holds, else NaN. Not Number(cell), which takes '', '0x10' and 'Infinity'. */
export function readNumber(cell: string, decimal: DecimalMark): number {
  if (!NUMBERS[decimal].test(cell)) return Number.NaN;
  const number = Number(decimal === '.' ? cell : cell.replace(',', '.'));
  return Number.isFinite(number) ? number : Number.NaN;
}

/** 1,234.5 or 1 234 or 12,34,567: groups of three digits, or of two as in India, none of which begins with more than three. */
const THOUSANDS = /^[+-]?\d{1,3}(?:(?:,\d{2,3})+|(?:['’ _\u00a0\u202f]\d{3})+)(?:[.,]\d*)?$/;
/** 1.234,5 */
const THOUSANDS_BY_POINT = /^[+-]?\d{1,3}(?:\.\d{3})+,\d*$/;

/** Whether a cell that is no number is plainly meant as one, but not to be guessed. Dates in groups of digits, such as 2025 01 06, are not. */
export function isMeantAsNumber(cell: string): boolean {
  return THOUSANDS.test(cell) || THOUSANDS_BY_POINT.test(cell) || NUMBERS['.'].test(cell) || NUMBERS[','].test(cell);
}

/** 20250106, with hours, minutes and seconds or without: digits alone, but no number. */
const DATE_IN_DIGITS = /^(?:18|19|20|21)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])(?:[0-5]\d){0,2})?$/;

export function isDateInDigits(cell: string): boolean {
  return DATE_IN_DIGITS.test(cell);
}

/** What programs write where there is no number: pandas' words, R's, and marks of common data sets. */
const MISSING = /^(?:|[-+]?nan|na|n\/a|#n\/a|#na|<na>|null|none|nil|\?|-|\.)$/i;

export function isMissing(cell: string): boolean {
  return MISSING.test(cell);
}
