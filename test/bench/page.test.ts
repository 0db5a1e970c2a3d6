import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderBench, writePage } from '../../lib/bench/page';
import type { Trial } from '../../lib/bench/protocol';
import type { TrialResult } from '../../lib/bench/results';
import { trials } from '../../lib/bench/trials';
import { expectWellFormed } from '../report/well-formed';
import { benchResults, timedCase, timing, trialResult, untimedCase, winDrawLoss } from './synthetic';

const pageOf = async (results: TrialResult[]) => (await renderBench(benchResults({ trials: results }))).page;

/** What stands before the first section. */
async function firstScreen(results: TrialResult[]): Promise<string> {
  const page = await pageOf(results);
  return page.slice(page.indexOf('<main>'), page.indexOf('<section>'));
}

/** As a reader sees it. */
const plain = (html: string) => html.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');

describe('the page', () => {
  test('stands on its own: no script, and nothing to load', async () => {
    const { page } = await renderBench(benchResults());
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).not.toMatch(/<(script|link|img|iframe|object|embed)\b/);
    expect(page).not.toMatch(/\b(src|srcset|poster|data)=|url\(|@import|\bon\w+=/);
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:/);
  });

  test('links to results.json, to its charts and to places on itself, and to nothing else', async () => {
    const { page, charts } = await renderBench(benchResults());
    const links = [...page.matchAll(/href="([^"]*)"/g)].map((match) => match[1] as string);
    expect(links.filter((link) => !link.startsWith('#'))).toEqual(['results.json', ...charts.keys()]);
    for (const link of links.filter((one) => one.startsWith('#'))) expect(page).toContain(` id="${link.slice(1)}"`);
    for (const svg of charts.values()) expectWellFormed(svg.trim());
  });

  test('has one chart per trial and two of all trials, each with a text alternative', async () => {
    const { page, charts } = await renderBench(benchResults());
    expect([...charts.keys()]).toEqual([
      'against-best-rival.svg',
      'fraction-of-floor.svg',
      'train-32-50-10-20.svg',
      'train-32-200-64-128.svg',
      'train-32-200-256-256.svg',
    ]);
    const figures = page.match(/<figure>.*?<\/figure>/gs) ?? [];
    expect(figures).toHaveLength(charts.size);
    for (const figure of figures) expect(figure.match(/<svg[^>]* aria-label="[^"]{20,}"/g)).toHaveLength(2);
  });

  test('no trials, no NaN', async () => {
    const { page, charts } = await renderBench(benchResults({ trials: [], floor: [], interrupted: true }));
    expect(charts.size).toBe(0);
    expect(page).toContain('Interrupted: only what had finished by then is here, 0 trials.');
    expect(page).not.toMatch(/NaN|undefined/);
  });
});

describe('the first screen', () => {
  test('says a win, a draw and a loss in the same words, and by how much', async () => {
    const first = await firstScreen(winDrawLoss());
    expect(first).toContain('<h1>Against the best rival, evenkeel wins 1 of 3 trials, draws 1 and loses 1</h1>');
    expect(plain(first)).toContain('Faster in 1 of 3: training step 32,50,10,20, 2.0 times as fast as JAX.');
    expect(plain(first)).toContain('A draw in 1 of 3: training step 32,200,64,128, 1.00 times as long as JAX.');
    expect(plain(first)).toContain('Slower in 1 of 3: training step 32,200,256,256, 1.50 times as long as JAX.');
    expect(first).toContain('<strong class="bad">slower</strong>, 1.50 times as long');
    expect(plain(first)).toContain('slower , 1.50 times as long 1.50 to 1.50 times over 3 rounds');
  });

  test('sums up many trials of a kind by their range', async () => {
    const many = trials.slice(0, 6).map((trial, i) => {
      return trialResult([timedCase('evenkeel', 'evenkeel', 1), timedCase('jax', 'JAX', 2 + i)], { trial });
    });
    expect(plain(await firstScreen(many))).toContain('Faster in 6 of 6: training step in 6 of 6 (2.0 to 7.0 times as fast).');
  });

  test('says where evenkeel could not be compared, and why', async () => {
    const alone = trialResult([timedCase('evenkeel', 'evenkeel', 1)]);
    const failed = trialResult([untimedCase('evenkeel', 'failed', 'it crashed'), timedCase('jax', 'JAX', 1)], {
      trial: trials[1] as Trial,
    });
    const first = plain(
      await firstScreen([...winDrawLoss(), { ...alone, trial: trials[3] as Trial }, { ...failed, trial: trials[4] as Trial }]),
    );
    expect(first).toContain('wins 1 of 3 trials');
    expect(first).toContain(
      'Not compared: training step 64,100,512,512 (no rival was timed); training step 1,1000,64,128 (evenkeel was not timed: it crashed).',
    );
    expect(await pageOf([alone])).toContain('<h1>No rival was timed beside evenkeel: nothing is compared</h1>');
  });

  test('warns that the best rival may not be among those measured', async () => {
    const cases = [timedCase('evenkeel', 'evenkeel', 1), timedCase('jax', 'JAX', 2), untimedCase('PyTorch', 'missing', 'no module')];
    expect(plain(await firstScreen([trialResult(cases)]))).toContain('Not timed: PyTorch did not take part (not installed).');
    expect(await firstScreen(winDrawLoss())).not.toContain('Not timed');
  });

  test('says when rounds are too few to know the noise', async () => {
    const cases = [timedCase('evenkeel', 'evenkeel', 1, { timing: timing(1, [1]) }), timedCase('jax', 'JAX', 2)];
    expect(await firstScreen([trialResult(cases)])).toContain('1 round only: its noise is not known');
  });
});

describe('a trial', () => {
  test('shows time, spread, ratio, part of the floor, memory and first call of the cases that count', async () => {
    const page = await pageOf([
      trialResult([
        timedCase('evenkeel', 'evenkeel', 0.5),
        timedCase('evenkeel', 'evenkeel', 0.75, { threads: 2, counts: false }),
        timedCase('tfjs-node', 'TF.js node', 2, { tier: 'layers', threads: 2 }),
      ]),
    ]);
    const details = page.match(/<details>.*?<\/details>/s)?.[0] ?? '';
    const rows = (details.match(/<tr><th scope="row".*?<\/tr>/gs) ?? []).map(plain);
    expect(rows).toHaveLength(2);
    expect(rows[0]).toBe(' evenkeel 1 thread 0.500 ms 0.480 ms – 0.600 ms – 20 % 10.0 MiB 1.50 ms ');
    expect(rows[1]).toBe(' TF.js node (layers) 2 threads 2.00 ms 1.92 ms – 2.40 ms ×4.0 5.0 % 10.0 MiB 6.00 ms ');
  });

  test('shows in its chart who could not be timed', async () => {
    const cases = [
      timedCase('evenkeel', 'evenkeel', 1),
      untimedCase('jax-js', 'failed', 'stack overflow'),
      untimedCase('TF.js wasm', 'disagrees', 'loss 2, but 1 in float64', { tier: 'layers' }),
      untimedCase('JAX', 'missing', 'not there'),
    ];
    const { charts } = await renderBench(benchResults({ trials: [trialResult(cases)] }));
    const chart = charts.get('train-32-50-10-20.svg') ?? '';
    for (const text of ['jax-js', 'failed', 'TF.js wasm (layers)', 'disagrees']) expect(chart).toContain(`>${text}<`);
    expect(chart).not.toContain('JAX');
  });

  test('without a floor has no line for it', async () => {
    const floor = { flop: 0, bytes: 1000 };
    const { page, charts } = await renderBench(benchResults({ trials: [{ ...(winDrawLoss()[0] as TrialResult), floor }] }));
    expect([...charts.keys()]).not.toContain('fraction-of-floor.svg');
    expect(charts.get('train-32-50-10-20.svg')).not.toContain('floor');
    expect(page).not.toMatch(/NaN|undefined/);
  });
});

describe('what was not timed', () => {
  const untimed = async (results: TrialResult[]) =>
    plain((await pageOf(results)).split('<h2 id="untimed">')[1]?.split('</section>')[0] ?? '');

  test('is listed with the reason or the command that installs it, once for all trials', async () => {
    const missing = untimedCase('JAX', 'missing', 'No module named jax', { install: 'pip install jax' });
    const cases = [timedCase('evenkeel', 'evenkeel', 1), missing];
    const disagrees = untimedCase('TF.js wasm', 'disagrees', 'loss 2, but 1 in float64', { tier: 'layers' });
    const text = await untimed([trialResult([...cases, disagrees]), trialResult(cases, { trial: trials[1] as Trial })]);
    expect(text).toContain('JAX Not installed. No module named jax To install it: pip install jax all 2 ');
    expect(text).toContain(
      'TF.js wasm (layers), 1 thread Disagrees: it computes something else, and was not timed. Loss 2, but 1 in float64 Training step 32,50,10,20',
    );
    expect(text.match(/No module named jax/g)).toHaveLength(1);
  });

  test('is nothing when all were timed', async () => {
    expect(await untimed(winDrawLoss())).toContain('Every case of this run computed the same as the reference and was timed.');
  });
});

test('the machine, its floor and the versions are shown', async () => {
  const text = plain(await pageOf(winDrawLoss()));
  expect(text).toContain('Processor a CPU; 2 threads to use');
  expect(text).toContain('L1 data 32 KiB (of cores 0), L3 unified 32 MiB (of cores 0-1)');
  expect(text).toContain('What computed evenkeel 1.2.3; JAX 1.2.3; TF.js node 1.2.3');
  expect(text).toContain('1 thread 111 101 12.3 9.87 2 threads 222 202 23.4 18.7');
});

test('whatever a driver or a file says is text', async () => {
  const hostile = `</code><script>alert("x")</script>&'\u001b[2J`;
  const environment = { ...benchResults().environment, cpu: hostile, blas: hostile, kernel: hostile };
  const options = { quick: true, filter: hostile, systems: [hostile], budgetSeconds: 1, limitSeconds: 1 };
  const cases = [
    timedCase('evenkeel', 'evenkeel', 1, { version: hostile }),
    timedCase('x', hostile, 2, { tier: hostile, version: hostile }),
    untimedCase(hostile, 'failed', hostile, { tier: hostile }),
    untimedCase(`2${hostile}`, 'missing', hostile, { install: hostile }),
  ];
  const trial = { ...(trials[0] as Trial), id: `../${hostile}`, why: hostile };
  const { page, charts } = await renderBench(
    benchResults({ date: hostile, environment, options, trials: [trialResult(cases, { trial })] }),
  );
  for (const text of [page, ...charts.values()]) {
    expect(text).not.toContain('<script');
    expect(text).not.toContain('\u001b');
  }
  expect(page).toContain('&lt;script&gt;');
  for (const [file, svg] of charts) {
    expect(file).toMatch(/^[a-z0-9-]+\.svg$/);
    expectWellFormed(svg.trim());
  }
});

describe('writePage', () => {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-page-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('writes its table in Markdown, with every trial in one row', async () => {
    await writePage(benchResults({ trials: [...winDrawLoss(), trialResult([timedCase('evenkeel', 'a|b', 1)])] }), folder);
    const lines = readFileSync(join(folder, 'table.md'), 'utf8').split('\n');
    expect(lines[2]).toBe(
      '| Training step 32,50,10,20 | 1.00 ms (evenkeel, 2 threads) | 2.00 ms (JAX, 1 thread) | faster: 2.0 times as fast as JAX, 2.0 to 2.0 times over 3 rounds |',
    );
    expect(lines[4]).toContain('| slower: 1.50 times as long as JAX');
    expect(lines[5]).toBe('| Training step 32,50,10,20 | 1.00 ms (a\\|b, 1 thread) | – | not compared: no rival was timed |');
  });

  test('writes the page and its charts, and removes charts of an earlier run alone', async () => {
    for (const file of ['layer-norm-1600-20.svg', 'results.json', 'mine.svg']) writeFileSync(join(folder, file), 'kept?');
    const files = await writePage(benchResults(), folder);
    expect(files[0]).toBe(join(folder, 'index.html'));
    expect(readFileSync(join(folder, 'index.html'), 'utf8')).toMatch(/<\/html>\n$/);
    expect(
      readdirSync(folder)
        .map((file) => join(folder, file))
        .sort(),
    ).toEqual([...files, join(folder, 'results.json'), join(folder, 'mine.svg')].sort());
  });
});
