import { renderStudy } from '../../lib/study/page';
import type { StudyResults } from '../../lib/study/results';
import { formatStudy } from '../../lib/study/terminal';
import { expectWellFormed } from '../report/well-formed';
import { studyResults } from './synthetic';

describe('the page', () => {
  test('stands on its own: no script, and nothing to load', async () => {
    const { page } = await renderStudy(studyResults());
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).not.toMatch(/<(script|link|img|iframe|object|embed)\b/);
    expect(page).not.toMatch(/\b(src|srcset|poster|data)=|url\(|@import|\bon\w+=/);
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:/);
  });

  test('links to the files that are written beside it, and to nothing else', async () => {
    const { page, charts } = await renderStudy(studyResults());
    const links = [...page.matchAll(/href="([^"]*)"/g)].map((match) => match[1]);
    expect(links).toEqual(['results.json', ...charts.keys()]);
    for (const svg of charts.values()) expectWellFormed(svg.trim());
  });

  test('says on its first screen what was found, before anything else', async () => {
    const { page } = await renderStudy(studyResults());
    const first = page.slice(page.indexOf('<main>'), page.indexOf('<section>'));
    expect(first).toContain('<h1>LayerNorm after the RNN did not make gradients explode</h1>');
    expect(first).toContain('never acted');
    expect(first.match(/<tr>/g)).toHaveLength(5);
  });

  test('gives every chart a text alternative', async () => {
    const { page, charts } = await renderStudy(studyResults());
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

  test('shows test errors against the better baseline', async () => {
    const { page } = await renderStudy(studyResults());
    expect(page).toContain('<td class="number">−50.0 %</td>');
    expect(page).toContain('<td class="number">+100.0 %</td>');
  });
});

describe('an interrupted study', () => {
  const { reference, series } = studyResults();
  const stopped = (referenceRuns: number, seriesRuns: number): StudyResults =>
    studyResults({
      interrupted: true,
      reference: { ...reference, systems: reference.systems.slice(0, referenceRuns) },
      findings: [],
      series: { ...series, systems: series.systems.slice(0, seriesRuns) },
    });

  test.each([
    [0, 0, []],
    [1, 0, ['loss.svg', 'gradient-norm.svg', 'gradient-norm-per-parameter.svg']],
    [
      4,
      2,
      [
        'loss.svg',
        'gradient-norm.svg',
        'gradient-norm-per-parameter.svg',
        'forecast.svg',
        'validation-error.svg',
        'series-gradient-norm.svg',
      ],
    ],
  ])('with %p and %p finished runs shows these', async (referenceRuns, seriesRuns, files) => {
    const results = stopped(referenceRuns, seriesRuns);
    const { page, charts } = await renderStudy(results);
    expect([...charts.keys()]).toEqual(files);
    expect(page).toContain(`Interrupted: ${referenceRuns + seriesRuns} of 8 runs had finished`);
    expect(formatStudy(results)).toContain(`Interrupted: ${referenceRuns + seriesRuns} of 8 runs`);
    expect(page).not.toMatch(/NaN|undefined/);
    expect(formatStudy(results)).not.toMatch(/NaN|undefined/);
  });
});
