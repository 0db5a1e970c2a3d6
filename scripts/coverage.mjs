// How far growth rates are to be trusted: how often their intervals, and those of Lyapunov exponents and horizons, hold what a long run of the same weights
// gives, over many draws of the input; how often a verdict is false where the exponent is 0; and what the first step of a LayerNorm does to an exponent.
//   node scripts/coverage.mjs [--draws 2000] [--quick] [--json file] [--publish]
// With --json a run goes on where the last one stopped.
// The exponent is that of 32 sequences of 5,000 steps (--quick: 1,000). --publish keeps the results as docs/coverage.json and shows them in docs/stability.md.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Failure, replaceBlock, root, runScript, say } from './steps.mjs';

const require = createRequire(import.meta.url);
const { Generator, gradientFlow, LayerNorm, lyapunovSpectrum, RNN, setNumThreads, Tensor } = require('../dist/index.js');
const { environment } = require('../dist/study/run.js');
const { LARGEST, SMALLEST } = require('../dist/stability/horizon.js');
const { formatCoverage } = require('../dist/study/rate-coverage.js');

const { values } = parseArgs({
  options: {
    draws: { type: 'string', default: '2000' },
    quick: { type: 'boolean', default: false },
    publish: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const draws = Number(values.draws);
const [inputSize, hiddenSize, dtype] = [10, 20, 'float64'];
/** The horizon is that of several long runs: of one alone it would be no better known than by the draws. */
const horizonRuns = values.quick ? 2 : 10;
const longRun = { sequences: 32, timeSteps: values.quick ? 1000 : 5000, horizonSequences: 32 * horizonRuns };
const sizes = [
  [32, 200],
  [3, 200],
  [1, 200],
  [1, 1000],
];
const orthogonal = (gain) => ({ name: 'orthogonal', gain });
const titleOf = ({ name, gain }) => (gain === undefined ? name : `${name} ×${Number(gain.toFixed(3))}`);
const designs = [
  ['none', { name: 'uniform' }],
  ['none', orthogonal(1)],
  ['none', orthogonal(1.5)],
  ['none', orthogonal(2.5)],
  ['preactivation', orthogonal(1.5)],
  ['hidden', orthogonal(1)],
  ['hidden', orthogonal(1.5)],
];

const layerOf = (normalization, recurrentInitializer, seed = 1, returnSequences = false) =>
  new RNN({ inputSize, hiddenSize, normalization, recurrentInitializer, dtype, generator: new Generator(seed), returnSequences });
const drawInput = (n, t, generator) => Tensor.randn([n, t, inputSize], { dtype, generator });
const longInput = () => drawInput(longRun.sequences, longRun.timeSteps, new Generator(5));

function longExponent(rnn) {
  const { exponents, standardErrors } = lyapunovSpectrum(rnn, longInput(), { count: 1 });
  return { exponent: exponents[0], error: standardErrors[0] };
}

/** ln‖∂L/∂h_t‖ of a sequence by its distance from the last step, the mean over long runs of as many sequences as their own noise asks for. */
function longCourse(rnn) {
  const { sequences, timeSteps } = longRun;
  const course = new Float64Array(timeSteps);
  for (let run = 0; run < horizonRuns; run++) {
    const generator = new Generator(5 + run);
    const input = drawInput(sequences, timeSteps, generator);
    const target = Tensor.randn([sequences, hiddenSize], { dtype, generator });
    const { data } = gradientFlow(rnn, input, { target, perSequence: true }).layers[0].sequenceLogNorms;
    for (const [i, value] of data.entries()) course[timeSteps - 1 - (i % timeSteps)] += value / (sequences * horizonRuns);
  }
  return course;
}

/** Where the gradient of a batch of n sequences leaves float32, null where not within the long run: the loss is a mean over the batch. */
function longHorizon(course, n) {
  const scale = Math.log(longRun.sequences / n);
  const distance = course.findIndex((value) => value + scale > LARGEST || value + scale < SMALLEST);
  return distance < 0 ? null : distance;
}

/** @param spectra whether the Lyapunov exponents are wanted too */
function drawMany(rnn, n, t, spectra) {
  return Array.from({ length: draws }, (_, draw) => {
    const generator = new Generator(10_000 + draw);
    const input = drawInput(n, t, generator);
    const [flow] = gradientFlow(rnn, input, { target: Tensor.randn([n, hiddenSize], { dtype, generator }) }).layers;
    return { flow, exponents: spectra ? lyapunovSpectrum(rnn, input, { count: 1 }).intervals[0] : undefined };
  });
}

const share = (list, test) => list.filter(test).length / list.length;
const within = ([low, high], value) => low <= value && value <= high;
const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
const middle = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];
/** The interval of a growth rate, around the rate of the batch's norm. */
const batchInterval = ({ growthRate, growthRateInterval, batchGrowthRate }) =>
  growthRateInterval.map((end) => end - growthRate + batchGrowthRate);
const round = (value) => Number(value.toPrecision(5));

function coverageOf(rnn, { exponent, course }, [n, t]) {
  const drawn = drawMany(rnn, n, t, true);
  const horizon = longHorizon(course, n);
  const horizons = drawn.map(({ flow }) => flow.horizon);
  return {
    sequences: n,
    timeSteps: t,
    rateHolds: share(drawn, ({ flow }) => within(flow.growthRateInterval, exponent)),
    batchHolds: share(drawn, ({ flow }) => within(batchInterval(flow), exponent)),
    exponentHolds: share(drawn, ({ exponents }) => within(exponents, exponent)),
    meanRate: round(mean(drawn.map(({ flow }) => flow.growthRate))),
    meanBatchRate: round(mean(drawn.map(({ flow }) => flow.batchGrowthRate))),
    longHorizon: horizon,
    horizon: Number.isFinite(middle(horizons)) ? middle(horizons) : null,
    horizonHolds: horizon === null ? null : share(drawn, ({ flow }) => within(flow.horizonInterval, horizon)),
  };
}

function coverDesign([placement, initializer]) {
  const rnn = layerOf(placement, initializer);
  const { exponent, error } = longExponent(rnn);
  const long = { exponent, course: longCourse(rnn) };
  const design = { placement, initializer: titleOf(initializer), exponent, error, sizes: sizes.map((size) => coverageOf(rnn, long, size)) };
  say(`${placement}, ${design.initializer}: ${design.sizes.map(({ rateHolds }) => rateHolds).join(', ')}\n`);
  return design;
}

/** LayerNorm on the state, W_hh orthogonal by a factor that makes the largest exponent 0. */
function neutralDesign(seed) {
  let [low, high] = [0.9, 1.6];
  for (let i = 0; i < 9; i++) {
    const gain = (low + high) / 2;
    if (longExponent(layerOf('hidden', orthogonal(gain), seed)).exponent > 0) high = gain;
    else low = gain;
  }
  const initializer = orthogonal((low + high) / 2);
  const rnn = layerOf('hidden', initializer, seed);
  const isTold = ([from, to], rate, t) => (from > 0 || to < 0) && Math.abs(rate) * t > Math.log(100);
  const tried = sizes.map(([n, t]) => {
    const drawn = drawMany(rnn, n, t, false);
    return {
      sequences: n,
      timeSteps: t,
      falseVerdicts: share(drawn, ({ flow }) => flow.verdict !== 'stable'),
      falseByBatch: share(drawn, ({ flow }) => isTold(batchInterval(flow), flow.batchGrowthRate, t)),
    };
  });
  say(`hidden, ${titleOf(initializer)}: ${tried.map(({ falseVerdicts }) => falseVerdicts).join(', ')}\n`);
  return { initializer: titleOf(initializer), seed, ...longExponent(rnn), sizes: tried };
}

/** LayerNorm of what is fed back is LayerNorm on the state, seen elsewhere in the step. */
function differenceOver(timeSteps) {
  const input = drawInput(4, timeSteps, new Generator(2));
  const [states, fedBack] = ['hidden', 'recurrent-input'].map((place) => layerOf(place, orthogonal(1.5), 1, true).forward(input));
  const normalized = new LayerNorm({ size: hiddenSize, dtype, affine: false }).forward(fedBack);
  return { timeSteps, difference: normalized.data.reduce((most, value, i) => Math.max(most, Math.abs(value - states.data[i])), 0) };
}

function firstStepOver(timeSteps, placement) {
  const input = drawInput(8, timeSteps, new Generator(77));
  const exponentOf = (options) =>
    round(lyapunovSpectrum(layerOf(placement, orthogonal(1.5)), input, { count: 1, ...options }).exponents[0]);
  return { timeSteps, placement, all: exponentOf({ burnIn: 0 }), settled: exponentOf({}) };
}

/** What is done already is kept in the file of --json after each of its steps, and not done again. */
class Course {
  #done;

  constructor(settings) {
    const before = values.json !== undefined && existsSync(values.json) ? JSON.parse(readFileSync(values.json, 'utf8')) : undefined;
    if (before !== undefined && JSON.stringify(before.settings) !== JSON.stringify(settings))
      throw new Failure(`${values.json} holds another run: ${JSON.stringify(before.settings)}. Name another file, or delete this one.`);
    this.#done = before ?? { settings, results: {} };
  }

  all(name, items, measure) {
    this.#done.results[name] ??= [];
    const results = this.#done.results[name];
    for (const item of items.slice(results.length)) {
      results.push(measure(item));
      if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(this.#done));
    }
    return results;
  }
}

await runScript(async () => {
  setNumThreads(1);
  const { evenkeel } = environment();
  const course = new Course({ draws, longRun, evenkeel });
  const placed = [100, 200, 1000, 10_000].flatMap((steps) =>
    ['hidden', 'recurrent-input', 'split-preactivation'].map((placement) => [steps, placement]),
  );
  const results = {
    schema: 'evenkeel/coverage',
    date: new Date().toISOString(),
    environment: environment(),
    draws,
    inputSize,
    hiddenSize,
    longRun,
    designs: course.all('designs', designs, coverDesign),
    neutral: course.all('neutral', [1, 2], neutralDesign),
    oneRecurrence: course.all('oneRecurrence', [10, 50, 200], differenceOver),
    firstStep: course.all('firstStep', placed, ([steps, placement]) => firstStepOver(steps, placement)),
  };
  console.log(formatCoverage(results));
  if (!values.publish) return;
  writeFileSync(join(root, 'docs/coverage.json'), `${JSON.stringify(results)}\n`);
  replaceBlock('docs/stability.md', 'coverage', formatCoverage(results));
});
