import { type HeatCell, type HeatLayout, type HeatMap, renderHeatMap } from '../../lib/report/heat-map';
import { standaloneSvg } from '../../lib/report/svg';
import { diverging, looks, surface } from '../../lib/report/theme';
import { contrast } from './contrast';
import { expectWellFormed } from './well-formed';

const layout: HeatLayout = { width: 600, labels: 'beside' };
const steps = (diverging.length - 1) / 2;

function mapOf(values: number[][], overrides: Partial<HeatMap> = {}): HeatMap {
  const cell = (value: number): HeatCell => ({ value, lines: [`is ${value}`] });
  return {
    description: 'a heat map',
    heading: 'growth',
    columns: (values[0] ?? []).map((_, i) => `column ${i}`),
    rows: values.map((row, i) => ({ label: `row ${i}`, cells: row.map(cell) })),
    limit: 0.1,
    key: { negative: 'shrinks', positive: 'grows', limit: '0.1' },
    ...overrides,
  };
}

interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
  fill: string;
}

/** The cells, without the key. */
function cellsOf(svg: string): Rectangle[] {
  return [...svg.matchAll(/<rect ([^>]*)>/g)]
    .map(([, text = '']) => Object.fromEntries([...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value])))
    .filter(({ rx }) => rx !== undefined)
    .map(({ x, y, width, height, fill = '' }) => ({ x: Number(x), y: Number(y), width: Number(width), height: Number(height), fill }));
}

describe('renderHeatMap', () => {
  test.each(['beside', 'above'] as const)('draws a cell for every value, in rows and columns, with its text; labels %s', async (labels) => {
    const svg = await renderHeatMap(mapOf([[1, 2, 3], [4, 5, 6]]), { ...layout, labels }); // biome-ignore format: a table
    expectWellFormed(svg);
    const cells = cellsOf(svg);
    expect(cells).toHaveLength(6);
    for (const text of ['is 1', 'is 6', 'row 0', 'row 1', 'column 2', 'growth']) expect(svg).toContain(`>${text}<`);
    expect(new Set(cells.map(({ y }) => y)).size).toBe(2);
    expect(new Set(cells.map(({ x }) => x)).size).toBe(3);
    const height = Number(/ height="([\d.]+)"/.exec(svg)?.[1]);
    for (const { x, y, width, height: cellHeight } of cells) {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + width).toBeLessThanOrEqual(600.001);
      expect(y + cellHeight).toBeLessThanOrEqual(height);
    }
    expect(svg).toMatch(/^<svg [^>]*width="600"/);
  });

  test('shows the shorter lines of a cell where labels stand above, and only there', async () => {
    const map = mapOf([[1]], { rows: [{ label: 'row', cells: [{ value: 1, lines: ['in long'], narrowLines: ['in', 'short'] }] }] });
    const [beside, above] = [await renderHeatMap(map, layout), await renderHeatMap(map, { ...layout, labels: 'above' })];
    expect([beside.includes('>in long<'), beside.includes('>short<')]).toEqual([true, false]);
    expect([above.includes('>in long<'), above.includes('>in<'), above.includes('>short<')]).toEqual([false, true, true]);
  });

  test('colours by sign and size, the same on both sides, full from the limit on', async () => {
    const values = [-7, -0.1, -0.05, -0.01, 0, 0.01, 0.05, 0.1, Infinity];
    const cells = cellsOf(await renderHeatMap(mapOf([values]), layout));
    expect(cells.map(({ fill }) => diverging.findIndex(({ light }) => light === fill) - steps)).toEqual([-4, -4, -2, 0, 0, 0, 2, 4, 4]);
  });

  test('a value that is none has its text and no colour', async () => {
    const svg = await renderHeatMap(mapOf([[Number.NaN]]), layout);
    expect(cellsOf(svg)[0]?.fill).toBe(surface.light);
    expect(svg.replaceAll(/>[^<]*</g, '><')).not.toMatch(/NaN/);
  });

  test('makes room for cells of several lines, and prints the strong ones bold', async () => {
    const one = await renderHeatMap(mapOf([[1]]), layout);
    const rows = [{ label: 'row', cells: [{ value: 1, lines: ['+1.00', '± 0.02'], strong: true }] }];
    const two = await renderHeatMap(mapOf([[1]], { rows }), layout);
    expect(cellsOf(two)[0]?.height).toBeGreaterThan(cellsOf(one)[0]?.height ?? 0);
    expect(two).toMatch(/font-weight="600"[^>]*>± 0.02</);
    expect(one).not.toMatch(/font-weight="600"[^>]*>is 1</);
  });

  test('says what the colours mean, on a narrow screen in two lines', async () => {
    for (const width of [600, 280]) {
      const svg = await renderHeatMap(mapOf([[1]]), { width, labels: 'above' });
      expect(svg).toContain('>shrinks, −0.1 or less<');
      expect(svg).toContain('>grows, +0.1 or more<');
      for (const { light } of diverging) expect(svg).toContain(`fill="${light}"`);
    }
  });

  test('breaks the heads of narrow columns', async () => {
    const columns = ['orthogonal ×1.5', 'b', 'c', 'd'];
    const svg = await renderHeatMap(mapOf([[1, 2, 3, 4]], { columns }), { width: 350, labels: 'above' });
    expect(svg).toContain('>orthogonal<');
    expect(svg).toContain('>×1.5<');
  });

  test('draws a map without rows', async () => {
    expectWellFormed(await renderHeatMap(mapOf([]), layout));
  });

  test('hostile names are text', async () => {
    const name = `<script>"&'\u0000\u001b`;
    const rows = [{ label: name, cells: [{ value: 1, lines: [name] }] }];
    const key = { negative: name, positive: name, limit: name };
    const map = mapOf([[1]], { description: name, heading: name, columns: [name], rows, key });
    const svg = standaloneSvg(await renderHeatMap(map, layout));
    expectWellFormed(svg.trim());
    expect(svg).not.toContain('<script');
    expect(svg).not.toContain('\u001b');
  });
});

describe.each(['light', 'dark'] as const)('the %s colours', (mode) => {
  test('let ink be read on every step', () => {
    for (const step of diverging) expect(contrast(looks.ink[mode], step[mode])).toBeGreaterThanOrEqual(4.5);
  });

  test('differ from step to step, and each has a twin in the style sheet', () => {
    expect(new Set(diverging.map((step) => step[mode])).size).toBe(diverging.length);
    expect(diverging.length % 2).toBe(1);
  });
});

test('a map on its own knows its dark colours', async () => {
  const svg = standaloneSvg(await renderHeatMap(mapOf([[1, -1]]), layout));
  for (const { light, dark } of diverging) expect(svg).toContain(`[fill="${light}"]{fill:${dark}}`);
});
