/** The grid of cells with gates, as docs/stability.md shows it. */
import { capitalize } from '../report/text';
import { causesOf, describeSizes } from './claims';
import { formatRate } from './draws';
import { grows } from './grid';
import { markdownTable, reviveStudy, sourceOf } from './markdown';
import { cellNames, placeOf } from './placements';
import type { GridCell, GridPart, StudyResults } from './results';

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
      return [
        sentenceOf(study),
        tableOf(study.grid),
        sourceOf(study, `npx evenkeel study --cell ${cell}${plan === 'full' ? ' --full' : ''}`),
      ];
    })
    .join('\n\n');
}

function sentenceOf({ grid: { cell, cells, draws, timeSteps }, interrupted }: PublishedGrid): string {
  const plain = cells.filter(({ placement }) => placement === 'none');
  const sizes = [...new Set(cells.map(({ hiddenSize }) => hiddenSize))];
  const ofLargest = new Set(plain.filter(({ hiddenSize }) => hiddenSize === sizes.at(-1)).map(({ initializer }) => initializer));
  const early = interrupted
    ? ` The run was stopped early, as \`Ctrl-C\` does: of ${sizes.at(-1)} units W_hh ${[...ofLargest].join(', ')} had finished.`
    : '';
  return `**${capitalize(cellNames[cell])}** of ${sizes.join(', ')} units, T = ${timeSteps}, ${draws} draws: without a LayerNorm gradients grow in ${plain.filter(grows).length} of ${plain.length} designs.${early}`;
}

function tableOf({ cells, timeSteps }: GridPart): string {
  const units = Math.max(...cells.map(({ hiddenSize }) => hiddenSize));
  const usual = cells.filter((cell) => isUsual(cell) && cell.hiddenSize === units && cell.timeSteps === timeSteps);
  const rateOf = (placement: GridCell['placement']) => {
    const cell = usual.find((each) => each.placement === placement);
    return cell === undefined ? '' : formatRate(cell.growth);
  };
  const rows = causesOf(cells).map(({ placement, count, of, fastest }) => [
    placeOf(placement),
    `${count} of ${of}`,
    fastest === undefined ? '' : `${formatRate(fastest.growth)} (${describeSizes(fastest)})`,
    rateOf(placement),
  ]);
  const head = [
    'LayerNorm',
    'designs whose gradients grow with it and not without it',
    'fastest, per step back',
    `${units} units, PyTorch’s start`,
  ];
  return markdownTable(head, [['nowhere', '', '', rateOf('none')], ...rows]);
}

/** PyTorch's start, standard normal input. */
function isUsual({ initializer, inputScale }: GridCell): boolean {
  return initializer === 'uniform' && inputScale === 1;
}
