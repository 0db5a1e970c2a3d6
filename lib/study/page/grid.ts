/** Where gradients grow on their way back through time: theory beside measurement, and every cell of the grid. */
import type { Figures } from '../../report/figure';
import { renderSampled, renderTable } from '../../report/page';
import { escapeHtml, formatNumber, plural } from '../../report/text';
import { placementLooks } from '../../report/theme';
import type { ChartFile } from '../charts';
import { describeSizes } from '../claims';
import { formatRate, formatSigned } from '../draws';
import type { GridCell, GridPart } from '../results';
import { describeGrowth, theoryGap } from '../summary';

export function gridSection(grid: GridPart, figures: Figures<ChartFile>): string {
  if (grid.cells.length === 0) return '';
  const { sequences, timeSteps, inputSize, draws, dtype, cells, cell } = grid;
  return `<section>
${cell === 'rnn' ? theory(grid, figures) : '<h2>Places and sizes</h2>'}
<p class="note">${draws} draws of weights and data, ${plural(sequences, 'sequence')} of ${timeSteps} steps in each, ${inputSize} inputs, the loss on the last step alone, before any training, ${dtype}.</p>
<details><summary>All ${cells.length} cells of the grid</summary>
${cellTable(grid)}
</details>
</section>`;
}

/** Of an RNN; there is none here of cells with gates. */
function theory({ cells }: GridPart, figures: Figures<ChartFile>): string {
  const gap = theoryGap(cells);
  return `<h2>Theory and measurement</h2>
<p>Of many units the pre-activations are normally distributed, and one step back in time multiplies the squared norm of the gradient by χ: the growth rate is ½ ln χ. With LayerNorm before the activation χ = E[φ′²] / (E[φ²] + v/w), where φ is tanh of a standard normal number, w is H times the variance of an entry of W<sub>hh</sub>, and v what the input and the biases add to the variance of a pre-activation. As v goes to 0, with many units or small inputs, χ goes to 1.18 whatever W<sub>hh</sub> is. On both parts before the activation the input keeps half of the variance and χ is 0.67, unless inputs are so small that the LayerNorm’s ε outweighs them. (docs/stability.md derives it for each place.)</p>
${figures.show('mean-field.svg', escapeHtml(`In each cell the measured rate, and below it that of theory. x ×0.1: inputs of standard deviation 0.1.${gap === undefined ? '' : ` With ${gap.hiddenSize} units and orthogonal W_hh, theory and measurement differ by at most ${gap.largest.toFixed(3)} in ${plural(gap.count, 'cell')}.`}`))}`;
}

/** What grows fastest first. */
function cellTable({ cells, timeSteps: length, cell: kind }: GridPart): string {
  const isRnn = kind === 'rnn';
  const columns = [
    { head: 'LayerNorm' },
    { head: 'sizes' },
    { head: 'gradient' },
    { head: 'growth rate', numeric: true },
    { head: 'over none', numeric: true },
    ...(isRnn ? [{ head: 'theory', numeric: true }] : []),
  ];
  const rows = cells
    .toSorted((a, b) => b.growth.mean - a.growth.mean)
    .map((cell) => [
      renderSampled(placementLooks[cell.placement], escapeHtml(cell.placement)),
      escapeHtml(describeSizes(cell, length)),
      growthWord(cell),
      formatRate(cell.growth),
      cell.placement === 'none' ? '' : formatRate(cell.overNone),
      ...(isRnn ? [cell.meanField === null ? '' : formatSigned(cell.meanField, 3)] : []),
    ]);
  return renderTable(
    `Growth of ln‖∂L/∂h‖ per step back, the fastest first; ${isRnn ? 'tanh and ' : ''}T = ${formatNumber(length, 0)} unless it is said`,
    columns,
    rows,
  );
}

function growthWord({ growth }: GridCell): string {
  const word = describeGrowth(growth);
  return `<strong class="${{ grows: 'bad', shrinks: 'part', open: 'good' }[word]}">${word}</strong>`;
}
