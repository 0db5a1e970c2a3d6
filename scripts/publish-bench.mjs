// Keeps a finished run of the benchmark as bench/results/<date>-NAME.json with its table beside it, and shows it in the documents:
//   node scripts/publish-bench.mjs bench-results/results.json NAME [--into README.md] [--into docs/performance.md] [--into none]
// Each document's tables become those of its trials: the README's some training steps, those of docs/performance.md all of them, of the RNN and of
// cells with gates, and the RNN alone and the cells with gates beside the machine's floor; docs has a picture of either. A table of whose trials the run has none stays as it is.
// Both documents, unless --into says which. test/docs/benchmark.test.ts holds them together.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Failure, root, runScript } from './steps.mjs';

const require = createRequire(import.meta.url);
const gated = ['lstm-train', 'gru-train', 'layer-norm-lstm-train'];

/** The tables of the documents: what marks their places, the trials that they show, whether beside the machine's floor, and the picture above. */
const tables = {
  'README.md': [{ mark: 'benchmark', works: ['train'], brief: '32,50,10,20 32,200,64,128 32,200,256,256 1,1000,64,128 1,100000,1,32' }],
  'docs/performance.md': [
    { mark: 'training', works: ['train'], picture: 'rival' },
    { mark: 'gated', works: gated },
    { mark: 'floor', works: ['rnn'], floor: true, picture: 'floor' },
    { mark: 'gated-floor', works: gated, floor: true },
  ],
};

await runScript(async () => {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { into: { type: 'string', multiple: true } } });
  const [results, name] = positionals;
  if (results === undefined || !/^[\w-]+$/.test(name ?? '')) {
    throw new Failure(
      'Usage: node scripts/publish-bench.mjs <results.json> <name of the machine, such as epyc-zen4> [--into <document or none>]',
    );
  }
  const into = values.into ?? Object.keys(tables);
  const unknown = into.find((document) => document !== 'none' && !(document in tables));
  if (unknown !== undefined) throw new Failure(`--into: expected ${Object.keys(tables).join(', ')} or none, got ${unknown}.`);
  const { date, trials } = JSON.parse(readFileSync(results, 'utf8'));
  const file = `bench/results/${date.slice(0, 10)}-${name}.json`;
  mkdirSync(join(root, 'bench/results'), { recursive: true });
  copyFileSync(results, join(root, file));
  const table = (...options) =>
    execFileSync(process.execPath, [join(root, 'dist/cli/main.js'), 'bench', 'table', join(root, file), ...options], { encoding: 'utf8' });
  writeFileSync(join(root, file.replace(/json$/, 'md')), table());

  const { readBench } = require('../dist/bench/compare.js');
  const { floorChart, rivalChart } = require('../dist/bench/charts.js');
  const { Figures } = require('../dist/report/figure.js');
  const documents = into.filter((document) => document !== 'none');
  for (const document of documents) {
    for (const { mark, works, floor, brief, picture } of tables[document]) {
      if (!trials.some(({ trial }) => works.includes(trial.work))) continue;
      replaceTable(
        document,
        mark,
        file,
        table('--works', works.join(','), ...(floor ? ['--floor'] : []), ...(brief ? ['--brief', brief] : [])),
      );
      if (picture === undefined) continue;
      const run = readBench(join(root, file));
      const own = { ...run, trials: run.trials.filter(({ trial }) => works.includes(trial.work)) };
      const figures = await Figures.draw([picture === 'rival' ? rivalChart(own) : floorChart(own)]);
      for (const [name, svg] of figures.files()) writeFileSync(join(root, 'docs', name), svg);
    }
  }
  console.log(
    `Written: ${[`${file} with its table`, ...documents].join(', ')}. Read the sentences around their tables before committing them.`,
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
