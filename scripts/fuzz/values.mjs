// Values of every kind for the arguments of the package's functions: good ones, and those that no function was made for.
import { CallbackError, GetterError, internal } from './calls.mjs';
import { number, text } from './random.mjs';

const { Generator, LastStep, Linear, Parameter, Tensor } = internal('index');

const throwing = {
  get() {
    throw new GetterError('a getter threw');
  },
  enumerable: true,
  configurable: true,
};
const trap = () => {
  throw new GetterError('a trap threw');
};
const throwingHandler = new Proxy({}, { get: () => trap });

export function detach(array) {
  try {
    structuredClone(array.buffer, { transfer: [array.buffer] });
  } catch {
    // Shared memory cannot be taken away.
  }
  return array;
}

class LyingArray extends Float32Array {
  get length() {
    return 1e6;
  }
  get byteOffset() {
    return 1e6;
  }
  slice() {
    return new Float32Array(99);
  }
}

const PERIOD = 61;

/** A typed array in memory of every kind. */
export function array(random, length, dtype = random.pick(['float32', 'float64'])) {
  const Kind = dtype === 'float64' ? Float64Array : Float32Array;
  const bytes = Kind.BYTES_PER_ELEMENT;
  const extra = random.below(3);
  const size = (length + extra) * bytes;
  let made;
  switch (random.below(8)) {
    case 0:
      made = new Kind(new SharedArrayBuffer(size), extra * bytes, length);
      break;
    case 1:
      made = new Kind(new ArrayBuffer(size), extra * bytes, length);
      break;
    case 2:
      made = new Kind(new ArrayBuffer(length * bytes, { maxByteLength: size + 64 }));
      break;
    default:
      made = new Kind(length);
  }
  const fill = random.pick([() => 0, () => random.next() - 0.5, () => random.next() - 0.5, () => number(random)]);
  // The same numbers again in a long one: to make them takes longer than most calls.
  const { length: whole } = made;
  for (let i = 0; i < Math.min(whole, PERIOD); i++) made[i] = fill();
  for (let i = PERIOD; i < whole; i *= 2) made.copyWithin(i, 0, Math.min(i, whole - i));
  return made;
}

export const SIZES = [1, 1, 2, 2, 3, 3, 4, 5, 8, 17];

export function shape(random, most = 4) {
  return Array.from({ length: random.below(most) }, () => random.pick(random.chance(0.05) ? [0, 2 ** 40, 2 ** 53] : SIZES));
}

export function tensor(random, sizes = shape(random), dtype = undefined) {
  const count = sizes.reduce((product, size) => product * size, 1);
  if (!(count < 1e5) || sizes.some((size) => size > 2 ** 50)) return Tensor.zeros([2]);
  const made = new Tensor(array(random, count, dtype), sizes);
  if (random.chance(0.02)) detach(made.data);
  return made;
}

export const generator = (random) => new Generator(random.below(1000));

/** What a function that is handed in may do. */
export function callback(random, world) {
  return random.pick([
    () => {},
    () => true,
    () => false,
    (first) => first,
    async () => {},
    (...args) => {
      for (const arg of args) if (Tensor.isTensor(arg)) detach(arg.data);
    },
    (...args) => {
      for (const arg of args) if (typeof arg === 'object' && arg !== null) Object.freeze(arg);
    },
    () => world.callAnything?.(),
  ]);
}

const HOSTILE = [
  () => undefined,
  () => null,
  () => true,
  () => Object(3),
  () => Symbol('s'),
  () => 3n,
  () => class {},
  () => [],
  () => new Array(1e9),
  () => new Array(2 ** 32 - 1),
  () => [null],
  () => Object.defineProperty([1, 2], 0, throwing),
  () => Object.defineProperty({}, 'dtype', throwing),
  () => ({ toString: trap, valueOf: trap, [Symbol.toPrimitive]: trap }),
  () => Object.defineProperty({ x: 1 }, 'constructor', throwing),
  () => Object.assign([1, 2], { [Symbol.iterator]: trap }),
  () =>
    Object.assign([1, 2], {
      length: 2,
      [Symbol.iterator]: function* () {
        for (let i = 0; i < 1e4; i++) yield i;
      },
    }),
  () => new Proxy({}, throwingHandler),
  () => new Proxy([1], throwingHandler),
  () => new Proxy(() => {}, throwingHandler),
  () => revoked({}),
  () => revoked([]),
  () => new Date(Number.NaN),
  () => new Map([['size', 3]]),
  () => new Error('x'),
  () => new ArrayBuffer(24),
  () => new DataView(new ArrayBuffer(24)),
  () => Buffer.alloc(24),
  () => new BigInt64Array(2),
  () => Object.assign(new LyingArray(3), [1, 2, 3]),
  () => new Proxy(new Float64Array(24), {}),
  () => new Tensor(Object.assign(new LyingArray(3), [1, 2, 3]), [3]),
  () => new Proxy(Tensor.zeros([2]), {}),
  () => revoked(Tensor.zeros([2])),
  () => Object.create(Tensor.prototype),
  () => ({ data: new Float32Array(6), shape: [2, 3], dtype: 'float32', size: 6, checkAttached() {} }),
  () => new Parameter('w', Tensor.zeros([2])),
  () => [Object.create(Parameter.prototype)],
  () => new Proxy(new Generator(1), {}),
  () => Object.create(Generator.prototype),
  () => new LastStep(),
  () => Object.freeze({ __proto__: null }),
  // What it gives as its reason may come out of a call that it ends.
  () => AbortSignal.abort(new CallbackError('aborted')),
  () => Promise.resolve(1),
  () =>
    (function* () {
      yield 1;
    })(),
  () => [new Linear({ inputSize: 2, outputSize: 2 })],
];

function revoked(target) {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

/** Anything. */
export function hostile(random, world) {
  switch (random.below(8)) {
    case 0:
      return number(random);
    case 1:
      return text(random);
    case 2:
      return array(random, random.below(6));
    case 3:
      return tensor(random);
    case 4:
      return world?.anything(random) ?? callback(random, {});
    default:
      return random.pick(HOSTILE)();
  }
}
