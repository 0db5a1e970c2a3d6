// Whether one build is as fast as another: training passes of recurrent layers, in turns, each build in several processes, since where memory
// comes to lie makes a process some percent faster or slower than the next. A build is an addon, or the folder of a checkout of another commit,
// set up, which is then measured with its own JavaScript.
//   node scripts/release/compare-speed.mjs A B [--rounds 15] [--processes 3] [--shapes N,T,I,H …] [--cells RNN …] [--limit 1.03]
//     --threads 2   more than one; then it takes the clock's time, else the processor's, which other programs disturb less
//     --step        a whole training step: zeroGrad, the layer, a LayerNorm, the mean squared error, backward, clipping to norm 1 and Adam
// With --limit it fails where B takes longer than that times A.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Failure, root, runScript } from '../steps.mjs';

const usual = ['32,50,10,20', '32,200,64,128', '32,200,256,256', '64,100,512,512', '1,1000,64,128'];

/** In a process of its own: at each message the time in milliseconds of a forward and a backward pass of that shape and cell. */
const runner = `
const [folder, threads, step, ...tasks] = process.argv.slice(1);
const e = require(folder + '/dist/index.js');
e.setNumThreads(Number(threads));
const passes = tasks.map((text) => {
  const [cell, shape] = text.split(' ');
  const [N, T, I, H] = shape.split(',').map(Number);
  const generator = new e.Generator(1);
  const layer = new e[cell]({ inputSize: I, hiddenSize: H, generator });
  const input = e.Tensor.randn([N, T, I], { generator });
  const target = e.Tensor.randn([N, T, H], { generator });
  const workspace = new e.Workspace();
  const model = new e.Sequential({ layer, norm: new e.LayerNorm({ size: H }) });
  const optimizer = new e.Adam(model.parameters());
  const bodies = {
    pass() {
      layer.forward(input);
      layer.backward(target);
    },
    step() {
      optimizer.zeroGrad();
      model.backward(e.mseLoss(model.forward(input), target).grad, { inputGradient: false });
      e.clipGradNorm(model.parameters(), { maxNorm: 1 });
      optimizer.step();
    },
  };
  const pass = () => workspace.run(bodies[step]);
  // Until what is called often is compiled: a training run of small steps has thousands of them.
  for (const begin = performance.now(); performance.now() < begin + 1500; ) pass();
  const before = performance.now();
  pass();
  return { pass, times: Math.max(1, Math.round(40 / (performance.now() - before))) };
});
process.on('message', (index) => {
  const { pass, times } = passes[index];
  const begin = performance.now();
  const before = process.cpuUsage();
  for (let i = 0; i < times; i++) pass();
  const { user, system } = process.cpuUsage(before);
  process.send((threads === '1' ? (user + system) / 1000 : performance.now() - begin) / times);
});
process.send(e.runtimeInfo().simdTarget + ', ' + e.runtimeInfo().blas);`;

await runScript(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '15' },
      processes: { type: 'string', default: '3' },
      shapes: { type: 'string', multiple: true, default: usual },
      cells: { type: 'string', multiple: true, default: ['RNN'] },
      limit: { type: 'string', default: 'Infinity' },
      threads: { type: 'string', default: '1' },
      step: { type: 'boolean', default: false },
    },
  });
  if (positionals.length !== 2) throw new Failure('expected two builds, each an addon or the folder of a checkout: A B');
  const [rounds, processes, limit] = [values.rounds, values.processes, values.limit].map(Number);
  const tasks = values.cells.flatMap((cell) => values.shapes.map((shape) => `${cell} ${shape}`));
  const builds = positionals.map((file) => ({ file: resolve(file), children: [] }));
  const options = [values.threads, values.step ? 'step' : 'pass', ...tasks];
  try {
    for (let i = 0; i < processes; i++) for (const { file, children } of builds) children.push(await start(file, options));
    for (const { file, children } of builds) console.log(`${file}: ${children[0].info}`);
    console.log('| | A, ms | B, ms | B / A |\n| --- | --- | --- | --- |');
    const slower = [];
    for (const [index, task] of tasks.entries()) {
      const [a, b] = await timesOf(builds, index, rounds);
      console.log(`| ${task} | ${a.toPrecision(3)} | ${b.toPrecision(3)} | ${(b / a).toFixed(3)} |`);
      if (b > limit * a) slower.push(task);
    }
    if (slower.length > 0) throw new Failure(`more than ${limit} times as long: ${slower.join('; ')}`);
  } finally {
    for (const { children } of builds) for (const { child } of children) child.kill();
  }
});

async function start(file, options) {
  const isFolder = statSync(file).isDirectory();
  const child = spawn(process.execPath, ['-e', runner, '--', isFolder ? file : root, ...options], {
    env: isFolder ? process.env : { ...process.env, EVENKEEL_ADDON: file },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = new AbortController();
  child.once('exit', () => ended.abort());
  const running = { child, ended: ended.signal };
  return { ...running, info: await answer(running) };
}

/** What a process says next; it says what was wrong itself where it ends instead. */
async function answer({ child, ended }) {
  const [message] = await once(child, 'message', { signal: ended }).catch(() => {
    throw new Failure('a process that was to be timed has ended');
  });
  return message;
}

/** Of each build, the median over its processes of the least over rounds, which others disturb least. Who begins changes from round to round. */
async function timesOf(builds, index, rounds) {
  const times = builds.map(({ children }) => children.map(() => []));
  for (let round = 0; round < rounds; round++) {
    for (let p = 0; p < builds[0].children.length; p++) {
      for (const build of (round + p) % 2 ? [0, 1] : [1, 0]) {
        const running = builds[build].children[p];
        running.child.send(index);
        times[build][p].push(await answer(running));
      }
    }
  }
  return times.map((ofProcesses) => median(ofProcesses.map((ofRounds) => Math.min(...ofRounds))));
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
