import { Adam, Parameter, SGD, Tensor } from '../../lib/index';
import { findingsOf } from '../../lib/study/findings';
import { meanFieldRate } from '../../lib/study/mean-field';
import { renderStudy } from '../../lib/study/page';
import { formatStudy } from '../../lib/study/terminal';
import { expectWellFormed } from '../report/well-formed';
import { depthDesign, studyResults } from './synthetic';

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
    expect(first).toContain(
      '<h1>LayerNorm after an RNN does not make its gradients explode; before the activation or on the state it can</h1>',
    );
    expect(first).toContain('with 256 units, PyTorch’s start and standard normal input by +0.020 ± 0.005 per step back');
    // The map, wide and narrow: a cell for each place, start and size that is shown, in bold those that grow.
    const maps = first.match(/<svg.*?<\/svg>/gs) ?? [];
    for (const svg of maps) expect(svg.match(/ rx="2"/g)).toHaveLength(24);
    const bold = maps.map((svg) =>
      [...svg.matchAll(/font-weight="600"[^>]*>([^<]*)</g)].map((match) => match[1]).filter((text) => /\d{2}$/.test(text ?? '')),
    );
    expect(bold).toEqual(
      [['+0.020', '+0.020', '+0.070'].toSorted(), ['+.02', '+.02', '+.07'].toSorted()].map((list) => expect.arrayContaining(list)),
    );
  });

  test('shows theory beside measurement, and every cell of the grid', () => {
    const section = page.slice(page.indexOf('Theory and measurement'), page.indexOf('What the text claims'));
    expect(section).toContain('differ by at most 0.002 in 6 cells');
    const table = section.slice(section.indexOf('<table'));
    expect(table.match(/<tr><(?:th scope="row"|td)>/g)).toHaveLength(studyResults().grid.cells.length);
    expect(table.indexOf('+0.070')).toBeLessThan(table.indexOf('+0.020'));
  });

  test('its numbers of theory are those of theory', () => {
    const section = page.slice(page.indexOf('Theory and measurement'), page.indexOf('What the text claims'));
    const said = [/χ goes to ([\d.]+) whatever/, /and χ is ([\d.]+), unless/].map((pattern) => pattern.exec(section)?.[1]);
    const many = { inputSize: 10, hiddenSize: 1e9, nonlinearity: 'tanh', recurrentVariance: 1 / 3 } as const;
    const chi = (placement: 'preactivation' | 'split-preactivation', inputScale: number) =>
      Math.exp(2 * meanFieldRate({ ...many, placement, inputScale })).toFixed(2);
    expect(said).toEqual([chi('preactivation', 1), chi('split-preactivation', 1e5)]);
  });

  test('its words on optimisers hold: Adam’s step does not depend on the size of gradients, SGD’s is as long', () => {
    expect(page).toContain('A step of SGD is as long as the gradient, while Adam divides each gradient by its own running size');
    const stepOf = (Optimizer: typeof Adam | typeof SGD, factor: number) => {
      const parameter = new Parameter('w', Tensor.zeros([3], { dtype: 'float64' }));
      const optimizer = new Optimizer([parameter], { learningRate: 0.1 });
      for (const gradient of [
        [1, -2, 3],
        [2, 1, -5],
      ]) {
        parameter.grad.data.set(gradient.map((value) => factor * value));
        optimizer.step();
      }
      return Array.from(parameter.value.data);
    };
    for (const [i, step] of stepOf(Adam, 1000).entries()) expect(step).toBeCloseTo(stepOf(Adam, 1)[i] as number, 7);
    for (const [i, step] of stepOf(SGD, 1000).entries()) expect(step).toBeCloseTo(1000 * (stepOf(SGD, 1)[i] as number), 7);
  });

  test('of one size in detail it says how far rates and exponents lie apart, and which places lose a direction', async () => {
    const section = (text: string) => text.slice(text.indexOf('One size in detail'), text.indexOf('The reference set-up'));
    expect(section(page)).toContain('over these 200 steps the two differ by at most 0.000.');
    expect(section(page)).not.toContain('altogether');
    const [calm, normed] = [depthDesign('none', 'uniform', -0.1), depthDesign('hidden', 'uniform', -0.2)];
    const spectra = normed.spectra.map(({ exponents, ...rest }) => ({ ...rest, exponents: [-0.21, ...exponents.slice(2), -Infinity] }));
    const designs = [calm, { ...normed, spectra }];
    const lost = await renderStudy(studyResults({ depth: { ...studyResults().depth, designs } }));
    expect(section(lost.page)).toContain('differ by at most 0.010.');
    expect(section(lost.page)).toContain('in 1 of 2 designs (hidden) the last exponent is −∞');
  });

  test('why a LayerNorm after the RNN is not multiplied over time is said with what it does to the rates', () => {
    expect(page).toContain('with it the rate differs from that without by more than 0.001 per step in 0 of 5 designs.');
  });

  test('of a cell with gates there is no theory, and of a GRU what is fed back is no twin of the state', async () => {
    const { grid } = studyResults();
    const ofCell = async (cell: 'lstm' | 'gru') => (await renderStudy(studyResults({ grid: { ...grid, cell }, findings: [] }))).page;
    const [lstm, gru] = [await ofCell('lstm'), await ofCell('gru')];
    for (const other of [lstm, gru]) expect(/χ|theory|tanh and T/.exec(other)?.[0]).toBeUndefined();
    expect([lstm, gru].map((other) => other.includes('are one recurrence'))).toEqual([true, false]);
    expect(lstm).toContain('<li>After the LSTM: gradients grow');
  });

  test('has a row for each claim, with its verdict, and says what the text gets right', () => {
    const { findings } = studyResults();
    const table = page.slice(page.indexOf('aria-label="Claims"'), page.indexOf('What the text gets right'));
    expect(findings).toHaveLength(10);
    expect(table.match(/<q>/g)).toHaveLength(findings.length);
    expect(table.match(/<strong class="(good|part|bad)">(Holds|Does not hold|Not tested by)/g)).toHaveLength(findings.length);
    expect(page).toContain('by up to +0.070 ± 0.005 per step');
  });

  test('has a row for each regime and system, for each training, and for each design', () => {
    const rows = (caption: string) =>
      page
        .slice(page.indexOf(`<table aria-label="${caption}`))
        .split('</table>')[0]
        ?.match(/<tr><(?:th scope="row"|td)>/g)?.length;
    expect(rows('The gradient norm over training')).toBe(studyResults().regimes.runs.length);
    expect(rows('LayerNorm on the state, W_hh')).toBe(2);
    expect(rows('Every design')).toBe(24);
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
  const { reference, grid, regimes, depth, clipTrials, clipping, series } = studyResults();
  const referenceFiles = ['loss.svg', 'gradient-norm.svg', 'gradient-norm-per-parameter.svg'];
  const gridFiles = ['growth-rates.svg', 'mean-field.svg'];
  const depthFiles = ['gradients-through-time.svg', 'lyapunov-spectra.svg'];
  const seriesFiles = ['forecast.svg', 'validation-error.svg', 'series-gradient-norm.svg'];

  test.each([
    [0, 0, 0, 0, 0, []],
    [1, 0, 0, 0, 0, referenceFiles],
    [8, 12, 0, 0, 0, [...referenceFiles, ...gridFiles]],
    [8, 30, 6, 1, 0, [...referenceFiles, ...gridFiles, ...depthFiles, 'clip-threshold.svg']],
    [8, 30, 24, 4, 2, [...referenceFiles, ...gridFiles, ...depthFiles, 'clip-threshold.svg', ...seriesFiles]],
  ])(
    'with %p systems, %p cells, %p designs, %p rules and %p forecasts shows these',
    async (systems, cells, designs, rules, forecasts, files) => {
      const parts = {
        reference: { ...reference, systems: reference.systems.slice(0, systems) },
        grid: { ...grid, cells: grid.cells.slice(0, cells) },
        regimes: { ...regimes, runs: systems < 8 ? [] : regimes.runs },
        depth: { ...depth, designs: depth.designs.slice(0, designs) },
        clipTrials: { ...clipTrials, trials: rules === 0 ? [] : clipTrials.trials },
        clipping: { ...clipping, rules: clipping.rules.slice(0, rules) },
      };
      const results = studyResults({
        interrupted: true,
        ...parts,
        findings: findingsOf(parts),
        series: { ...series, systems: series.systems.slice(0, forecasts) },
      });
      const { page, charts } = await renderStudy(results);
      expect([...charts.keys()].sort()).toEqual([...files].sort());
      const count =
        systems +
        cells +
        designs +
        rules +
        forecasts +
        (systems < 8 ? 0 : regimes.runs.length) +
        (rules === 0 ? 0 : clipTrials.trials.length);
      const words = `Interrupted: ${count} run${count === 1 ? '' : 's'} had finished`;
      expect(page).toContain(words);
      expect(formatStudy(results)).toContain(words);
      expect(page).not.toMatch(/NaN|undefined|Infinity/);
      expect(formatStudy(results)).not.toMatch(/NaN|undefined|Infinity/);
    },
  );
});
