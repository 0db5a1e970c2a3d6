/** The kinds of work by their titles; those on cells with gates are each a cell and what is timed of it. */
import { type CellName, cellCosts } from '../layers/recurrent/cost';
import type { GatedCell, GatedPart, GatedWork, Work } from './protocol';

const CELLS: Record<GatedCell, { cell: CellName; title: string }> = {
  lstm: { cell: 'lstm', title: 'LSTM' },
  gru: { cell: 'gru', title: 'GRU' },
  'gru-reset-before': { cell: 'gru', title: 'GRU with the reset before its product' },
  'layer-norm-lstm': { cell: 'lstm', title: 'LayerNorm LSTM' },
};

const PARTS: Record<GatedPart, string> = { train: 'training step', forward: 'forward pass', step: 'one step at a time' };

export interface GatedTask {
  cell: GatedCell;
  part: GatedPart;
  gates: number;
  /** such as `LSTM: training step` */
  title: string;
}

const tasks = new Map(
  (Object.keys(CELLS) as GatedCell[]).flatMap((cell) =>
    (Object.keys(PARTS) as GatedPart[]).map((part): [GatedWork, GatedTask] => {
      const { title } = CELLS[cell];
      const { gates } = cellCosts[CELLS[cell].cell];
      return [`${cell}-${part}`, { cell, part, gates, title: `${title}: ${PARTS[part]}` }];
    }),
  ),
);

/** In the order of tables: a cell after another. */
export const gatedWorks: readonly GatedWork[] = [...tasks.keys()];

/** What a work on a cell with gates is; undefined for other works. */
export function gatedTask(work: Work): GatedTask | undefined {
  return tasks.get(work as GatedWork);
}

/** One value for each of these works. */
export function forGatedWorks<T>(make: (task: GatedTask) => T): Record<GatedWork, T> {
  return Object.fromEntries([...tasks].map(([work, task]) => [work, make(task)])) as Record<GatedWork, T>;
}

export const workTitles: Record<Work, string> = {
  train: 'Training step',
  forward: 'Forward pass',
  backward: 'Backward pass',
  rnn: 'RNN alone',
  'layer-norm': 'LayerNorm alone',
  placement: 'Inner LayerNorm',
  ...forGatedWorks(({ title }) => title),
};
