/** What `evenkeel train` is told: how to read the file, what to forecast, by which model, and how to train it. */
import { checkInteger, checkNames, checkNumber, checkOneOf, checkString } from '../check';
import type { DecimalMark } from '../data/csv-cells';
import { EvenkeelError } from '../errors';
import { checkPath } from '../io/file';
import { readYaml } from '../io/yaml-file';
import { type Placement, placementNames } from '../layers/recurrent/normalization';
import { type Option, type ReadBy, readBy } from '../schema';

export const cellNames = ['rnn', 'lstm', 'gru'] as const;
export const missingWays = ['error', 'forward', 'mean', 'drop'] as const;

function integerOption(otherwise: number, min: number, max = Number.MAX_SAFE_INTEGER): Option<number> {
  return { check: (argument, value) => checkInteger(argument, value, min, max), default: otherwise };
}

function wordOption<T extends string>(words: readonly T[], otherwise: T): Option<T> {
  return { check: (argument, value) => checkOneOf(argument, value, words), default: otherwise, choices: words };
}

/** One that may be left out. */
function optional<T>(check: (argument: string, value: unknown) => T): Option<T | undefined> {
  return { check: (argument, value) => (value === undefined ? undefined : check(argument, value)) };
}

/** How a file is read. */
export const readingSchema = {
  columns: optional((argument, value) => checkNames(argument, value, 'column name')),
  target: optional(checkString),
  time: optional(checkString),
  sequenceId: optional(checkString),
  decimal: wordOption<DecimalMark>(['.', ','], '.'),
  delimiter: optional(checkString),
  missing: wordOption(missingWays, 'error'),
};

/** All options by name, as a configuration file has them. */
export const forecastSchema = {
  ...readingSchema,
  window: integerOption(30, 1, 100_000),
  horizon: integerOption(1, 1, 10_000),
  cell: wordOption(cellNames, 'lstm'),
  layers: integerOption(1, 1, 100),
  hidden: integerOption(32, 1, 100_000),
  normalization: wordOption<Placement>(placementNames, 'none'),
  dropout: { check: (argument: string, value: unknown) => checkNumber(argument, value, { min: 0, below: 1 }), default: 0 },
  season: optional((argument, value) => checkInteger(argument, value, 2)),
  epochs: integerOption(100, 1),
  patience: integerOption(10, 1),
  batchSize: integerOption(32, 1),
  learningRate: { check: (argument: string, value: unknown) => checkNumber(argument, value, { above: 0 }), default: 2e-3 },
  clip: { check: (argument: string, value: unknown) => checkNumber(argument, value, { above: 0 }), default: 1 },
  seed: integerOption(1, 0),
};

export type ReadingOptions = ReadBy<typeof readingSchema>;
export type ForecastOptions = ReadBy<typeof forecastSchema>;

/**
 * Those of the command line, for the rest those of the configuration file, for the rest the defaults.
 * @param given undefined where it was not
 * @param config path of a JSON or YAML file
 * @throws EvenkeelError ERR_OPTION, ERR_FILE
 */
export function readForecastOptions(given: Readonly<Record<string, unknown>>, config?: string): ForecastOptions {
  const own = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  if (config === undefined) return readBy('train options', own, forecastSchema);
  const words = { what: 'configuration', example: '"window: 48"', second: 'Remove it.' };
  const file = readYaml(checkPath('config', config), words);
  try {
    // By itself first: what is wrong in it is said of it, even where the command line overrides it.
    readBy('configuration', file, forecastSchema);
  } catch (cause) {
    if (!(cause instanceof EvenkeelError)) throw cause;
    throw new EvenkeelError(cause.code, `${config}: ${cause.message}`, { cause });
  }
  return readBy('train options', { ...(file as object), ...own }, forecastSchema);
}

/** Options of readSeries. @param own of the file at hand, in place of those of the training */
export function readingOf(options: ReadingOptions): ReadingOptions {
  const names = Object.keys(readingSchema) as (keyof ReadingOptions)[];
  return Object.fromEntries(names.map((name) => [name, options[name]])) as unknown as ReadingOptions;
}
