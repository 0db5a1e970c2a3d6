import fc from 'fast-check';
import { Generator, LastStep, Parameter, Tensor } from '../../lib/index';
import { detach } from '../helpers/errors';

function throwingProxy(target: object): object {
  const handler = new Proxy(
    {},
    {
      get: () => () => {
        throw new Error('a trap threw');
      },
    },
  );
  return new Proxy(target, handler);
}

function revokedProxy(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function detachedTensor(): Tensor {
  const tensor = Tensor.zeros([2, 3, 4], { dtype: 'float64' });
  detach(tensor.data);
  return tensor;
}

class LyingTensor extends Tensor {
  override checkAttached(): void {}
}

// Accessors, which TypeScript would not allow in the class.
for (const key of ['size', 'shape', 'data']) Object.defineProperty(LyingTensor.prototype, key, { get: () => 1e9 });

class LyingArray extends Float64Array {
  override get length(): number {
    return 24;
  }
}

const throwing = {
  get() {
    throw new Error('a getter threw');
  },
  enumerable: true,
};

/** Values that no function of the API was made for, by name; each call makes a new one. */
const HOSTILE: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  '-Infinity': () => Number.NEGATIVE_INFINITY,
  '-1': () => -1,
  '0': () => 0,
  '0.5': () => 0.5,
  '2^31': () => 2 ** 31,
  '2^53': () => 2 ** 53,
  '1e308': () => 1e308,
  'a boxed number': () => Object(3),
  'a number as text': () => '3',
  'a misspelt word': () => 'float23',
  'the empty string': () => '',
  __proto__key: () => '__proto__',
  'a symbol': () => Symbol('s'),
  'a bigint': () => 3n,
  'a function': () => () => {},
  'a class': () => Tensor,
  'an empty array': () => [],
  'a sparse array': () => new Array(1e9),
  'an array of null': () => [null],
  'an array with a throwing element': () => Object.defineProperty([1, 2], 0, throwing),
  'a plain object with a throwing property': () => Object.defineProperty({}, 'dtype', throwing),
  'an object with a throwing toString': () => ({
    toString() {
      throw new Error('toString threw');
    },
    valueOf() {
      throw new Error('valueOf threw');
    },
  }),
  'an object with a throwing constructor': () => Object.defineProperty({ x: 1 }, 'constructor', throwing),
  'a throwing proxy': () => throwingProxy({}),
  'a throwing proxy of an array': () => throwingProxy([1]),
  'a throwing proxy of a function': () => throwingProxy(() => {}),
  'a revoked proxy': () => revokedProxy({}),
  'a revoked proxy of an array': () => revokedProxy([]),
  'a Date': () => new Date(),
  'a Map': () => new Map([['size', 3]]),
  'a Promise': () => Promise.resolve(1),
  'an Error': () => new Error('x'),
  'an ArrayBuffer': () => new ArrayBuffer(24),
  'a DataView': () => new DataView(new ArrayBuffer(24)),
  'a Buffer': () => Buffer.alloc(24),
  'a Uint8Array': () => new Uint8Array(5),
  'a BigInt64Array': () => new BigInt64Array(2),
  'a bare Float64Array': () => new Float64Array(24),
  'a lying Float64Array': () => new LyingArray(2),
  'a proxy of a Float64Array': () => new Proxy(new Float64Array(24), {}),
  'a detached tensor': detachedTensor,
  'a proxy of a tensor': () => new Proxy(Tensor.zeros([2, 3, 4], { dtype: 'float64' }), {}),
  'a revoked proxy of a tensor': () => revokedProxy(Tensor.zeros([2, 3, 4], { dtype: 'float64' })),
  'what only inherits from Tensor': () => Object.create(Tensor.prototype),
  'an object like a tensor': () => ({ data: new Float64Array(24), shape: [2, 3, 4], dtype: 'float64', size: 24, checkAttached() {} }),
  'a lying subclass of Tensor': () => new LyingTensor(new Float64Array(13), [13]),
  'a detached lying tensor': () => {
    const tensor = new LyingTensor(new Float64Array(24), [2, 3, 4]);
    detach(tensor.data);
    return tensor;
  },
  'a float32 tensor': () => Tensor.zeros([2, 3, 4]),
  'a tensor of another shape': () => Tensor.zeros([7, 11], { dtype: 'float64' }),
  'an empty tensor': () => Tensor.zeros([0, 3, 4], { dtype: 'float64' }),
  'a scalar tensor': () => Tensor.zeros([], { dtype: 'float64' }),
  'a parameter': () => new Parameter('w', Tensor.zeros([2])),
  'a proxy of a parameter': () => new Proxy(new Parameter('w', Tensor.zeros([2])), {}),
  'what only inherits from Parameter': () => [Object.create(Parameter.prototype)],
  'a proxy of a generator': () => new Proxy(new Generator(1), {}),
  'what only inherits from Generator': () => Object.create(Generator.prototype),
  'a layer': () => new LastStep(),
};

/** A recipe for a malformed argument: printable, however hostile what it makes. */
export type Recipe = { hostile: string } | { arbitrary: unknown };

export const recipes: fc.Arbitrary<Recipe> = fc.oneof(
  { arbitrary: fc.constantFrom(...Object.keys(HOSTILE)).map((hostile) => ({ hostile })), weight: 2 },
  {
    arbitrary: fc
      .anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withSparseArray: true, withTypedArray: true })
      .map((arbitrary) => ({ arbitrary })),
    weight: 1,
  },
);

export function makeHostile(recipe: Recipe): unknown {
  return 'hostile' in recipe ? HOSTILE[recipe.hostile]?.() : recipe.arbitrary;
}
