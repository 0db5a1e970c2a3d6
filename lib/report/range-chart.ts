/** Values with their ranges on a logarithmic axis, one row under another, as SVG text drawn by Observable Plot in Node. */
import { logDomain, logLabels, logTicks } from './axis';
import { append, drawHeading, drawLegend, dress, fontSize, layOutLegend, legendSample, loadPlot, type SvgElement, textWidth } from './svg';
import { printable, wrap } from './text';
import { type LookName, looks, surface } from './theme';

/** A dot at `value` on a line from `low` to `high`; what is not a number above zero is not drawn. */
export interface RangeMark {
  /** Marks of one name share one legend entry; a chart whose marks all bear one name has no legend. */
  name: string;
  look: LookName;
  value: number;
  low?: number;
  high?: number;
  /** filled and larger, where others are rings */
  strong?: boolean;
}

export interface RangeRow {
  label: string;
  /** the label in bold */
  strong?: boolean;
  /** at the end of the row, such as the value in words */
  text: string;
  /** Later marks lie over earlier ones. */
  marks: readonly RangeMark[];
}

export interface RangeChart {
  /** What the chart shows, in one sentence: its text alternative. */
  description: string;
  /** what the axis measures */
  xLabel: string;
  groups: readonly { title?: string; rows: readonly RangeRow[] }[];
  /** vertical lines through all rows, such as a limit */
  levels?: readonly { x: number; label: string }[];
  /** labels of the axis, plain numbers by default */
  formatTick?: (x: number) => string;
}

export interface RangeLayout {
  /** in pixels */
  width: number;
  /** where a row's label and text stand: beside what is drawn, or above it where the screen is narrow */
  labels: 'beside' | 'above';
}

const lineHeight = 15;
const titleHeight = 30;
const bottom = 24;

/** Draws a chart as an `<svg class="chart">` element, which a page shows together with the theme's `chartStyle`. */
export async function renderRangeChart(chart: RangeChart, layout: RangeLayout): Promise<string> {
  const { Plot, document } = await loadPlot();
  const names = distinctMarks(chart);
  const legend = layOutLegend(names.length > 1 ? names : [], chart.xLabel, layout.width);
  const top = legend.top + (names.length > 1 ? legend.height : 0) + (chart.levels?.length ? 20 : 4);
  const columns = layOutColumns(chart, layout);
  const { rows, titles, end } = layOutRows(chart, columns, top);
  const { domain, ticks, labels } = layOutAxis(chart, columns.right - columns.left);
  const marks = rows.flatMap(placedMarks);
  const svg = Plot.plot({
    document,
    width: layout.width,
    height: end + bottom,
    margin: 0,
    style: { fontSize: `${fontSize}px` },
    ariaLabel: printable(chart.description),
    x: { type: 'log', domain, range: [columns.left, columns.right], axis: null },
    y: { type: 'identity', axis: null },
    r: { type: 'identity' },
    color: { type: 'identity' },
    marks: [
      Plot.ruleX(ticks, { y1: top, y2: end, stroke: 'currentColor', strokeOpacity: 0.12 }),
      Plot.text(ticks, { x: (tick) => tick, y: end + 14, text: (tick) => labels.get(tick) ?? '' }),
      ...levelMarks(Plot, chart, domain, { top, end }),
      Plot.link(marks, { x1: 'low', x2: 'high', y1: 'y', y2: 'y', stroke: 'stroke', strokeWidth: 'strokeWidth' }),
      // Plot would draw small dots over large ones, whoever comes last.
      Plot.dot(marks, { x: 'value', y: 'y', r: 'r', fill: 'fill', stroke: 'stroke', strokeWidth: 2, sort: null }),
    ],
  }) as unknown as SvgElement;
  dress(svg);
  drawHeading(svg, chart.xLabel, layout.width);
  drawLegend(svg, legend, (mark, x, y) => drawSample(svg, mark, x, y));
  for (const { title, y } of titles) append(svg, 'text', { y, 'text-anchor': 'start', 'font-weight': 600, ...halo }).textContent = title;
  for (const row of rows) drawText(svg, row, layout.width);
  return svg.toString();
}

type Plot = Awaited<ReturnType<typeof loadPlot>>['Plot'];

function levelMarks(Plot: Plot, chart: RangeChart, domain: [number, number], { top, end }: { top: number; end: number }) {
  const middle = Math.sqrt(domain[0] * domain[1]);
  return (chart.levels ?? [])
    .filter(({ x }) => isDrawable(x))
    .flatMap((level) => [
      Plot.ruleX([level], { x: 'x', y1: top - 4, y2: end, stroke: 'currentColor', strokeWidth: 1.5, strokeDasharray: '6 3' }),
      // Towards the middle, where there is room for it.
      Plot.text([level], {
        x: 'x',
        y: top - 12,
        text: ({ label }) => printable(label),
        textAnchor: level.x < middle ? 'start' : 'end',
        dx: level.x < middle ? -6 : 6,
      }),
    ]);
}

function placedMarks({ row, y }: PlacedRow) {
  return row.marks
    .filter(({ value }) => isDrawable(value))
    .map((mark) => {
      const [low, high] = [mark.low, mark.high].map((x) => (x !== undefined && isDrawable(x) ? x : mark.value));
      return { value: mark.value, low, high, y, ...styleOf(mark) };
    });
}

function styleOf({ look, strong }: RangeMark) {
  const stroke = looks[look].light;
  return strong ? { stroke, strokeWidth: 4, fill: stroke, r: 5 } : { stroke, strokeWidth: 2, fill: surface.light, r: 4 };
}

function drawSample(svg: SvgElement, mark: RangeMark, x: number, y: number): void {
  const { stroke, strokeWidth, fill, r } = styleOf(mark);
  append(svg, 'line', { x1: x, x2: x + legendSample, y1: y, y2: y, stroke, 'stroke-width': strokeWidth });
  append(svg, 'circle', { cx: x + legendSample / 2, cy: y, r, fill, stroke, 'stroke-width': 2 });
}

/** The surface around text, so that no line runs through it. */
const halo = { stroke: surface.light, 'stroke-width': 4, 'stroke-linejoin': 'round', 'paint-order': 'stroke' };

function drawText(svg: SvgElement, { row, lines, textY }: PlacedRow, width: number): void {
  const style = { dy: '0.35em', 'font-weight': row.strong ? 600 : 400, ...halo };
  for (const [i, line] of lines.entries()) {
    const y = textY + i * lineHeight;
    // Between the letters, too, where it lies over the plot.
    append(svg, 'rect', { y: y - lineHeight / 2, width: textWidth(line), height: lineHeight, fill: surface.light });
    append(svg, 'text', { y, 'text-anchor': 'start', ...style }).textContent = line;
  }
  append(svg, 'text', { x: width, y: textY, 'text-anchor': 'end', ...style }).textContent = printable(row.text);
}

/** Where things stand from left to right, in pixels: the axis from `left` to `right`, labels within `labelWidth`. */
interface Columns {
  labels: RangeLayout['labels'];
  labelWidth: number;
  left: number;
  right: number;
}

function layOutColumns(chart: RangeChart, { width, labels }: RangeLayout): Columns {
  const rows = chart.groups.flatMap((group) => group.rows);
  // Bold text is wider.
  const widest = (texts: string[]) => 1.06 * Math.max(0, ...texts.map(textWidth));
  const textColumn = widest(rows.map(({ text }) => text)) + 8;
  if (labels === 'above') {
    // A tick's label may stand at either end of the axis.
    const inset = Math.max(6, ...axisOf(chart).texts.map((text) => textWidth(text) / 2));
    return { labels, labelWidth: width - textColumn, left: inset, right: width - inset };
  }
  const labelWidth = Math.min(0.42 * width, widest(rows.map(({ label }) => label)));
  return { labels, labelWidth, left: labelWidth + 14, right: width - textColumn - 8 };
}

interface PlacedRow {
  row: RangeRow;
  lines: string[];
  /** the middle of the label's first line */
  textY: number;
  /** the middle of what is drawn */
  y: number;
}

function layOutRows({ groups }: RangeChart, { labels, labelWidth }: Columns, top: number) {
  const titles: { title: string; y: number }[] = [];
  const rows: PlacedRow[] = [];
  let end = top;
  for (const { title, rows: members } of groups) {
    if (title !== undefined) {
      titles.push({ title: printable(title), y: end + titleHeight - 9 });
      end += titleHeight;
    }
    for (const row of members) {
      const lines = wrap(printable(row.label), Math.floor(labelWidth / textWidth('n'))).split('\n');
      const textHeight = lines.length * lineHeight;
      const height = labels === 'above' ? textHeight + 20 : textHeight + 9;
      const textY = end + (labels === 'above' ? 10 : height / 2 - ((lines.length - 1) * lineHeight) / 2);
      rows.push({ row, lines, textY, y: labels === 'above' ? end + textHeight + 8 : end + height / 2 });
      end += height;
    }
  }
  return { rows, titles, end };
}

/** Its ticks with all their labels, whether there is room for these or not. */
function axisOf({ groups, levels = [], formatTick }: RangeChart) {
  const values = groups
    .flatMap(({ rows }) => rows.flatMap(({ marks }) => marks.flatMap(({ value, low, high }) => [value, low ?? value, high ?? value])))
    .concat(levels.map(({ x }) => x))
    .filter(isDrawable);
  const domain = logDomain(values);
  const ticks = logTicks(domain);
  return { domain, ticks, texts: formatTick ? ticks.map((tick) => printable(formatTick(tick))) : logLabels(ticks) };
}

function layOutAxis(chart: RangeChart, width: number) {
  const { domain, ticks, texts } = axisOf(chart);
  const room = (count: number) => count * (Math.max(0, ...texts.map(textWidth)) + 12) <= width;
  const isPower = (tick: number) => Number.isInteger(Math.log10(tick));
  // Where not every tick has room for its label: the powers of ten, else every second or third one.
  const powers = ticks.filter(isPower).length;
  const stride = [1, 2, 3, 4].find((step) => room(Math.ceil(ticks.length / step))) ?? ticks.length;
  const shown = (tick: number, i: number) => (stride > 1 && powers > 1 ? isPower(tick) : i % stride === 0);
  return { domain, ticks, labels: new Map(ticks.map((tick, i) => [tick, shown(tick, i) ? (texts[i] ?? '') : ''])) };
}

function isDrawable(x: number): boolean {
  return Number.isFinite(x) && x > 0;
}

/** The first mark of each name. */
function distinctMarks({ groups }: RangeChart): RangeMark[] {
  const marks = new Map<string, RangeMark>();
  for (const mark of groups.flatMap(({ rows }) => rows.flatMap((row) => row.marks))) if (!marks.has(mark.name)) marks.set(mark.name, mark);
  return [...marks.values()];
}
