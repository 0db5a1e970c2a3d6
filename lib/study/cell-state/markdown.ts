/** The published experiment, for docs/stability.md. */
import { formatRate } from '../draws';
import { markdownTable, reviveStudy, sourceOf } from '../markdown';
import { names, trainingCells, trainingHeads } from './page';
import type { CellStateDesign, CellStateResults } from './set-up';

/** What docs/study-cell-state.json keeps: numbers to five digits. */
export function publishedCellStateOf(results: CellStateResults): CellStateResults {
  return reviveStudy(
    JSON.stringify(results, (_, value) => (typeof value === 'number' ? Number(value.toPrecision(5)) : value)),
  ) as CellStateResults;
}

/** Growth and exponents of all designs over 1000 steps, a line for each cell state, forget bias and number of units, and all trainings. */
export function formatCellStateTables(results: CellStateResults): string {
  const { growth, spectra, trained, gammas, forgetBiases, draws } = results;
  const designs = Object.keys(names).length * gammas.length * forgetBiases.length;
  const heads = ['Cell state', 'forget bias', 'units', ...gammas.map((gamma) => `γ ${gamma}`)];
  return [
    `Growth of ln‖∂L/∂(h_t, c_t)‖ per step back over 1000 steps before training, ${draws} draws, by γ of both LayerNorms before the activations.`,
    ...(results.interrupted
      ? [`The run was stopped early: ${spectra.length} of ${designs} designs had finished, and ${trained.length} trainings.`]
      : []),
    markdownTable(
      heads,
      rowsByGamma(results, growth, ({ growthRate }) => formatRate(growthRate)),
    ),
    'The largest Lyapunov exponent of the whole state (h, c) in the same draws, and in brackets the Kaplan-Yorke dimension.',
    markdownTable(
      heads,
      rowsByGamma(results, spectra, ({ largest, dimension }) => `${formatRate(largest)} (${dimension.mean.toFixed(1)})`),
    ),
    ...(trained.length === 0 ? [] : [trainings(results)]),
    sourceOf(results, 'npx evenkeel study --experiment cell-state --full'),
  ].join('\n\n');
}

function trainings({ trained, training, draws }: CellStateResults): string {
  const table = markdownTable(
    trainingHeads,
    trained.map((each) => trainingCells(each, draws)),
  );
  return `<details><summary>Trained: errors over the baseline’s, ${training.hiddenSize} units, medians of ${draws} draws</summary>\n\n${table}\n\n</details>`;
}

function rowsByGamma<Measured extends CellStateDesign & { hiddenSize: number; timeSteps: number }>(
  { gammas, forgetBiases }: CellStateResults,
  all: readonly Measured[],
  format: (measured: Measured) => string,
): string[][] {
  const over1000 = all.filter(({ timeSteps }) => timeSteps === 1000);
  const sizes = [...new Set(over1000.map(({ hiddenSize }) => hiddenSize))];
  return forgetBiases.flatMap((forgetBias) =>
    sizes.flatMap((hiddenSize) =>
      Object.entries(names).map(([state, name]) => {
        const line = over1000.filter(
          (each) => each.cellNormalization === state && each.forgetBias === forgetBias && each.hiddenSize === hiddenSize,
        );
        const cells = gammas.map((gamma) => line.find((each) => each.gamma === gamma));
        return [name, `${forgetBias}`, `${hiddenSize}`, ...cells.map((found) => (found === undefined ? '' : format(found)))];
      }),
    ),
  );
}
