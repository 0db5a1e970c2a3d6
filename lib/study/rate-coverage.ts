/** How far the intervals and verdicts of growth rates are to be trusted: what scripts/coverage.mjs measures, and its tables for docs/stability.md. */
import { formatSigned } from './draws';
import { markdownTable, sourceOf } from './markdown';
import type { Environment } from './results';

/** Of many draws of so many sequences of so many steps, for the same weights. Shares are from 0 to 1. */
export interface SizeCoverage {
  sequences: number;
  timeSteps: number;
  /** how many intervals of the growth rate hold the exponent of the long run */
  rateHolds: number;
  /** how many do that are as wide and stand around the rate of the batch's norm */
  batchHolds: number;
  /** how many intervals of the largest Lyapunov exponent hold it */
  exponentHolds: number;
  meanRate: number;
  meanBatchRate: number;
  /** where the mean of the long runs' sequences leaves float32, in a batch of this size; null where not within their steps */
  longHorizon: number | null;
  /** the middle draw's; null where most draws have none */
  horizon: number | null;
  /** how many intervals of the horizon hold that of the long runs */
  horizonHolds: number | null;
}

/** One set of weights: a placement of the LayerNorm and a start of W_hh. */
export interface CoveredDesign {
  placement: string;
  initializer: string;
  /** the largest Lyapunov exponent of the long run, with its standard error */
  exponent: number;
  error: number;
  sizes: SizeCoverage[];
}

/** Weights whose largest exponent was brought to 0: any verdict but `'stable'` is false. */
export interface NeutralDesign {
  initializer: string;
  seed: number;
  exponent: number;
  error: number;
  sizes: { sequences: number; timeSteps: number; falseVerdicts: number; falseByBatch: number }[];
}

export interface RateCoverage {
  schema: 'evenkeel/coverage';
  date: string;
  environment: Environment;
  draws: number;
  inputSize: number;
  hiddenSize: number;
  /** of the exponent, and of how many sequences the horizon is taken */
  longRun: { sequences: number; timeSteps: number; horizonSequences: number };
  designs: CoveredDesign[];
  neutral: NeutralDesign[];
  /** the largest difference between the states of `hidden` and the normalised ones of `recurrent-input` */
  oneRecurrence: { timeSteps: number; difference: number }[];
  /** the largest exponent over all steps, and without the first tenth */
  firstStep: { timeSteps: number; placement: string; all: number; settled: number }[];
}

/** "93.3 to 98.0" of shares, in percent. */
export function rangeOf(shares: readonly number[]): string {
  const ends = [Math.min(...shares), Math.max(...shares)].map((share) => (100 * share).toFixed(1));
  return ends[0] === ends[1] ? (ends[0] as string) : ends.join(' to ');
}

export function formatCoverage(results: RateCoverage): string {
  const { draws, designs, neutral, longRun } = results;
  const sizes = designs.flatMap((design) => design.sizes);
  const shares = (key: 'rateHolds' | 'batchHolds' | 'exponentHolds') => rangeOf(sizes.map((size) => size[key]));
  const many = sizes.filter(({ sequences }) => sequences === Math.max(...sizes.map((size) => size.sequences)));
  return [
    `Its 95 % interval held that exponent in ${shares('rateHolds')} % of ${draws.toLocaleString('en-US')} draws of the input, over ${designs.length} sets of weights and batches of 1 to ${many[0]?.sequences} sequences of ${rangeOfSteps(sizes)} steps; ` +
      `the interval of \`lyapunovSpectrum\` in ${shares('exponentHolds')} %. ` +
      `An interval as wide around the rate of the batch’s norm, which follows the sequence that grows most, held it in ${rangeOf(many.map(({ batchHolds }) => batchHolds))} % of those of ${many[0]?.sequences} sequences: \`batchGrowthRate\` estimates no exponent.`,
    `Where the exponent is 0, a verdict was false in ${rangeOf(neutral.flatMap((design) => design.sizes.map(({ falseVerdicts }) => falseVerdicts)))} % of the draws; by the batch’s norm it would have been in ${rangeOf(neutral.flatMap((design) => design.sizes.map(({ falseByBatch }) => falseByBatch)))} %.`,
    `The interval of the horizon held the distance at which the mean of ${longRun.horizonSequences} sequences leaves float32 in ${rangeOf(sizes.map(({ horizonHolds }) => horizonHolds).filter((share) => share !== null))} %. A batch of fewer sequences has a larger gradient in each, since the loss is their mean.`,
    `The exponent is that of ${longRun.sequences} sequences of ${longRun.timeSteps.toLocaleString('en-US')} steps.`,
    '<details><summary>Each design and size</summary>',
    coverageTable(designs),
    neutralTable(neutral),
    '</details>',
    ...firstStepTables(results),
    sourceOf(results, `node scripts/coverage.mjs --draws ${draws} --publish`),
  ].join('\n\n');
}

function rangeOfSteps(sizes: readonly SizeCoverage[]): string {
  return [...new Set(sizes.map(({ timeSteps }) => timeSteps))].map((steps) => steps.toLocaleString('en-US')).join(' or ');
}

const percent = (share: number | null) => (share === null ? '–' : `${(100 * share).toFixed(1)} %`);
const sizeOf = ({ sequences, timeSteps }: Pick<SizeCoverage, 'sequences' | 'timeSteps'>) => `${sequences} × ${timeSteps}`;

function coverageTable(designs: readonly CoveredDesign[]): string {
  const head = [
    'LayerNorm, W_hh',
    'λ₁ of the long run',
    'sequences × steps',
    'mean rate',
    'interval holds λ₁',
    'mean rate of the batch’s norm',
    'as wide an interval holds λ₁',
    'interval of the Lyapunov exponent holds λ₁',
    'horizon: of the long runs, of the middle draw',
    'its interval holds that of the long runs',
  ];
  const rows = designs.flatMap((design) =>
    design.sizes.map((size) => [
      `${design.placement}, ${design.initializer}`,
      `${formatSigned(design.exponent, 4)} ± ${design.error.toFixed(4)}`,
      sizeOf(size),
      formatSigned(size.meanRate, 4),
      percent(size.rateHolds),
      formatSigned(size.meanBatchRate, 4),
      percent(size.batchHolds),
      percent(size.exponentHolds),
      `${size.longHorizon ?? '–'}, ${size.horizon ?? '–'}`,
      percent(size.horizonHolds),
    ]),
  );
  return markdownTable(head, rows);
}

function neutralTable(neutral: readonly NeutralDesign[]): string {
  const head = [
    'weights, LayerNorm on the state',
    'λ₁ of the long run',
    'sequences × steps',
    'called exploding or vanishing',
    'by the batch’s norm',
  ];
  const rows = neutral.flatMap(({ initializer, seed, exponent, error, sizes }) =>
    sizes.map((size) => [
      `${initializer}, seed ${seed}`,
      `${formatSigned(exponent, 4)} ± ${error.toFixed(4)}`,
      sizeOf(size),
      percent(size.falseVerdicts),
      percent(size.falseByBatch),
    ]),
  );
  return markdownTable(head, rows);
}

/** What a LayerNorm does that meets a state of zeros, and why `hidden` and `recurrent-input` are counted once. */
function firstStepTables({ oneRecurrence, firstStep }: RateCoverage): string[] {
  const largest = Math.max(...oneRecurrence.map(({ difference }) => difference));
  const placements = [...new Set(firstStep.map(({ placement }) => placement))];
  const find = (timeSteps: number, placement: string) =>
    firstStep.find((row) => row.timeSteps === timeSteps && row.placement === placement);
  const rows = [...new Set(firstStep.map(({ timeSteps }) => timeSteps))].map((timeSteps) => [
    timeSteps.toLocaleString('en-US'),
    ...placements.flatMap((placement) => {
      const row = find(timeSteps, placement);
      return row === undefined ? ['', ''] : [formatSigned(row.all, 4), formatSigned(row.settled, 4)];
    }),
    ((0.5 * Math.log(1e5)) / timeSteps).toFixed(4),
  ]);
  const head = ['T', ...placements.flatMap((placement) => [`${placement}, all steps`, 'settled']), 'ln(1/√ε)/T'];
  const same = largest === 0 ? 'are the same to the bit' : `differ by at most ${largest.toExponential(0)}`;
  return [
    `The normalised states of \`recurrent-input\` are those of \`hidden\`: over ${oneRecurrence.at(-1)?.timeSteps} steps the two ${same}. ` +
      'One recurrence has one largest exponent; from a state of zeros, where the derivative of LayerNorm is 1/√ε, a placement that normalises the state before the first step adds ln(1/√ε)/T to it, unless the first steps are left out (`burnIn`, a tenth of the steps unless given):',
    markdownTable(head, rows),
  ];
}
