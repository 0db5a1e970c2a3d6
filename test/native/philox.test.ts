// Philox4x32-10 on the SIMD target in use, against the authors' known answers (Random123, kat_vectors) and against the formula in BigInt.
import { native } from '../../lib/native/load';
import { Generator } from '../../lib/random';

const addon = native();
type Counter = readonly [number, number, number, number];
type Key = readonly [number, number];

function words(counter: Counter, key: Key, blocks = 1): number[] {
  const drawn = new Int32Array(4 * blocks);
  addon.randomWords(...key, ...counter, blocks, drawn);
  return [...new Uint32Array(drawn.buffer)];
}

/** As the paper has it, in whole numbers of any size. */
function reference(counter: Counter, key: Key): number[] {
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  for (let round = 0; round < 10; round++) {
    const [p0, p1] = [0xd2511f53n * c0, 0xcd9e8d57n * c2];
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & 0xffffffffn, (p0 >> 32n) ^ c3 ^ k1, p0 & 0xffffffffn];
    [k0, k1] = [(k0 + 0x9e3779b9n) & 0xffffffffn, (k1 + 0xbb67ae85n) & 0xffffffffn];
  }
  return [c0, c1, c2, c3].map(Number);
}

const ALL = 0xffffffff;

test.each<[Counter, Key, number[]]>([
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [ALL, ALL, ALL, ALL],
    [ALL, ALL],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
])('the known answer of counter %j and key %j', (counter, key, expected) => {
  expect(words(counter, key)).toEqual(expected);
  expect(reference(counter, key)).toEqual(expected);
});

test('any number of blocks from any block on are those of the formula', () => {
  const generator = new Generator(5);
  const draw = () => generator.nextUint32();
  for (let blocks = 1; blocks <= 40; blocks++) {
    const key = [draw(), draw()] as const;
    const counter = [blocks % 3 === 0 ? ALL - 4 : draw(), draw(), draw(), draw()] as const;
    const expected = Array.from({ length: blocks }, (_, i) =>
      reference([(counter[0] + i) % 2 ** 32, counter[1], counter[2], counter[3]], key),
    );
    expect(words(counter, key, blocks)).toEqual(expected.flat());
  }
});

test.each([
  ['a word that 32 bits do not hold', () => addon.randomWords(2 ** 32, 0, 0, 0, 0, 0, 1, new Int32Array(4)), 'key0'],
  ['an array that is too short', () => addon.randomWords(0, 0, 0, 0, 0, 0, 2, new Int32Array(4)), 'words'],
])('%s is refused', (_, call, name) => {
  expect(call).toThrow(name);
});
