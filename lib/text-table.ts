/** Plain-text tables for a terminal. */

const gap = 2;

/**
 * The first column left-aligned, the others right-aligned, as numbers are read. A table that is wider than `width` is set as several, one below
 * the other, each with the first column and as many of the others as there is room for.
 */
export function formatTable(rows: readonly (readonly string[])[], width = Number.POSITIVE_INFINITY): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => lengthOf(row[column] ?? ''))));
  const [first = 0, ...others] = widths;
  if (first + others.reduce((sum, other) => sum + gap + other, 0) <= width) return formatColumns(rows, widths);
  const longestWord = Math.max(...rows.flatMap(([cell = '']) => cell.split(' ').map(lengthOf)));
  const firstWidth = Math.min(first, Math.max(longestWord, Math.floor(0.4 * width)));
  const room = Math.max(12, width - firstWidth - gap);
  return blocksOf(others, room)
    .map((columns) =>
      formatColumns(
        rows.map((row) => [row[0] ?? '', ...columns.map((column) => row[column + 1] ?? '')]),
        [firstWidth, ...columns.map((column) => Math.min(others[column] as number, room))],
      ),
    )
    .join('\n\n');
}

/** Indices of columns, as many in each block as fit into `room`, at least one. */
function blocksOf(widths: readonly number[], room: number): number[][] {
  const blocks: number[][] = [];
  let used = Number.POSITIVE_INFINITY;
  for (const [column, width] of widths.entries()) {
    used += gap + width;
    if (used > room) {
      blocks.push([]);
      used = width;
    }
    blocks.at(-1)?.push(column);
  }
  return blocks;
}

function formatColumns(rows: readonly (readonly string[])[], widths: readonly number[]): string {
  return rows.map((row) => formatRow(row, widths)).join('\n');
}

/** A cell that is wider than its column is broken into lines. */
function formatRow(row: readonly string[], widths: readonly number[]): string {
  const cells = widths.map((width, column) => breakCell(row[column] ?? '', width));
  const height = Math.max(...cells.map((lines) => lines.length));
  const lines = Array.from({ length: height }, (_, i) =>
    widths
      .map((width, column) => pad(cells[column]?.[i] ?? '', width, column === 0))
      .join(' '.repeat(gap))
      .trimEnd(),
  );
  return lines.join('\n');
}

function breakCell(cell: string, width: number): string[] {
  if (lengthOf(cell) <= width) return [cell];
  const text = cell.trimStart();
  return wrap(text, width, cell.slice(0, cell.length - text.length)).split('\n');
}

function pad(cell: string, width: number, left: boolean): string {
  const fill = ' '.repeat(Math.max(0, width - lengthOf(cell)));
  return left ? cell + fill : fill + cell;
}

function lengthOf(text: string): number {
  return [...text].length;
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
