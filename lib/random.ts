import { randomInt } from 'node:crypto';
import { checkInteger, checkNumber, fail, readSafely } from './check';

// As constants: where `Math` is looked up in a context of node:vm, each look-up takes longer than the operation.
const { imul, floor, sqrt, SQRT1_2, LN2 } = Math;

/**
 * A seeded source of random numbers: the same seed gives the same numbers on every machine, Node version and thread count.
 *
 * xoshiro128** 1.1 (Blackman, Vigna 2018, https://prng.di.unimi.it) seeded through SplitMix32. Normal numbers use only operations that
 * IEEE 754 rounds exactly (+ − × ÷ √), because `Math.log` and `Math.cos` may differ in the last digit from engine to engine.
 * Not for cryptography.
 *
 * @example
 * const generator = new Generator(1);
 * const input = Tensor.randn([32, 50, 10], { generator });
 * const dice = generator.integer(6) + 1;
 */
export class Generator {
  /** The four words of xoshiro's state. */
  readonly #words = new Uint32Array(4);
  /** the second of a pair of normal numbers, for the next call */
  #spare: number | undefined;

  /**
   * @param seed an integer from 0 to 2^53 - 1
   * @throws EvenkeelError ERR_OPTION for any other seed
   */
  constructor(seed: number) {
    let word = checkInteger('seed', seed, 0);
    // Both halves of a 53-bit seed count: mix the high one into the starting point.
    let mix = (word >>> 0) ^ imul(floor(word / 2 ** 32), 0x85ebca6b);
    for (let i = 0; i < 4; i++) {
      mix = (mix + 0x9e3779b9) | 0;
      word = mix ^ (mix >>> 16);
      word = imul(word, 0x21f0aaad);
      word ^= word >>> 15;
      word = imul(word, 0x735a2d97);
      this.#words[i] = word ^ (word >>> 15);
    }
  }

  /** Whether `value` is a Generator in truth: no proxy of one, and not just something with its prototype. */
  static isGenerator(value: unknown): value is Generator {
    return typeof value === 'object' && value !== null && #words in value;
  }

  /**
   * A generator that goes on where another was.
   * @param state what its `state` gave
   * @throws EvenkeelError ERR_OPTION for anything else
   */
  static from(state: readonly number[]): Generator {
    const generator = new Generator(0);
    generator.state = state;
    return generator;
  }

  /**
   * Where it is: all that it takes to draw the same numbers again, as a list of four integers and, where {@link Generator.normal} has one in
   * reserve, that number. JSON keeps it exactly, and so does a float64 tensor. A copy; set it to go back, or on.
   */
  get state(): number[] {
    return this.#spare === undefined ? [...this.#words] : [...this.#words, this.#spare];
  }

  set state(state: readonly number[]) {
    const [words, spare] = checkState(state);
    this.#words.set(words);
    this.#spare = spare;
  }

  /** 32 random bits, as an integer from 0 to 2^32 - 1. */
  nextUint32(): number {
    const s = this.#words as unknown as [number, number, number, number];
    const product = imul(s[1], 5);
    const result = imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** A uniform number in [0, 1), with 53 random bits. */
  uniform(): number {
    return ((this.nextUint32() >>> 5) * 2 ** 26 + (this.nextUint32() >>> 6)) * 2 ** -53;
  }

  /** A standard normal number (Marsaglia's polar method, 1964). */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    for (;;) {
      const u = 2 * this.uniform() - 1;
      const v = 2 * this.uniform() - 1;
      const s = u * u + v * v;
      if (s >= 1 || s === 0) continue;
      const factor = sqrt((-2 * exactLog(s)) / s);
      this.#spare = v * factor;
      return u * factor;
    }
  }

  /** A uniform integer in [0, bound), for `bound` from 1 to 2^32, without bias. */
  integer(bound: number): number {
    checkInteger('bound', bound, 1, 2 ** 32);
    const limit = 2 ** 32 - (2 ** 32 % bound);
    for (;;) {
      const draw = this.nextUint32();
      if (draw < limit) return draw % bound;
    }
  }
}

/**
 * Natural logarithm of a positive normal number from exactly rounded operations alone, so that every engine agrees on each bit.
 * x = 2^k · m with m in [√½, √2); ln m = 2·atanh(s), s = (m − 1)/(m + 1), |s| < 0.172, its series cut where a term is below 1e-17.
 */
function exactLog(x: number): number {
  let k = 0;
  let m = x;
  while (m < SQRT1_2) {
    m *= 2;
    k--;
  }
  const s = (m - 1) / (m + 1);
  const square = s * s;
  let series = 0;
  for (let power = 21; power >= 1; power -= 2) series = series * square + 1 / power;
  return k * LN2 + 2 * s * series;
}

function checkState(state: unknown): [words: number[], spare: number | undefined] {
  const given = readSafely('state', () => (Array.isArray(state) && state.length <= 5 ? Array.from<unknown>(state) : undefined));
  if (given === undefined || given.length < 4) fail('ERR_OPTION', 'state', 'the 4 or 5 numbers of generator.state', state);
  const words = given.slice(0, 4).map((word, i) => checkInteger(`state[${i}]`, word, 0, 2 ** 32 - 1));
  if (words.every((word) => word === 0)) fail('ERR_OPTION', 'state', 'words that are not all zero, of which only zeros follow', state);
  return [words, given.length === 5 ? checkNumber('state[4]', given[4]) : undefined];
}

/** Checks for a {@link Generator}; for none, makes one from a random seed. */
export function checkGenerator(argument: string, value: unknown): Generator {
  return checkOptionalGenerator(argument, value) ?? new Generator(randomInt(2 ** 48 - 1));
}

/** Checks for a {@link Generator} or undefined. */
export function checkOptionalGenerator(argument: string, value: unknown): Generator | undefined {
  if (value !== undefined && !Generator.isGenerator(value))
    fail('ERR_OPTION', argument, 'a Generator', value, 'Make one with new Generator(seed).');
  return value;
}
