// Is each shape's way through time the right one? Random shapes, each by the strategy that the chooser takes and by another one: an RNN,
// forward and backward with all gradients, in turns.
//   node scripts/sample-shapes.mjs [--against blas] [--count 200] [--seed 1] [--most 128,500,512,600] [--threads n] [--json file] [--seconds 60]
// `--most` has the largest N, T, I and H. With `--json` a run goes on where the last one stopped, which `--seconds` makes early. A shape that
// seems to lose by more than 10 % is measured again, longer, before it counts.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { Failure, runScript, say } from './steps.mjs';

const require = createRequire(import.meta.url);
const { Generator, getNumThreads, RNN, runtimeInfo, setNumThreads, Tensor, Workspace } = require('../dist/index.js');
const { native } = require('../dist/native/load.js');

/** The ratio of times from which a shape counts as lost. */
const LOST = 1.1;

async function main() {
  const options = {
    against: { default: 'blas' },
    count: { default: '200' },
    seed: { default: '1' },
    most: { default: '128,500,512,600' },
    threads: { default: `${getNumThreads()}` },
    json: {},
    seconds: { default: 'Infinity' },
  };
  for (const option of Object.values(options)) option.type = 'string';
  const { values } = parseArgs({ options });
  setNumThreads(Number(values.threads));
  const sample = { against: values.against, seed: Number(values.seed), most: values.most, threads: getNumThreads() };
  const shapes = drawShapes(sample, Number(values.count));
  const results = values.json !== undefined && existsSync(values.json) ? resume(values.json, sample) : [];
  const end = performance.now() + 1000 * Number(values.seconds);
  for (const shape of shapes.slice(results.length)) {
    if (performance.now() > end) break;
    results.push(compare(shape, values.against));
    say(`${results.length} of ${shapes.length}: ${line(results.at(-1))}\n`);
  }
  const { version, node, cpu, cores, simdTarget, blas } = runtimeInfo();
  const report = { sample, date: new Date().toISOString(), machine: { version, node, cpu, cores, simdTarget, blas }, results };
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
  console.log(summary(sample, results));
}

function drawShapes({ seed, most }, count) {
  const generator = new Generator(seed);
  const bounds = most.split(',').map(Number);
  return Array.from({ length: count }, () => bounds.map((bound) => 1 + generator.integer(bound)));
}

function resume(file, sample) {
  const before = JSON.parse(readFileSync(file, 'utf8'));
  if (JSON.stringify(before.sample) === JSON.stringify(sample)) return before.results;
  throw new Failure(`${file} holds another sample: ${JSON.stringify(before.sample)}. Name another file, or delete this one.`);
}

/** Medians of both ways, in milliseconds. */
function compare([n, t, inputSize, hiddenSize], against) {
  const generator = new Generator(1);
  const rnn = new RNN({ inputSize, hiddenSize, generator, checkpointing: 'none' });
  const input = repeated([n, t, inputSize], generator);
  const grad = repeated([n, t, hiddenSize], generator);
  const workspace = new Workspace();
  const time = (strategy) => {
    native().setScanStrategy(strategy);
    const begin = performance.now();
    workspace.run(() => {
      rnn.forward(input);
      rnn.backward(grad);
    });
    return performance.now() - begin;
  };
  const measure = (seconds) => medians(() => [time('auto'), time(against)], seconds);
  const arrays = (kind) => rnn.parameters().map((parameter) => parameter[kind].data);
  const chosen = native().recurrentLayer(arrays('value'), arrays('grad'), { cell: 'elman', inputSize, hiddenSize }).strategy(n);
  let [own, other] = measure(0.3);
  if (own > LOST * other) [own, other] = measure(1.2);
  native().setScanStrategy('auto');
  return { shape: [n, t, inputSize, hiddenSize], chosen, own, other, ratio: own / other };
}

/** The medians of what `round` returns, which is called for so long, at least three times after a first one that does not count. */
function medians(round, seconds) {
  round();
  const rounds = [];
  for (const end = performance.now() + 1000 * seconds; rounds.length < 3 || performance.now() < end; ) rounds.push(round());
  return rounds[0].map((_, column) =>
    quantile(
      rounds.map((times) => times[column]),
      0.5,
    ),
  );
}

const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.round(q * (values.length - 1))];

/** Random numbers, a thousand of them again and again: to draw millions would take longer than to measure. */
function repeated(shape, generator) {
  const tensor = Tensor.zeros(shape);
  const some = Tensor.randn([1009], { generator }).data;
  for (let begin = 0; begin < tensor.data.length; begin += some.length) {
    tensor.data.set(some.subarray(0, tensor.data.length - begin), begin);
  }
  return tensor;
}

const line = ({ shape, chosen, own, other, ratio }) =>
  `${shape.join(',')} ${chosen} ${own.toPrecision(3)} ms, ${other.toPrecision(3)} ms, ratio ${ratio.toFixed(2)}`;

function summary({ against, threads }, results) {
  const ratios = results.map(({ ratio }) => ratio);
  const lost = results.filter(({ ratio }) => ratio > LOST).sort((a, b) => b.ratio - a.ratio);
  const quantiles = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1].map((q) => `${100 * q} %: ${quantile(ratios, q).toFixed(2)}`);
  return [
    `${results.length} shapes, ${threads} threads; time by the chosen strategy over time by "${against}", quantiles ${quantiles.join(', ')}`,
    `slower by more than ${(100 * (LOST - 1)).toFixed(0)} %: ${lost.length}`,
    ...lost.map(line),
  ].join('\n');
}

await runScript(main);
