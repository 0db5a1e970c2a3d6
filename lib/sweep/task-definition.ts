/** Tasks as a definition may name them, checked. */
import { checkInteger, checkOneOf, checkString, isPlainObject, readOptions, readSafely } from '../check';
import { type SeriesFormat, seriesInSlices } from '../data/csv';
import { splitInTime } from '../data/split';
import { type ErrorCode, EvenkeelError } from '../errors';
import { checkPath } from '../io/file';
import type { Slices } from '../slices';
import { fileHash, inside } from './task-files';
import { rules, TASKS } from './tasks';
import type { TrialTask } from './trial';

/** A checked task: `path` is where its file lies. */
export interface CheckedTask {
  task: TrialTask;
  inputSize?: number;
  path?: string;
}

/** Checks a task of a definition, and for a CSV file that its windows fit every length. */
export function* checkTask(path: string, value: unknown, lengths: readonly number[], folder: string): Slices<CheckedTask> {
  if (readSafely(path, () => isPlainObject(value))) return yield* checkCsv(path, value, lengths, folder);
  const name = checkOneOf(path, value, TASKS);
  const { inputSize, shortest } = rules[name];
  for (const [i, length] of lengths.entries()) checkInteger(`lengths[${i}] with ${path} "${name}"`, length, shortest);
  return { task: { name }, inputSize };
}

function* checkCsv(path: string, value: unknown, lengths: readonly number[], folder: string): Slices<CheckedTask> {
  const given = readOptions(path, value, ['csv', 'columns', 'target', 'decimal', 'delimiter', 'missing']);
  const named = checkPath(`${path}.csv`, given.csv);
  const target = given.target === undefined ? undefined : checkString(`${path}.target`, given.target);
  const file = at(`${path}.csv`, () => inside(folder, named));
  const format = Object.fromEntries(
    (['decimal', 'delimiter', 'missing'] as const).filter((key) => given[key] !== undefined).map((key) => [key, given[key]]),
  ) as SeriesFormat;
  const series = yield* sliceAt(path, seriesInSlices(file, { columns: given.columns as string[] | undefined, target, ...format }));
  for (const [i, length] of lengths.entries()) at(`lengths[${i}] with ${path}`, () => splitInTime(series.rows, length), 'ERR_OPTION');
  return {
    task: {
      name: 'csv',
      file: named,
      sha256: yield* fileHash(file),
      columns: series.columns,
      target: series.columns[series.target],
      ...format,
    },
    inputSize: series.columns.length,
    path: file,
  };
}

/** What is wrong is wrong there, with a code of its own or that of its cause. */
function at<T>(path: string, check: () => T, code?: ErrorCode): T {
  try {
    return check();
  } catch (cause) {
    return fault(path, cause, code);
  }
}

function* sliceAt<T>(path: string, work: Slices<T>): Slices<T> {
  try {
    return yield* work;
  } catch (cause) {
    return fault(path, cause);
  }
}

function fault(path: string, cause: unknown, code?: ErrorCode): never {
  if (!(cause instanceof EvenkeelError)) throw cause;
  throw new EvenkeelError(code ?? cause.code, `${path}: ${cause.message}`, { cause });
}
