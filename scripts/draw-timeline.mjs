// Draws docs/timeline.svg: one sequence on two threads, which of them works on what and when, forward and backward, as it was recorded.
//   node scripts/draw-timeline.mjs
// Builds the addon with EVENKEEL_SPANS into a folder of its own (build-spans). Of many passes the fastest is drawn: in others the system gave the
// processor to something else.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure, replaceBlock, root, run, runScript, step } from './steps.mjs';

const require = createRequire(import.meta.url);
const { runtimeInfo } = require('../dist/index.js');
const { standaloneSvg } = require('../dist/report/svg.js');
const { diverging } = require('../dist/report/theme.js');

const [timeSteps, inputSize, hiddenSize, passes] = [1000, 64, 64, 1500];

/** Each kind of work with its colour. */
const kinds = new Map([
  ['products with W_ih', diverging[2].light],
  ['forward steps', diverging[0].light],
  ['backward steps', diverging[8].light],
  ["weights' and inputs' gradients", diverging[6].light],
]);

const program = `
const { Generator, RNN, setNumThreads, Tensor, Workspace } = require(${JSON.stringify(join(root, 'dist/index.js'))});
setNumThreads(2);
const generator = new Generator(1);
const rnn = new RNN({ inputSize: ${inputSize}, hiddenSize: ${hiddenSize}, generator, checkpointing: 'none' });
const input = Tensor.randn([1, ${timeSteps}, ${inputSize}], { generator });
const grad = Tensor.randn([1, ${timeSteps}, ${hiddenSize}], { generator });
const workspace = new Workspace();
for (let i = 0; i < ${passes}; i++) workspace.run(() => { rnn.forward(input); rnn.backward(grad); });`;

function record() {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-spans-'));
  try {
    const file = join(folder, 'spans');
    const env = { ...process.env, EVENKEEL_SPANS: file, EVENKEEL_ADDON: join(root, 'build-spans/Release/evenkeel.node') };
    const { status, stderr } = spawnSync(process.execPath, ['-e', program], { env, encoding: 'utf8' });
    if (status !== 0) throw new Failure(`The recorded passes ended with status ${status}:\n${stderr}`);
    return readFileSync(file, 'utf8').trim().split('\n').map(parseSpan);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function parseSpan(line) {
  const [, thread, begin, end, piece, what] = /^(\d+) (\d+) (\d+) (\d+) (.*)$/.exec(line);
  return { thread: Number(thread), begin: Number(begin), end: Number(end), piece: Number(piece), what };
}

/** The spans of each forward and backward pass together. */
function passesOf(spans) {
  const found = [];
  let isOver = true;
  for (const span of spans.toSorted((a, b) => a.begin - b.begin)) {
    if (isOver && span.what === 'products with W_ih') found.push([]);
    isOver = /gradients|backward/.test(span.what);
    found.at(-1).push(span);
  }
  return found;
}

const spread = (spans) => Math.max(...spans.map(({ end }) => end)) - Math.min(...spans.map(({ begin }) => begin));
/** Whether each of two threads did a quarter of the work or more. */
function isShared(spans) {
  const work = new Map();
  for (const { thread, begin, end } of spans) work.set(thread, (work.get(thread) ?? 0) + end - begin);
  const all = [...work.values()].reduce((sum, part) => sum + part, 0);
  return work.size === 2 && Math.min(...work.values()) > all / 4;
}

function draw(spans) {
  const [width, left, rowHeight, top] = [900, 70, 46, 64];
  const start = Math.min(...spans.map(({ begin }) => begin));
  const length = spread(spans);
  const x = (time) => left + ((time - start) / length) * (width - left);
  // The thread that calls is the first.
  const threads = [...new Set(spans.toSorted((a, b) => a.begin - b.begin).map(({ thread }) => thread))];
  const height = top + threads.length * rowHeight + 40;
  const text = (at, y, words, more = '') => `<text x="${at.toFixed(1)}" y="${y}" dy="0.35em"${more}>${words}</text>`;
  const rect = (at, y, w, h, fill) => `<rect x="${at.toFixed(1)}" y="${y}" width="${w.toFixed(1)}" height="${h}" rx="2" fill="${fill}"/>`;
  const parts = [
    text(0, 8, `One sequence of ${timeSteps} steps, ${inputSize} inputs, ${hiddenSize} hidden units, on two threads`, ' font-weight="600"'),
  ];
  let at = 0;
  for (const [what, fill] of kinds) {
    parts.push(rect(at, 26, 16, 12, fill), text(at + 22, 32, what));
    at += 40 + what.length * 7;
  }
  for (const [row, thread] of threads.entries()) {
    const y = top + row * rowHeight;
    parts.push(text(0, y + 17, `thread ${row + 1}`));
    for (const { begin, end, piece, what } of spans.filter((span) => span.thread === thread)) {
      const w = x(end) - x(begin);
      parts.push(rect(x(begin), y, Math.max(0.5, w - 0.5), 34, kinds.get(what)));
      if (w > 14) parts.push(text(x(begin) + w / 2, y + 17, String(piece + 1), ' text-anchor="middle"'));
    }
  }
  const axis = top + threads.length * rowHeight + 4;
  const tick = [20, 50, 100, 200, 500].find((size) => length / 1000 / size < 12) ?? 1000;
  for (let micros = 0; micros * 1000 <= length; micros += tick) {
    const place = x(start + micros * 1000);
    parts.push(`<line x1="${place.toFixed(1)}" x2="${place.toFixed(1)}" y1="${axis}" y2="${axis + 5}" stroke="currentColor"/>`);
    if (place < width - 20) parts.push(text(place, axis + 16, `${micros}${micros === 0 ? ' µs' : ''}`, ' text-anchor="middle"'));
  }
  const label = describe(spans);
  return {
    label,
    svg: `<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" aria-label="${label}" fill="currentColor" font-family="system-ui, sans-serif" font-size="12px">${parts.join('\n')}</svg>`,
  };
}

function describe(spans) {
  const busy = (what) => spans.filter((span) => span.what === what).reduce((sum, { begin, end }) => sum + end - begin, 0) / 1000;
  const times = [...kinds.keys()].map((what) => `${what} ${busy(what).toFixed(0)} µs`).join(', ');
  const pieces = 1 + Math.max(...spans.map(({ piece }) => piece));
  return `Time line of two threads: ${pieces} pieces of one sequence. Products with W_ih of a piece are done beside the steps of the piece before it, gradients of weights and inputs beside the backward steps of the next. ${(spread(spans) / 1000).toFixed(0)} µs in all, of both threads together: ${times}.`;
}

await runScript(async () => {
  const cmake = require.resolve('cmake-js/bin/cmake-js');
  await step('spans', 'building the addon that records', () =>
    run(process.execPath, [cmake, 'build', '-O', 'build-spans', '--CDEVENKEEL_SPANS=ON']),
  );
  const recorded = passesOf(record());
  const counts = recorded.map(({ length }) => length).sort((a, b) => a - b);
  const count = counts[counts.length >> 1];
  const [fastest] = recorded.filter((spans) => spans.length === count && isShared(spans)).sort((a, b) => spread(a) - spread(b));
  if (fastest === undefined) throw new Failure('In no pass did both threads take part: the machine has other work.');
  const { svg, label } = draw(fastest);
  writeFileSync(join(root, 'docs/timeline.svg'), standaloneSvg(svg));
  const { version, node, cpu, simdTarget } = runtimeInfo();
  replaceBlock(
    'docs/design.md',
    'timeline',
    `![${label}](timeline.svg)\n\nThe fastest of ${passes} recorded passes of the strategy \`single\`; a number is the piece of the sequence.\n` +
      `evenkeel ${version}, Node ${node.replace(/^v/, '')}, ${cpu}, SIMD target ${simdTarget}, ${new Date().toISOString().slice(0, 10)}; \`node scripts/draw-timeline.mjs\`.`,
  );
});
