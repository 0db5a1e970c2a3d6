// Whether a change keeps every bit: hashes of outputs, states and gradients over shapes, SIMD targets, strategies, placements, kinds,
// nonlinearities, element types, numbers of threads, checkpointing and truncation, compared with those in test/fixtures/fingerprint.json.
//   node scripts/fingerprint.mjs                 everything, a few minutes
//   node scripts/fingerprint.mjs --quick         small shapes on the best SIMD target, some seconds
//   node scripts/fingerprint.mjs --only avx2/    the groups whose name contains this
//   node scripts/fingerprint.mjs --list avx512/panels/none/float32 [--package DIR]    the hash of each case of a group, of another build too
//   node scripts/fingerprint.mjs --write         takes this build's bits for the right ones; with --only, those of these groups
// Bits depend on the processor and on OpenBLAS, so the file says for which it holds, and elsewhere nothing is compared: an error, or with
// `--where-comparable` a message and success. A group is SIMD target / strategy / placement and kind / element type. Threads and
// checkpointing must not change a bit: every case runs with several, which must agree.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { capture, Failure, root, runScript, say } from './steps.mjs';

const file = join(root, 'test', 'fixtures', 'fingerprint.json');
const strategies = ['auto', 'blas', 'panels', 'single', 'columns', 'lanes'];
const placements = ['none', 'preactivation', 'split-preactivation', 'recurrent-input', 'hidden'];
const normalizations = placements.flatMap((placement) => (placement === 'none' ? ['none'] : [placement, `${placement}-rms`]));
const dtypes = ['float32', 'float64'];

/** [N, T, I, H]: ends of vectors and tiles, one sequence and many, several chunks of time, weights within and beyond the caches. */
const shapes = {
  quick: [
    [1, 40, 3, 5],
    [3, 9, 2, 17],
    [17, 20, 5, 33],
  ],
  rest: [
    [1, 1, 1, 1],
    [5, 3, 1, 1],
    [1, 300, 4, 64],
    [1, 40, 20, 200],
    [3, 500, 2, 8],
    [2, 130, 64, 40],
    [33, 40, 7, 16],
    [8, 33, 10, 20],
    [40, 12, 70, 130],
    [16, 70, 1, 48],
    [64, 5, 33, 257],
  ],
};

/** What a case does, by the names that the library's options have. */
const variants = [
  { name: 'tanh', layer: { nonlinearity: 'tanh' }, startsAt: true, goesOn: true },
  { name: 'relu, recorded, limited', layer: { nonlinearity: 'relu', stateGradientLimit: 0.5 }, records: true, startsAt: true },
  { name: 'tanh, truncated', layer: { nonlinearity: 'tanh', truncateAfter: 7 }, inputGradient: false },
  { name: 'relu, last state, truncated', layer: { nonlinearity: 'relu', truncateAfter: 16, returnSequences: false }, goesOn: true },
];

/** Ways that must give the same bits. */
const ways = [
  { threads: 1, checkpointing: 'none' },
  { threads: 2, checkpointing: { every: 8 } },
  { threads: 3, checkpointing: 'none' },
  { threads: 1, checkpointing: { every: 24 } },
];

async function main() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      list: { type: 'string' },
      package: { type: 'string', default: root },
      'where-comparable': { type: 'boolean', default: false },
      worker: { type: 'string' },
    },
  });
  if (values.worker !== undefined) return work(JSON.parse(values.worker));
  const library = resolve(values.package);
  const info = load(library).runtimeInfo();
  const machine = machineOf(info);
  if (values.list !== undefined) return list(library, values.list);
  if (values.write && values.quick) throw new Failure('--write takes all cases: leave --quick out.');
  const all = values.write && values.only === '';
  const expected = existsSync(file) && !all ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
  if (expected === undefined && !all) throw new Failure(`There is no ${file}. Make it with --write.`);
  if (expected !== undefined && !comparable(expected.holdsFor, machine)) {
    const message = `The fingerprint holds for ${JSON.stringify(expected.holdsFor)}, this is ${JSON.stringify(machine)}: not compared.`;
    if (!values['where-comparable']) throw new Failure(message);
    console.log(message);
    return;
  }
  const groups = await measure(library, info, values);
  if (values.write) {
    const written = Object.fromEntries(Object.entries(groups).map(([name, { quick, rest }]) => [name, `${quick} ${rest}`]));
    writeFileSync(file, format(machine, { ...expected?.groups, ...written }));
    console.log(`${Object.keys(groups).length} groups written to ${file}`);
  } else {
    report(compare(expected.groups, groups, values.quick));
  }
}

/** A group a line, so that a change of bits shows which. */
function format(holdsFor, groups) {
  const lines = Object.entries(groups).map(([name, hashes]) => `${JSON.stringify(name)}: "${hashes}"`);
  return `{"holdsFor": ${JSON.stringify(holdsFor)},\n"groups": {\n${lines.join(',\n')}}}\n`;
}

/** A build may lack some of the SIMD targets: those that it has are compared. */
const machineOf = ({ arch, cpu, blas }) => ({ arch, cpu, blas });

const comparable = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** The hashes of each group: of the quick cases and of the rest. */
async function measure(library, { simdTargets }, { quick, only }) {
  const groups = {};
  const targets = quick ? simdTargets.slice(0, 1) : simdTargets;
  for (const target of targets) {
    for (const strategy of strategies) {
      const names = groupNames(target, strategy).filter((name) => name.includes(only));
      if (names.length === 0) continue;
      const start = performance.now();
      const { hashes, different } = await inWorker(library, { target, strategy, names, quick });
      if (different.length > 0) throw new Failure(`Threads or checkpointing change bits:\n${different.join('\n')}`);
      Object.assign(groups, hashes);
      say(`${target}/${strategy}: ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
    }
  }
  return groups;
}

function groupNames(target, strategy) {
  const recurrent = normalizations.flatMap((normalization) => dtypes.map((dtype) => `${target}/${strategy}/${normalization}/${dtype}`));
  const others = strategy === 'auto' ? dtypes.map((dtype) => `${target}/auto/rows, losses, optimisers/${dtype}`) : [];
  return [...recurrent, `${target}/${strategy}/lyapunov/float64`, ...others];
}

/** Each target and strategy in a process of its own, since the environment chooses them. */
async function inWorker(library, job) {
  const env = { EVENKEEL_SIMD: job.target, EVENKEEL_SCAN: job.strategy };
  const script = fileURLToPath(import.meta.url);
  const { status, output } = await capture(process.execPath, [script, '--worker', JSON.stringify({ library, ...job })], env);
  if (status !== 0) throw new Failure(`${job.target}/${job.strategy}: status ${status}\n${output}`);
  return JSON.parse(output.slice(output.indexOf('{"hashes"')));
}

async function list(library, name) {
  const [target, strategy] = name.split('/');
  const { cases } = await inWorker(library, { target, strategy, names: [name], quick: false });
  for (const [label, hash] of Object.entries(cases)) console.log(hash, label);
}

function compare(expected, groups, quick) {
  return Object.entries(groups).flatMap(([name, now]) => {
    const [quickBefore, restBefore] = (expected[name] ?? '').split(' ');
    const parts = [quickBefore !== now.quick && 'quick', !quick && restBefore !== now.rest && 'other'].filter(Boolean);
    return parts.length === 0 ? [] : [`${name} (${parts.join(' and ')} cases)`];
  });
}

function report(different) {
  if (different.length === 0) {
    console.log('The same bits in every group.');
    return;
  }
  throw new Failure(
    `Other bits in ${different.length} groups:\n${different.join('\n')}\nTell which case with --list GROUP, of two builds.`,
  );
}

// In a worker.

const load = (library) => createRequire(import.meta.url)(join(library, 'dist', 'index.js'));

function work({ library, names, quick }) {
  const evenkeel = load(library);
  const result = { hashes: {}, different: [], cases: {} };
  for (const name of names) {
    const [, , what, dtype] = name.split('/');
    result.hashes[name] = {};
    for (const part of quick ? ['quick'] : Object.keys(shapes)) {
      const hash = createHash('sha256');
      for (const { label, run } of casesOf(what, dtype, shapes[part])) {
        const [first, ...others] = ways.map((way) => {
          evenkeel.setNumThreads(way.threads);
          return hashOf(run(evenkeel, way));
        });
        others.forEach((other, index) => {
          if (other !== first) result.different.push(`${name}, ${label}: ${JSON.stringify(ways[index + 1])}`);
        });
        result.cases[`${part}: ${label}`] = first.slice(0, 12);
        hash.update(first);
      }
      result.hashes[name][part] = hash.digest('hex').slice(0, 10);
    }
  }
  console.log(JSON.stringify(result));
}

function casesOf(what, dtype, list) {
  const label = (shape) => shape.join(',');
  if (what === 'lyapunov') {
    return list.flatMap((shape) =>
      normalizations.map((normalization) => ({
        label: `${label(shape)} ${normalization}`,
        run: (evenkeel) => lyapunov(evenkeel, shape, normalization),
      })),
    );
  }
  if (what.startsWith('rows'))
    return list.map((shape) => ({ label: label(shape), run: (evenkeel) => otherLayers(evenkeel, shape, dtype) }));
  return list.flatMap((shape) =>
    variants.map((variant) => ({
      label: `${label(shape)} ${variant.name}`,
      run: (evenkeel, way) => recurrent(evenkeel, shape, variant, { normalization: what, dtype, ...way }),
    })),
  );
}

function hashOf(arrays) {
  const hash = createHash('sha256');
  for (const array of arrays) hash.update(Buffer.from(array.buffer, array.byteOffset, array.byteLength)).update('|');
  return hash.digest('hex');
}

/** Tensors of numbers in ±1 that depend on the seed alone, and on none of the library's code. */
function tensors({ Tensor }, dtype, seed = 1) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state - 2 ** 31) / 2 ** 31;
  };
  const fill = (tensor, scale = 1, offset = 0) => {
    for (let i = 0; i < tensor.data.length; i++) tensor.data[i] = offset + scale * next();
    return tensor;
  };
  return { fill, make: (shape, scale, offset) => fill(Tensor.zeros(shape, { dtype }), scale, offset) };
}

function makeRecurrent({ RNN }, [, , inputSize, hiddenSize], { normalization, ...options }, { fill }) {
  const [, placement, isRms] = /^(.*?)(-rms)?$/.exec(normalization);
  const kind = isRms ? 'rms' : 'layer';
  const layer = new RNN({ inputSize, hiddenSize, normalization: { placement, kind }, ...options });
  for (const [name, tensor] of Object.entries(layer.stateDict())) {
    if (name.startsWith('norm') && name.endsWith('weight')) fill(tensor, 0.3, 1);
    else fill(tensor, name.startsWith('weight') ? 1.6 / Math.sqrt(hiddenSize) : 0.2);
  }
  return layer;
}

function recurrent(
  evenkeel,
  shape,
  { layer: options, startsAt, goesOn, records, inputGradient = true },
  { normalization, dtype, checkpointing },
) {
  const [n, t, i, h] = shape;
  const numbers = tensors(evenkeel, dtype);
  const layer = makeRecurrent(evenkeel, shape, { normalization, dtype, checkpointing, ...options }, numbers);
  const input = numbers.make([n, t, i]);
  const initialState = startsAt ? numbers.make([n, h]) : undefined;
  const gradFinalState = goesOn ? numbers.make([n, h], 0.5) : undefined;
  layer.recordStateGradients = records === true;
  const output = layer.forward(input, { initialState });
  const results = [output.data.slice(), layer.finalState.data.slice()];
  const gradInput = layer.backward(numbers.make(output.shape, 0.5), { gradFinalState, inputGradient });
  results.push(...layer.parameters().map(({ grad }) => grad.data), layer.gradInitialState.data);
  if (gradInput !== undefined) results.push(gradInput.data);
  if (records) results.push(layer.stateGradientLogNorms.data, Float64Array.of(layer.limitedStateGradients));
  return results;
}

function lyapunov(evenkeel, [n, t, i, h], normalization) {
  const shape = [Math.min(n, 5), Math.min(t, 20), i, Math.min(h, 40)];
  const numbers = tensors(evenkeel, 'float64');
  const layer = makeRecurrent(evenkeel, shape, { normalization, dtype: 'float64' }, numbers);
  return [evenkeel.lyapunovExponents(layer, numbers.make([shape[0], shape[1], i]), { count: Math.min(shape[3], 4), burnIn: 0 })];
}

/** Everything else that computes: LayerNorm, RMSNorm, Linear, losses, clipping and optimisers. */
function otherLayers(evenkeel, [n, t, i, h], dtype) {
  const { LayerNorm, RMSNorm, Linear, mseLoss, crossEntropyLoss, clipGradNorm, SGD, Adam, AdamW, RMSprop } = evenkeel;
  const numbers = tensors(evenkeel, dtype);
  const layers = [
    new LayerNorm({ size: h, dtype }),
    new LayerNorm({ size: h, affine: false, dtype }),
    new RMSNorm({ size: h, dtype }),
    new Linear({ inputSize: h, outputSize: i, dtype }),
    new Linear({ inputSize: h, outputSize: i, bias: false, dtype }),
  ];
  const results = layers.flatMap((layer) => {
    for (const tensor of Object.values(layer.stateDict())) numbers.fill(tensor);
    const output = layer.forward(numbers.make([n, t, h], 2, 0.5));
    const gradInput = layer.backward(numbers.make(output.shape));
    return [output.data, gradInput.data, ...layer.parameters().map(({ grad }) => grad.data)];
  });
  const labels = Int32Array.from({ length: n }, (_, row) => (7 * row) % h);
  const losses = [mseLoss(numbers.make([n, h]), numbers.make([n, h])), crossEntropyLoss(numbers.make([n, h], 3), labels)];
  const linear = layers[3];
  const settings = { learningRate: 0.01, weightDecay: 0.02 };
  const optimizers = [
    new SGD(linear.parameters(), { ...settings, momentum: 0.9, nesterov: true }),
    new Adam(linear.parameters(), settings),
    new AdamW(linear.parameters(), settings),
    new RMSprop(linear.parameters(), { ...settings, momentum: 0.5 }),
  ];
  const norms = optimizers.map((optimizer) => {
    const norm = clipGradNorm(linear.parameters(), { maxNorm: 1 });
    for (let step = 0; step < 3; step++) optimizer.step();
    return norm;
  });
  return [
    ...results,
    ...losses.flatMap(({ value, grad }) => [Float64Array.of(value), grad.data]),
    Float64Array.from(norms),
    ...linear.parameters().map(({ value }) => value.data),
  ];
}

await runScript(main);
