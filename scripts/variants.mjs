// What recurrent layers cost beside their plain selves: in float64, with a normalisation in the step, with masks, with lengths, in both
// directions and as a stack; forward and backward with all gradients, in turns with the plain one.
//   node scripts/variants.mjs [--threads n] [--seconds 1] [--only float64|placements|cells|masks|lengths|pairs] [N,T,I,H ...]
// Times are the lower quartile of all turns, on one thread of the processor's time: others on the machine disturb both less. The peak in float64 is taken for half of
// that in float32, which is measured: vectors have half the lanes.
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { runScript } from './steps.mjs';

const require = createRequire(import.meta.url);
const { Generator, getNumThreads, GRU, LSTM, RNN, runtimeInfo, setNumThreads, Tensor, Workspace } = require('../dist/index.js');
const { native } = require('../dist/native/load.js');

const shapes = {
  float64: [
    '32,50,10,20',
    '32,200,64,128',
    '32,200,256,256',
    '64,100,512,512',
    '32,100,1024,1024',
    '32,5000,10,20',
    '1,1000,64,128',
    '1,100000,1,32',
  ],
  placements: ['32,200,64,128', '32,200,256,256', '64,100,512,512'],
  cells: ['32,50,10,20', '32,200,64,128', '32,100,256,256', '64,30,512,512'],
  masks: ['32,50,10,20', '32,100,32,64', '32,200,64,128', '32,100,256,256'],
  lengths: ['32,50,10,20', '32,200,64,128', '32,200,256,256'],
  pairs: ['8,50,20,20', '8,200,128,128', '8,100,256,256'],
};
const plain = { dtype: 'float32', normalization: 'none' };
const split = { normalization: 'split-preactivation' };
/** Each after the plain one that it is compared with. */
const cells = {
  LSTM: { cell: LSTM },
  "LSTM, cell 'output'": { cell: LSTM, cellNormalization: 'output' },
  "LSTM, split, cell 'output'": { cell: LSTM, ...split, cellNormalization: 'output' },
  GRU: { cell: GRU },
  'GRU, split': { cell: GRU, ...split },
  'GRU, reset before': { cell: GRU, resetAfter: false },
};
const masked = {
  zoneout: { zoneout: 0.1 },
  'recurrent dropout': { recurrentDropout: 0.25 },
};
const pairs = {
  bidirectional: { bidirectional: true },
  'two layers': { numLayers: 2 },
};
const placements = ['preactivation', 'split-preactivation', 'recurrent-input', 'hidden'];
const kinds = ['layer', 'rms'];

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      threads: { type: 'string', default: `${getNumThreads()}` },
      seconds: { type: 'string', default: '1' },
      only: { type: 'string' },
    },
  });
  setNumThreads(Number(values.threads));
  const { cpu, simdTarget, node } = runtimeInfo();
  console.log(`${cpu}, ${simdTarget}, ${getNumThreads()} threads, Node ${node}, ${new Date().toISOString().slice(0, 10)}\n`);
  for (const [what, table] of Object.entries({ float64, placements: placementCosts, cells: cellCosts, masks, lengths, pairs: pairCosts })) {
    if (values.only !== undefined && values.only !== what) continue;
    console.log(table(positionals.length > 0 ? positionals : shapes[what], Number(values.seconds)));
  }
}

function float64(list, seconds) {
  const { fmaGflops } = native().measureMachine();
  const rows = list.map((shape) => {
    const [single, double] = quartilesInTurns(shape, [plain, { ...plain, dtype: 'float64' }], seconds);
    const [n, t, i, h] = sizes(shape);
    const gflops = (2 * n * t * (3 * i * h + 3 * h * h)) / double / 1e6;
    return [shape, `${double.toPrecision(3)} ms`, `${((200 * gflops) / fmaGflops).toFixed(0)} %`, (double / single).toFixed(2)];
  });
  return markdown(['N,T,I,H', 'float64', 'of the peak', 'over float32'], rows);
}

function placementCosts(list, seconds) {
  const variants = placements.flatMap((placement) => kinds.map((kind) => ({ placement, kind })));
  const rows = list.map((shape) => {
    const [none, ...times] = quartilesInTurns(shape, [plain, ...variants.map((normalization) => ({ ...plain, normalization }))], seconds);
    return [shape, `${none.toPrecision(3)} ms`, ...times.map((time) => (time / none).toFixed(2))];
  });
  return markdown(['N,T,I,H', 'plain', ...variants.map(({ placement, kind }) => `${placement}, ${kind}`)], rows);
}

function cellCosts(list, seconds) {
  const variants = Object.values(cells);
  const rows = list.map((shape) => {
    const times = quartilesInTurns(shape, variants, seconds);
    const over = variants.map(({ cell }, index) => times[index] / times[variants.findIndex((one) => one.cell === cell)]);
    return [shape, ...times.map((time, index) => (over[index] === 1 ? `${time.toPrecision(3)} ms` : over[index].toFixed(2)))];
  });
  return markdown(['N,T,I,H', ...Object.keys(cells)], rows);
}

function masks(list, seconds) {
  const kinds = [RNN, LSTM, GRU];
  const rows = list.flatMap((shape) =>
    kinds.map((cell) => {
      const [none, ...times] = quartilesInTurns(
        shape,
        [{ cell }, ...Object.values(masked).map((options) => ({ cell, ...options }))],
        seconds,
      );
      return [shape, cell.name, `${none.toPrecision(3)} ms`, ...times.map((time) => (time / none).toFixed(3))];
    }),
  );
  return markdown(['N,T,I,H', 'cell', 'plain', ...Object.keys(masked)], rows);
}

/** Lengths uniform in 1 … T, as they come: the time over that of the full batch, and that over the share of the steps that count. */
function lengths(list, seconds) {
  const rows = list.flatMap((shape) =>
    [LSTM, GRU].map((cell) => {
      const [n, t] = sizes(shape);
      const generator = new Generator(7);
      const given = Int32Array.from({ length: n }, () => 1 + (generator.nextUint32() % t));
      const share = given.reduce((sum, length) => sum + length, 0) / (n * t);
      const orders = [given, given.toSorted((a, b) => b - a)];
      const [full, ...times] = quartilesInTurns(shape, [{ cell }, ...orders.map((lengths) => ({ cell, lengths }))], seconds);
      return [shape, cell.name, `${full.toPrecision(3)} ms`, ...times.map((time) => (time / full / share).toFixed(3))];
    }),
  );
  return markdown(['N,T,I,H', 'cell', 'full batch', 'over the share of steps', 'longest first'], rows);
}

/** Over twice one layer, each on as many threads. */
function pairCosts(list, seconds) {
  const rows = list.flatMap((shape) =>
    [LSTM, GRU].map((cell) => {
      const [one, ...times] = quartilesInTurns(
        shape,
        [{ cell }, ...Object.values(pairs).map((options) => ({ cell, ...options }))],
        seconds,
      );
      return [shape, cell.name, `${one.toPrecision(3)} ms`, ...times.map((time) => (time / one / 2).toFixed(3))];
    }),
  );
  return markdown(['N,T,I,H', 'cell', 'one layer', ...Object.keys(pairs)], rows);
}

const sizes = (shape) => shape.split(',').map(Number);

/** The lower quartile of each variant's milliseconds. */
function quartilesInTurns(shape, variants, seconds) {
  const runs = variants.map((variant) => runOf(shape, variant));
  for (const run of runs) run();
  const times = runs.map(() => []);
  const clock = getNumThreads() === 1 ? processorMilliseconds : () => performance.now();
  for (const end = performance.now() + 1000 * seconds * variants.length; times[0].length < 3 || performance.now() < end; ) {
    for (const [index, run] of runs.entries()) {
      const begin = clock();
      run();
      times[index].push(clock() - begin);
    }
  }
  return times.map((some) => some.sort((a, b) => a - b)[some.length >> 2]);
}

function processorMilliseconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function runOf(shape, { cell = RNN, dtype = 'float32', lengths: given, ...options }) {
  const [n, t, inputSize, hiddenSize] = sizes(shape);
  const generator = new Generator(1);
  const rnn = new cell({ inputSize, hiddenSize, ...options, dtype, generator, checkpointing: 'none' });
  const input = Tensor.randn([n, t, inputSize], { generator, dtype });
  const grad = Tensor.randn([n, t, options.bidirectional ? 2 * hiddenSize : hiddenSize], { generator, dtype });
  const workspace = new Workspace();
  return () =>
    workspace.run(() => {
      rnn.forward(input, given && { lengths: given });
      rnn.backward(grad);
    });
}

function markdown(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

await runScript(main);
