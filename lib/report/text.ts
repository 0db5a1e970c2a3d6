/** Text from outside (column names, file names, error messages) made safe for a page, a chart or a terminal; numbers made readable. */

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

/** Breaks text between words into lines of at most `width` characters, each after `indent`. */
export function wrap(text: string, width: number, indent = ''): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    if (line !== indent && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  return [...lines, line].join('\n');
}

/** Plain-text table: the first column left-aligned, the others right-aligned, as numbers are read. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => [...(row[column] ?? '')].length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => pad(cell, widths[column] ?? 0, column === 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function pad(cell: string, width: number, left: boolean): string {
  const fill = ' '.repeat(Math.max(0, width - [...cell].length));
  return left ? cell + fill : fill + cell;
}
