/** What all charts are dressed with: an SVG element made in Node, its legend, and how it stands on a page or alone. */
import { EvenkeelError } from '../errors';
import { importOptional } from '../optional-package';
import { printable, wrap } from './text';
import { chartStyle, type LookName } from './theme';

/** in pixels */
export const fontSize = 12;

/** Plot and a document to draw in. ES modules only, and slow to load: they are loaded where they are first used. */
export async function loadPlot() {
  const [Plot, { DOMParser }] = await loadPackages();
  const document = new DOMParser().parseFromString('<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml');
  // Plot takes any document of the DOM standard; its type asks for the browser's own.
  return { Plot, document: document as never };
}

type PlotPackage = typeof import('@observablehq/plot', { with: { 'resolution-mode': 'import' }});
type DomPackage = typeof import('linkedom', { with: { 'resolution-mode': 'import' }});

async function loadPackages(): Promise<[PlotPackage, DomPackage]> {
  try {
    return await Promise.all([importOptional<PlotPackage>('@observablehq/plot'), importOptional<DomPackage>('linkedom')]);
  } catch (cause) {
    throw new EvenkeelError(
      'ERR_STATE',
      'Charts need the packages @observablehq/plot and linkedom. Install them: npm install @evenkeel/cli',
      { cause },
    );
  }
}

/** In pixels, as wide as text usually is: there is no browser here to measure it. */
export function textWidth(text: string): number {
  return text.length * fontSize * 0.57;
}

/** What is used of a DOM element here: the project compiles without the browser's types. */
export interface SvgElement {
  textContent: string;
  ownerDocument: { createElementNS(namespace: string, name: string): SvgElement };
  getAttribute(name: string): string | null;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  querySelector(selector: string): { remove(): void } | null;
  querySelectorAll(selector: string): Iterable<SvgElement>;
  append(child: SvgElement): void;
  toString(): string;
}

const svgNamespace = 'http://www.w3.org/2000/svg';

export function append(parent: SvgElement, name: string, attributes: Record<string, string | number>): SvgElement {
  const element = parent.ownerDocument.createElementNS(svgNamespace, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  parent.append(element);
  return element;
}

/**
 * Swaps Plot's own style sheet for the class by which the theme's `chartStyle` finds a chart, and says that it is an image, for which one text stands.
 * Plot's labels of its groups, which have no role that could bear a label, become their classes.
 */
export function dress(svg: SvgElement): void {
  svg.querySelector('style')?.remove();
  for (const part of svg.querySelectorAll('[aria-label]')) {
    part.setAttribute('class', part.getAttribute('aria-label') ?? '');
    part.removeAttribute('aria-label');
  }
  const [width, height] = ['width', 'height'].map((side) => Number(svg.getAttribute(side)));
  const viewBox = `0 0 ${width} ${height}`;
  for (const [name, value] of Object.entries({ xmlns: svgNamespace, class: 'chart', role: 'img', viewBox, width, height })) {
    svg.setAttribute(name, String(value));
  }
}

/** Empty pixels around a chart that stands alone. */
const padding = 12;

/** A chart that stands on its own as a file: readable in light and dark mode without a page around it, with air on all sides. */
export function standaloneSvg(svg: string): string {
  const end = svg.indexOf('>') + 1;
  const head = svg.slice(0, end);
  const [width = 0, height = 0] = (/ viewBox="0 0 ([\d.]+) ([\d.]+)"/.exec(head) ?? []).slice(1).map((side) => Number(side) + 2 * padding);
  const padded = head
    .replace(/ viewBox="[^"]*"/, ` viewBox="${-padding} ${-padding} ${width} ${height}"`)
    .replace(/ width="[^"]*"/, ` width="${width}"`)
    .replace(/ height="[^"]*"/, ` height="${height}"`);
  return `${padded}<style>${chartStyle}</style>${svg.slice(end)}\n`;
}

/** What is measured, at the top left above the legend: beside an axis it would have less room than it needs. */
export function drawHeading(svg: SvgElement, text: string, width: number): void {
  for (const [i, line] of headingLines(text, width).entries()) {
    append(svg, 'text', { y: 10 + i * headingLineHeight, 'text-anchor': 'start', 'font-weight': 600 }).textContent = line;
  }
}

/** Where what follows the heading begins, in pixels. */
export function headingEnd(text: string, width: number): number {
  return 7 + headingLines(text, width).length * headingLineHeight;
}

const headingLineHeight = 15;

function headingLines(text: string, width: number): string[] {
  // Bold text is wider.
  return wrap(printable(text), Math.floor(width / (1.06 * textWidth('n')))).split('\n');
}

export interface LegendEntry {
  name: string;
  look: LookName;
}

export interface Legend<Entry extends LegendEntry> {
  top: number;
  height: number;
  places: { entry: Entry; x: number; y: number }[];
}

const legendRow = 20;
export const legendSample = 30;

/** Fills rows from the left with samples and names, below a heading. */
export function layOutLegend<Entry extends LegendEntry>(entries: readonly Entry[], heading: string, width: number): Legend<Entry> {
  const top = headingEnd(heading, width);
  let x = 0;
  let y = top + legendRow / 2;
  const places = entries.map((entry) => {
    const entryWidth = legendSample + 6 + textWidth(entry.name) + 18;
    if (x > 0 && x + entryWidth > width) {
      x = 0;
      y += legendRow;
    }
    const place = { entry, x, y };
    x += entryWidth;
    return place;
  });
  return { top, height: y + legendRow / 2 - top, places };
}

/** @param drawSample draws what stands for an entry, from x to x + {@link legendSample} at the height y */
export function drawLegend<Entry extends LegendEntry>(
  svg: SvgElement,
  { places }: Legend<Entry>,
  drawSample: (entry: Entry, x: number, y: number) => void,
): void {
  for (const { entry, x, y } of places) {
    drawSample(entry, x, y);
    const text = append(svg, 'text', { x: x + legendSample + 6, y, dy: '0.35em', 'text-anchor': 'start' });
    text.textContent = printable(entry.name);
  }
}
