// Makes a finished run of the benchmark the one that README.md shows: node scripts/publish-bench.mjs bench-results/results.json NAME
// It is kept as bench/results/<date>-NAME.json with its table beside it, and the README's table becomes its training steps; test/docs/benchmark.test.ts
// holds them together.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, root, runScript } from './steps.mjs';

await runScript(() => {
  const [results, name] = process.argv.slice(2);
  if (results === undefined || !/^[\w-]+$/.test(name ?? '')) {
    throw new Failure('Usage: node scripts/publish-bench.mjs <results.json> <name of the machine, such as epyc-zen4>');
  }
  const { date } = JSON.parse(readFileSync(results, 'utf8'));
  const file = `bench/results/${date.slice(0, 10)}-${name}.json`;
  mkdirSync(join(root, 'bench/results'), { recursive: true });
  copyFileSync(results, join(root, file));
  const table = (...options) =>
    execFileSync(process.execPath, [join(root, 'dist/cli/main.js'), 'bench', 'table', join(root, file), ...options], { encoding: 'utf8' });
  writeFileSync(join(root, file.replace(/json$/, 'md')), table());

  const readme = join(root, 'README.md');
  const before = readFileSync(readme, 'utf8');
  const place = /<!-- benchmark.*?-->\n[\s\S]*?<!-- \/benchmark -->/;
  if (!place.test(before)) throw new Failure('README.md has no <!-- benchmark --> to put the table in.');
  writeFileSync(
    readme,
    before.replace(place, () => `<!-- benchmark ${file} -->\n\n${table('--works', 'train')}\n<!-- /benchmark -->`),
  );
  console.log(`${file}, its table, and README.md are written. Read the sentences around the table before committing them.`);
});
