// Training steps on very long sequences: time, peak memory, and how both grow with the length T.
//   node scripts/long-sequences.mjs [--python path/to/python] [--limit 60] [--only text] [--rounds 3] [--json file]
// A step is zeroGrad, an RNN (tanh, I = 2, H = 64) whose last state meets a target by its mean squared error, backward, clipping to norm 1 and
// Adam, in float32. Each measurement is a process of its own, which makes one short step first. `--python` adds PyTorch and JAX, whose steps
// may take `--limit` seconds; `--only` runs the lines whose name contains the text.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { root, runScript, say } from './steps.mjs';

const { Adam, clipGradNorm, Generator, mseLoss, RNN, runtimeInfo, Tensor, Workspace } = createRequire(import.meta.url)('../dist/index.js');

const sizes = { inputSize: 2, hiddenSize: 64 };
const large = [
  { steps: 1_000_000, sequences: 1 },
  { steps: 100_000, sequences: 32 },
];
const growing = [1000, 10_000, 100_000, 1_000_000].map((steps) => ({ steps, sequences: 1 }));
/** The bytes that checkpointing is allowed: less than all states take, so that it acts. */
const budget = 64e6;
/** What is kept for the backward pass, by its name in the table. */
const ways = { checkpointing: { budget }, 'all states kept': 'none' };

/** One line of the table: who computes, and on what. */
function* lines(python) {
  for (const size of large) {
    for (const way of Object.keys(ways)) yield { system: 'evenkeel', way, ...size };
    if (python === undefined) continue;
    yield { system: 'torch', way: 'all states kept', ...size };
    yield { system: 'jax', way: 'all states kept', ...size };
    yield { system: 'jax', way: 'checkpointing', ...size };
  }
  for (const size of growing) yield { system: 'evenkeel', way: 'growth', ...size };
}

async function main() {
  const options = Object.fromEntries(['python', 'only', 'json', 'child'].map((name) => [name, { type: 'string' }]));
  const { values } = parseArgs({
    options: { ...options, limit: { type: 'string', default: '60' }, rounds: { type: 'string', default: '3' } },
  });
  if (values.child !== undefined) {
    console.log(JSON.stringify(measure(JSON.parse(values.child))));
    return;
  }
  const results = [];
  for (const line of lines(values.python)) {
    const name = nameOf(line);
    if (values.only !== undefined && !name.includes(values.only)) continue;
    say(`${name} …`);
    const result = await measureApart({ ...line, ...sizes, rounds: Number(values.rounds) }, values.python, Number(values.limit));
    say(` ${result.failure ?? `${result.seconds.toFixed(3)} s`}\n`);
    results.push({ ...line, ...result });
  }
  const { version, node, cpu, cores, threads, simdTarget, blas } = runtimeInfo();
  const report = {
    date: new Date().toISOString(),
    machine: { version, node, cpu, cores, threads, simdTarget, blas },
    ...sizes,
    budget,
    results,
  };
  console.log([table(results), ...ratios(results), ...growth(results)].join('\n'));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
}

const nameOf = ({ system, way, steps, sequences }) => `${system}, ${way}, T ${steps}, N ${sequences}`;

/** In a process of its own, whose peak memory is then that of the step. */
async function measureApart(job, python, limit) {
  const isOwn = job.system === 'evenkeel';
  const args = [
    isOwn ? fileURLToPath(import.meta.url) : join(root, 'scripts/long_sequences.py'),
    ...(isOwn ? ['--child'] : []),
    JSON.stringify(job),
  ];
  const child = spawn(isOwn ? process.execPath : python, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const stream of Object.keys(said)) {
    child[stream].on('data', (text) => {
      said[stream] += text;
    });
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), 1000 * limit);
  const status = await new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)));
  clearTimeout(timer);
  if (status === 0) return JSON.parse(said.stdout.trim().split('\n').at(-1));
  return { failure: status === 'SIGKILL' ? `not within ${limit} s, or killed for memory` : said.stderr.trim().split('\n').at(-1) };
}

/** The median of some steps, and the most memory that they took beyond what the process held before. */
function measure({ steps, sequences, inputSize, hiddenSize, way, rounds }) {
  const generator = new Generator(1);
  const input = Tensor.randn([sequences, steps, inputSize], { generator });
  const target = Tensor.randn([sequences, hiddenSize], { generator });
  const rnn = new RNN({ inputSize, hiddenSize, generator, returnSequences: false, checkpointing: ways[way] ?? 'auto' });
  const optimizer = new Adam(rnn.parameters());
  // As a step of fit: the memory of the one before is used again.
  const workspace = new Workspace();
  const step = (x) =>
    workspace.run(() => {
      optimizer.zeroGrad();
      const { value, grad } = mseLoss(rnn.forward(x), target);
      rnn.backward(grad, { inputGradient: false });
      clipGradNorm(rnn.parameters(), { maxNorm: 1 });
      optimizer.step();
      return value;
    });
  step(Tensor.randn([sequences, 100, inputSize], { generator }));
  // Short steps more often: their median must not hang on the first ones, beside which a second core compiles JavaScript.
  const count = Math.max(rounds, Math.min(4000, Math.ceil(4e6 / (steps * sequences))));
  const baseBytes = memory('VmRSS');
  writeFileSync('/proc/self/clear_refs', '5');
  const seconds = Array.from({ length: count }, () => {
    const begin = performance.now();
    step(input);
    return (performance.now() - begin) / 1000;
  }).sort((a, b) => a - b);
  return { seconds: seconds[count >> 1], least: seconds[0], most: seconds.at(-1), rounds: count, baseBytes, peakBytes: memory('VmHWM') };
}

function memory(key) {
  return Number(new RegExp(`^${key}:\\s*(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
}

function table(results) {
  const mebibytes = (bytes) => `${Math.round(bytes / 2 ** 20).toLocaleString('en-US')} MiB`;
  const rows = results.map(({ system, way, steps, sequences, seconds, baseBytes, peakBytes, failure }) => {
    const size = `${system}, ${way} | ${steps.toLocaleString('en-US')}, ${sequences}`;
    if (failure !== undefined) return `| ${size} | ${failure} | | |`;
    const each = ((1e9 * seconds) / (steps * sequences)).toFixed(0);
    return `| ${size} | ${seconds.toPrecision(3)} s | ${each} ns | ${mebibytes(peakBytes)}, ${mebibytes(peakBytes - baseBytes)} of it for the step |`;
  });
  return ['| system | T, N | training step | per step and sequence | peak memory |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}

/** How much longer a step with checkpointing takes. */
function* ratios(results) {
  for (const { steps, sequences } of large) {
    const [some, all] = Object.keys(ways).map((way) =>
      results.find((r) => r.system === 'evenkeel' && r.way === way && r.steps === steps && r.sequences === sequences),
    );
    if (some?.seconds === undefined || all?.seconds === undefined) continue;
    yield `T ${steps}, N ${sequences}: checkpointing takes ${(some.seconds / all.seconds).toFixed(2)} times as long`;
  }
}

/** How far the time per step is from being the same for every length: by the medians, and by the fastest steps, which others disturbed least. */
function* growth(results) {
  const measured = results.filter(({ way, seconds }) => way === 'growth' && seconds !== undefined);
  if (measured.length < 2) return;
  const [medians, least] = ['seconds', 'least'].map((time) => measured.map((result) => result[time] / result.steps));
  const ratio = (each) => (Math.max(...each) / Math.min(...each)).toFixed(2);
  yield `time per step from T ${growing[0].steps} to ${growing.at(-1).steps}: the longest is ${ratio(medians)} times the shortest; ${ratio(least)} times by the fastest steps of each: ${least.map((time) => `${(1e9 * time).toFixed(0)} ns`).join(', ')}`;
}

await runScript(main);
