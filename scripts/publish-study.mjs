// Keeps a finished `evenkeel study --full` as docs/study.json, with its pictures, and shows it in README.md and docs/stability.md:
//   node scripts/publish-study.mjs study/results.json         or of its parts, of `evenkeel study --full --parts grid` and the like, each by its name
// Of `evenkeel study --cell lstm --full --parts grid` or gru it keeps the grid as docs/study-lstm.json or -gru.json, with its picture;
// of `--experiment flossing --full` and `--experiment cell-state --full` all, as docs/study-flossing.json and docs/study-cell-state.json.
// PyTorch's figures beside it are docs/study-pytorch.json, of scripts/study_pytorch.py. test/docs/study.test.ts holds them together.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Failure, replaceBlock, root, runScript } from './steps.mjs';

const require = createRequire(import.meta.url);

/** Where each part of a study keeps what it has found. */
const lists = [
  ['reference', 'systems'],
  ['regimes', 'runs'],
  ['grid', 'cells'],
  ['clipTrials', 'trials'],
];

await runScript(async () => {
  const files = parseArgs({ allowPositionals: true }).positionals;
  const [file] = files;
  if (file === undefined) throw new Failure('Usage: node scripts/publish-study.mjs <results.json of a full study, or of its parts>…');
  const { reviveStudy, formatStudyBrief, formatStudySummary, formatStudyTables, publishedOf } = require('../dist/study/markdown.js');
  const { gridCharts } = require('../dist/study/grid-charts.js');
  const { Figures } = require('../dist/report/figure.js');
  const results = together(files.map((path) => reviveStudy(readFileSync(path, 'utf8'))));
  if (results.schema === 'evenkeel/flossing') {
    publishFlossing(results);
    return;
  }
  if (results.schema === 'evenkeel/cell-state') {
    publishCellState(results);
    return;
  }
  // Studies of before there were other cells do not say it.
  if (results.grid !== undefined && (results.grid.cell ?? 'rnn') !== 'rnn') {
    await publishGrid(results);
    return;
  }
  if (results.grid?.plan !== 'full') throw new Failure(`${file}: expected the results of evenkeel study --full.`);
  results.grid.cell ??= 'rnn';
  const study = publishedOf(results);
  writeFileSync(join(root, 'docs/study.json'), `${JSON.stringify(study)}\n`);
  for (const [name, svg] of (await Figures.draw(gridCharts(study.grid))).files()) writeFileSync(join(root, 'docs', name), svg);
  const pytorch = reviveStudy(readFileSync(join(root, 'docs/study-pytorch.json'), 'utf8'));
  replaceBlock('README.md', 'study', formatStudyBrief(study));
  replaceBlock('docs/stability.md', 'claims', formatStudySummary(study));
  replaceBlock('docs/stability.md', 'study', formatStudyTables(study, pytorch));
  console.log(
    'Written: docs/study.json, its pictures, README.md, docs/stability.md. Read the sentences around the tables before committing them.',
  );
});

/** One study of runs of its parts, which must have the same options and version. */
function together([first, ...others]) {
  const settings = ({ options: { parts: _, ...options }, environment: { evenkeel } }) => JSON.stringify({ options, evenkeel });
  for (const other of others) {
    if (settings(other) !== settings(first))
      throw new Failure(`Expected parts of one study, got ${settings(first)} and ${settings(other)}.`);
    for (const [part, list] of lists) if (other[part][list].length > 0) first[part] = other[part];
    if (other.date > first.date) first.date = other.date;
  }
  // Of a cell with gates the grid is all that is published.
  const isWhole = first.schema === 'evenkeel/study' && first.grid.plan === 'full' && (first.grid.cell ?? 'rnn') === 'rnn';
  const missing = isWhole ? lists.filter(([part, list]) => first[part][list].length === 0) : [];
  if (missing.length > 0) throw new Failure(`Expected a whole study, got nothing of ${missing.map(([part]) => part).join(', ')}.`);
  return first;
}

function publishFlossing(results) {
  const { formatFlossingTables, publishedFlossingOf } = require('../dist/study/flossing/markdown.js');
  const published = publishedFlossingOf(results);
  writeFileSync(join(root, 'docs/study-flossing.json'), `${JSON.stringify(published)}\n`);
  replaceBlock('docs/stability.md', 'flossing', formatFlossingTables(published));
  console.log('Written: docs/study-flossing.json, docs/stability.md. Read the sentences around the table before committing them.');
}

function publishCellState(results) {
  const { formatCellStateTables, publishedCellStateOf } = require('../dist/study/cell-state/markdown.js');
  const published = publishedCellStateOf(results);
  writeFileSync(join(root, 'docs/study-cell-state.json'), `${JSON.stringify(published)}\n`);
  replaceBlock('docs/stability.md', 'cell-state', formatCellStateTables(published));
  console.log('Written: docs/study-cell-state.json, docs/stability.md. Read the sentences around the table before committing them.');
}

/** A cell with gates. */
async function publishGrid(results) {
  const { reviveStudy } = require('../dist/study/markdown.js');
  const { formatGated, publishedGridOf } = require('../dist/study/gated.js');
  const { gridCharts } = require('../dist/study/grid-charts.js');
  const { Figures } = require('../dist/report/figure.js');
  const { cell } = results.grid;
  if (results.grid.plan !== 'full' || results.interrupted)
    throw new Failure(`Expected the results of evenkeel study --cell ${cell} --full.`);
  const study = publishedGridOf(results);
  writeFileSync(join(root, `docs/study-${cell}.json`), `${JSON.stringify(study)}\n`);
  for (const svg of (await Figures.draw(gridCharts(study.grid))).files().values())
    writeFileSync(join(root, `docs/growth-rates-${cell}.svg`), svg);
  const files = ['lstm', 'gru'].map((cell) => join(root, `docs/study-${cell}.json`)).filter((path) => existsSync(path));
  replaceBlock('docs/stability.md', 'gated', formatGated(files.map((path) => reviveStudy(readFileSync(path, 'utf8')))));
  console.log(
    `Written: docs/study-${cell}.json, docs/growth-rates-${cell}.svg, docs/stability.md. Read the sentences around the table before committing them.`,
  );
}
