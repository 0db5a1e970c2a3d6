import { chartFiles } from '../../lib/study/charts';
import { renderStudy } from '../../lib/study/page';
import type { StudyResults } from '../../lib/study/results';
import { formatStudy } from '../../lib/study/terminal';
import { expectWellFormed } from '../report/well-formed';
import { studyResults } from './synthetic';

describe('the page', () => {
  let page = '';
  let charts = new Map<string, string>();
  beforeAll(async () => {
    ({ page, charts } = await renderStudy(studyResults()));
  });

  test('stands on its own: no script, and nothing to load', () => {
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).not.toMatch(/<(script|link|img|iframe|object|embed)\b/);
    expect(page).not.toMatch(/\b(src|srcset|poster|data)=|url\(|@import|\bon\w+=/);
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:/);
  });

  test('links to the files that are written beside it, and to nothing else', () => {
    const links = [...page.matchAll(/href="([^"]*)"/g)].map((match) => match[1]);
    expect(links).toEqual(['results.json', ...charts.keys()]);
    for (const svg of charts.values()) expectWellFormed(svg.trim());
  });

  test('says on its first screen what was found, before anything else', () => {
    const first = page.slice(page.indexOf('<main>'), page.indexOf('<section>'));
    expect(first).toContain('<h1>Gradients can explode with LayerNorm on the state, not with LayerNorm after the RNN</h1>');
    expect(first).toContain('1 explodes: hidden with orthogonal ×1.5');
    expect(first).toContain('never acted');
    // The heat map, wide and narrow: a cell for each design, and of these the one that explodes in bold.
    const maps = first.match(/<svg.*?<\/svg>/gs) ?? [];
    for (const svg of maps) expect(svg.match(/ rx="2"/g)).toHaveLength(28);
    const heading = 'Growth of ln‖∂L/∂h_t‖ per step back in time';
    expect(maps.map((svg) => [...svg.matchAll(/font-weight="600"[^>]*>([^<]*)</g)].map((match) => match[1]))).toEqual([
      ['+0.100 ± 0.003', 'explodes, 880 steps', heading],
      ['+0.100', '± 0.003', 'explodes', heading],
    ]);
  });

  test('has a row for each claim, with its verdict', () => {
    const { findings } = studyResults();
    const table = page.slice(page.indexOf('aria-label="Claims"'), page.indexOf('Why nothing is multiplied'));
    expect(findings).toHaveLength(12);
    expect(table.match(/<q>/g)).toHaveLength(findings.length);
    expect(table.match(/<strong class="(good|part|bad)">(Holds|Does not hold|Not tested by)/g)).toHaveLength(findings.length);
  });

  test('has a row for each design, the fastest growth first', () => {
    const table = page.slice(page.indexOf('aria-label="Every design'), page.indexOf('Clipping where'));
    const names = [...table.matchAll(/<\/svg>([^<]*)</g)].map((match) => match[1]);
    expect(names).toHaveLength(28);
    expect(names[0]).toBe('hidden, orthogonal ×1.5');
    expect(table.indexOf('+0.100')).toBeLessThan(table.indexOf('−0.010'));
    // The largest exponent, with the error of three seeds that agree.
    expect(table).toContain('+0.100 ± 0.002');
  });

  test('gives every chart a text alternative', () => {
    const figures = page.match(/<figure>.*?<\/figure>/gs) ?? [];
    expect(figures).toHaveLength(charts.size);
    for (const figure of figures) {
      expect(figure.match(/role="img"/g)).toHaveLength(2);
      expect(figure.match(/<svg[^>]* aria-label="[^"]{20,}"/g)).toHaveLength(2);
      expect(figure).toMatch(/<figcaption>.+<\/figcaption>/s);
    }
  });

  test('takes names from a hostile file for text', async () => {
    const name = `</code><script>alert("x")</script>&'\u001b[2J`;
    const { series } = studyResults();
    const results = studyResults({ series: { ...series, source: name, columns: [name, 'b'], target: name } });
    const { page, charts } = await renderStudy(results);
    for (const text of [page, ...charts.values()]) {
      expect(text).not.toContain('<script');
      expect(text).not.toContain('\u001b');
    }
    expect(page).toContain('&lt;script&gt;');
    for (const svg of charts.values()) expectWellFormed(svg.trim());
    expect(formatStudy(results)).not.toContain('\u001b');
  });

  test('shows test errors against the better baseline', () => {
    expect(page).toContain('<td class="number">−50.0 %</td>');
    expect(page).toContain('<td class="number">+100.0 %</td>');
  });
});

describe('an interrupted study', () => {
  const { reference, depth, clipping, series } = studyResults();
  const stopped = (referenceRuns: number, designs: number, rules: number, seriesRuns: number): StudyResults =>
    studyResults({
      interrupted: true,
      reference: { ...reference, systems: reference.systems.slice(0, referenceRuns) },
      depth: { ...depth, designs: depth.designs.slice(0, designs) },
      clipping: { ...clipping, rules: clipping.rules.slice(0, rules) },
      findings: [],
      series: { ...series, systems: series.systems.slice(0, seriesRuns) },
    });
  const referenceFiles = ['loss.svg', 'gradient-norm.svg', 'gradient-norm-per-parameter.svg'];
  const depthFiles = chartFiles.filter((file) => !referenceFiles.includes(file)).slice(0, -4);
  const seriesFiles = ['forecast.svg', 'validation-error.svg', 'series-gradient-norm.svg'];

  test.each([
    [0, 0, 0, 0, []],
    [1, 0, 0, 0, referenceFiles],
    [8, 7, 0, 0, [...referenceFiles, ...depthFiles]],
    [8, 28, 1, 0, [...referenceFiles, ...depthFiles, 'clip-threshold.svg']],
    [8, 28, 4, 2, [...referenceFiles, ...depthFiles, 'clip-threshold.svg', ...seriesFiles]],
  ])('with %p, %p, %p and %p finished runs shows these', async (referenceRuns, designs, rules, seriesRuns, files) => {
    const results = stopped(referenceRuns, designs, rules, seriesRuns);
    const { page, charts } = await renderStudy(results);
    expect([...charts.keys()].sort()).toEqual([...files].sort());
    const words = `Interrupted: ${referenceRuns + designs + rules + seriesRuns} of 48 runs had finished`;
    expect(page).toContain(words);
    expect(formatStudy(results)).toContain(words);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
    expect(formatStudy(results)).not.toMatch(/NaN|undefined|Infinity/);
  });
});
