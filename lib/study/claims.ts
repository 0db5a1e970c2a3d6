/**
 * The claims of the examined text about gradients through time, each in its own words and whole, and what the grid makes of it. What it claims
 * of its three examples is in findings.ts.
 */
import { type DrawnMean, formatRate } from './draws';
import { grows } from './grid';
import type { DepthPlacement } from './placements';
import type { Evidence, GridCell, Judgement } from './results';

export interface Claim {
  /** the text's own sentence */
  words: string;
  /** what it comes to, to be measured */
  meaning: string;
  /** Undefined where nothing that it is about was measured. */
  judge(cells: readonly GridCell[]): Judgement | undefined;
}

export const claims: readonly Claim[] = [
  {
    words:
      'Crucially, the crucial term (∂L/∂h_t) becomes a product of many (∂ĥ_t/∂h_t) terms, accumulated across the unfolded recurrent sequence by the chain-rule, multiplied through all the time steps.',
    meaning: 'A LayerNorm after the RNN, as in the text’s code, changes how the gradient grows per time step.',
    judge: outputChangesGrowth,
  },
  {
    words:
      'Even if these derivatives ∂ĥ_t/∂h_t are individually moderate, the cumulative effect, particularly with longer sequences, can result in an exponential increase in the gradient magnitude, causing the gradient to "explode" - in effect, the magnitude of the gradients grows far beyond the numerical bounds that a computation can represent, resulting in training instability.',
    meaning: 'With a LayerNorm on the state that is fed back, gradients grow exponentially, and not without it.',
    judge: stateCausesGrowth,
  },
  {
    words:
      'Normalization prior to the recurrent calculation (e.g. before applying the recurrent activation function) does not cause this problem; it only occurs when placed after the recurrent unit.',
    meaning:
      'A LayerNorm over the input or before the activation never makes gradients grow that do not grow without it; one after the RNN does.',
    judge: onlyAfter,
  },
  {
    words:
      'The problem is not with normalization itself. Instead, it arises from where normalization is placed within the recurrent computation graph and how backpropagation interacts with that placement.',
    meaning: 'With the same weights and data, gradients grow with a LayerNorm in one place and not with one in another.',
    judge: placeDecides,
  },
  {
    words:
      'In effect, by normalizing recurrent outputs at each time step, we are changing the input distribution to the next recurrent time step in a way that does not guarantee stability of the backpropagated gradients.',
    meaning: 'With a LayerNorm on the state that is fed back, gradients grow from some starts and shrink from others.',
    judge: nothingIsGuaranteed,
  },
];

/** "4 of 24" designs in which a LayerNorm in one place makes gradients grow that do not without it. */
export interface Cause {
  placement: DepthPlacement;
  count: number;
  of: number;
  /** the one that grows most */
  fastest: GridCell | undefined;
}

/** Of each placement but none: in how many designs it makes gradients grow. */
export function causesOf(cells: readonly GridCell[]): Cause[] {
  const placements = [...new Set(cells.map(({ placement }) => placement))].filter((placement) => placement !== 'none');
  return placements.map((placement) => {
    const own = cells.filter((cell) => cell.placement === placement);
    const caused = own.filter((cell) => causesGrowth(cell, cells)).toSorted((a, b) => b.growth.mean - a.growth.mean);
    return { placement, count: caused.length, of: own.length, fastest: caused[0] };
  });
}

/** Whether a gradient grows that does not without its normalisation, on the same weights and data. */
export function causesGrowth(cell: GridCell, cells: readonly GridCell[]): boolean {
  const plain = twin(cell, 'none', cells);
  return plain !== undefined && grows(cell) && !grows(plain) && cell.overNone.interval[0] > 0;
}

/** The same weights and data with the LayerNorm elsewhere. */
export function twin(cell: GridCell, placement: DepthPlacement, cells: readonly GridCell[]): GridCell | undefined {
  return cells.find((other) => other.placement === placement && sizesOf(other) === sizesOf(cell));
}

/** All of a design but where its LayerNorm stands. */
export function sizesOf({ initializer, nonlinearity, hiddenSize, inputScale, timeSteps }: GridCell): string {
  return [initializer, nonlinearity, hiddenSize, inputScale, timeSteps].join();
}

/** "256 units, uniform, input ×0.1": a design's sizes in words. */
export function describeSizes({ initializer, nonlinearity, hiddenSize, inputScale, timeSteps }: GridCell, length = 200): string {
  const more = [...(nonlinearity === 'relu' ? ['relu'] : []), ...(inputScale === 1 ? [] : [`input ×${inputScale}`])];
  return [`${hiddenSize} units`, initializer, ...more, ...(timeSteps === length ? [] : [`T = ${timeSteps}`])].join(', ');
}

function evidenceOf(what: string, mean: DrawnMean): Evidence {
  return { what, mean: mean.mean, interval: mean.interval, draws: mean.draws };
}

const rateOf = (cell: GridCell) => evidenceOf(`growth rate, ${cell.placement}, ${describeSizes(cell)}`, cell.growth);

/** So small a change of a rate is none: over a thousand steps it makes a factor of less than three. */
const sameRate = 0.001;

/** The designs with a LayerNorm after the RNN, and those whose rate it changes: "by more than 0.001 per step in 5 of 130 designs, in 5 of which it is lower". */
export function changesAfter(cells: readonly GridCell[]): { outputs: GridCell[]; changed: GridCell[]; words: string } {
  const outputs = cells.filter(({ placement }) => placement === 'output');
  const changed = outputs.filter(({ overNone: { interval } }) => interval[0] > sameRate || interval[1] < -sameRate);
  const lower = changed.filter(({ overNone }) => overNone.mean < 0).length;
  const words = `by more than ${sameRate} per step in ${changed.length} of ${outputs.length} designs${changed.length > 0 ? `, in ${lower} of which it is lower` : ''}`;
  return { outputs, changed, words };
}

function outputChangesGrowth(cells: readonly GridCell[]): Judgement | undefined {
  const { outputs, changed, words } = changesAfter(cells);
  if (outputs.length === 0) return undefined;
  const [largest] = outputs.toSorted((a, b) => Math.abs(b.overNone.mean) - Math.abs(a.overNone.mean)) as [GridCell];
  const measured =
    `The rate with it differs from the rate without ${words}; ` +
    `the largest difference is ${formatRate(largest.overNone)} (${describeSizes(largest)}). In the text’s code the normalised output is not fed back.`;
  const evidence = [evidenceOf(`rate over that without LayerNorm, output, ${describeSizes(largest)}`, largest.overNone)];
  if (changed.length === 0) return { verdict: 'does not hold', measured, evidence };
  if (changed.length === outputs.length) return { verdict: 'holds', measured, evidence };
  const kinds = [...new Set(changed.map(({ initializer, nonlinearity }) => `${nonlinearity} with W_hh ${initializer}`))];
  return { verdict: 'holds where', where: `the RNN is ${kinds.join(' or ')}, in ${changed.length} designs`, measured, evidence };
}

/** Beyond which ln of a norm float32 ends. */
const largestLog = Math.log(2 ** 128);

function stateCausesGrowth(cells: readonly GridCell[]): Judgement | undefined {
  const cause = causesOf(cells).find(({ placement }) => placement === 'hidden');
  if (cause === undefined) return undefined;
  const { count, of, fastest } = cause;
  const all = cells.filter((cell) => cell.placement === 'hidden' && grows(cell));
  if (fastest === undefined) return { verdict: 'does not hold', measured: `It makes them grow in 0 of ${of} designs.`, evidence: [] };
  const steps = Math.ceil(largestLog / fastest.growth.mean);
  return {
    verdict: 'holds where',
    where: `the normalised state is fed back, which it is not in the text’s code: in ${all.length} of ${of} designs`,
    measured:
      `With it gradients grow in ${all.length} of ${of} designs, in ${count} of which they do not without it. ` +
      `The fastest of these grows by ${formatRate(fastest.growth)} per step (${describeSizes(fastest)}), which leaves float32 in some ${steps} steps.`,
    evidence: [rateOf(fastest)],
  };
}

function onlyAfter(cells: readonly GridCell[]): Judgement | undefined {
  const causes = causesOf(cells);
  const prior = causes.filter(({ placement }) => ['input', 'preactivation', 'split-preactivation'].includes(placement));
  const after = causes.find(({ placement }) => placement === 'output');
  if (prior.length === 0 || after === undefined) return undefined;
  const guilty = prior.filter(({ count }) => count > 0);
  const measured = `Designs whose gradients grow with it and not without it: ${causes.map(describeCause).join('; ')}.`;
  const evidence = [...guilty, after].flatMap(({ fastest }) => (fastest === undefined ? [] : [rateOf(fastest)]));
  if (guilty.length === 0 && after.count > 0) return { verdict: 'holds', measured, evidence };
  if (guilty.length === prior.length || after.count === 0) return { verdict: 'does not hold', measured, evidence };
  return { verdict: 'holds where', where: `it is not ${guilty.map(({ placement }) => placement).join(' or ')}`, measured, evidence };
}

/** "preactivation in 4 of 24, by up to +0.062 ± 0.001 (256 units, orthogonal ×1.0)" */
export function describeCause({ placement, count, of, fastest }: Cause): string {
  const most = fastest === undefined ? '' : `, by up to ${formatRate(fastest.growth)} (${describeSizes(fastest)})`;
  return `${placement} in ${count} of ${of}${most}`;
}

function placeDecides(cells: readonly GridCell[]): Judgement | undefined {
  const groups = groupsOf(cells);
  if (groups.length === 0) return undefined;
  const divided = groups.filter((group) => group.some(grows) && group.some(({ growth }) => growth.interval[1] < 0));
  const measured = `With the same weights and data, gradients grow with a LayerNorm in one place and shrink with one in another in ${divided.length} of ${groups.length} settings.`;
  const [first] = divided;
  const ends =
    first === undefined ? [] : [first.toSorted((a, b) => b.growth.mean - a.growth.mean)].flatMap((sorted) => [sorted[0], sorted.at(-1)]);
  const evidence = ends.filter((cell) => cell !== undefined).map(rateOf);
  if (divided.length === 0) return { verdict: 'does not hold', measured, evidence };
  if (divided.length === groups.length) return { verdict: 'holds', measured, evidence };
  return {
    verdict: 'holds where',
    where: `any place makes them grow: in ${divided.length} of ${groups.length} settings`,
    measured,
    evidence,
  };
}

/** What shares weights and data. */
function groupsOf(cells: readonly GridCell[]): GridCell[][] {
  const groups = new Map<string, GridCell[]>();
  for (const cell of cells) groups.set(sizesOf(cell), [...(groups.get(sizesOf(cell)) ?? []), cell]);
  return [...groups.values()];
}

function nothingIsGuaranteed(cells: readonly GridCell[]): Judgement | undefined {
  const hidden = cells.filter(({ placement }) => placement === 'hidden').toSorted((a, b) => b.growth.mean - a.growth.mean);
  const [first] = hidden;
  const last = hidden.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const growing = hidden.filter(grows).length;
  const shrinking = hidden.filter(({ growth }) => growth.interval[1] < 0).length;
  return {
    verdict: growing > 0 ? 'holds' : 'does not hold',
    measured:
      `Gradients grow in ${growing} and shrink in ${shrinking} of ${hidden.length} designs: from ${formatRate(last.growth)} ` +
      `(${describeSizes(last)}) to ${formatRate(first.growth)} per step (${describeSizes(first)}).`,
    evidence: [rateOf(first), rateOf(last)],
  };
}
