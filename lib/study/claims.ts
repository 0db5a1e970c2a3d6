/**
 * The claims of the examined text about gradients through time, each in its own words, and what a measurement makes of it. What it claims of
 * its three examples, about gradients in the course of training, is in findings.ts.
 */
import { formatNumber } from '../report/text';
import type { Growth, Verdict } from '../stability/flow';
import type { DepthPlacement } from './placements';

/** What is said of how gradients grow. */
export type MeasuredGrowth = Pick<Growth, 'growthRate' | 'growthRateError' | 'verdict' | 'horizon'>;

/** How gradients grow through time in one design: the loss on the last step, one entry per seed. */
export interface DepthCell {
  placement: DepthPlacement;
  /** how W_hh starts, in words, such as `orthogonal ×1.5` */
  initializer: string;
  growths: readonly MeasuredGrowth[];
}

/** All designs measured: the same initialisers for every placement, `'none'` among them. */
export type DepthMeasurement = readonly DepthCell[];

/** Growth per step, with its standard error. */
export interface Rate {
  rate: number;
  error: number;
}

export interface Judgement {
  verdict: 'holds' | 'does not hold' | 'holds where' | 'not tested by';
  /** for `'holds where'` and `'not tested by'`: to follow these words */
  where?: string;
  /** what was measured, in a sentence */
  measured: string;
}

/** A claim in the text's own words, beside what this run measured of it. */
export interface Finding extends Judgement {
  /** the text's own words */
  words: string;
  /** what they come to, to be measured */
  meaning: string;
}

export interface Claim {
  /** the text's own words */
  words: string;
  /** what they come to, to be measured */
  meaning: string;
  /** Undefined where none of the designs that it is about was measured. */
  judge(cells: DepthMeasurement): Judgement | undefined;
}

export const claims: readonly Claim[] = [
  {
    words: 'the crucial term (∂L/∂h_t) becomes a product of many (∂ĥ_t/∂h_t) terms',
    meaning: 'A LayerNorm after the RNN changes how the gradient grows per time step.',
    judge: outputChangesGrowth,
  },
  {
    words: 'the cumulative effect, particularly with longer sequences, can result in an exponential increase in the gradient magnitude',
    meaning: 'With a LayerNorm on the state that is fed back, gradients explode.',
    judge: (cells) => judgeWhere(ofPlacement(cells, 'hidden'), explodes, rates),
  },
  {
    words: 'the magnitude of the gradients grows far beyond the numerical bounds that a computation can represent',
    meaning: 'With a LayerNorm on the state that is fed back, gradients leave the range of float32.',
    judge: hiddenLeavesRange,
  },
  {
    words:
      'Normalization prior to the recurrent calculation (e.g. before applying the recurrent activation function) does not cause this problem',
    meaning: 'Gradients do not explode with a LayerNorm over the input or before the activation, unless they do so without it.',
    judge: (cells) =>
      judgeWhere(
        ofPlacement(cells, 'input', 'preactivation', 'split-preactivation'),
        (cell) => !causesExplosion(cell, cells),
        largestRates,
      ),
  },
  {
    words: 'it only occurs when placed after the recurrent unit',
    meaning: 'A normalisation makes gradients explode only where it stands after the activation: outside the recurrence, or on the state.',
    judge: onlyAfter,
  },
  {
    words: 'it arises from where normalization is placed within the recurrent computation graph',
    meaning: 'With the same initial weights, some placements explode and others do not.',
    judge: placementDecides,
  },
  {
    words: 'parameter initialization are essential',
    meaning: 'With the same placement, gradients explode, stay or vanish by how W_hh starts.',
    judge: initializerDecides,
  },
];

/** What most seeds say; stable where no verdict has more than half. */
export function commonVerdict({ growths }: DepthCell): Verdict {
  const counts = (verdict: Verdict) => growths.filter((growth) => growth.verdict === verdict).length;
  return (['exploding', 'vanishing'] as const).find((verdict) => counts(verdict) > growths.length / 2) ?? 'stable';
}

/** The mean rate over seeds with its standard error. */
export function meanRate({ growths }: DepthCell): Rate {
  return meanOverSeeds(growths.map(toRate));
}

function toRate({ growthRate, growthRateError }: MeasuredGrowth): Rate {
  return { rate: growthRate, error: growthRateError };
}

/** The mean over seeds, and its standard error: from the spread of the seeds, or from their own errors where these say more. */
export function meanOverSeeds(seeds: readonly Rate[]): Rate {
  const { rate, error } = meanOfDraws(seeds);
  const squares = seeds.reduce((sum, seed) => sum + (seed.rate - rate) ** 2, 0);
  const spread = seeds.length > 1 ? Math.sqrt(squares / (seeds.length - 1) / seeds.length) : 0;
  return { rate, error: Math.max(error, spread) };
}

/** The same with the error of the seeds' own errors alone: for designs that share weights and data, in which seeds differ alike. */
function meanOfDraws(seeds: readonly Rate[]): Rate {
  const rate = seeds.reduce((sum, seed) => sum + seed.rate, 0) / seeds.length;
  const squares = seeds.reduce((sum, { error }) => sum + error ** 2, 0);
  return { rate, error: Math.sqrt(squares) / seeds.length };
}

function outputChangesGrowth(cells: DepthMeasurement): Judgement | undefined {
  const changes = (cell: DepthCell): boolean => {
    const [a, b] = [cell, plainTwin(cell, cells)].map(({ growths }) => meanOfDraws(growths.map(toRate))) as [Rate, Rate];
    return Math.abs(a.rate - b.rate) > 2 * Math.hypot(a.error, b.error);
  };
  return judgeWhere(
    ofPlacement(cells, 'output'),
    changes,
    (outputs) => `${rates(outputs)}; ${rates(outputs.map((cell) => plainTwin(cell, cells)))}`,
  );
}

function hiddenLeavesRange(cells: DepthMeasurement): Judgement | undefined {
  const hidden = ofPlacement(cells, 'hidden');
  if (hidden.length === 0) return undefined;
  const exploding = hidden.filter(explodes);
  const measured = rates(hidden);
  if (exploding.length === 0) return { verdict: 'does not hold', measured: `${measured}.` };
  const horizons = exploding.map((cell) => `longer than ${formatNumber(medianHorizon(cell), 0)} steps (${cell.initializer})`);
  return { verdict: 'holds where', where: `sequences are ${horizons.join(', ')}`, measured: `${measured}.` };
}

function onlyAfter(cells: DepthMeasurement): Judgement | undefined {
  if (cells.length === 0) return undefined;
  const causes = explosionCauses(cells);
  const elsewhere = causes.filter((placement) => placement !== 'output' && placement !== 'hidden');
  const measured = `Placements that explode where none does not: ${causes.join(', ') || 'none'}.`;
  if (elsewhere.length > 0 || causes.length === 0) return { verdict: 'does not hold', measured };
  if (causes.length === 2) return { verdict: 'holds', measured };
  const where = causes[0] === 'hidden' ? 'the normalised state is fed back' : 'it stands outside the recurrence';
  return { verdict: 'holds where', where, measured };
}

function placementDecides(cells: DepthMeasurement): Judgement | undefined {
  return judgeGroups(groupBy(cells, 'initializer'), 'W_hh starts as', (group) => group.some(explodes) && !group.every(explodes));
}

function initializerDecides(cells: DepthMeasurement): Judgement | undefined {
  return judgeGroups(groupBy(cells, 'placement'), 'the placement is', (group) => new Set(group.map(commonVerdict)).size > 1);
}

export function explodes(cell: DepthCell): boolean {
  return commonVerdict(cell) === 'exploding';
}

/** The placements with which a design explodes that does not without its normalisation. */
export function explosionCauses(cells: DepthMeasurement): DepthPlacement[] {
  return [...new Set(cells.filter((cell) => causesExplosion(cell, cells)).map(({ placement }) => placement))];
}

/** Whether a design explodes that does not without its normalisation. */
function causesExplosion(cell: DepthCell, cells: DepthMeasurement): boolean {
  return explodes(cell) && !explodes(plainTwin(cell, cells));
}

/** The same initial weights without a normalisation. */
function plainTwin({ initializer }: DepthCell, cells: DepthMeasurement): DepthCell {
  const twin = cells.find((cell) => cell.placement === 'none' && cell.initializer === initializer);
  if (twin === undefined) throw new RangeError(`no measurement without normalisation for ${initializer}`);
  return twin;
}

function ofPlacement(cells: DepthMeasurement, ...placements: DepthPlacement[]): DepthCell[] {
  return cells.filter(({ placement }) => placements.includes(placement));
}

/** The judgement of a claim about each of some designs. */
function judgeWhere(
  cells: readonly DepthCell[],
  holds: (cell: DepthCell) => boolean,
  describe: (cells: readonly DepthCell[]) => string,
): Judgement | undefined {
  const several = new Set(cells.map(({ placement }) => placement)).size > 1;
  const names = cells.filter(holds).map(({ placement, initializer }) => (several ? `${placement}, ${initializer}` : initializer));
  return judgeShare(names, cells.length, `${describe(cells)}.`, several ? ['the design is', '; '] : ['W_hh starts as', ', ']);
}

/** The judgement of a claim about each of some groups, named by what their designs share. */
function judgeGroups(
  groups: Map<string, DepthCell[]>,
  subject: string,
  holds: (group: readonly DepthCell[]) => boolean,
): Judgement | undefined {
  const names = [...groups].filter(([, group]) => holds(group)).map(([name]) => name);
  const courses = [...groups].map(([name, group]) => `${name}: ${[...new Set(group.map(commonVerdict))].join(', ')}`);
  return judgeShare(names, groups.size, `${courses.join('; ')}.`, [subject, ', ']);
}

/** @param words what the names are of, and what stands between them */
function judgeShare(
  names: readonly string[],
  count: number,
  measured: string,
  words: readonly [subject: string, separator: string],
): Judgement | undefined {
  if (count === 0) return undefined;
  if (names.length === 0) return { verdict: 'does not hold', measured };
  if (names.length === count) return { verdict: 'holds', measured };
  return { verdict: 'holds where', where: `${words[0]} ${names.join(words[1])}`, measured };
}

function groupBy(cells: DepthMeasurement, key: 'placement' | 'initializer'): Map<string, DepthCell[]> {
  const groups = new Map<string, DepthCell[]>();
  for (const cell of cells) groups.set(cell[key], [...(groups.get(cell[key]) ?? []), cell]);
  return groups;
}

/** "hidden: +0.115 ± 0.003 (orthogonal ×1.5), …": growth of ln‖∂L/∂h_t‖ per step backwards. */
function rates(cells: readonly DepthCell[]): string {
  const parts = [...groupBy(cells, 'placement')].map(([placement, group]) => {
    const values = group.map((cell) => `${formatRate(meanRate(cell))} (${cell.initializer})`);
    return `${placement}: ${values.join(', ')}`;
  });
  return parts.join('; ');
}

/** Of each placement, the design that grows most. */
function largestRates(cells: readonly DepthCell[]): string {
  const parts = [...groupBy(cells, 'placement')].map(([placement, group]) => {
    const [largest] = group.toSorted((a, b) => meanRate(b).rate - meanRate(a).rate) as [DepthCell];
    return `${placement} ${formatRate(meanRate(largest))} (${largest.initializer})`;
  });
  return `The largest rates: ${parts.join(', ')}`;
}

/** "+0.115 ± 0.003": a rate is nothing without its sign and error. */
export function formatRate({ rate, error }: Rate): string {
  const digits = error < 0.002 ? 4 : 3;
  return `${rate < 0 ? '−' : '+'}${Math.abs(rate).toFixed(digits)} ± ${error.toFixed(digits)}`;
}

export function medianHorizon({ growths }: DepthCell): number {
  const horizons = growths.map(({ horizon }) => horizon).sort((a, b) => a - b);
  return horizons[Math.floor(horizons.length / 2)] ?? Number.NaN;
}
