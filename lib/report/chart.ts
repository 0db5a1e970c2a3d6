/** Line charts as SVG text, drawn by Observable Plot in Node. */
import { countTicks, linearDomain, linearLabels, linearTicks, logDomain, logLabels, logTicks } from './axis';
import { append, drawHeading, drawLegend, dress, fontSize, layOutLegend, legendSample, loadPlot, type SvgElement, textWidth } from './svg';
import { printable, wrap } from './text';
import { type Look, type LookName, looks, surface } from './theme';

export interface ChartPoint {
  /** a count, such as a step, an epoch or a length; with the scale `'time'` milliseconds since 1970 by the clock that the axis shows */
  x: number;
  y: number;
  /** the ends of a band around y, such as the smallest and the largest over seeds */
  low?: number;
  high?: number;
}

export interface ChartLine {
  /** Lines of one name, in any panel, share one legend entry. */
  name: string;
  look: LookName;
  points: readonly ChartPoint[];
}

export interface ChartPanel {
  title?: string;
  /** Broken lines lie over solid ones, and thin over wide ones, so that lines which coincide are all seen. */
  lines: readonly ChartLine[];
}

export interface Chart {
  /** What the chart shows, in one sentence: its text alternative. */
  description: string;
  xLabel: string;
  yLabel: string;
  /** `'linear'` unless given */
  xScale?: 'linear' | 'log' | 'time';
  /** On a logarithmic axis, values that are not above zero are gaps. */
  yScale: 'linear' | 'log';
  /** Several panels share both axes. */
  panels: readonly ChartPanel[];
  /** Horizontal lines across every panel, such as a threshold. */
  levels?: readonly { y: number; label: string }[];
}

export interface ChartLayout {
  /** in pixels */
  width: number;
  panelHeight: number;
  /** How many panels stand side by side. */
  columns: number;
}

/** Of several panels side by side, as a part of one's width. */
const columnGap = 0.09;
const titleLine = 15;
const margin = { right: 12, bottom: 42 };

/** Draws a chart as an `<svg class="chart">` element, which a page shows together with the theme's `chartStyle`. */
export async function renderChart(chart: Chart, layout: ChartLayout): Promise<string> {
  const { Plot, document } = await loadPlot();
  const columns = Math.min(layout.columns, chart.panels.length);
  const rows = Math.ceil(chart.panels.length / columns);
  const legend = layOutLegend(distinctLines(chart), chart.yLabel, layout.width);
  const y = yAxis(chart, layout.panelHeight);
  const marginLeft = Math.max(14 + Math.max(...y.labels.map(textWidth), 0), widestLabel(chart) / 2);
  const marginRight = Math.max(margin.right, widestLabel(chart) / 2);
  const titles = layOutTitles(chart, columns, layout.width - marginLeft - marginRight);
  const panelGap = 34 + titles.more;
  const marginTop = legend.top + legend.height + (hasTitles(chart) ? 34 + titles.more : 14);
  const svg = Plot.plot({
    document,
    width: layout.width,
    height: marginTop + rows * layout.panelHeight + (rows - 1) * panelGap + margin.bottom,
    marginTop,
    marginRight,
    marginBottom: margin.bottom,
    marginLeft,
    style: { fontSize: `${fontSize}px` },
    ariaLabel: printable(chart.description),
    x: {
      ...xAxis(chart, (layout.width - marginLeft - marginRight) / columns),
      label: printable(chart.xLabel),
      labelArrow: 'none',
      tickSize: 4,
    },
    y: {
      label: null,
      grid: true,
      tickSize: 0,
      type: chart.yScale,
      domain: y.domain,
      ticks: y.ticks,
      tickFormat: (tick: number) => y.labels[y.ticks.indexOf(tick)] ?? '',
    },
    fx: { axis: null, padding: columns > 1 ? columnGap : 0 },
    fy: { axis: null, padding: rows > 1 ? panelGap / (layout.panelHeight + panelGap) : 0 },
    marks: marks(Plot, chart, columns, titles.texts),
  }) as unknown as SvgElement;
  dress(svg);
  drawHeading(svg, chart.yLabel, layout.width);
  drawLegend(svg, legend, ({ look }, x, y) => drawSample(svg, looks[look], x, y));
  return svg.toString();
}

function drawSample(svg: SvgElement, { light, dash = 'none', width }: Look, x: number, y: number): void {
  const dashes = { 'stroke-dasharray': dash, 'stroke-width': width };
  append(svg, 'line', { x1: x, x2: x + legendSample, y1: y, y2: y, stroke: light, ...dashes });
}

type Plot = typeof import('@observablehq/plot', { with: { 'resolution-mode': 'import' }});

/** The panels' titles in as many lines as they need, and how many pixels these take beyond one line. */
function layOutTitles(chart: Chart, columns: number, width: number): { texts: string[]; more: number } {
  // Bold text is wider.
  const most = Math.floor((width * (1 - columnGap)) / columns / (1.06 * textWidth('n')));
  const texts = chart.panels.map(({ title = '' }) => wrap(printable(title), most));
  return { texts, more: titleLine * (Math.max(...texts.map((text) => text.split('\n').length)) - 1) };
}

function marks(Plot: Plot, chart: Chart, columns: number, texts: readonly string[]) {
  const place = (panel: number) => ({ fx: panel % columns, fy: Math.floor(panel / columns) });
  const titles = texts.map((title, panel) => ({ title, ...place(panel) }));
  const lines = distinctLines(chart)
    .toSorted(byCover)
    .map(({ name, look }) => ({ look: looks[look] as Look, points: pointsOf(chart, name, place) }));
  return [
    ...lines.filter(({ points }) => points.some(({ low, high }) => low < high)).map(({ look, points }) => bandMark(Plot, look, points)),
    ...lines.map(({ look, points }) => lineMark(Plot, look, points)),
    ...(chart.levels ?? []).flatMap((level) => [
      Plot.ruleY([level], { y: 'y', stroke: 'currentColor', strokeOpacity: 0.55, strokeDasharray: '9 3' }),
      Plot.text([level], {
        y: 'y',
        text: ({ label }) => printable(label),
        frameAnchor: 'right',
        textAnchor: 'end',
        dy: -8,
        stroke: surface.light,
        strokeWidth: 4,
        fill: 'currentColor',
      }),
    ]),
    Plot.text(titles, {
      fx: 'fx',
      fy: 'fy',
      text: 'title',
      frameAnchor: 'top-left',
      lineAnchor: 'bottom',
      lineHeight: titleLine / fontSize,
      dy: -8,
      fontWeight: 600,
    }),
  ];
}

/** What would hide others comes first: solid lines before broken ones, wide before thin. */
function byCover(a: ChartLine, b: ChartLine): number {
  const [one, other]: Look[] = [looks[a.look], looks[b.look]];
  const isBroken = (look?: Look) => Number(look?.dash !== undefined);
  return isBroken(one) - isBroken(other) || (other?.width ?? 0) - (one?.width ?? 0);
}

type PlacedPoint = Required<ChartPoint> & { fx: number; fy: number };

/** The points of all lines of one name, with NaN for what cannot be drawn. */
function pointsOf(chart: Chart, name: string, place: (panel: number) => { fx: number; fy: number }): PlacedPoint[] {
  const drawable = (y = Number.NaN) => (isDrawable(chart, y) ? y : Number.NaN);
  return chart.panels.flatMap(({ lines }, panel) =>
    lines
      .filter((line) => line.name === name)
      .flatMap(({ points }) =>
        points.map(({ x, y, low, high }) => ({ x, y: drawable(y), low: drawable(low), high: drawable(high), ...place(panel) })),
      ),
  );
}

function lineMark(Plot: Plot, look: Look, points: PlacedPoint[]) {
  const style = { stroke: look.light, strokeWidth: look.width, strokeDasharray: look.dash, strokeLinecap: 'butt' } as const;
  // A line of one point would not be seen.
  const marker = points.length === 1 ? 'dot' : 'none';
  return Plot.line(points, { x: 'x', y: 'y', fx: 'fx', fy: 'fy', marker, ...style });
}

function bandMark(Plot: Plot, look: Look, points: PlacedPoint[]) {
  return Plot.areaY(points, { x: 'x', y1: 'low', y2: 'high', fx: 'fx', fy: 'fy', fill: look.light, fillOpacity: 0.2 });
}

interface Axis {
  domain: [number, number];
  ticks: number[];
  labels: string[];
}

function yAxis(chart: Chart, height: number): Axis {
  const values = chart.panels
    .flatMap(({ lines }) => lines.flatMap(({ points }) => points.flatMap(({ y, low = y, high = y }) => [y, low, high])))
    .concat((chart.levels ?? []).map(({ y }) => y))
    .filter((y) => isDrawable(chart, y));
  const domain = chart.yScale === 'log' ? logDomain(values) : linearDomain(values);
  const ticks = chart.yScale === 'log' ? logTicks(domain) : linearTicks(domain, Math.max(2, height / 50));
  return { domain, ticks, labels: chart.yScale === 'log' ? logLabels(ticks) : linearLabels(ticks) };
}

/** @param width of a panel */
function xAxis(chart: Chart, width: number) {
  // Plot's own ticks: round dates, with the year or the day below where it changes.
  if (chart.xScale === 'time') return { type: 'utc' as const, tickSpacing: 70 };
  const values = chart.panels.flatMap(({ lines }) => lines.flatMap(({ points }) => points.map(({ x }) => x)));
  if (chart.xScale !== 'log') return { ticks: countTicks(values, Math.max(2, width / 60)), tickFormat: String };
  const domain = logDomain(values);
  const ticks = logTicks(domain);
  return { type: 'log' as const, domain, ticks, tickFormat: (tick: number) => logLabels([tick])[0] ?? '' };
}

/** In pixels: a label at either end stands half beyond it. */
function widestLabel({ panels, xScale }: Chart): number {
  if (xScale === 'log') return 0;
  if (xScale === 'time') return textWidth('12 PM');
  const most = panels.reduce((all, { lines }) => Math.max(all, ...lines.map(({ points }) => points.at(-1)?.x ?? 0)), 0);
  // Digits are wider than text usually is.
  return 1.12 * textWidth(String(Math.floor(most)));
}

function isDrawable(chart: Chart, y: number): boolean {
  return Number.isFinite(y) && (chart.yScale === 'linear' || y > 0);
}

function hasTitles(chart: Chart): boolean {
  return chart.panels.some(({ title }) => title !== undefined);
}

/** The first line of each name. */
function distinctLines(chart: Chart): ChartLine[] {
  const lines = new Map<string, ChartLine>();
  for (const line of chart.panels.flatMap((panel) => panel.lines)) if (!lines.has(line.name)) lines.set(line.name, line);
  return [...lines.values()];
}
