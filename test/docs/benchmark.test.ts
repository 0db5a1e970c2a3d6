import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readBench } from '../../lib/bench/compare';
import { formatMarkdown } from '../../lib/bench/markdown';
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

test("README.md's table of times is made from the newest committed run", () => {
  const [, named, shown] =
    /<!-- benchmark ?(.*?) -->\n([\s\S]*?)<!-- \/benchmark -->/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
  expect(shown).toMatch(/\| trial \| evenkeel \| best rival \|/);
  const newest = runs.toSorted().at(-1);
  if (newest === undefined) return expect(named).toBe('');
  expect(named).toBe(`bench/results/${newest}`);
  expect(shown?.trim()).toBe(formatMarkdown(readBench(join(folder, newest)), ['train']).trim());
});
