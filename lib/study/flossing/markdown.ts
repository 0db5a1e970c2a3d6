/** The published experiment, for docs/stability.md. */
import { markdownTable, sourceOf } from '../markdown';
import { exponentHeads, exponentRows, lead, runCells, runHeads } from './page';
import type { FlossingResults } from './set-up';

/** What docs/study-flossing.json keeps: numbers to five digits. */
export function publishedFlossingOf(results: FlossingResults): FlossingResults {
  return JSON.parse(
    JSON.stringify(results, (_, value) => (typeof value === 'number' ? Number(value.toPrecision(5)) : value)),
  ) as FlossingResults;
}

export function formatFlossingTables(results: FlossingResults): string {
  const { hiddenSize, draws, bits, flossing } = results;
  return [
    `${lead(results)} (${draws} draws, ${hiddenSize} units, ${bits} bits a sequence; learned: a loss below a quarter of that of guessing.)`,
    ...(results.interrupted ? ['The run was stopped early, as `Ctrl-C` does: what had finished by then is here.'] : []),
    markdownTable(
      runHeads,
      results.runs.map((run) => runCells(run, results)),
    ),
    `Lyapunov exponents before the task, with ${flossing.steps} steps of flossing and without:`,
    markdownTable(exponentHeads(results), exponentRows(results)),
    sourceOf(results, 'npx evenkeel study --experiment flossing --full'),
  ].join('\n\n');
}
