import { type RangeChart, type RangeLayout, type RangeRow, renderRangeChart } from '../../lib/report/range-chart';
import { standaloneSvg } from '../../lib/report/svg';
import { looks } from '../../lib/report/theme';
import { expectWellFormed } from './well-formed';

const layout: RangeLayout = { width: 600, labels: 'beside' };

function rowOf(value: number, overrides: Partial<RangeRow['marks'][number]> = {}): RangeRow {
  return {
    label: `row ${value}`,
    text: `${value} ms`,
    marks: [{ name: 'time', look: 'slate', value, low: value / 2, high: 2 * value, ...overrides }],
  };
}

function chartOf(rows: RangeRow[], overrides: Partial<RangeChart> = {}): RangeChart {
  return { description: 'a chart', xLabel: 'time', groups: [{ rows }], ...overrides };
}

/** x of every dot, in the order of drawing. */
function dotsOf(svg: string): number[] {
  const group = svg.match(/<g[^>]* class="dot".*?<\/g>/s)?.[0] ?? '';
  return [...group.matchAll(/ cx="([^"]*)"/g)].map((match) => Number(match[1]));
}

function numbers(svg: string, element: RegExp): number[] {
  return [...svg.matchAll(element)].map((match) => Number(match[1]));
}

describe('renderRangeChart', () => {
  test.each(['beside', 'above'] as const)('sets equal factors equally far apart, with labels %s', async (labels) => {
    const svg = await renderRangeChart(chartOf([1, 10, 100].map((value) => rowOf(value))), { ...layout, labels });
    expectWellFormed(svg);
    const [a = 0, b = 0, c = 0] = dotsOf(svg);
    expect(b - a).toBeGreaterThan(30);
    expect(c - b).toBeCloseTo(b - a, 6);
    for (const text of ['row 1', 'row 100', '1 ms', '100 ms']) expect(svg).toContain(`>${text}<`);
  });

  test('draws the range from low to high around the value', async () => {
    const svg = await renderRangeChart(chartOf([rowOf(10)]), layout);
    const [, from = 0, to = 0] = (/class="link".*? d="M([\d.]+),[\d.]+L([\d.]+),/s.exec(svg) ?? []).map(Number);
    const [dot = 0] = dotsOf(svg);
    expect(dot - from).toBeCloseTo(to - dot, 1);
    expect(to - dot).toBeGreaterThan(10);
  });

  test('keeps a level in sight, however far from the values', async () => {
    const svg = await renderRangeChart(chartOf([rowOf(10)], { levels: [{ x: 0.001, label: 'floor' }] }), layout);
    expect(svg).toContain('>floor<');
    const [x = -1] = numbers(svg, /stroke-dasharray="6 3".*? x1="([\d.]+)"/gs);
    expect(x).toBeGreaterThan(0);
    expect(x).toBeLessThan(dotsOf(svg)[0] ?? 0);
  });

  test('draws no dot for what a logarithmic axis cannot show, but keeps its row', async () => {
    const rows = [rowOf(1), rowOf(0), rowOf(-1), rowOf(Number.NaN), rowOf(Infinity), { label: 'broken', text: 'failed', marks: [] }];
    const svg = await renderRangeChart(chartOf(rows), layout);
    expect(dotsOf(svg)).toHaveLength(1);
    expect(svg).toContain('>broken<');
    expect(svg).toContain('>failed<');
    expect(svg.replaceAll(/>[^<]*</g, '><')).not.toMatch(/NaN|Infinity/);
  });

  test('draws a value whose range is not known, and a chart without values', async () => {
    expect(dotsOf(await renderRangeChart(chartOf([rowOf(5, { low: undefined, high: Number.NaN })]), layout))).toHaveLength(1);
    for (const rows of [[], [{ label: 'none', text: '', marks: [] }]]) expectWellFormed(await renderRangeChart(chartOf(rows), layout));
  });

  test('names marks in a legend where there are several, each once', async () => {
    const rows = [1, 2].map((value) => ({
      ...rowOf(value),
      marks: [...rowOf(value).marks, { name: 'ours', look: 'blue' as const, value }],
    }));
    const both = await renderRangeChart(chartOf(rows, { xLabel: 'x' }), layout);
    for (const name of ['time', 'ours']) expect(both.match(new RegExp(`>${name}<`, 'g'))).toHaveLength(1);
    const one = await renderRangeChart(chartOf([rowOf(1)], { xLabel: 'x' }), layout);
    expect(one).not.toContain('>time<');
  });

  test('draws later marks over earlier ones, whatever their size', async () => {
    const marks = [
      { name: 'rival', look: 'slate' as const, value: 1 },
      { name: 'ours', look: 'blue' as const, value: 1, strong: true },
    ];
    for (const order of [marks, marks.toReversed()]) {
      const svg = await renderRangeChart(chartOf([{ label: 'a', text: '', marks: order }]), layout);
      const dots = svg.slice(svg.indexOf('class="dot"'));
      const at = (look: 'slate' | 'blue') => dots.indexOf(`stroke="${looks[look].light}"`);
      expect(at('slate') < at('blue')).toBe(order === marks);
    }
  });

  test('breaks a label that is wider than its column, so that the chart is as wide as asked', async () => {
    const label = 'a system with quite a long name (and a way of expressing the work), 128 threads';
    const svg = await renderRangeChart(chartOf([{ ...rowOf(1), label }]), { width: 320, labels: 'above' });
    expect(svg).toContain(' width="320"');
    expect(svg).not.toContain(`>${label}<`);
    for (const word of label.split(' ')) expect(svg).toContain(word);
  });

  test('leaves out axis labels that would run into each other', async () => {
    const wideLabels = { formatTick: (x: number) => `${x} milliseconds` };
    const ticks = (svg: string) => (svg.match(/milliseconds</g) ?? []).length;
    const rows = [rowOf(1), rowOf(50)];
    const wide = ticks(await renderRangeChart(chartOf(rows, wideLabels), { width: 1200, labels: 'above' }));
    const narrow = ticks(await renderRangeChart(chartOf(rows, wideLabels), { width: 320, labels: 'above' }));
    expect(narrow).toBeGreaterThan(0);
    expect(narrow).toBeLessThan(wide);
  });

  test('hostile names are text', async () => {
    const name = `<script>"&'\u0000\u001b`;
    const row = { label: name, text: name, marks: [1, 2].map((value) => ({ name: `${name}${value}`, look: 'blue' as const, value })) };
    const chart = { description: name, xLabel: name, groups: [{ title: name, rows: [row] }], levels: [{ x: 1, label: name }] };
    const svg = standaloneSvg(await renderRangeChart({ ...chart, formatTick: () => name }, layout));
    expectWellFormed(svg.trim());
    expect(svg).not.toContain('<script');
    expect(svg).not.toContain('\u001b');
  });
});
