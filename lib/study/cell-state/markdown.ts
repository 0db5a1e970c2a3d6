/** The published experiment, for docs/stability.md. */
import { formatRate } from '../draws';
import { markdownTable, reviveStudy, sourceOf } from '../markdown';
import { names } from './page';
import type { CellStateResults } from './set-up';

/** What docs/study-cell-state.json keeps: numbers to five digits. */
export function publishedCellStateOf(results: CellStateResults): CellStateResults {
  return reviveStudy(
    JSON.stringify(results, (_, value) => (typeof value === 'number' ? Number(value.toPrecision(5)) : value)),
  ) as CellStateResults;
}

/** Growth of all designs over 1000 steps, a line for each cell state, forget bias and number of units. */
export function formatCellStateTables(results: CellStateResults): string {
  const { growth, gammas, forgetBiases, growths, draws, spectra } = results;
  const designs = Object.keys(names).length * gammas.length * forgetBiases.length;
  const rows = forgetBiases.flatMap((bias) =>
    growths
      .filter(({ timeSteps }) => timeSteps === 1000)
      .flatMap(({ hiddenSize, timeSteps }) =>
        Object.entries(names).map(([state, name]) => [
          name,
          `${bias}`,
          `${hiddenSize}`,
          ...gammas.map((of) => {
            const found = growth.find(
              (each) =>
                each.cellNormalization === state &&
                each.forgetBias === bias &&
                each.gamma === of &&
                each.hiddenSize === hiddenSize &&
                each.timeSteps === timeSteps,
            );
            return found === undefined ? '' : formatRate(found.growthRate);
          }),
        ]),
      ),
  );
  return [
    `Growth of ln‖∂L/∂(h_t, c_t)‖ per step back over 1000 steps before training, ${draws} draws, by γ of both LayerNorms before the activations.`,
    ...(results.interrupted
      ? [`The run was stopped early: ${spectra.length} of ${designs} designs had finished, and ${results.trained.length} trainings.`]
      : []),
    markdownTable(['Cell state', 'forget bias', 'units', ...gammas.map((gamma) => `γ ${gamma}`)], rows),
    sourceOf(results, 'npx evenkeel study --experiment cell-state --full'),
  ].join('\n\n');
}
