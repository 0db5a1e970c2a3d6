// Batches of sequences of different lengths beside PyTorch's packed sequences: an LSTM and a GRU, forward and backward with all gradients, the
// same numbers, in turns. Gradients are compared first.
//   node scripts/packed-rivals.mjs --python PATH [--rounds 7] [N,T,I,H ...]
// PyTorch runs with 1 and with 2 threads, and the better one counts, as does the better one of evenkeel's. Lengths are uniform in 1 … T.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Failure, runScript } from './steps.mjs';

const require = createRequire(import.meta.url);
const { Generator, GRU, LSTM, runtimeInfo, setNumThreads, Tensor, Workspace } = require('../dist/index.js');

const usual = ['32,200,64,128', '32,200,256,256'];
const threads = [1, 2];
/** Passes of a round take about so long. */
const ROUND_MS = 300;
const MOST_DIFFERENCE = 1e-3;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { python: { type: 'string', default: 'python3' }, rounds: { type: 'string', default: '7' } },
});
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-packed-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** A forward and backward pass over a batch; with what PyTorch needs to make the same written into the folder. */
function ownPass(Cell, [n, t, i, h], lengths) {
  const generator = new Generator(1);
  const layer = new Cell({ inputSize: i, hiddenSize: h, generator });
  const [input, gradOutput] = [Tensor.randn([n, t, i], { generator }), Tensor.randn([n, t, h], { generator })];
  const workspace = new Workspace();
  const pass = () =>
    workspace.run(() => {
      for (const { grad } of layer.parameters()) grad.data.fill(0);
      layer.forward(input, lengths === null ? {} : { lengths });
      return layer.backward(gradOutput);
    });
  const gradInput = pass();
  const arrays = { input, gradOutput, 'grad.input': gradInput, ...layer.stateDict() };
  for (const { name, grad } of layer.parameters()) arrays[`grad.${name}`] = grad;
  for (const [name, { data }] of Object.entries(arrays)) writeFileSync(join(folder, `${name}.bin`), data);
  return pass;
}

/** PyTorch with so many threads: answers a line with a line. */
async function startRival(cell, [n, t, i, h], lengths, count) {
  const script = fileURLToPath(new URL('packed_pytorch.py', import.meta.url));
  const child = spawn(values.python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const ask = async (line) => {
    child.stdin.write(`${line}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Failure(`${values.python} ${script} ended. Does it have torch and numpy?`);
    return JSON.parse(value);
  };
  const { torch, difference } = await ask(JSON.stringify({ cell, n, t, i, h, lengths, threads: count, folder }));
  if (!(difference < MOST_DIFFERENCE)) throw new Failure(`${cell}: gradients differ from PyTorch's by ${difference} of the largest`);
  const close = () => {
    child.stdin.end();
    return once(child, 'exit');
  };
  return { torch, run: (passes) => ask(String(passes)), close };
}

async function compare(cell, shape, lengths) {
  const pass = ownPass({ GRU, LSTM }[cell], shape, lengths);
  const rivals = [];
  for (const count of threads) rivals.push(await startRival(cell, shape, lengths, count));
  const own = (count) => (passes) => {
    setNumThreads(count);
    const begin = performance.now();
    for (let k = 0; k < passes; k++) pass();
    return (performance.now() - begin) / passes;
  };
  const takers = [...threads.map(own), ...rivals.map(({ run }) => run)];
  const passes = [];
  for (const taker of takers) passes.push(Math.max(1, Math.round(ROUND_MS / (await taker(1)))));
  const times = takers.map(() => []);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [k, taker] of takers.entries()) times[k].push(await taker(passes[k]));
  }
  for (const { close } of rivals) await close();
  const medians = times.map((list) => list.sort((a, b) => a - b)[list.length >> 1]);
  const [ours, theirs] = [Math.min(...medians.slice(0, threads.length)), Math.min(...medians.slice(threads.length))];
  return { ours, theirs, torch: rivals[0].torch };
}

await runScript(async () => {
  const { cpu, simdTarget, version } = runtimeInfo();
  const rows = [];
  let torch = '';
  for (const text of positionals.length > 0 ? positionals : usual) {
    const shape = text.split(',').map(Number);
    const [n, t] = shape;
    const generator = new Generator(7);
    const lengths = Array.from({ length: n }, () => 1 + Math.floor(generator.uniform() * t));
    for (const cell of ['LSTM', 'GRU']) {
      const [packed, whole] = [await compare(cell, shape, lengths), await compare(cell, shape, null)];
      torch = packed.torch;
      const cells = [packed, whole].flatMap(({ ours, theirs }) => [ours.toPrecision(3), theirs.toPrecision(3), (theirs / ours).toFixed(2)]);
      rows.push(`| ${text} | ${cell} | ${cells.join(' | ')} |`);
    }
  }
  console.log(`${cpu}, ${simdTarget}, evenkeel ${version}, PyTorch ${torch}, ${new Date().toISOString().slice(0, 10)}\n`);
  console.log('| N,T,I,H | cell | with lengths, ms | PyTorch, packed | times as fast | all of T, ms | PyTorch | times as fast |');
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- |');
  console.log(rows.join('\n'));
});
