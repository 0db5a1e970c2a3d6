import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { floorChart, rivalChart } from '../../lib/bench/charts';
import { readBench } from '../../lib/bench/compare';
import { formatBriefTable, formatFloorTable, formatMarkdown } from '../../lib/bench/markdown';
import type { Work } from '../../lib/bench/protocol';
import type { BenchResults } from '../../lib/bench/results';
import { formatBench } from '../../lib/bench/terminal';
import { Figures } from '../../lib/report/figure';
import { root } from './documents';

const folder = join(root, 'bench/results');
const files = existsSync(folder) ? readdirSync(folder) : [];
const runs = files.filter((file) => file.endsWith('.json'));

test('every committed run is still readable, complete, and has its table beside it', () => {
  for (const file of runs) {
    const results = readBench(join(folder, file));
    expect(results.trials.length).toBeGreaterThan(0);
    expect(formatBench(results)).toContain(results.environment.cpu);
    expect(readFileSync(join(folder, file.replace(/json$/, 'md')), 'utf8')).toBe(formatMarkdown(results));
  }
  expect(files).toHaveLength(2 * runs.length);
});

// As scripts/publish-bench.mjs asks for.
const briefShapes = ['32,50,10,20', '32,200,64,128', '32,200,256,256', '1,1000,64,128', '1,100000,1,32'];
const brief = (results: BenchResults, works?: readonly Work[]) => formatBriefTable(results, works, briefShapes);

const gated: readonly Work[] = ['lstm-train', 'gru-train', 'layer-norm-lstm-train'];

test.each([
  ['README.md', 'benchmark', ['train'], brief],
  ['docs/performance.md', 'training', ['train'], formatMarkdown],
  ['docs/performance.md', 'gated', gated, formatMarkdown],
  ['docs/performance.md', 'floor', ['rnn'], formatFloorTable],
  ['docs/performance.md', 'gated-floor', gated, formatFloorTable],
] as const)('in %s the table %s is made from a committed run of the newest date that has such trials', (document, mark, works, format) => {
  const text = readFileSync(join(root, document), 'utf8');
  const [, named, shown] = new RegExp(`<!-- ${mark} ?(.*?) -->\\n([\\s\\S]*?)<!-- /${mark} -->`).exec(text) ?? [];
  const having = runs.filter((run) =>
    readBench(join(folder, run)).trials.some(({ trial }) => (works as readonly Work[]).includes(trial.work)),
  );
  const newest = having.toSorted().at(-1);
  // A place for a table that no run has filled yet.
  if (newest === undefined) return expect([named, shown]).toEqual(['', '']);
  expect(having.map((run) => `bench/results/${run}`)).toContain(named);
  expect(named).toContain(newest.slice(0, '2026-01-01'.length));
  expect(shown?.trim()).toBe(format(readBench(join(root, named as string)), works).trim());
});

test.each([
  ['training', 'train', rivalChart],
  ['floor', 'rnn', floorChart],
] as const)('the picture of docs/performance.md above its table %s is drawn from the same run', async (mark, work, chartOf) => {
  const [, named = ''] = new RegExp(`<!-- ${mark} (.*?) -->`).exec(readFileSync(join(root, 'docs/performance.md'), 'utf8')) ?? [];
  const run = readBench(join(root, named));
  const chart = chartOf({ ...run, trials: run.trials.filter(({ trial }) => trial.work === work) });
  const files = [...(await Figures.draw(chart === undefined ? [] : [chart])).files()];
  expect(files).toHaveLength(1);
  for (const [name, svg] of files) expect(marksOf(readFileSync(join(root, 'docs', name), 'utf8'))).toEqual(marksOf(svg));
});

/** The texts and the places of the dots of a chart: half pixels of its frame depend on where it is drawn. */
function marksOf(svg: string): string[] {
  return [...svg.matchAll(/<text[^>]*>([^<]*)<|cx="([\d.]+)"/g)].map(([, text, place]) => text ?? place ?? '');
}
