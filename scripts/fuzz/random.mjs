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
