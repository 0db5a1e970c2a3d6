import { Generator, Tensor } from '../../lib/index';
import { checkGenerator } from '../../lib/random';
import { expectRefused } from '../helpers/errors';

const MASK = 0xffffffffn;
const rotateLeft = (x: bigint, k: bigint) => ((x << k) | (x >> (32n - k))) & MASK;

/** xoshiro128** after its authors' C code, in arithmetic that cannot overflow. */
function* reference(seed: number): Generator_ {
  const word = BigInt(seed);
  let mix = ((word & MASK) ^ (((word >> 32n) * 0x85ebca6bn) & MASK)) & MASK;
  const s = Array.from({ length: 4 }, () => {
    mix = (mix + 0x9e3779b9n) & MASK;
    let z = mix ^ (mix >> 16n);
    z = (z * 0x21f0aaadn) & MASK;
    z ^= z >> 15n;
    z = (z * 0x735a2d97n) & MASK;
    return z ^ (z >> 15n);
  }) as [bigint, bigint, bigint, bigint];
  for (;;) {
    yield Number((rotateLeft((s[1] * 5n) & MASK, 7n) * 9n) & MASK);
    const t = (s[1] << 9n) & MASK;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotateLeft(s[3], 11n);
  }
}
type Generator_ = globalThis.Generator<number, never>;

const draws = (count: number, draw: () => number) => Array.from({ length: count }, draw);

test.each([0, 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER])('seed %i gives the numbers of xoshiro128**', (seed) => {
  const generator = new Generator(seed);
  const expected = reference(seed);
  expect(draws(500, () => generator.nextUint32())).toEqual(draws(500, () => expected.next().value));
});

test('seeds that differ in their high half alone give other numbers', () => {
  expect(new Generator(7).nextUint32()).not.toBe(new Generator(7 + 2 ** 32).nextUint32());
});

test.each([[-1], [0.5], [2 ** 53], [Number.NaN], ['1'], [undefined], [1n]])('refuses the seed %p', (seed) => {
  expectRefused(() => new Generator(seed as number), 'ERR_OPTION', 'seed: expected an integer of at least 0');
});

test('uniform numbers have 53 bits and the moments of [0, 1)', () => {
  const generator = new Generator(2);
  const values = draws(200_000, () => generator.uniform());
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
  expect(Math.min(...values.slice(0, 100_000))).toBeGreaterThanOrEqual(0);
  expect(values.every((x) => x < 1 && Number.isInteger(x * 2 ** 53))).toBe(true);
  expect(values.some((x) => !Number.isInteger(x * 2 ** 52))).toBe(true);
  expect(Math.abs(mean - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / values.length));
  expect(Math.abs(variance - 1 / 12)).toBeLessThan(1e-3);
});

test('normal numbers are those of the polar method with an ordinary logarithm', () => {
  const generator = new Generator(3);
  const uniforms = new Generator(3);
  const expected: number[] = [];
  while (expected.length < 2000) {
    const [u, v] = [2 * uniforms.uniform() - 1, 2 * uniforms.uniform() - 1];
    const s = u * u + v * v;
    if (s < 1 && s > 0) expected.push(u * Math.sqrt((-2 * Math.log(s)) / s), v * Math.sqrt((-2 * Math.log(s)) / s));
  }
  for (const value of expected) expect(Math.abs(generator.normal() / value - 1)).toBeLessThan(1e-14);
});

test('normal numbers have the moments of the standard normal distribution', () => {
  const generator = new Generator(4);
  const values = draws(200_000, () => generator.normal());
  const moment = (k: number) => values.reduce((sum, x) => sum + x ** k, 0) / values.length;
  expect(Math.abs(moment(1))).toBeLessThan(0.01);
  expect(Math.abs(moment(2) - 1)).toBeLessThan(0.02);
  expect(Math.abs(moment(3))).toBeLessThan(0.05);
  expect(Math.abs(moment(4) - 3)).toBeLessThan(0.1);
});

test('these numbers never change', () => {
  const generator = new Generator(20_261_123);
  const values = [generator.nextUint32(), generator.uniform(), generator.normal(), generator.normal(), generator.integer(1000)];
  expect(values).toEqual([3011256474, 0.8860802404832688, 0.6333284954540669, -0.5485430252633989, 748]);
});

test('integers are below the bound and without bias', () => {
  const generator = new Generator(5);
  const counts = [0, 0, 0];
  for (const value of draws(30_000, () => generator.integer(3))) counts[value] = (counts[value] ?? Number.NaN) + 1;
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400);
  // A bound just above 2^31 would show a bias of a factor 2 without rejection.
  const bound = 3 * 2 ** 30;
  const low = draws(20_000, () => generator.integer(bound)).filter((value) => value < 2 ** 30).length;
  expect(Math.abs(low / 20_000 - 1 / 3)).toBeLessThan(0.02);
  expect(new Generator(6).integer(1)).toBe(0);
  expectRefused(() => generator.integer(0), 'ERR_OPTION', 'bound');
  expectRefused(() => generator.integer(2 ** 32 + 1), 'ERR_OPTION', 'bound');
});

test('checkGenerator makes one from a random seed when none is given, and refuses imitations', () => {
  expect(checkGenerator('generator', undefined).nextUint32()).not.toBe(checkGenerator('generator', undefined).nextUint32());
  const generator = new Generator(1);
  expect(checkGenerator('generator', generator)).toBe(generator);
  for (const fake of [null, 1, {}, Object.create(Generator.prototype), new Proxy(generator, {})]) {
    expectRefused(() => checkGenerator('generator', fake), 'ERR_OPTION', 'generator: expected a Generator');
  }
});

describe('state', () => {
  const sequence = (generator: Generator) => [generator.normal(), generator.uniform(), generator.normal(), generator.integer(7)];

  test.each([0, 1, 2, 3])('after %i normal numbers it is all that is needed, through JSON and a tensor too', (drawn) => {
    const generator = new Generator(11);
    for (let i = 0; i < drawn; i++) generator.normal();
    const { state } = generator;
    expect(state).toHaveLength(4 + (drawn % 2));
    const fromTensor = [...new Tensor(Float64Array.from(state), [state.length]).data];
    const expected = sequence(generator);
    for (const copy of [state, JSON.parse(JSON.stringify(state)), fromTensor]) expect(sequence(Generator.from(copy))).toEqual(expected);
    expect(sequence(generator)).not.toEqual(expected);
    generator.state = state;
    expect(sequence(generator)).toEqual(expected);
  });

  test('is a copy, on both ways', () => {
    const generator = new Generator(11);
    const { state } = generator;
    const other = Generator.from(state);
    const expected = sequence(generator);
    state.fill(1);
    expect(sequence(other)).toEqual(expected);
  });

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'the 4 or 5 numbers'],
    ['a generator', new Generator(1), 'the 4 or 5 numbers'],
    ['too few', [1, 2, 3], 'the 4 or 5 numbers'],
    ['too many', [1, 2, 3, 4, 5, 6], 'the 4 or 5 numbers'],
    ['zeros', [0, 0, 0, 0], 'not all zero'],
    ['a fraction', [1, 2, 3.5, 4], 'state[2]: expected an integer'],
    ['a word too large', [1, 2, 3, 2 ** 32], 'state[3]: expected an integer from 0 to 4294967295'],
    ['a normal number that is none', [1, 2, 3, 4, Number.NaN], 'state[4]: expected a finite number'],
  ])('refuses %s, and stays as it was', (_, state, text) => {
    expectRefused(() => Generator.from(state as number[]), 'ERR_OPTION', text);
    const generator = new Generator(1);
    expectRefused(() => (generator.state = state as number[]), 'ERR_OPTION', text);
    expect(generator.state).toEqual(new Generator(1).state);
  });
});
