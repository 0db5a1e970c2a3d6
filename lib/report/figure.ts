/** A chart with its caption, drawn once for wide screens and once for phones, so that its text is never scaled below reading size. */
import { type Chart, type ChartLayout, renderChart } from './chart';
import { type HeatLayout, type HeatMap, renderHeatMap } from './heat-map';
import { type RangeChart, type RangeLayout, renderRangeChart } from './range-chart';
import { standaloneSvg } from './svg';

interface Layouts<Layout> {
  wide: Layout;
  narrow: Layout;
}
export interface LineFigure extends Layouts<ChartLayout> {
  chart: Chart;
}
export interface HeatFigure extends Layouts<HeatLayout> {
  map: HeatMap;
}
export interface RangeFigure extends Layouts<RangeLayout> {
  ranges: RangeChart;
}
export type Figure = LineFigure | HeatFigure | RangeFigure;

/** SVG text. */
export interface DrawnFigure {
  wide: string;
  narrow: string;
}

export async function drawFigure(figure: Figure): Promise<DrawnFigure> {
  if ('map' in figure)
    return { wide: await renderHeatMap(figure.map, figure.wide), narrow: await renderHeatMap(figure.map, figure.narrow) };
  if ('ranges' in figure) {
    return { wide: await renderRangeChart(figure.ranges, figure.wide), narrow: await renderRangeChart(figure.ranges, figure.narrow) };
  }
  return { wide: await renderChart(figure.chart, figure.wide), narrow: await renderChart(figure.chart, figure.narrow) };
}

/** The figures of a page by the names of their files, each drawn once for both. */
export class Figures<File extends string> {
  readonly #drawn: ReadonlyMap<File, DrawnFigure>;

  private constructor(drawn: ReadonlyMap<File, DrawnFigure>) {
    this.#drawn = drawn;
  }

  static async draw<File extends string>(figures: readonly (Figure & { file: File })[]): Promise<Figures<File>> {
    const drawn = new Map<File, DrawnFigure>();
    for (const figure of figures) drawn.set(figure.file, await drawFigure(figure));
    return new Figures(drawn);
  }

  /** The figure for the page, nothing where there is none. @param captionHtml markup */
  show(file: File, captionHtml: string): string {
    const drawn = this.#drawn.get(file);
    if (drawn === undefined) return '';
    return renderFigure(drawn, captionHtml);
  }

  /** The SVG files by their names. */
  files(): Map<File, string> {
    return new Map([...this.#drawn].map(([file, { wide }]) => [file, standaloneSvg(wide)]));
  }
}

/** @param captionHtml markup */
export function renderFigure({ wide, narrow }: DrawnFigure, captionHtml: string): string {
  return `<figure>
<div class="wide">${wide}</div>
<div class="narrow">${narrow}</div>
<figcaption>${captionHtml}</figcaption>
</figure>`;
}
