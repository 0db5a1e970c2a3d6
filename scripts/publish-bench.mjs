// Makes a finished run of the benchmark the one that README.md shows: node scripts/publish-bench.mjs bench-results/results.json NAME
// It is kept as bench/results/<date>-NAME.json with its table beside it, the README's table becomes its training steps, and that of
// docs/performance.md its RNN alone beside the machine's floor; test/docs/benchmark.test.ts holds them together.
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

  replaceTable('README.md', 'benchmark', file, table('--works', 'train'));
  replaceTable('docs/performance.md', 'floor', file, table('--works', 'rnn', '--floor'));
  console.log(
    `${file} with its table, README.md and docs/performance.md are written. Read the sentences around their tables before committing them.`,
  );
});

/** Puts a table between `<!-- mark … -->` and `<!-- /mark -->` of a document. */
function replaceTable(document, mark, file, table) {
  const path = join(root, document);
  const before = readFileSync(path, 'utf8');
  const place = new RegExp(`<!-- ${mark}.*?-->\\n[\\s\\S]*?<!-- /${mark} -->`);
  if (!place.test(before)) throw new Failure(`${document} has no <!-- ${mark} --> to put the table in.`);
  writeFileSync(
    path,
    before.replace(place, () => `<!-- ${mark} ${file} -->\n\n${table}\n<!-- /${mark} -->`),
  );
}
