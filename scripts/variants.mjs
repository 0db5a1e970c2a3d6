// What an RNN costs in float64, and with a normalisation in its step, and what LSTM and GRU cost with one: forward and backward with all
// gradients, in turns with the plain one.
//   node scripts/variants.mjs [--threads n] [--seconds 1] [--only float64|placements|cells] [--shapes N,T,I,H ...]
// The peak in float64 is taken for half of that in float32, which is measured: vectors have half the lanes.
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
  for (const [what, table] of Object.entries({ float64, placements: placementCosts, cells: cellCosts })) {
    if (values.only !== undefined && values.only !== what) continue;
    console.log(table(positionals.length > 0 ? positionals : shapes[what], Number(values.seconds)));
  }
}

function float64(list, seconds) {
  const { fmaGflops } = native().measureMachine();
  const rows = list.map((shape) => {
    const [single, double] = mediansInTurns(shape, [plain, { ...plain, dtype: 'float64' }], seconds);
    const [n, t, i, h] = sizes(shape);
    const gflops = (2 * n * t * (3 * i * h + 3 * h * h)) / double / 1e6;
    return [shape, `${double.toPrecision(3)} ms`, `${((200 * gflops) / fmaGflops).toFixed(0)} %`, (double / single).toFixed(2)];
  });
  return markdown(['N,T,I,H', 'float64', 'of the peak', 'over float32'], rows);
}

function placementCosts(list, seconds) {
  const variants = placements.flatMap((placement) => kinds.map((kind) => ({ placement, kind })));
  const rows = list.map((shape) => {
    const [none, ...times] = mediansInTurns(shape, [plain, ...variants.map((normalization) => ({ ...plain, normalization }))], seconds);
    return [shape, `${none.toPrecision(3)} ms`, ...times.map((time) => (time / none).toFixed(2))];
  });
  return markdown(['N,T,I,H', 'plain', ...variants.map(({ placement, kind }) => `${placement}, ${kind}`)], rows);
}

function cellCosts(list, seconds) {
  const variants = Object.values(cells);
  const rows = list.map((shape) => {
    const times = mediansInTurns(shape, variants, seconds);
    const over = variants.map(({ cell }, index) => times[index] / times[variants.findIndex((one) => one.cell === cell)]);
    return [shape, ...times.map((time, index) => (over[index] === 1 ? `${time.toPrecision(3)} ms` : over[index].toFixed(2)))];
  });
  return markdown(['N,T,I,H', ...Object.keys(cells)], rows);
}

const sizes = (shape) => shape.split(',').map(Number);

/** The median milliseconds of each variant. */
function mediansInTurns(shape, variants, seconds) {
  const runs = variants.map((variant) => runOf(shape, variant));
  for (const run of runs) run();
  const times = runs.map(() => []);
  for (const end = performance.now() + 1000 * seconds * variants.length; times[0].length < 3 || performance.now() < end; ) {
    for (const [index, run] of runs.entries()) {
      const begin = performance.now();
      run();
      times[index].push(performance.now() - begin);
    }
  }
  return times.map((some) => some.sort((a, b) => a - b)[some.length >> 1]);
}

function runOf(shape, { cell = RNN, dtype = 'float32', ...options }) {
  const [n, t, inputSize, hiddenSize] = sizes(shape);
  const generator = new Generator(1);
  const rnn = new cell({ inputSize, hiddenSize, ...options, dtype, generator, checkpointing: 'none' });
  const input = Tensor.randn([n, t, inputSize], { generator, dtype });
  const grad = Tensor.randn([n, t, hiddenSize], { generator, dtype });
  const workspace = new Workspace();
  return () =>
    workspace.run(() => {
      rnn.forward(input);
      rnn.backward(grad);
    });
}

function markdown(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

await runScript(main);
