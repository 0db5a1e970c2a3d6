import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runFlossing } from '../../lib/study/flossing/experiment';
import { flossingFiles, formatFlossing, writeFlossing } from '../../lib/study/flossing/page';
import { type FlossingResults, type FlossingSetUp, quickFlossing } from '../../lib/study/flossing/set-up';

const setUp: FlossingSetUp = {
  ...quickFlossing,
  draws: 2,
  hiddenSize: 8,
  delays: [2, 4],
  bits: 10,
  trainingSteps: 150,
  learningRate: 0.01,
  flossing: { steps: 40, timeSteps: 20, count: 4 },
};
const silent = { begin() {}, advance() {}, end() {} };
let results: FlossingResults;
beforeAll(async () => {
  results = await runFlossing(setUp, 3, silent);
});

test('flossing brings the leading exponents nearer to 0, from either start', () => {
  expect(results.exponents).toHaveLength(4);
  for (const start of ['random', 'orthogonal']) {
    const [plain, flossed] = results.exponents.filter((each) => each.start === start);
    expect([plain?.flossed, flossed?.flossed]).toEqual([false, true]);
    expect(Math.abs(flossed?.last.mean as number)).toBeLessThan(Math.abs(plain?.last.mean as number));
  }
});

test('every start and delay is learned with it and without, from the same draws', () => {
  expect(results.interrupted).toBe(false);
  expect(results.runs.map(({ delay }) => delay)).toEqual([2, 2, 2, 2, 4, 4, 4, 4]);
  for (const { accuracies, accuracy, solved, learnedAt } of results.runs) {
    expect(accuracies).toHaveLength(2);
    expect(accuracy.mean).toBeCloseTo(((accuracies[0] as number) + (accuracies[1] as number)) / 2, 12);
    expect(solved).toBe(accuracies.filter((each) => each >= 0.95).length);
    expect(learnedAt).toHaveLength(2);
  }
  // A delay of two steps is easy: what is told right is told right of new sequences.
  expect(Math.max(...results.runs.filter(({ delay }) => delay === 2).map(({ accuracy }) => accuracy.mean))).toBeGreaterThan(0.95);
});

test('an abort leaves what had finished', async () => {
  const stop = new AbortController();
  let parts = 0;
  const progress = {
    ...silent,
    begin() {
      parts += 1;
      if (parts === 3) stop.abort();
    },
  };
  const stopped = await runFlossing(setUp, 3, progress, stop.signal);
  expect(stopped.interrupted).toBe(true);
  expect(stopped.exponents).toEqual(results.exponents);
  expect(stopped.runs).toEqual(results.runs.slice(0, 4));
  expect(formatFlossing(stopped)).toMatch(/From a random start .*RNNs learn a delay of 2/);
});

test('the headline says how many learn the longest delay, and where as many do either way, by which step', () => {
  const runs = results.runs.slice(0, 2).map((run) => ({ ...run, learnedAt: run.flossed ? [20, 40] : [100, 120] }));
  const learning = { ...results, delays: [2], runs };
  expect(formatFlossing(learning)).toContain(
    'From a random start RNNs learn a delay of 2 by step 110, after gradient flossing by step 30 (medians)',
  );
  const rarer = { ...learning, runs: runs.map((run) => (run.flossed ? run : { ...run, learnedAt: [100, null] })) };
  expect(formatFlossing(rarer)).toContain('From a random start 1 of 2 RNNs learn a delay of 2, after gradient flossing 2');
});

test('the page and the text show every design', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-flossing-'));
  try {
    const written = await writeFlossing(results, folder);
    expect(written).toEqual(flossingFiles.slice(1).map((file) => join(folder, file)));
    const page = readFileSync(join(folder, 'index.html'), 'utf8');
    expect(page.match(/<th scope="row">random/g)).toHaveLength(4 + 2);
    expect(page).toMatch(
      /A delay of 2 is learned from a random start (at step \d+|not by most), after flossing (at step \d+|not by most); from an orthogonal/,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(formatFlossing(results, 100).match(/^orthogonal +(yes|no)/gm)).toHaveLength(4 + 2);
});
