/** Records as CSV, one row per trial. */
import { csvCell } from '../io/csv-cell';
import { measureNames } from './measures';
import type { TrialRecord } from './store';

type Cell = string | number | null | undefined;

/** What depends on the trials alone. */
export function measuresCsv(records: readonly TrialRecord[]): string {
  return toCsv(records.map((record) => ({ ...identity(record), ...measures(record) })));
}

/** Everything, with what each trial cost. */
export function fullCsv(records: readonly TrialRecord[]): string {
  return toCsv(
    records.map((record) => {
      const { finished, attempts } = record;
      const { cost, cpuKind: kind } = record.status === 'done' ? record : {};
      return {
        ...identity(record),
        ...measures(record),
        failure: record.status === 'failed' ? record.reason : '',
        seconds: cost?.seconds,
        stepsPerSecond: cost?.stepsPerSecond,
        peakMemoryBytes: cost?.peakMemoryBytes,
        cpu: kind?.cpu,
        simdTarget: kind?.simdTarget,
        blas: kind?.blas,
        attempts,
        finished,
        hash: record.hash,
      };
    }),
  );
}

function identity({ trial }: TrialRecord): Record<string, Cell> {
  const { task, placement, kind, clip, batchSize, inputSize, hiddenSize, length, cell, nonlinearity, ...others } = trial;
  const { initializer, gain, inputInitializer, inputGain, ...training } = others;
  const { rule, ...limits } = clip;
  const [clipLimit] = Object.values<number>(limits);
  const [name, target] = task.name === 'csv' ? [task.file, task.target] : [task.name];
  // Named where they may be missing: every row has the same columns.
  const sizes = { batchSize, inputSize, hiddenSize, length };
  const starts = { initializer, gain, inputInitializer, inputGain };
  return { task: name, target, placement, kind, clip: rule, clipLimit, ...sizes, cell, nonlinearity, ...starts, ...training };
}

/** A trial that failed has no numbers. */
function measures(record: TrialRecord): Record<string, Cell> {
  const numbers = measureNames.map((name): [string, Cell] => [name, record.status === 'done' ? record.measures[name] : undefined]);
  return { status: record.status, ...Object.fromEntries(numbers) };
}

/** As RFC 4180 has it, but for the line ends, which are newlines. */
function toCsv(rows: readonly Record<string, Cell>[]): string {
  const lines = rows.map((row) => Object.values(row).map(csvCell).join(','));
  return [Object.keys(rows[0] ?? {}).join(','), ...lines, ''].join('\n');
}
