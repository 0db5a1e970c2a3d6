import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readBench } from '../../lib/bench/compare';
import { formatFloorTable, formatMarkdown } from '../../lib/bench/markdown';
import type { BenchResults } from '../../lib/bench/results';
import { formatBench } from '../../lib/bench/terminal';
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

test.each([
  ['README.md', 'benchmark', (results: BenchResults) => formatMarkdown(results, ['train'])],
  ['docs/performance.md', 'floor', (results: BenchResults) => formatFloorTable(results, ['rnn'])],
] as const)('the table of times in %s is made from a committed run of the newest date', (document, mark, format) => {
  const text = readFileSync(join(root, document), 'utf8');
  const [, named, shown] = new RegExp(`<!-- ${mark} ?(.*?) -->\\n([\\s\\S]*?)<!-- /${mark} -->`).exec(text) ?? [];
  const newest = runs.toSorted().at(-1) as string;
  expect(runs.map((run) => `bench/results/${run}`)).toContain(named);
  expect(named).toContain(newest.slice(0, '2026-01-01'.length));
  expect(shown?.trim()).toBe(format(readBench(join(root, named as string))).trim());
});
