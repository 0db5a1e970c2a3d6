/** Pages as a browser lays them out, on a desktop and on a phone; skipped where there is no Chromium. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBench } from '../../lib/bench/compare';
import { renderBench } from '../../lib/bench/page';
import { renderStudy } from '../../lib/study/page';
import { checkDefinition } from '../../lib/sweep/definition';
import { trialsOf } from '../../lib/sweep/grid';
import { type Measures, measureNames } from '../../lib/sweep/measures';
import { renderSweep } from '../../lib/sweep/report';
import type { TrialRecord } from '../../lib/sweep/store';
import { trialHash } from '../../lib/sweep/trial';
import { renderTraining } from '../../lib/training/page';
import type { History } from '../../lib/training/records';
import { root } from '../docs/documents';
import { studyResults } from '../study/synthetic';

const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));

/** Runs in the page: what does not fit. */
const findFaults = `
const faults = [];
if (document.documentElement.scrollWidth > innerWidth) faults.push('the page is wider than the screen');
for (const svg of document.querySelectorAll('svg.chart')) {
  const box = svg.getBoundingClientRect();
  if (box.width === 0) continue;
  for (const text of svg.querySelectorAll('text')) {
    const { left, right } = text.getBoundingClientRect();
    if (left < box.left - 2 || right > box.right + 2) faults.push('cut in a chart: ' + text.textContent);
  }
}
for (const part of document.querySelectorAll('.stack, .scroll')) {
  const isCut = part.scrollWidth > part.clientWidth + 1;
  if (isCut && part.className === 'stack') faults.push('cut: ' + part.getAttribute('aria-label'));
  if (isCut && !getComputedStyle(part).backgroundImage.includes('gradient')) faults.push('cut without a hint: ' + part.getAttribute('aria-label'));
}
parent.postMessage(JSON.stringify([innerWidth, ...new Set(faults)]), '*');`;

function faultsOf(html: string, width: number): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-browser-'));
  try {
    // In a frame: no window is narrower than 500 pixels.
    const frame = `<title></title><script>onmessage = ({ data }) => { document.title = data; };</script><iframe src="page.html" width="${width}" height="900" style="border:0">`;
    writeFileSync(join(folder, 'frame.html'), frame);
    writeFileSync(join(folder, 'page.html'), html.replace('</body>', `<script>${findFaults}</script></body>`));
    const quiet = [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ];
    const shown = execFileSync(
      chromium as string,
      [
        '--headless',
        '--no-sandbox',
        ...quiet,
        `--user-data-dir=${join(folder, 'profile')}`,
        '--window-size=1400,900',
        '--virtual-time-budget=2000',
        '--dump-dom',
        `file://${folder}/frame.html`,
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 2 ** 28, timeout: 140_000 },
    );
    const [inner, ...faults] = JSON.parse(
      /<title>(.*?)<\/title>/.exec(shown)?.[1]?.replaceAll('&amp;', '&').replaceAll('&lt;', '<') ?? '[]',
    );
    expect(inner).toBe(width);
    return faults;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function sweepPage(): Promise<string> {
  const placements = ['none', 'input', 'output', 'preactivation', 'split-preactivation', 'recurrent-input', 'hidden'];
  const { grid } = checkDefinition({ lengths: [10, 50, 100, 500, 1000, 5000, 10_000], placements, gains: [1, 1.5] }, '.');
  const numbers = Object.fromEntries(measureNames.map((name) => [name, -1.2345])) as unknown as Measures;
  const records = [...trialsOf(grid)].map((trial, i): TrialRecord => {
    const shared = { hash: trialHash(trial, '1'), trial, finished: '', attempts: 1 };
    if (i % 10 === 0)
      return { ...shared, status: 'failed', reason: 'its process was killed by SIGKILL, as the system does when memory runs out' };
    const verdict = i % 3 === 0 ? 'exploding' : 'vanishing';
    const states = i % 7 === 0 ? { largestState: 3.9e32, statesGrewAt: 41 } : { largestState: 1, statesGrewAt: null };
    const measures: Measures = { ...numbers, verdict, horizon: 123_456, divergedAt: null, ...states };
    const cost = { seconds: 2, stepsPerSecond: 50, peakMemoryBytes: 2 ** 27 };
    return { ...shared, status: 'done', measures, cost, cpuKind: { cpu: 'a processor', simdTarget: 'AVX2', blas: 'a BLAS' } };
  });
  return renderSweep({ version: '1', sweepId: '', grid, records: new Map(records.map((record) => [record.hash, record])) });
}

/** Of 900 steps in 60 epochs, with numbers of any size. */
async function trainingPage(): Promise<string> {
  const list = <T>(value: (i: number) => T) => Array.from({ length: 900 }, (_, i) => value(i));
  const growth = (growthRate: number) => ({ name: 'encoder.l1_reverse', growthRate, growthRateError: 0.01 });
  const history = {
    loss: list((i) => 1e-3 + 10 ** (3 - i / 100)),
    gradNorm: list((i) => 1e5 / (i + 1)),
    clippedGradNorm: list((i) => Math.min(1, 1e5 / (i + 1))),
    clipThreshold: list(() => 1),
    clipped: list(() => true),
    skipped: list((i) => i === 5),
    learningRate: list((i) => 1e-5 * (900 - i)),
    largestState: list((i) => 1 + i * 1e4),
    warnings: [{ message: 'step 3: the states of the layer "encoder" grow: '.repeat(4) }],
    gradientFlow: [1, 301, 601].map((step) => ({
      step: 1_000_000 + step,
      layers: [growth(step / 1e4), { ...growth(-0.2), name: 'decoder' }],
    })),
    epochs: Array.from({ length: 60 }, (_, i) => {
      const validation = { loss: 1e-7 * i, mae: 123_456.789, meanAbsolutePercentageError: 0.5 };
      return { epoch: i + 1, step: 1_000_000 + 15 * (i + 1), loss: 1234.5678, learningRate: 1e-5, validation };
    }),
    best: { epoch: 41, step: 615, value: 1e-9 },
    end: 'patience',
  } as unknown as History;
  return renderTraining(history, { lastStep: 1_000_900, facts: [['Parameters', '1234567 trained']] });
}

const pages: [string, () => Promise<string>][] = [
  ['a training', trainingPage],
  ['the sweep', sweepPage],
  ['the study', async () => (await renderStudy(studyResults())).page],
  ['the benchmark', async () => (await renderBench(readBench(join(root, 'bench/results/2026-11-26-epyc-zen4.json')))).page],
];

(chromium === undefined ? describe.skip : describe)('nothing is cut, or it is shown where it goes on, on', () => {
  test.each(pages)('the page of %s', async (_, render) => {
    const html = await render();
    expect([faultsOf(html, 1280), faultsOf(html, 390)]).toEqual([[], []]);
  });

  test('a page that does not fit, which this finds', () => {
    const wide =
      '<body><div style="width:500px">a</div><div class="scroll" style="overflow:auto"><div style="width:999px">b</div></div></body>';
    expect(faultsOf(wide, 390)).toEqual(['the page is wider than the screen', 'cut without a hint: null']);
  });
});
