// Draws docs/strategies.svg: which way through time is taken, by number of sequences and of hidden units. The addon's own chooser is asked, for each of them.
//   node scripts/draw-strategies.mjs
// Whether it chooses well is what scripts/sample-shapes.mjs measures.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { replaceBlock, root, runScript } from './steps.mjs';

const require = createRequire(import.meta.url);
const { native } = require('../dist/native/load.js');
const { standaloneSvg } = require('../dist/report/svg.js');
const { diverging } = require('../dist/report/theme.js');

const [inputSize, mostSequences, mostUnits] = [32, 128, 4096];
const colors = { single: diverging[0].light, lanes: diverging[2].light, panels: diverging[4].light, columns: diverging[8].light };

/** For each number of sequences, the strategies from few units to many: where each begins and ends, in units. */
function choices() {
  const memory = new Float32Array(mostUnits * mostUnits);
  const rows = Array.from({ length: mostSequences }, (_, i) => ({ from: i + 1, to: i + 1, runs: [] }));
  for (let h = 1; h <= mostUnits; h++) {
    const arrays = [h * inputSize, h * h, h, h].map((length) => memory.subarray(0, length));
    const layer = native().recurrentLayer(arrays, arrays, { cell: 'elman', inputSize, hiddenSize: h });
    for (const { from, runs } of rows) {
      const name = layer.strategy(from);
      if (runs.at(-1)?.name === name) runs.at(-1).to = h;
      else runs.push({ name, from: h, to: h });
    }
  }
  return rows;
}

/** Rows that follow each other and are the same, as one. */
function merged(rows) {
  const found = [];
  for (const row of rows) {
    const before = found.at(-1);
    if (before !== undefined && JSON.stringify(before.runs) === JSON.stringify(row.runs)) before.to = row.to;
    else found.push(row);
  }
  return found;
}

const [width, height, left, top] = [720, 420, 96, 26];
/** Both axes are logarithmic; a number has the place from itself to the next. */
const x = (units) => left + (Math.log(units) / Math.log(mostUnits + 1)) * (width - left);
const y = (sequences) => top + height - (Math.log(sequences) / Math.log(mostSequences + 1)) * height;
const text = (at, place, words, more = '') => `<text x="${at.toFixed(1)}" y="${place.toFixed(1)}" dy="0.35em"${more}>${words}</text>`;

function draw(rows) {
  const parts = [
    text(0, 8, `Strategy by number of sequences N and of hidden units H (an RNN with ${inputSize} inputs)`, ' font-weight="600"'),
  ];
  for (const { from, to, runs } of rows) {
    for (const run of runs) {
      const [x0, x1, y0, y1] = [x(run.from), x(run.to + 1), y(to + 1), y(from)];
      parts.push(
        `<rect x="${x0.toFixed(1)}" y="${y0.toFixed(1)}" width="${(x1 - x0).toFixed(1)}" height="${(y1 - y0).toFixed(1)}" fill="${colors[run.name]}" shape-rendering="crispEdges"/>`,
      );
    }
  }
  const middle = ' text-anchor="middle"';
  for (const [name, h, n] of [['single', 60, 1], ['panels', 150, 8], ['lanes', 5, 60], ['columns', 2683, 12]]) // biome-ignore format: rows
    parts.push(text(x(h), (y(n) + y(n + 1)) / 2, name, `${middle} font-weight="600"`));
  for (const h of [1, 4, 20, 50, 128, 443, 1024, 4096]) parts.push(text((x(h) + x(h + 1)) / 2, top + height + 14, String(h), middle));
  for (const n of [1, 2, 3, 4, 8, 16, 32, 64, 128]) parts.push(text(left - 8, (y(n) + y(n + 1)) / 2, `N = ${n}`, ' text-anchor="end"'));
  parts.push(text(left + (width - left) / 2, top + height + 34, 'H', middle));
  const total = top + height + 44;
  return `<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" viewBox="0 0 ${width + 14} ${total}" width="${width + 14}" height="${total}" aria-label="${description(rows)}" fill="currentColor" font-family="system-ui, sans-serif" font-size="12px">${parts.join('\n')}</svg>`;
}

function description(rows) {
  const edges = (n) => {
    const { runs } = rows.find(({ from, to }) => from <= n && n <= to);
    return runs.map(({ name, to }, i) => (i + 1 < runs.length ? `${name} up to ${to} units` : name)).join(', ');
  };
  return `Map of strategies. One sequence: ${edges(1)}. Two: ${edges(2)}. Eight: ${edges(8)}. Thirty-two: ${edges(32)}.`;
}

await runScript(async () => {
  const rows = merged(choices());
  writeFileSync(join(root, 'docs/strategies.svg'), standaloneSvg(draw(rows)));
  replaceBlock(
    'docs/design.md',
    'strategies',
    `![${description(rows)}](strategies.svg)\n\nAs the addon itself answers: \`node scripts/draw-strategies.mjs\`.`,
  );
});
