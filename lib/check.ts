/**
 * Argument checks, in one message shape: `argument: expected …, got …`.
 * Everything a caller can get wrong passes through here before native code sees it.
 */
import { describe, type ErrorCode, EvenkeelError } from './errors';
import type { DType } from './typed-arrays';

/** Throws an {@link EvenkeelError} in the one message shape. `hint` is a full sentence. */
export function fail(code: ErrorCode, argument: string, expected: string, got: unknown, hint?: string): never {
  throw new EvenkeelError(code, `${argument}: expected ${expected}, got ${describe(got)}.${hint === undefined ? '' : ` ${hint}`}`);
}

/**
 * Runs `read` on something the caller gave. What its getters or proxy traps throw becomes the cause of an ERR_OPTION.
 * @param argument how the error names what was read
 */
export function readSafely<T>(argument: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof EvenkeelError) throw cause;
    throw new EvenkeelError('ERR_OPTION', `${argument}: expected something readable, but reading it threw an error (see its cause).`, {
      cause,
    });
  }
}

/** A copy of a list's elements, by no iterator of its own. Look at its length first: it may claim any. */
export function copyList<T>(list: readonly T[]): T[] {
  // A literal, and Array.from, define elements: an assignment would run a setter that somebody gave Array.prototype. Most lists are shapes.
  switch (list.length) {
    case 1:
      return [list[0] as T];
    case 2:
      return [list[0] as T, list[1] as T];
    case 3:
      return [list[0] as T, list[1] as T, list[2] as T];
    default:
      return Array.from({ length: list.length }, (_, index) => list[index] as T);
  }
}

/** Whether `value` is an object literal, or made like one, in any realm. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Checks that `value` is a plain options object whose keys are all known. */
export function checkOptions(where: string, value: unknown, known: readonly string[]): asserts value is Record<string, unknown> {
  if (!readSafely(where, () => isPlainObject(value))) fail('ERR_OPTION', where, `an options object with ${known.join(', ')}`, value);
  for (const key of readSafely(where, () => Object.keys(value as object))) {
    if (!known.includes(key)) failUnknown(where, key, known);
  }
}

function failUnknown(where: string, key: string, known: readonly string[]): never {
  const nearest = ownNameOf(key, known) ?? nearestName(key, known);
  throw new EvenkeelError(
    'ERR_OPTION',
    `${where}: unknown option "${key.slice(0, 60)}".${nearest === undefined ? '' : ` Did you mean "${nearest}"?`} Known options: ${known.join(', ')}.`,
  );
}

/** Names of options here, and what PyTorch, Keras, Lightning and others call them: in small letters, without what is between words. */
const NAMES_ELSEWHERE: readonly (readonly [own: string, elsewhere: string])[] = [
  ['learningRate', 'lr eta'],
  ['minLearningRate', 'etamin minlr'],
  ['maxLearningRate', 'maxlr'],
  ['weightDecay', 'wd l2 decay'],
  ['betas', 'beta1 beta2'],
  ['eps', 'epsilon'],
  ['alpha', 'rho'],
  ['maxNorm', 'clipnorm globalclipnorm clipgradnorm maxgradnorm'],
  ['clip', 'clipnorm globalclipnorm clipvalue clipgradnorm gradclip gradientclipping gradientclipval maxgradnorm maxnorm'],
  ['hiddenSize', 'units hidden hiddenunits hiddendim nhidden numunits'],
  ['hidden', 'units hiddensize hiddenunits hiddendim'],
  ['numLayers', 'layers nlayers depth'],
  ['layers', 'nlayers depth'],
  ['vocabularySize', 'inputdim numembeddings vocabsize'],
  ['embeddingSize', 'outputdim embeddingdim embeddim'],
  ['inputSize', 'inputdim infeatures inchannels features nfeatures numfeatures'],
  ['outputSize', 'units outfeatures outputdim outchannels'],
  ['size', 'normalizedshape dim hiddensize inputsize'],
  ['nonlinearity', 'activation'],
  ['bias', 'usebias'],
  ['inputInitializer', 'kernelinitializer'],
  ['p', 'rate dropoutrate prob'],
  ['dropout', 'dropoutrate'],
  ['generator', 'seed randomstate rng'],
  ['epochs', 'maxepochs nepochs numepochs numtrainepochs'],
  ['batchSize', 'batch bs'],
  ['loss', 'criterion lossfn lossfunction'],
  ['schedule', 'lrscheduler lrschedule'],
  ['validation', 'val validationdata valdata validationsplit valdataloader valdataloaders'],
  ['earlyStopping', 'patience'],
  ['checkpoint', 'checkpointpath checkpointcallback'],
  ['resume', 'ckptpath resumefromcheckpoint'],
  ['onEpoch', 'callbacks onepochend'],
  ['onStep', 'onbatchend ontrainbatchend'],
  ['progress', 'verbose progressbar enableprogressbar'],
  ['accumulate', 'accumulategradbatches gradientaccumulationsteps'],
  ['averaging', 'ema useema swa'],
  ['sampleWeights', 'sampleweight'],
  ['window', 'lookback windowsize timesteps'],
];

/** The known option that goes by another name elsewhere. */
function ownNameOf(key: string, known: readonly string[]): string | undefined {
  const word = key.slice(0, 60).toLowerCase().replace(/[_-]/g, '');
  return NAMES_ELSEWHERE.find(([own, elsewhere]) => known.includes(own) && elsewhere.split(' ').includes(word))?.[0];
}

/**
 * Checks an options object as {@link checkOptions} does and reads each known option once, so that a getter cannot change its mind later.
 * @param defaults for options that are left out or undefined
 */
export function readOptions<K extends string>(
  where: string,
  value: unknown,
  known: readonly K[],
  defaults: Partial<Record<K, unknown>> = {},
): Partial<Record<K, unknown>> {
  checkOptions(where, value, known);
  return readSafely(where, () => {
    const options = { ...defaults };
    for (const key of known) {
      const given = value[key];
      if (given !== undefined) options[key] = given;
    }
    return options;
  });
}

/** Checks for an integer in [min, max] and returns it. */
export function checkInteger(argument: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    fail(
      'ERR_OPTION',
      argument,
      max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`,
      value,
    );
  }
  return value;
}

/** The largest size of one dimension: BLAS counts in 32-bit integers. */
export const MAX_DIMENSION = 2 ** 31 - 1;

/** Checks for a layer size: an integer from 1 to 2^31 - 1. */
export function checkSize(argument: string, value: unknown): number {
  return checkInteger(argument, value, 1, MAX_DIMENSION);
}

/** Checks the number of rows of all sequences together, which BLAS counts in 32-bit integers too. */
export function checkRowCount(argument: string, rows: number): number {
  if (rows > MAX_DIMENSION) fail('ERR_SHAPE', argument, `at most ${MAX_DIMENSION} rows in all`, rows, 'Split the batch.');
  return rows;
}

export interface Range {
  min?: number;
  max?: number;
  /** min itself is not allowed */
  above?: number;
  /** max itself is not allowed */
  below?: number;
}

/** Checks for a finite number in a range and returns it. */
export function checkNumber(argument: string, value: unknown, range: Range = {}): number {
  const { min = -Infinity, max = Infinity, above = -Infinity, below = Infinity } = range;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < min || value > max || value <= above || value >= below) {
    const bounds = [
      range.min === undefined ? '' : `at least ${min}`,
      range.above === undefined ? '' : `above ${above}`,
      range.max === undefined ? '' : `at most ${max}`,
      range.below === undefined ? '' : `below ${below}`,
    ].filter((bound) => bound !== '');
    fail('ERR_OPTION', argument, `a finite number${bounds.length === 0 ? '' : ` ${bounds.join(' and ')}`}`, value);
  }
  return value;
}

export function checkBoolean(argument: string, value: unknown): boolean {
  if (typeof value !== 'boolean') fail('ERR_OPTION', argument, 'true or false', value);
  return value;
}

export function checkFunction(argument: string, value: unknown): void {
  if (typeof value !== 'function') fail('ERR_OPTION', argument, 'a function', value);
  // Only a class, which cannot be called, has a prototype that cannot be set.
  const prototype = readSafely(argument, () => Object.getOwnPropertyDescriptor(value, 'prototype'));
  if (prototype?.writable === false) throw new EvenkeelError('ERR_OPTION', `${argument}: expected a function to call, got a class.`);
}

export function checkString(argument: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') fail('ERR_OPTION', argument, 'a non-empty string', value);
  return value;
}

/** More names than any file has; an array may claim billions and hold none. */
const MAX_NAMES = 1_000_000;

/**
 * Checks for an array of names, none of them twice, and copies it.
 * @param what one of them, such as `column name`
 */
export function checkNames(argument: string, value: unknown, what: string): string[] {
  const isList = (): boolean => Array.isArray(value) && value.length > 0 && value.length <= MAX_NAMES;
  const names = readSafely(argument, () => (isList() ? Array.from(value as unknown[]) : undefined));
  if (names === undefined) fail('ERR_OPTION', argument, `an array of at least one ${what}`, value);
  const seen = new Set<unknown>();
  return names.map((name, i) => {
    if (seen.has(name)) fail('ERR_OPTION', `${argument}[${i}]`, 'a name that was not given before', name);
    seen.add(name);
    return checkString(`${argument}[${i}]`, name);
  });
}

/** Checks that `value` is one of the listed words, and names the nearest when it is not. */
export function checkOneOf<T extends string>(argument: string, value: unknown, allowed: readonly T[]): T {
  if (!allowed.includes(value as T)) {
    const nearest = typeof value === 'string' ? nearestName(value, allowed) : undefined;
    fail('ERR_OPTION', argument, `one of ${allowed.map((word) => `"${word}"`).join(', ')}`, value, nearest && `Did you mean "${nearest}"?`);
  }
  return value as T;
}

export function checkDType(argument: string, value: unknown): DType {
  if (value !== 'float32' && value !== 'float64') fail('ERR_DTYPE', argument, '"float32" or "float64"', value);
  return value;
}

/** The known name nearest to a misspelt one, if one is near enough to be meant. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const word = name.slice(0, 60).toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
