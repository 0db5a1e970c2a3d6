// What a training step through the public API costs beside the same calls of the addon alone, and what a call itself costs.
//   node scripts/step-cost.mjs [--shape 32,50,10,20] [--threads 2] [--seconds 2]
// A step is zeroGrad, an RNN and a LayerNorm forward, their mean squared error, backward, clipping to norm 1 and Adam, in float32. The calls of
// the addon that one step makes are noted with their arguments, and made again by themselves, on the same arrays: in turn with whole steps,
// and one by one. A call on next to nothing tells the cost of taking its arguments apart. Medians; the machine should have nothing else to do.
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { say } from './steps.mjs';

const require = createRequire(import.meta.url);
const { Adam, clipGradNorm, Generator, LayerNorm, mseLoss, RNN, runtimeInfo, Sequential, setNumThreads, Tensor, Workspace } =
  require('../dist/index.js');
const addon = require('../dist/native/load.js').native();

const SMALLEST = [1, 1, 1, 1];

function main() {
  const { values } = parseArgs({
    options: { shape: { type: 'string' }, threads: { type: 'string' }, seconds: { type: 'string', default: '2' } },
  });
  if (values.threads !== undefined) setNumThreads(Number(values.threads));
  const shape = values.shape?.split(',').map(Number) ?? [32, 50, 10, 20];
  const { cpu, threads, simdTarget } = runtimeInfo();
  const [step, smallest] = [shape, SMALLEST].map((sizes) => measure(sizes, (1000 * Number(values.seconds)) / 2));
  const ratio = step.whole / step.alone;
  say(`N,T,I,H = ${shape}; ${cpu}, ${threads} threads, ${simdTarget}\n`);
  say(
    `a step ${us(step.whole)}, its calls alone ${us(step.alone)}: ${ratio.toFixed(2)} times; ${step.bytes} bytes of arrays allocated per step\n`,
  );
  say('each call alone, and on one number:\n');
  for (const [name, time] of step.calls) {
    const least = smallest.calls.get(name);
    say(`  ${name.padEnd(18)} ${us(time).padStart(12)} ${least === undefined ? '' : us(least).padStart(10)}\n`);
  }
}

const us = (milliseconds) => `${(1000 * milliseconds).toFixed(2)} µs`;

/** Milliseconds of a whole step, of all its calls, and of each of them. */
function measure(shape, milliseconds) {
  const step = makeStep(shape);
  const calls = callsOf(step);
  // V8 goes on compiling for many calls.
  for (const end = performance.now() + milliseconds / 2; performance.now() < end; ) step();
  const all = () => {
    for (const { run } of calls) run();
  };
  const [whole, alone] = mediansInTurn([step, all], milliseconds / 2);
  // A whole step between them clears what backward adds to: ∂L/∂h_0 would go on from round to round.
  const each = mediansInTurn([...calls.map(({ run }) => run), step], milliseconds / 2);
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 10; i++) step();
  const bytes = (process.memoryUsage().arrayBuffers - before) / 10;
  return { whole, alone, bytes, calls: new Map(calls.map(({ name }, index) => [name, each[index]])) };
}

function makeStep([n, t, i, h]) {
  const generator = new Generator(1);
  const model = new Sequential({ rnn: new RNN({ inputSize: i, hiddenSize: h, generator }), ln: new LayerNorm({ size: h }) });
  const optimizer = new Adam(model.parameters());
  const [input, target] = [i, h].map((width) => Tensor.randn([n, t, width], { generator }));
  const workspace = new Workspace();
  const body = () => {
    optimizer.zeroGrad();
    const { grad } = mseLoss(model.forward(input), target);
    model.backward(grad, { inputGradient: false });
    clipGradNorm(model.parameters(), { maxNorm: 1 });
    optimizer.step();
  };
  return () => workspace.run(body);
}

/** The calls of the addon that a step makes, which can be made again. To be asked for before the first step, which makes the optimiser's. */
function callsOf(step) {
  const calls = [];
  const noted =
    (name, call) =>
    (...args) => {
      calls.push({ name, run: () => call(...args) });
      const result = call(...args);
      if (typeof result === 'function') return noted(name, result);
      return typeof result?.forward === 'function' ? notedMethods(result) : result;
    };
  // A recurrent layer of the addon.
  const notedMethods = (layer) =>
    Object.fromEntries(Object.entries(layer).map(([name, value]) => [name, typeof value === 'function' ? noted(name, value) : value]));
  const functions = { ...addon };
  for (const [name, call] of Object.entries(functions)) addon[name] = noted(name, call);
  step();
  calls.length = 0;
  step();
  Object.assign(addon, functions);
  return [...calls];
}

/** The median time of each, taken in turn. */
function mediansInTurn(bodies, milliseconds) {
  const times = bodies.map(() => []);
  const end = performance.now() + milliseconds;
  do {
    bodies.forEach((body, index) => {
      const begin = performance.now();
      body();
      times[index].push(performance.now() - begin);
    });
  } while (performance.now() < end);
  return times.map((list) => list.sort((a, b) => a - b)[list.length >> 1]);
}

main();
