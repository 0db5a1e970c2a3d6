/** The grid of cells with gates, as docs/stability.md shows it. */
import { capitalize } from '../report/text';
import { causesOf, describeSizes } from './claims';
import { formatRate } from './draws';
import { grows } from './grid';
import { growingBySize, markdownTable, reviveStudy, sourceOf } from './markdown';
import { cellNames, placeOf } from './placements';
import type { GridPart, StudyResults } from './results';

/** What a published grid keeps. */
export type PublishedGrid = Pick<StudyResults, 'schema' | 'schemaVersion' | 'interrupted' | 'date' | 'environment' | 'grid'>;

/** Numbers to five digits. */
export function publishedGridOf({ schema, schemaVersion, interrupted, date, environment, grid }: StudyResults): PublishedGrid {
  return reviveStudy(
    JSON.stringify({ schema, schemaVersion, interrupted, date, environment, grid }, (_, value) =>
      typeof value === 'number' ? Number(value.toPrecision(5)) : value,
    ),
  ) as PublishedGrid;
}

/** What each place makes of each cell's gradients. */
export function formatGated(studies: readonly PublishedGrid[]): string {
  return studies
    .flatMap((study) => {
      const { cell, plan } = study.grid;
      const { head, rows } = growingBySize(study.grid);
      return [
        sentenceOf(study),
        causesTable(study.grid),
        `Designs whose gradients grow, of each place and none, by number of units, T = ${study.grid.timeSteps}:`,
        markdownTable(head, rows),
        'Growth per step back from PyTorch’s start, standard normal input:',
        ratesTable(study.grid),
        `![Growth rate of the gradient per step back in time in ${cellNames[cell]}, by place of a LayerNorm, number of units and start of the recurrent weights](growth-rates-${cell}.svg)`,
        sourceOf(study, `npx evenkeel study --cell ${cell}${plan === 'full' ? ' --full' : ''} --parts grid`),
      ];
    })
    .join('\n\n');
}

function sentenceOf({ grid: { cell, cells, draws } }: PublishedGrid): string {
  const plain = cells.filter(({ placement }) => placement === 'none');
  const valuesOf = (key: 'hiddenSize' | 'timeSteps') => [...new Set(cells.map((each) => each[key]))].join(', ');
  return `**${capitalize(cellNames[cell])}** of ${valuesOf('hiddenSize')} units, T = ${valuesOf('timeSteps')}, ${draws} draws: without a LayerNorm gradients grow in ${plain.filter(grows).length} of ${plain.length} designs.`;
}

function causesTable({ cell, cells }: GridPart): string {
  const rows = causesOf(cells).map(({ placement, count, of, fastest }) => [
    placeOf(placement, cell),
    `${count} of ${of}`,
    fastest === undefined ? '' : `${formatRate(fastest.growth)} (${describeSizes(fastest)})`,
  ]);
  return markdownTable(['LayerNorm', 'designs whose gradients grow with it and not without it', 'fastest, per step back'], rows);
}

/** A row per place, a column per number of units, and of the most over the longest sequences as well. */
function ratesTable({ cell: kind, cells, timeSteps }: GridPart): string {
  const usual = cells.filter(({ initializer, inputScale }) => initializer === 'uniform' && inputScale === 1);
  const most = Math.max(...usual.map(({ hiddenSize }) => hiddenSize));
  const columns = usual
    .filter((cell) => cell.placement === 'none' && (cell.timeSteps === timeSteps || cell.hiddenSize === most))
    .toSorted((a, b) => a.timeSteps - b.timeSteps);
  const rows = [...new Set(usual.map(({ placement }) => placement))].map((placement) => [
    placeOf(placement, kind),
    ...columns.map((column) => {
      const own = usual.find(
        (cell) => cell.placement === placement && cell.hiddenSize === column.hiddenSize && cell.timeSteps === column.timeSteps,
      );
      return own === undefined ? '' : formatRate(own.growth);
    }),
  ]);
  const heads = columns.map((column) => `H = ${column.hiddenSize}${column.timeSteps === timeSteps ? '' : `, T = ${column.timeSteps}`}`);
  return markdownTable(['LayerNorm', ...heads], rows);
}
