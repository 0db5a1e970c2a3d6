/** Random choices from a seed (mulberry32): a case is its seed. */
export class Random {
  #state;

  constructor(seed) {
    this.#state = (seed ^ Math.floor(seed / 2 ** 32)) | 0;
    // Seeds side by side should not begin alike.
    for (let i = 0; i < 4; i++) this.next();
  }

  /** in [0, 1) */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** in [0, count) */
  below(count) {
    return Math.floor(this.next() * count);
  }

  chance(probability) {
    return this.next() < probability;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  /** Some of a list, in its order. */
  some(list, probability = 0.5) {
    return list.filter(() => this.chance(probability));
  }
}

const TEXTS = [
  '',
  'x',
  '__proto__',
  'constructor',
  'a.b',
  '\u0000',
  '\ud800',
  'é',
  '1e999',
  '=1+1',
  '<script>',
  '../x',
  'x'.repeat(300),
  '-1',
  'NaN',
  'null',
];
const NUMBERS = [0, -0, 1, 2, 3, 5, 17, -1, 0.5, 1e-3, 1e-46, 1e300, 2 ** 31, 2 ** 53, 2 ** 60, Number.NaN, Infinity, -Infinity];

const PIECES = ['', '', 'a', 'b', '0', 'l0', 'weight', 'weight_ih_l0', 'module'];
/** A name as state dicts have them, pieces between points, and as no state dict has it: what looks for prefixes looks into it. */
const dotted = (random) => Array.from({ length: 1 + random.below(5) }, () => random.pick(PIECES)).join('.');

export const text = (random) => (random.chance(0.25) ? dotted(random) : random.pick(TEXTS));
export const number = (random) => random.pick(NUMBERS);

/** A value of JSON. */
export function json(random, depth = 0) {
  const kinds = depth > 2 ? 4 : 6;
  switch (random.below(kinds)) {
    case 0:
      return random.pick([null, true, false]);
    case 1:
      return random.pick(NUMBERS.filter(Number.isFinite));
    case 2:
      return text(random);
    case 3:
      return random.below(10);
    case 4:
      return Array.from({ length: random.below(4) }, () => json(random, depth + 1));
    default:
      return Object.fromEntries(Array.from({ length: random.below(4) }, () => [text(random), json(random, depth + 1)]));
  }
}

/** A copy of a name: longer or shorter at one of its ends. */
function renamed(random, name) {
  const pieces = name.split('.');
  return random.pick([
    () => `${dotted(random)}.${name}`,
    () => `${name}.${dotted(random)}`,
    () => `.${name}`,
    () => pieces.slice(1).join('.'),
    () => pieces.slice(0, -1).join('.'),
    () => [...pieces, ...pieces].join('.'),
    () => name.slice(0, random.below(name.length + 1)),
  ])();
}

/** A copy of an object some of whose names, or all by the same prefix, are others. */
export function renameKeys(random, object) {
  const prefix = random.pick(['', '', '.', 'module.', `${dotted(random)}.`]);
  const share = random.pick([0, 0.2, 1]);
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [prefix + (random.chance(share) ? renamed(random, name) : name), value]),
  );
}

/** A copy of a value of JSON with something else somewhere in it. */
export function mutateJson(random, value) {
  if (typeof value !== 'object' || value === null || random.chance(0.15)) return json(random);
  const copy = Array.isArray(value) ? [...value] : { ...value };
  const keys = Object.keys(copy);
  if (keys.length === 0 || random.chance(0.1)) {
    if (Array.isArray(copy)) copy.push(json(random));
    else Object.defineProperty(copy, text(random), { value: json(random), enumerable: true, configurable: true, writable: true });
    return copy;
  }
  if (random.chance(0.08) && !Array.isArray(copy)) return renameKeys(random, copy);
  const key = random.pick(keys);
  if (random.chance(0.1) && !Array.isArray(copy)) delete copy[key];
  else if (random.chance(0.1)) copy[key] = copy[random.pick(keys)];
  else copy[key] = mutateJson(random, copy[key]);
  return copy;
}

/** A copy of bytes with some of them changed, lost, or there twice. */
export function mutateBytes(random, bytes) {
  let copy = Buffer.from(bytes);
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(Math.max(1, copy.length));
    switch (random.below(6)) {
      case 0:
        if (copy.length > 0) copy[at] ^= 1 << random.below(8);
        break;
      case 1:
        if (copy.length > 0) copy[at] = random.below(256);
        break;
      case 2:
        copy = copy.subarray(0, at);
        break;
      case 3:
        copy = Buffer.concat([copy.subarray(0, at), copy.subarray(at + 1 + random.below(20))]);
        break;
      case 4:
        copy = Buffer.concat([copy.subarray(0, at), Buffer.from(text(random)), copy.subarray(at)]);
        break;
      default:
        copy = Buffer.concat([copy, copy.subarray(at)]).subarray(0, 100_000);
    }
    copy = Buffer.from(copy);
  }
  return copy;
}

const WORDS = [
  0n,
  1n,
  8n,
  0xffn,
  0x7fffn,
  0xffffn,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 40n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** A copy of bytes in which numbers of 2, 4 or 8 bytes, as sizes and addresses are, stand for others: too large, negative, or what stands elsewhere. */
export function mutateWords(random, bytes) {
  const copy = Buffer.from(bytes);
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const width = random.pick([2, 4, 8]);
    const places = Math.floor(copy.length / width);
    if (places === 0) break;
    const at = width * random.below(places);
    const word = random.chance(0.5) ? random.pick(WORDS) : BigInt(random.below(copy.length));
    const elsewhere = width * random.below(places);
    if (random.chance(0.3)) copy.copy(copy, at, elsewhere, elsewhere + width);
    else for (let i = 0; i < width; i++) copy[at + i] = Number((word >> BigInt(8 * i)) & 0xffn);
  }
  return copy;
}

const NESTS = [
  ['[', ']'],
  ['{"config":', '}'],
  ['{"class_name":"Bidirectional","config":{"name":"a","layer":', '}}'],
  ['{"class_name":"TimeDistributed","config":{"name":"a","layer":', '}}'],
  ['{"class_name":"Sequential","config":{"name":"a","layers":[', ']}}'],
];

/** The text of a value of JSON, with far more lists or objects around something in it than anybody writes. */
export function nestedJson(random, value) {
  const mark = '\ue000';
  const [open, close] = random.pick(NESTS);
  const depth = random.pick([2, 30, 1000, 30_000]);
  const [around, inner] = replaceSomewhere(random, value, mark);
  return JSON.stringify(around).replace(`"${mark}"`, () => open.repeat(depth) + JSON.stringify(inner) + close.repeat(depth));
}

/** A copy of a value of JSON with something else in the place of one of its parts, and that part. */
function replaceSomewhere(random, value, other) {
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  if (keys.length === 0 || random.chance(0.15)) return [other, value];
  const key = random.pick(keys);
  const [around, inner] = replaceSomewhere(random, value[key], other);
  return [Object.assign(Array.isArray(value) ? [...value] : { ...value }, { [key]: around }), inner];
}
