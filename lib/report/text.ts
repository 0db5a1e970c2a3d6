/** Text from outside (column names, file names, error messages) made safe for a page, a chart or a terminal; numbers made readable. */
export { wrap } from '../text-table';

/** Control characters, which XML 1.0 forbids and a terminal obeys, and lone surrogates, which are not text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is the purpose
const unprintable = /[\u0000-\u001f\u007f-\u009f\ufffe\uffff]|\p{Surrogate}/gu;

/** Replaces whatever has no place in a line of text by U+FFFD. */
export function printable(text: string): string {
  return text.replace(unprintable, '\ufffd');
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text for an HTML element or a quoted attribute. */
export function escapeHtml(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/**
 * Fixed decimals, so that numbers of one size align: `digits` of them below 10, fewer above; an exponent where these would show nothing.
 * @param digits decimals of a number around one
 */
export function formatNumber(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 10 ** (1 - digits) || size >= 1e6)) return value.toExponential(2).replace('e+', 'e');
  return value.toFixed(Math.max(0, digits - (size >= 1000 ? 3 : size >= 100 ? 2 : size >= 10 ? 1 : 0)));
}

/** Three digits and a unit that suits: µs, ms or s. */
export function formatDuration(milliseconds: number): string {
  const rounded = Number(milliseconds.toPrecision(3));
  if (rounded > 0 && rounded < 0.1) return `${threeDigits(milliseconds * 1000)} µs`;
  return rounded < 1000 ? `${threeDigits(milliseconds)} ms` : `${threeDigits(milliseconds / 1000)} s`;
}

const byteUnits = ['KiB', 'MiB', 'GiB', 'TiB'];

/** Three digits and a unit that suits: KiB to TiB. */
export function formatBytes(bytes: number): string {
  const power = Math.min(byteUnits.length, Math.max(1, Math.floor(Math.log2(Math.abs(bytes) || 1) / 10)));
  return `${threeDigits(bytes / 1024 ** power)} ${byteUnits[power - 1]}`;
}

/** Three digits, more where the number has more before its point, and never an exponent. */
export function threeDigits(value: number): string {
  const rounded = Number(value.toPrecision(3));
  const power = rounded === 0 ? 0 : Math.floor(Math.log10(Math.abs(rounded)));
  if (!Number.isFinite(value) || power > 2) return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
  return rounded.toFixed(Math.min(20, 2 - power));
}

/** Without the zeros at the end of a number's decimals, for numbers that are exact, such as those of an axis. */
export function trimZeros(text: string): string {
  return text.replace(/(\.\d*?)0+(?!\d)/, '$1').replace(/\.(?!\d)/, '');
}

/** At most so many characters, with … in place of the middle. */
export function shorten(text: string, most: number): string {
  const characters = [...text];
  if (characters.length <= most) return text;
  const end = Math.floor((most - 1) / 2);
  return `${characters.slice(0, most - 1 - end).join('')}…${characters.slice(characters.length - end).join('')}`;
}

/** Such as `1 thread` or `2 threads`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

export function capitalize(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
