import { type Chart, renderChart } from '../../lib/report/chart';
import { standaloneSvg } from '../../lib/report/svg';
import { looks, surface } from '../../lib/report/theme';
import { contrast } from './contrast';
import { expectWellFormed } from './well-formed';

const layout = { width: 400, panelHeight: 200, columns: 2 };

function chartOf(overrides: Partial<Chart> = {}): Chart {
  const points = [1, 2, 3].map((x) => ({ x, y: x * x }));
  const lines = [
    { name: 'wide', look: 'amber' as const, points },
    { name: 'dashed', look: 'violet' as const, points },
  ];
  return { description: 'a chart', xLabel: 'step', yLabel: 'norm', yScale: 'log', panels: [{ lines }], ...overrides };
}

/** The path data of all lines of one look. */
function pathsOf(svg: string, look: keyof typeof looks): string[] {
  const group = svg.match(new RegExp(`<g[^>]*stroke="${looks[look].light}"[^>]*>.*?</g>`, 'g')) ?? [];
  return group.flatMap((lines) =>
    [...lines.matchAll(/<path[^>]* d="([^"]*)"|<path d="([^"]*)"/g)].map((match) => match[1] ?? match[2] ?? ''),
  );
}

describe('renderChart', () => {
  test('spaces lengths by their ratios on a logarithmic x axis', async () => {
    const lines = [{ name: 'line', look: 'blue' as const, points: [10, 100, 1000].map((x) => ({ x, y: x })) }];
    const xOf = async (xScale: 'linear' | 'log') => {
      const [path = ''] = pathsOf(await renderChart(chartOf({ xScale, panels: [{ lines }] }), layout), 'blue');
      return [...path.matchAll(/[ML]([\d.]+)/g)].map((match) => Number(match[1]));
    };
    const [a = 0, b = 0, c = 0] = await xOf('log');
    expect((c - b) / (b - a)).toBeCloseTo(1, 2);
    const [d = 0, e = 0, f = 0] = await xOf('linear');
    expect((f - e) / (e - d)).toBeCloseTo(10, 1);
  });

  test('labels a time axis by dates, and spaces times by how far they are apart', async () => {
    const days = ['2024-01-01', '2024-01-02', '2024-03-01'].map((day, y) => ({ x: Date.parse(day), y }));
    const svg = await renderChart(
      chartOf({ xScale: 'time', yScale: 'linear', panels: [{ lines: [{ name: 'line', look: 'blue', points: days }] }] }),
      {
        ...layout,
        columns: 1,
      },
    );
    // Sundays, and the month where it changes.
    const labels = [...svg.matchAll(/>(\d+|[A-Z][a-z]{2})<\/t/g)].map((match) => match[1]);
    expect(labels.slice(3)).toEqual(['7', 'Jan', '14', '21', '28', '4', 'Feb', '11', '18', '25']);
    const [a = 0, b = 0, c = 0] = [...(pathsOf(svg, 'blue')[0] ?? '').matchAll(/[ML]([\d.]+)/g)].map((match) => Number(match[1]));
    expect((c - b) / (b - a)).toBeCloseTo(59, 0);
  });

  test('draws every line with its colour, width and dash, the later over the earlier', async () => {
    const svg = await renderChart(chartOf(), layout);
    expectWellFormed(svg);
    expect(pathsOf(svg, 'amber')).toHaveLength(1);
    expect(pathsOf(svg, 'violet')).toEqual(pathsOf(svg, 'amber'));
    expect(svg).toMatch(
      new RegExp(
        `stroke-dasharray="${looks.violet.dash}"[^>]*stroke="${looks.violet.light}"|stroke="${looks.violet.light}"[^>]*stroke-dasharray`,
      ),
    );
    const lines = svg.indexOf('class="line"');
    expect(svg.indexOf(looks.amber.light, lines)).toBeLessThan(svg.indexOf(looks.violet.light, lines));
  });

  test('names each line once in the legend, however many panels show it', async () => {
    const { panels } = chartOf();
    const svg = await renderChart(
      chartOf({ panels: [...panels, ...panels, ...panels].map((panel, i) => ({ ...panel, title: `panel ${i}` })) }),
      layout,
    );
    expect(svg.match(/>dashed</g)).toHaveLength(1);
    for (const title of ['panel 0', 'panel 1', 'panel 2']) expect(svg).toContain(`>${title}<`);
    expect(pathsOf(svg, 'amber').filter((path) => path !== '')).toHaveLength(3);
  });

  test.each(['log', 'linear'] as const)('leaves gaps for what a %s axis cannot show', async (yScale) => {
    const ys = [1, 2, Number.NaN, 4, 5, Infinity, 7, 8];
    const lines = [{ name: 'gaps', look: 'blue' as const, points: ys.map((y, x) => ({ x, y })) }];
    const svg = await renderChart(chartOf({ yScale, panels: [{ lines }] }), layout);
    expect(svg).not.toMatch(/NaN|Infinity/);
    expect(pathsOf(svg, 'blue').join('').match(/M/g)).toHaveLength(3);
  });

  test('zeros and negative values are gaps on a logarithmic axis', async () => {
    const lines = [{ name: 'gaps', look: 'blue' as const, points: [1, 2, 0, 3, 4, -1, 5, 6].map((y, x) => ({ x, y })) }];
    const svg = await renderChart(chartOf({ panels: [{ lines }] }), layout);
    expect(pathsOf(svg, 'blue').join('').match(/M/g)).toHaveLength(3);
  });

  test('draws a line of one point, and lines without any', async () => {
    const line = (points: { x: number; y: number }[]) => [{ lines: [{ name: 'short', look: 'blue' as const, points }] }];
    expect(await renderChart(chartOf({ panels: line([{ x: 1, y: 2 }]) }), layout)).toContain('<marker');
    for (const points of [[], [{ x: 1, y: 0 }]]) expectWellFormed(await renderChart(chartOf({ panels: line(points) }), layout));
  });

  test('labels a threshold and keeps it in sight', async () => {
    const svg = await renderChart(chartOf({ levels: [{ y: 1000, label: 'limit' }] }), layout);
    expect(svg).toContain('>limit<');
    expect(svg).toContain('>1000<');
  });

  test('hostile names are text', async () => {
    const name = `<script>"&'\u0000\u001b`;
    const lines = [{ name, look: 'blue' as const, points: [{ x: 1, y: 1 }] }];
    const svg = standaloneSvg(
      await renderChart(chartOf({ description: name, xLabel: name, yLabel: name, panels: [{ title: name, lines }] }), layout),
    );
    expectWellFormed(svg.trim());
    expect(svg).not.toContain('<script');
    expect(svg).not.toContain('\u001b');
  });
});

describe('bands', () => {
  const banded = (lows: (number | undefined)[], highs: (number | undefined)[]) => {
    const points = lows.map((low, i) => ({ x: i, y: 10, low, high: highs[i] }));
    const plain = { name: 'plain', look: 'blue' as const, points: points.map(({ x, y }) => ({ x, y })) };
    return chartOf({ panels: [{ lines: [{ name: 'banded', look: 'amber' as const, points }, plain] }] });
  };
  const bandsOf = (svg: string) => svg.match(/<g[^>]*class="area".*?<\/g>/gs) ?? [];

  test('lie under all lines, in the colour of their own, and none where there is none', async () => {
    const svg = await renderChart(banded([5, 4, 3], [20, 30, 40]), layout);
    expectWellFormed(svg);
    expect(bandsOf(svg)).toHaveLength(1);
    expect(bandsOf(svg)[0]).toContain(`fill="${looks.amber.light}"`);
    expect(svg.indexOf('class="area"')).toBeLessThan(svg.indexOf('class="line"'));
    expect(bandsOf(await renderChart(chartOf(), layout))).toEqual([]);
  });

  test('reach from low to high, around the line, within the axis', async () => {
    const svg = await renderChart(banded([1, 1, 1], [100, 100, 100]), layout);
    const heights = [...(bandsOf(svg)[0] ?? '').matchAll(/[ML,](-?[\d.]+),(-?[\d.]+)/g)].map((match) => Number(match[2]));
    const [, line = Number.NaN] = (pathsOf(svg, 'amber')[0] ?? '').match(/M[\d.]+,([\d.]+)/)?.map(Number) ?? [];
    const [top, bottom] = [Math.min(...heights), Math.max(...heights)];
    // y = 10 stands in the middle of 1 … 100 on a logarithmic axis.
    expect((top + bottom) / 2).toBeCloseTo(line, 1);
    expect(bottom - top).toBeGreaterThan(100);
    expect(top).toBeGreaterThan(0);
  });

  test('are gaps where an end cannot be drawn', async () => {
    const svg = await renderChart(banded([1, 0, Number.NaN, undefined, 2, 2], [5, 5, 5, 5, Infinity, 5]), layout);
    expect(svg.replaceAll(/>[^<]*</g, '><')).not.toMatch(/NaN|Infinity/);
    expect(bandsOf(svg)).toHaveLength(1);
  });
});

test('a chart on its own knows its dark colours and its surroundings', async () => {
  const svg = standaloneSvg(await renderChart(chartOf(), layout));
  expectWellFormed(svg.trim());
  expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  expect(svg).toContain('viewBox="-12 -12 424 ');
  expect(svg).toContain('prefers-color-scheme:dark');
  expect(svg).toContain(`[stroke="${looks.amber.light}"]{stroke:${looks.amber.dark}}`);
});

test('lines can be told apart without colour', () => {
  const kinds = Object.values(looks).map(({ dash, width }: { dash?: string; width: number }) => `${dash} ${width}`);
  expect(new Set(kinds).size).toBe(kinds.length);
});

test.each(['light', 'dark'] as const)('lines stand out from the %s surface, and violet from amber under it', (mode) => {
  for (const look of Object.values(looks)) expect(contrast(look[mode], surface[mode])).toBeGreaterThanOrEqual(3);
  expect(contrast(looks.violet[mode], looks.amber[mode])).toBeGreaterThanOrEqual(2.4);
});
