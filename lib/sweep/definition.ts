/** From what a user writes to a checked grid. Every message begins with the place in the definition: `lengths[2]: expected …`. */
import {
  checkDType,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkRowCount,
  copyList,
  fail,
  isPlainObject,
  readOptions,
  readSafely,
} from '../check';
import { EvenkeelError } from '../errors';
import { checkInitializer, type Initializer, type InitializerOptions } from '../initializers';
import { kindNames } from '../layers/recurrent/normalization';
import { type Nonlinearity, RNN } from '../layers/rnn';
import { atOnce, type Slices } from '../slices';
import type { DType } from '../tensor';
import { countTrials, type Grid, MAX_TRIALS } from './grid';
import { checkTask } from './task-definition';
import type { CsvTask, TaskName } from './tasks';
import { CELLS, canonicalJson, type SweepCell, type SweepPlacement, type TrialClip } from './trial';

/** A grid of trials: each list is an axis, and every combination is one trial. What is left out has one value. */
export interface SweepDefinition {
  /** time steps T of the sequences */
  lengths: readonly number[];
  /** `'none'` unless given; `'input'` and `'output'` are a normalisation before and after the RNN, the others its own placements */
  placements?: readonly SweepPlacement[];
  /** of the normalisations: `'layer'` unless given */
  kinds?: readonly ('layer' | 'rms')[];
  /** of W_hh: `'uniform'` unless given */
  recurrentInitializers?: readonly (Initializer | InitializerOptions)[];
  /** of W_ih: `'uniform'` unless given */
  inputInitializers?: readonly (Initializer | InitializerOptions)[];
  /** of every recurrentInitializer that is given by its name; each one's own gain unless given */
  gains?: readonly number[];
  /** `'none'` unless given */
  clips?: readonly SweepClip[];
  /** `'rnn'` unless given */
  cells?: readonly SweepCell[];
  /** of an RNN: `'tanh'` unless given */
  nonlinearities?: readonly Nonlinearity[];
  /** 32 sequences, 10 inputs and 20 hidden units unless given; tasks other than the reference have an input size of their own */
  sizes?: readonly { batchSize?: number; inputSize?: number; hiddenSize?: number }[];
  /** `'reference'` unless given: random inputs and targets, the latter for every state */
  tasks?: readonly (TaskName | CsvTask)[];
  /** of weights and data: `[1]` unless given */
  seeds?: readonly number[];
  /** training steps of each trial: 100 unless given */
  steps?: number;
  /** of Adam: 0.001 unless given */
  learningRate?: number;
  /** `'float32'` unless given */
  dtype?: DType;
}

/**
 * How a sweep clips: the total norm, each element, by a rule with its usual settings, or ‖∂L/∂h_t‖ of each sequence at every step of the
 * backward pass.
 */
export type SweepClip =
  | 'none'
  | 'adaptive'
  | 'autoclip'
  | 'zclip'
  | { maxNorm: number }
  | { clipValue: number }
  | { stateGradientLimit: number };

/** A grid, and where the files are that its trials read. */
export interface CheckedDefinition {
  grid: Grid;
  /** path by the SHA-256 of the file's contents */
  files: Map<string, string>;
}

/** The largest values that are taken. */
export const limits = { listLength: 10_000, length: 10_000_000, size: 65_536, steps: 1_000_000 };

const KEYS = [
  'lengths',
  'placements',
  'kinds',
  'recurrentInitializers',
  'inputInitializers',
  'gains',
  'clips',
  'cells',
  'nonlinearities',
  'sizes',
  'tasks',
  'seeds',
  'steps',
  'learningRate',
  'dtype',
] as const;

const { normalization, recurrentInitializer, nonlinearity: nonlinearityOption, dtype: dtypeOption } = RNN.schema;

/** What the layers take, and a normalisation before or after the RNN. */
export const PLACEMENTS: readonly SweepPlacement[] = [
  'none',
  'input',
  'output',
  ...normalization.choices.filter((name) => name !== 'none'),
];
export const INITIALIZERS = recurrentInitializer.choices;
export const NONLINEARITIES = nonlinearityOption.choices;
export const KINDS = kindNames;
export const DTYPES = dtypeOption.choices;
export const CLIP_RULES = ['none', 'adaptive', 'autoclip', 'zclip'] as const;

/**
 * Checks a whole definition, the files it names included.
 * @param folder where its CSV files lie: none outside is read
 * @throws EvenkeelError ERR_OPTION with the place in the definition, ERR_FILE for a CSV file
 */
export function checkDefinition(definition: unknown, folder: string): CheckedDefinition {
  return atOnce(definitionInSlices(definition, folder));
}

/** What {@link checkDefinition} does: large files take seconds. */
export function* definitionInSlices(definition: unknown, folder: string): Slices<CheckedDefinition> {
  const given = readOptions('the definition', definition, KEYS);
  const lengths = list('lengths', given.lengths, integerUpTo(1, limits.length));
  const placements = list('placements', given.placements ?? ['none'], oneOf(PLACEMENTS));
  const kinds = list('kinds', given.kinds ?? ['layer'], oneOf(KINDS));
  const cells = list('cells', given.cells ?? ['rnn'], oneOf(CELLS));
  const nonlinearities = list('nonlinearities', given.nonlinearities ?? [nonlinearityOption.default], oneOf(NONLINEARITIES));
  const sizes = list('sizes', given.sizes ?? [{}], checkSizes);
  const tasks = yield* listInSlices('tasks', given.tasks ?? ['reference'], (path, task) => checkTask(path, task, lengths, folder));
  const grid: Grid = {
    lengths,
    shapes: distinct(
      tasks.flatMap(({ task, inputSize }) => sizes.map((size) => ({ task, ...size, inputSize: inputSize ?? size.inputSize }))),
    ),
    recurrences: distinct(
      cells.flatMap((cell) => nonlinearities.map((nonlinearity) => (cell === 'rnn' ? { cell, nonlinearity } : { cell }))),
    ),
    normalizations: distinct(
      placements.flatMap((placement) => kinds.map((kind) => (placement === 'none' ? { placement } : { placement, kind }))),
    ),
    initializers: checkStarts(given),
    clips: list('clips', given.clips ?? ['none'], checkClip),
    seeds: list('seeds', given.seeds ?? [1], integerUpTo(0)),
    steps: checkInteger('steps', given.steps ?? 100, 0, limits.steps),
    learningRate: checkNumber('learningRate', given.learningRate ?? 1e-3, { above: 0 }),
    dtype: checkDType('dtype', given.dtype ?? dtypeOption.default),
  };
  checkCount(countTrials(grid));
  checkRows(grid);
  const files = new Map(tasks.flatMap(({ task, path }) => (task.name === 'csv' && path !== undefined ? [[task.sha256, path]] : [])));
  return { grid, files };
}

type Check<T> = (path: string, value: unknown) => T;

/** A list of at least one value, none of them twice. */
function list<T>(path: string, value: unknown, check: Check<T>): T[] {
  return atOnce(
    // biome-ignore lint/correctness/useYield: all in one slice
    listInSlices(path, value, function* (place, item) {
      return check(place, item);
    }),
  );
}

function* listInSlices<T>(path: string, value: unknown, check: Check<Slices<T>>): Slices<T[]> {
  const isList = (): boolean => Array.isArray(value) && value.length > 0 && value.length <= limits.listLength;
  const items = readSafely(path, () => (isList() ? copyList(value as unknown[]) : undefined));
  if (items === undefined) {
    fail('ERR_OPTION', path, `a list of 1 to ${limits.listLength} values`, value);
  }
  const seen = new Set<string>();
  const all: T[] = [];
  for (const [i, item] of items.entries()) {
    const checked = yield* check(`${path}[${i}]`, item);
    const key = canonicalJson(checked);
    if (seen.has(key)) fail('ERR_OPTION', `${path}[${i}]`, 'a value that is not in the list already', item);
    seen.add(key);
    all.push(checked);
  }
  return all;
}

function integerUpTo(min: number, max?: number): Check<number> {
  return (path, value) => checkInteger(path, value, min, max);
}

function oneOf<T extends string>(words: readonly T[]): Check<T> {
  return (path, value) => checkOneOf(path, value, words);
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Map(values.map((value) => [canonicalJson(value), value])).values()];
}

/** Names with every gain, or with their own; those that are given with a gain have that. Each of W_hh with each of W_ih, where these are given. */
function checkStarts({ recurrentInitializers, inputInitializers, gains: givenGains }: Record<string, unknown>): Grid['initializers'] {
  const gains = givenGains === undefined ? [undefined] : list('gains', givenGains, (path, gain) => checkNumber(path, gain, { above: 0 }));
  const starts = list('recurrentInitializers', recurrentInitializers ?? [recurrentInitializer.default], (path, value) => ({
    named: typeof value === 'string',
    ...checkInitializer(path, value),
  }));
  const recurrent = distinct(
    starts.flatMap(({ named, name: initializer, gain: own }) => (named ? gains : [own]).map((gain = own) => ({ initializer, gain }))),
  );
  if (inputInitializers === undefined) return recurrent;
  const ofInput = list('inputInitializers', inputInitializers, checkInitializer);
  checkCount(recurrent.length * ofInput.length);
  return recurrent.flatMap((start) =>
    ofInput.map(({ name: inputInitializer, gain: inputGain }) => ({ ...start, inputInitializer, inputGain })),
  );
}

function checkSizes(path: string, value: unknown): { batchSize: number; inputSize: number; hiddenSize: number } {
  const defaults = { batchSize: 32, inputSize: 10, hiddenSize: 20 };
  const given = readOptions(path, value, ['batchSize', 'inputSize', 'hiddenSize'], defaults);
  const size = (key: keyof typeof defaults) => checkInteger(`${path}.${key}`, given[key], 1, limits.size);
  return { batchSize: size('batchSize'), inputSize: size('inputSize'), hiddenSize: size('hiddenSize') };
}

function checkClip(path: string, value: unknown): TrialClip {
  if (!readSafely(path, () => isPlainObject(value))) return { rule: checkOneOf(path, value, CLIP_RULES) };
  const given = readOptions(path, value, ['maxNorm', 'clipValue', 'stateGradientLimit']);
  const limit = (key: keyof typeof given) => checkNumber(`${path}.${key}`, given[key], { above: 0 });
  const keys = Object.entries(given).flatMap(([key, number]) => (number === undefined ? [] : [key]));
  if (keys.length !== 1) {
    throw new EvenkeelError(
      'ERR_OPTION',
      `${path}: expected one of maxNorm, clipValue and stateGradientLimit, got ${keys.length === 0 ? 'none' : keys.join(' and ')}.`,
    );
  }
  if (given.maxNorm !== undefined) return { rule: 'norm', maxNorm: limit('maxNorm') };
  if (given.clipValue !== undefined) return { rule: 'value', clipValue: limit('clipValue') };
  const stateGradientLimit = limit('stateGradientLimit');
  checkAccepted(path, { stateGradientLimit });
  return { rule: 'state', stateGradientLimit };
}

function checkCount(count: number): void {
  if (count <= MAX_TRIALS) return;
  throw new EvenkeelError(
    'ERR_OPTION',
    `the definition: expected at most ${MAX_TRIALS.toLocaleString('en-US')} trials, got ${count.toLocaleString('en-US')}: ` +
      'the product of all lists. Shorten some, or make several sweeps of it.',
  );
}

function checkRows({ lengths, shapes }: Grid): void {
  const batchSize = Math.max(...shapes.map((shape) => shape.batchSize));
  for (const [i, length] of lengths.entries()) checkRowCount(`lengths[${i}] with a batch size of ${batchSize}`, length * batchSize);
}

/** Asks the layer itself whether it takes an option. */
function checkAccepted(path: string, option: object): void {
  try {
    new RNN({ inputSize: 1, hiddenSize: 1, ...option });
  } catch (cause) {
    throw new EvenkeelError('ERR_OPTION', `${path}: ${(cause as Error).message}`, { cause });
  }
}
