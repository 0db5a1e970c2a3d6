/** Tables of numbers coloured by sign and size, as SVG text. */
import { append, drawHeading, dress, fontSize, headingEnd, loadPlot, type SvgElement, textWidth } from './svg';
import { printable, wrap } from './text';
import { diverging, surface } from './theme';

export interface HeatCell {
  /** what the colour shows: its sign and its size; not a number is no colour */
  value: number;
  /** what is printed in the cell, such as the value with its error; a line each */
  lines: readonly string[];
  /** the same in shorter lines, for cells that are narrow because labels stand above them */
  narrowLines?: readonly string[];
  /** in bold */
  strong?: boolean;
}

export interface HeatMap {
  /** What the chart shows, in one sentence: its text alternative. */
  description: string;
  /** what the numbers are */
  heading: string;
  columns: readonly string[];
  /** headings that stand over several columns each, from the first on */
  groups?: readonly { label: string; columns: number }[];
  /** one cell per column, and where vertical lines cross the row, in columns from its left edge */
  rows: readonly { label: string; cells: readonly HeatCell[]; lines?: readonly number[] }[];
  /** the size from which on the colour is full, above 0 */
  limit: number;
  /** for the key: what negative and positive values mean, and the limit as text */
  key: { negative: string; positive: string; limit: string; line?: string };
}

export interface HeatLayout {
  /** in pixels */
  width: number;
  /** where a row's label stands: beside its cells, or above them where the screen is narrow */
  labels: 'beside' | 'above';
}

const lineHeight = 15;
const gap = 3;
const swatch = { width: 16, height: 12 };

/** Draws a heat map as an `<svg class="chart">` element, which a page shows together with the theme's `chartStyle`. */
export async function renderHeatMap(map: HeatMap, layout: HeatLayout): Promise<string> {
  const svg = await makeSvg(map.description, layout.width);
  const { left, columnWidth } = layOutColumns(map, layout);
  const heads = map.columns.map((column) => wrap(printable(column), Math.floor(columnWidth / textWidth('n'))).split('\n'));
  const linesOf = ({ lines, narrowLines }: HeatCell) => (layout.labels === 'above' ? (narrowLines ?? lines) : lines);
  const lineCount = Math.max(...map.rows.flatMap(({ cells }) => cells.map((cell) => linesOf(cell).length)), 1);
  const cellHeight = lineCount * lineHeight + 17;
  const keyEnd = drawKey(svg, map, layout.width);
  const groupEnd = drawGroups(svg, map, { left, columnWidth, y: keyEnd });
  let y = groupEnd + 10 + Math.max(...heads.map((lines) => lines.length), 1) * lineHeight;
  for (const [column, lines] of heads.entries()) {
    // Upwards from the first row of cells.
    drawLines(svg, lines, { x: left + (column + 0.5) * columnWidth, y: y - ((lines.length + 0.2) * lineHeight) / 2 });
  }
  for (const { label, cells, lines = [] } of map.rows) {
    if (layout.labels === 'above') y += lineHeight + 4;
    const labelY = layout.labels === 'above' ? y - lineHeight / 2 - 2 : y + cellHeight / 2;
    drawLines(svg, [printable(label)], { x: 0, y: labelY, anchor: 'start' });
    for (const [column, cell] of cells.entries()) {
      drawCell(svg, { ...cell, lines: linesOf(cell) }, map.limit, {
        x: left + column * columnWidth,
        y,
        width: columnWidth - gap,
        height: cellHeight - gap,
      });
    }
    for (const column of lines) drawRule(svg, { x: left + column * columnWidth - gap / 2, y, height: cellHeight - gap });
    y += cellHeight;
  }
  svg.setAttribute('height', String(y));
  dress(svg);
  drawHeading(svg, map.heading, layout.width);
  return svg.toString();
}

async function makeSvg(description: string, width: number): Promise<SvgElement> {
  const { document } = await loadPlot();
  const svg = append((document as { documentElement: SvgElement }).documentElement, 'svg', {
    width,
    'aria-label': printable(description),
    fill: 'currentColor',
    'font-family': 'system-ui, sans-serif',
    'font-size': `${fontSize}px`,
    'text-anchor': 'middle',
  });
  return svg;
}

function layOutColumns({ columns, rows }: HeatMap, { width, labels }: HeatLayout): { left: number; columnWidth: number } {
  const left = labels === 'above' ? 0 : Math.max(...rows.map(({ label }) => textWidth(label)), 0) + 14;
  // The last gap falls off the right edge.
  return { left, columnWidth: (width + gap - left) / Math.max(columns.length, 1) };
}

/** Headings over several columns; returns where they end. */
function drawGroups(
  svg: SvgElement,
  { groups = [] }: HeatMap,
  { left, columnWidth, y }: { left: number; columnWidth: number; y: number },
): number {
  let first = 0;
  for (const { label, columns } of groups) {
    const x = left + (first + columns / 2) * columnWidth - gap / 2;
    drawLines(svg, [printable(label)], { x, y: y + 12, weight: 600 });
    first += columns;
  }
  return groups.length === 0 ? y : y + lineHeight + 4;
}

/** A line across a row of cells, but for the text in them. */
function drawRule(svg: SvgElement, { x, y, height }: { x: number; y: number; height: number }): void {
  const end = Math.min(6, height / 2);
  const stroke = { stroke: 'currentColor', 'stroke-width': 3 };
  append(svg, 'line', { x1: x, x2: x, y1: y - 2, y2: y + end, ...stroke });
  append(svg, 'line', { x1: x, x2: x, y1: y + height - end, y2: y + height + 2, ...stroke });
}

/** What the colours mean, in one line where there is room; returns where it ends. */
function drawKey(svg: SvgElement, { key, heading }: HeatMap, width: number): number {
  const keyTop = headingEnd(heading, width) + 2;
  const steps = diverging.length;
  const [negative, positive] = [`${key.negative}, −${key.limit} or less`, `${key.positive}, +${key.limit} or more`].map(printable) as [
    string,
    string,
  ];
  const oneLine = textWidth(negative) + textWidth(positive) + steps * swatch.width + 16 <= width;
  const left = oneLine ? textWidth(negative) + 8 : 0;
  const top = oneLine ? keyTop : keyTop + lineHeight;
  for (const [step, { light }] of diverging.entries()) {
    append(svg, 'rect', { x: left + step * swatch.width, y: top - swatch.height / 2, ...swatch, fill: light });
  }
  const end = left + steps * swatch.width;
  drawLines(svg, [negative], { x: 0, y: keyTop, anchor: 'start' });
  drawLines(svg, [positive], oneLine ? { x: end + 8, y: keyTop, anchor: 'start' } : { x: end + 8, y: top, anchor: 'start' });
  if (key.line === undefined) return top + lineHeight / 2;
  drawRule(svg, { x: 2, y: top + lineHeight - swatch.height / 2, height: swatch.height });
  drawLines(svg, [printable(key.line)], { x: 10, y: top + lineHeight, anchor: 'start' });
  return top + 1.5 * lineHeight;
}

interface Place {
  x: number;
  y: number;
  width: number;
  height: number;
}

function drawCell(svg: SvgElement, { value, lines, strong }: HeatCell, limit: number, { x, y, width, height }: Place): void {
  append(svg, 'rect', { x, y, width, height, rx: 2, fill: colorOf(value, limit) });
  drawLines(svg, lines.map(printable), { x: x + width / 2, y: y + height / 2, weight: strong ? 600 : 400 });
}

/** The step of the diverging scale: the middle one for what is within an eighth of the limit, an end from the limit on. */
function colorOf(value: number, limit: number): string {
  if (Number.isNaN(value)) return surface.light;
  const steps = (diverging.length - 1) / 2;
  const step = Math.round(Math.max(-1, Math.min(1, value / limit)) * steps);
  return diverging[step + steps]?.light as string;
}

/** Lines of text centred about y. */
function drawLines(svg: SvgElement, lines: readonly string[], place: { x: number; y: number; anchor?: 'start'; weight?: number }): void {
  const { x, y, anchor = 'middle', weight = 400 } = place;
  for (const [i, line] of lines.entries()) {
    const lineY = y + (i - (lines.length - 1) / 2) * lineHeight;
    append(svg, 'text', { x, y: lineY, dy: '0.35em', 'text-anchor': anchor, 'font-weight': weight }).textContent = line;
  }
}
