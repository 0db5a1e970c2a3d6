// Is any shape slower than with PyTorch or JAX? Training steps of random shapes, LSTM and GRU in turns, everyone's numbers compared first as
// in the benchmark, whose runner this is.
//   node scripts/sample-rivals.mjs --python PATH [--cells lstm,gru] [--systems evenkeel,torch,jax] [--count 100] [--seed 1]
//     [--most 64,200,256,512] [--budget 1] [--json file] [--seconds 60]
// `--most` has the largest N, T, I and H, between which sizes are drawn evenly on a scale of factors, so that small ones are as frequent as large
// ones; every fifth shape has N = 1. With `--json` a run goes on where the last one stopped, which `--seconds` makes early.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { Failure, runScript, say } from './steps.mjs';

const require = createRequire(import.meta.url);
const { Generator, runtimeInfo } = require('../dist/index.js');
const { runBench } = require('../dist/bench/runner.js');
const { machineFloor } = require('../dist/bench/floor.js');
const { systems } = require('../dist/bench/systems.js');

/** From this ratio of times on a shape counts as lost: what a run of one second tells apart. */
const LOST = 1.05;

async function main() {
  const options = {
    python: { default: 'python3' },
    cells: { default: 'lstm,gru' },
    systems: { default: 'evenkeel,torch,jax' },
    count: { default: '100' },
    seed: { default: '1' },
    most: { default: '64,200,256,512' },
    budget: { default: '1' },
    json: {},
    seconds: { default: 'Infinity' },
  };
  for (const option of Object.values(options)) option.type = 'string';
  const { values } = parseArgs({ options });
  const sample = { cells: values.cells, systems: values.systems, seed: Number(values.seed), most: values.most };
  const trials = drawTrials(sample, Number(values.count));
  const results = values.json !== undefined && existsSync(values.json) ? resume(values.json, sample) : [];
  const end = performance.now() + 1000 * Number(values.seconds);
  const floor = machineFloor();
  const takers = systems.filter(({ id }) => values.systems.split(',').includes(id));
  for (const trial of trials.slice(results.length)) {
    if (performance.now() > end) break;
    results.push(await compare(trial, { takers, floor, python: values.python, budgetSeconds: Number(values.budget) }));
    say(`${results.length} of ${trials.length}: ${line(results.at(-1))}\n`);
    if (values.json !== undefined) save(values.json, sample, results);
  }
  console.log(summary(results));
}

function drawTrials({ seed, most, cells }, count) {
  const generator = new Generator(seed);
  const bounds = most.split(',').map(Number);
  const draw = (bound) => Math.min(bound, Math.floor((bound + 1) ** generator.uniform()));
  return Array.from({ length: count }, (_, index) => {
    const [n, t, i, h] = bounds.map(draw);
    const cell = cells.split(',')[index % cells.split(',').length];
    const shape = { n: index % 5 === 4 ? 1 : n, t, i, h };
    return { id: `${cell}-train ${shape.n},${t},${i},${h}`, work: `${cell}-train`, ...shape, quick: false, why: 'a random shape' };
  });
}

function resume(file, sample) {
  const before = JSON.parse(readFileSync(file, 'utf8'));
  if (JSON.stringify(before.sample) === JSON.stringify(sample)) return before.results;
  throw new Failure(`${file} holds another sample: ${JSON.stringify(before.sample)}. Name another file, or delete this one.`);
}

function save(file, sample, results) {
  const { version, node, cpu, cores, simdTarget, blas } = runtimeInfo();
  const report = { sample, date: new Date().toISOString(), machine: { version, node, cpu, cores, simdTarget, blas }, results };
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
}

async function compare(trial, { takers, floor, python, budgetSeconds }) {
  const progress = { begin() {}, advance() {}, end() {} };
  const run = { trials: [trial], systems: takers, paths: { python }, floor, quick: false, budgetSeconds, limitSeconds: 20 };
  const [result] = (await runBench(run, { progress })).trials;
  const best = (own) => {
    const timed = result.cases.filter(({ system, timing }) => timing !== undefined && (system === 'evenkeel') === own);
    const [first] = timed.sort((a, b) => a.timing.median - b.timing.median);
    return first && { title: first.title, threads: first.threads, ms: first.timing.median };
  };
  const [own, rival] = [best(true), best(false)];
  return { id: trial.id, own, rival, ratio: result.comparison?.ratio ?? null, floor: result.floor.milliseconds ?? null };
}

const line = ({ id, own, rival, ratio }) => {
  const one = (name, best) =>
    best === undefined ? `${name}: no time` : `${best.title} ${best.ms.toPrecision(3)} ms, ${best.threads} threads`;
  return `${id}: ${one('evenkeel', own)}; ${one('rivals', rival)}${ratio === null ? '' : `; ratio ${ratio.toFixed(2)}`}`;
};

function summary(results) {
  const compared = results.filter(({ ratio }) => ratio !== null).sort((a, b) => a.ratio - b.ratio);
  const at = (q) => compared[Math.round(q * (compared.length - 1))]?.ratio.toFixed(2);
  const lost = compared.filter(({ ratio }) => ratio > LOST).reverse();
  const quantiles = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1].map((q) => `${100 * q} %: ${at(q)}`);
  return [
    `${results.length} shapes, ${compared.length} compared; evenkeel's time over that of the best rival, quantiles ${quantiles.join(', ')}`,
    `slower by more than ${(100 * (LOST - 1)).toFixed(0)} %: ${lost.length}`,
    ...lost.map(line),
  ].join('\n');
}

await runScript(main);
