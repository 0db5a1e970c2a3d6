/** What is measured: one row per trial. A new shape is a new row. */
import type { GatedWork, InnerPlacement, Trial, TrialShape, Work } from './protocol';
import { gatedWorks } from './works';

interface Row {
  shape: TrialShape;
  allThreadsOnly?: true;
  why: string;
  quick?: Work;
}

const shape = (n: number, t: number, i: number, h: number): TrialShape => ({ n, t, i, h });

const shapes: readonly Row[] = [
  { shape: shape(32, 50, 10, 20), why: 'the reference set-up of the study', quick: 'train' },
  { shape: shape(32, 200, 64, 128), why: 'a small model of a sensor or price series' },
  { shape: shape(32, 200, 256, 256), why: 'a medium model' },
  { shape: shape(64, 100, 512, 512), why: "the default of PyTorch's fastrnns benchmark" },
  { shape: shape(1, 1000, 64, 128), why: 'one long sequence: no batch to hide behind' },
  { shape: shape(32, 100, 1024, 1024), why: 'weights larger than the second-level cache' },
  { shape: shape(32, 5000, 10, 20), why: 'thousands of steps through time' },
  { shape: shape(1, 100_000, 1, 32), why: 'a hundred thousand steps through time' },
];

const deepBench: readonly Row[] = [1760, 2048, 2560].flatMap((hidden) =>
  [16, 32, 64, 128].map((batch) => ({
    shape: shape(batch, 50, hidden, hidden),
    allThreadsOnly: true as const,
    why: 'DeepBench, vanilla RNN training',
  })),
);

/** Besides {@link shapes}: sizes that are no multiple of a vector, and those at which kernels change their way. */
const oddShapes: readonly Row[] = [32, 64, 100, 101, 137, 200, 251, 300].map((hidden) => ({
  shape: shape(32, 200, hidden, hidden),
  why: 'a hidden size between those of the other trials',
}));

const rows: readonly Row[] = [
  { shape: shape(32, 50, 20, 20), why: '1,600 rows of 20: the rows of the reference set-up' },
  { shape: shape(32, 200, 128, 128), why: '6,400 rows of 128: in the second-level cache' },
  { shape: shape(32, 200, 1024, 1024), why: '6,400 rows of 1,024: in the last-level cache or beyond' },
  { shape: shape(1000, 100, 256, 256), why: '100,000 rows of 256: the speed of memory' },
];

const placements: readonly InnerPlacement[] = ['preactivation', 'split-preactivation', 'recurrent-input', 'hidden'];
const placementShapes = [shape(32, 200, 64, 128), shape(32, 200, 256, 256)];

const gatedShapes: readonly Row[] = [
  ...shapes.filter(({ shape: { t } }) => t < 100_000),
  { shape: shape(1, 10_000, 1, 32), why: 'ten thousand steps through time' },
];

const streams: readonly Row[] = [
  { shape: shape(1, 100, 10, 20), why: 'a stream through a tiny model: what a call costs' },
  { shape: shape(1, 100, 64, 128), why: 'a stream through a small model' },
  { shape: shape(1, 100, 512, 512), why: 'a stream through weights larger than the second-level cache' },
];

/** All trials, in the order of their running: what tells most comes first, for a run that is stopped early. Ids: `train N,T,I,H`; `layer-norm ROWS,SIZE`; `placement hidden N,T,I,H`. */
export const trials: readonly Trial[] = [
  ...trialsOf('train', shapes),
  ...trialsOf('rnn', [...shapes, ...oddShapes]),
  ...trialsOf('layer-norm', rows),
  ...placements.flatMap((placement) =>
    placementShapes.map(({ n, t, i, h }): Trial => {
      const why = 'LayerNorm within the recurrence: a normalisation in each step through time';
      return { id: `placement ${placement} ${n},${t},${i},${h}`, work: 'placement', placement, n, t, i, h, quick: false, why };
    }),
  ),
  ...gatedWorks.flatMap((work) => trialsOf(work, gatedRows(work))),
  ...trialsOf('train', deepBench),
  ...trialsOf('forward', shapes),
  ...trialsOf('backward', shapes),
];

/** Of a GRU that resets before its product, which fewer libraries have, a part. */
function gatedRows(work: GatedWork): readonly Row[] {
  if (work.startsWith('gru-reset-before')) return work === 'gru-reset-before-train' ? gatedShapes.slice(0, 3) : [];
  return work.endsWith('-step') ? streams : gatedShapes;
}

function trialsOf(work: Work, list: readonly Row[]): Trial[] {
  return list.map(({ shape: { n, t, i, h }, allThreadsOnly, why, quick }) => ({
    id: `${work} ${work === 'layer-norm' ? `${n * t},${h}` : `${n},${t},${i},${h}`}`,
    work,
    n,
    t,
    i,
    h,
    allThreadsOnly,
    quick: quick === work,
    why,
  }));
}

/** The trials of a run: the one whose id is `filter`, else those whose id contains it; and of these the quick ones. */
export function selectTrials({ filter = '', quick = false }: { filter?: string; quick?: boolean }): Trial[] {
  const named = trials.filter(({ id }) => id === filter);
  const matching = named.length > 0 ? named : trials.filter(({ id }) => id.includes(filter));
  return matching.filter((trial) => trial.quick || !quick);
}
