// The native addon itself, past the checks of TypeScript: nothing that JavaScript gives it may corrupt memory, and what it refuses has a code.
// Functions that are not known here are called with anything.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { array, detach, hostile } from './values.mjs';

const file = process.env.EVENKEEL_ADDON || new URL('../../build/Release/evenkeel.node', import.meta.url).pathname;
const addon = createRequire(import.meta.url)(resolve(file));
const DIMENSIONS = [1, 1, 2, 3, 4, 5, 8, 16, 17, 33];
/** Not called: they measure for seconds, or would change what others rely on. */
const LEFT_OUT = new Set(['measureMachine', 'lockFile']);

/** Good arguments of a function, by name: an array of the call's type is [count], one of another kind [count, Kind]. */
const GOOD = {
  linearForward: ({ n, i, h, b }) => [n, i, h, a(n * i), a(h * i), b ? a(h) : null, a(n * h)],
  linearBackward: ({ n, i, h, b }) => [n, i, h, a(n * i), a(h * i), a(n * h), b ? a(n * i) : null, a(h * i), b ? a(h) : null],
  layerNormForward: ({ n, h, b }) => [n, h, 1e-5, a(n * h), b ? a(h) : null, b ? a(h) : null, a(n * h), a(3 * n)],
  layerNormBackward: ({ n, h, b }) => [n, h, a(n * h), b ? a(h) : null, a(3 * n), a(n * h), b ? a(n * h) : null, a(h), a(h)],
  rmsNormForward: ({ n, h }) => [n, h, 1e-5, a(n * h), a(h), null, a(n * h), a(n)],
  rmsNormBackward: ({ n, h }) => [n, h, a(n * h), a(h), a(n), a(n * h), a(n * h), a(h), null],
  pointLoss: ({ n, h, random }) => [random.pick([0, 1, 2, 3]), n * h, 1, a(n * h), a(n * h), null, null, a(n * h)],
  crossEntropy: ({ n, h }) => [n, h, a(n * h), a(n, Int32Array), a(n * h)],
  normTerms: ({ n, h }) => [[a(n), a(h)], 2, a(2, Float64Array)],
  scale: ({ n, h }) => [[a(n), a(h)], 0.5, 2],
  clamp: ({ n, h }) => [[a(n), a(h)], 0.5],
  zeroPass: ({ n, h }) => [[a(n), a(h)]],
  sgdPass: ({ n, h, b }) => [[a(n), a(h)], [a(n), a(h)], b ? [a(n), a(h)] : null],
  adamPass: ({ n, h, b }) => [[a(n), a(h)], [a(n), a(h)], [a(n), a(h)], [a(n), a(h)], b ? [a(n), a(h)] : null],
  rmspropPass: ({ n, h, b }) => [[a(n), a(h)], [a(n), a(h)], [a(n), a(h)], b ? [a(n), a(h)] : null, b ? [a(n), a(h)] : null],
  finitePass: ({ n, h }) => [[a(n), a(h)]],
  copyPass: ({ n, h }) => [
    [a(n), a(h)],
    [a(n), a(h)],
  ],
  recurrentLayer: (sizes) => recurrentLayer(sizes),
  setNumThreads: () => [2],
  setDefaultThreads: () => [2],
  setScanStrategy: ({ random }) => [random.pick(['auto', 'blas', 'panels', 'single', 'columns', 'lanes'])],
  addressOf: ({ n }) => [a(n)],
};
/** Of a pass over lists that is not among them. */
const goodOf = (name) =>
  GOOD[name] ?? (name.endsWith('Pass') ? ({ random, n, h }) => Array.from({ length: 1 + random.below(6) }, () => [a(n), a(h)]) : undefined);

const stepArguments = new Map();
/** What the function of a pass takes: numbers, but true or false where it refuses a number. */
function stepOf(name, step) {
  if (!stepArguments.has(name)) {
    const args = Array.from({ length: 14 }, () => 0.5);
    const refusal = () => {
      try {
        step(...args);
        return undefined;
      } catch (error) {
        return error.message;
      }
    };
    let before = refusal();
    for (let at = 0; before !== undefined && at < args.length; at++) {
      if (args[at] === false) continue;
      args[at] = false;
      const now = refusal();
      // A false in the place of a number is refused for that.
      if (now === before || /a number/.test(now)) args[at] = 0.5;
      else [before, at] = [now, -1];
    }
    if (before !== undefined) return args;
    stepArguments.set(name, args);
  }
  return stepArguments.get(name);
}

const a = (count, Kind = undefined) => ({ count, Kind });

/** The cells that the package's layers name. */
const layersFolder = new URL('../../dist/layers/', import.meta.url);
const layerFiles = readdirSync(layersFolder, { recursive: true }).filter((name) => name.endsWith('.js'));
const CELLS = [
  ...new Set(
    layerFiles.flatMap((name) =>
      [...readFileSync(new URL(name, layersFolder), 'utf8').matchAll(/\bcell: '(\w+)'/g)].map(([, cell]) => cell),
    ),
  ),
];

const knownCounts = new Map();
/** The lengths of parameters that the addon itself asks for, in refusal after refusal. */
function parameterCounts(options) {
  const key = JSON.stringify(options);
  if (!knownCounts.has(key)) knownCounts.set(key, askForCounts(options));
  return knownCounts.get(key);
}

function askForCounts(options) {
  let counts = [1];
  for (let attempt = 0; attempt < 30; attempt++) {
    const weights = counts.map((count) => new Float32Array(count));
    try {
      addon.recurrentLayer(weights, weights, options);
      break;
    } catch ({ message }) {
      const [, arrays] = /weights: expected (\d+) arrays/.exec(message) ?? [];
      const [, index, length] = /weights\[(\d+)\][^:]*: expected (\d+) elements/.exec(message) ?? [];
      if (arrays !== undefined) counts = Array.from({ length: Number(arrays) }, (_, k) => counts[k] ?? 1);
      else if (index !== undefined) counts[Number(index)] = Number(length);
      else break;
    }
  }
  return counts;
}

function recurrentLayer({ random, i, h, b }) {
  const options = {
    cell: random.pick(CELLS),
    inputSize: i,
    hiddenSize: h,
    nonlinearity: random.below(2),
    bias: b,
    placement: random.below(5),
    normKind: random.below(2),
    eps: 1e-5,
  };
  const counts = parameterCounts(options);
  return [counts.map((count) => a(count)), counts.map((count) => a(count)), options];
}

/** Good arguments of a recurrent layer's methods. */
function methodArguments(random, handle, name, { n, t, i }) {
  const [p, s] = [handle.outputSize, handle.stateSize];
  const lengths = random.chance(0.3) ? Int32Array.from({ length: n }, () => random.below(t + 1)).sort((x, y) => y - x) : null;
  const length = (steps, of = null) => tapeLengths(handle, n, steps, of);
  const pass = (steps, of = null) => [
    a(n * steps * i),
    random.chance(0.5) ? null : a(n * s),
    a(n * steps * p),
    of === null && random.chance(0.5) ? null : a(n * s),
    random.chance(0.3) ? null : a(length(steps, of)),
    null,
    null,
    of,
  ];
  switch (name) {
    case 'forward':
      return [n, t, ...pass(t, lengths)];
    case 'backward': {
      const [input, initial, output] = pass(t);
      const records = lengths === null && random.chance(0.3) ? [a(n * t, Float64Array), a(n, Int32Array)] : [null, null];
      const concurrent = lengths === null && random.chance(0.3) ? [t + 1, ...pass(t + 1)] : [];
      const gradInput = random.chance(0.5) ? null : a(n * t * i);
      return [
        n,
        t,
        input,
        initial,
        output,
        a(length(t, lengths)),
        random.chance(0.3) ? null : a(n * t * p),
        gradInput,
        a(n * s),
        random.pick([1, Infinity]),
        ...records,
        null,
        null,
        lengths,
        ...concurrent,
      ];
    }
    case 'tangents':
      return [n, t, a(n * t * i), null, a(n * t * p), null, 1, a(n * s), a(n * t)];
    case 'readState':
      return [n, t, random.below(t), a(n * t * p), a(length(t)), a(n * s)];
    case 'tapeLength':
      return [n, t];
    default:
      return [n];
  }
}

/** Of sequences of these lengths, the longest first: a tape for each number of them that go on. */
function tapeLengths(handle, n, steps, lengths) {
  if (lengths === null) return tapeLength(handle, n, steps);
  let [sum, begin] = [0, 0];
  for (let rows = n; rows > 0; rows--) {
    const end = lengths[rows - 1];
    if (end > begin) sum += tapeLength(handle, rows, end - begin);
    begin = end;
  }
  return sum;
}

function tapeLength(handle, n, steps) {
  try {
    return handle.tapeLength(n, steps);
  } catch {
    return 1;
  }
}

export async function prepare(_folder, calls) {
  // Another thread that writes what it likes into memory that calls read.
  const shared = new SharedArrayBuffer(1 << 16);
  // It rests now and then, lest it take the time of the calls themselves.
  const hammer = new Worker(
    `const m = new Int32Array(require("node:worker_threads").workerData);
    const never = new Int32Array(new SharedArrayBuffer(4));
    for (let k = 0, n = 1; ; k = (k + 7919) | 0, n = (n + 1) & 16383) {
      Atomics.store(m, k & 16383, k % 5 ? 1 : k);
      if (n === 0) Atomics.wait(never, 0, 0, 0.3);
    }`,
    { eval: true, workerData: shared },
  );
  hammer.unref();

  /** An array of so many elements, or now and then of another length, kind or memory. */
  function real(random, { count, Kind }, dtype) {
    const wanted = Kind ?? (dtype === 'float64' ? Float64Array : Float32Array);
    const length = random.chance(0.02) ? Math.max(0, count + random.pick([-1, 1, 7])) : count;
    if (!(length < 2e5)) return new wanted(1);
    if (random.chance(0.1) && length * wanted.BYTES_PER_ELEMENT <= shared.byteLength) return new wanted(shared, 0, length);
    if (wanted === Int32Array) return Int32Array.from({ length }, () => (random.chance(0.01) ? random.pick([-1, 99, 2 ** 30]) : 0));
    return array(random, length, random.chance(0.02) ? undefined : wanted === Float64Array ? 'float64' : 'float32');
  }

  function realize(random, value, dtype, made) {
    if (random.chance(0.015)) return hostile(random);
    if (Array.isArray(value))
      return list(
        random,
        value.map((one) => realize(random, one, dtype, made)),
        made,
      );
    if (value === null || typeof value !== 'object') return value;
    if (!('count' in value))
      return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, realize(random, one, dtype, made)]));
    // The same memory twice, now and then.
    const one = made.length > 0 && random.chance(0.03) ? random.pick(made) : real(random, value, dtype);
    made.push(one);
    return one;
  }

  /** A list whose getters may take away what was read before. */
  function list(random, items, made) {
    if (random.chance(0.04) && items.length > 0) {
      const at = random.below(items.length);
      const item = items[at];
      Object.defineProperty(items, at, {
        enumerable: true,
        configurable: true,
        get() {
          const victim = random.pick(made);
          if (ArrayBuffer.isView(victim)) detach(victim);
          globalThis.gc?.({ type: random.chance(0.05) ? 'major' : 'minor' });
          return item;
        },
      });
    }
    return items;
  }

  function call(random, name, target, good, dtype) {
    const made = [];
    const args =
      good === undefined ? Array.from({ length: random.below(8) }, () => hostile(random)) : realizeAll(random, good, dtype, made);
    if (random.chance(0.02) && made.length > 0) detach(random.pick(made));
    const polluted = random.chance(0.005);
    if (polluted)
      Object.defineProperty(Array.prototype, 0, { configurable: true, get() {}, set: () => made.length > 0 && detach(random.pick(made)) });
    try {
      return calls.runRaw(name, () => target(...args));
    } finally {
      if (polluted) delete Array.prototype[0];
    }
  }

  const realizeAll = (random, good, dtype, made) => {
    const args = good.map((value) => realize(random, value, dtype, made));
    if (random.chance(0.02)) args.length = random.below(args.length + 1);
    return args;
  };

  const functions = Object.entries(addon).filter(([name, value]) => typeof value === 'function' && !LEFT_OUT.has(name));
  return async (random) => {
    const size = () => random.pick(DIMENSIONS);
    for (let k = 0; k < 6; k++) {
      const sizes = { n: size(), t: size(), i: size(), h: size(), b: random.chance(0.7), random };
      const dtype = random.pick(['float32', 'float64']);
      const [name, target] = random.chance(0.35) ? ['recurrentLayer', addon.recurrentLayer] : random.pick(functions);
      const result = call(random, name, target, goodOf(name)?.(sizes), dtype);
      if (typeof result === 'function') for (let step = 0; step < 2; step++) call(random, `${name}()`, result, stepOf(name, result), dtype);
      else if (result !== null && typeof result === 'object') callMethods(random, result, name, sizes, dtype);
    }
    addon.setScanStrategy('auto');
  };

  function callMethods(random, handle, name, sizes, dtype) {
    const methods = Object.entries(handle).filter(([, value]) => typeof value === 'function');
    for (let k = 0; k < 5 && methods.length > 0; k++) {
      const [method, target] = random.chance(0.7)
        ? (methods.find(([one]) => one === random.pick(['forward', 'backward'])) ?? methods[0])
        : random.pick(methods);
      call(random, `${name}.${method}`, target, methodArguments(random, handle, method, sizes), dtype);
    }
  }
}
