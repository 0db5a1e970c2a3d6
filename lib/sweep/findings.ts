/** What a sweep has found, in a headline and a few sentences. */
import { plural } from '../report/text';
import { groupBy, median } from './groups';
import type { DoneRecord } from './store';
import { describeStart, describeTask, type Trial, variantsOf } from './trial';

/** A placement and a start of the recurrent weights, with whatever else decides what a gradient does before training. */
export interface Design {
  name: string;
  /** measured lengths, in order */
  lengths: number[];
  /** lengths at which it explodes in every trial, and in some alone */
  explodes: number[];
  explodesInSome: number[];
  /** at the longest length, in every trial */
  vanishes: boolean;
  /** median growth rate at the longest length */
  rate: number;
}

/** Designs in the order of the grid; a trial whose gradient could not be followed has no verdict and is left out. */
export function designsOf(records: readonly DoneRecord[]): Design[] {
  const measured = records.filter(({ measures }) => measures.verdict !== null);
  const tasks = new Set(measured.map(({ trial }) => taskAndSize(trial)));
  const nameOf = (trial: Trial) => `${designName(trial)}${tasks.size > 1 ? ` (${taskAndSize(trial)})` : ''}`;
  return [...groupBy(measured, ({ trial }) => nameOf(trial))].map(([name, members]) => {
    const byLength = [...groupBy(members, ({ trial }) => trial.length)].sort(([a], [b]) => a - b);
    const share = (verdict: string, group: readonly DoneRecord[]) =>
      group.filter(({ measures }) => measures.verdict === verdict).length / group.length;
    const [, longest = []] = byLength.at(-1) ?? [];
    const lengthsWhere = (test: (explodes: number) => boolean) =>
      byLength.filter(([, group]) => test(share('exploding', group))).map(([length]) => length);
    return {
      name,
      lengths: byLength.map(([length]) => length),
      explodes: lengthsWhere((explodes) => explodes === 1),
      explodesInSome: lengthsWhere((explodes) => explodes > 0 && explodes < 1),
      vanishes: share('vanishing', longest) === 1,
      rate: median(longest.map(({ measures }) => measures.growthRate ?? Number.NEGATIVE_INFINITY)),
    };
  });
}

/** Such as "hidden, orthogonal ×1.5". */
export function designName(trial: Trial): string {
  const variants = variantsOf(trial);
  // It acts on the way back that is measured; all other clips act later.
  if (trial.clip.rule === 'state') variants.push(`stateGradientLimit ${trial.clip.stateGradientLimit}`);
  return [trial.placement, describeStart(trial), ...variants].join(', ');
}

export function taskAndSize({ task, batchSize, inputSize, hiddenSize }: Trial): string {
  return `${describeTask(task)}, N ${batchSize}, I ${inputSize}, H ${hiddenSize}`;
}

/** The page's heading: undefined where no gradient was followed. */
export function headline(designs: readonly Design[], isComplete: boolean): string | undefined {
  if (designs.length === 0) return undefined;
  const all = designs.filter(({ explodes }) => explodes.length > 0).length;
  const some = designs.filter(isUndecided).length;
  const soFar = isComplete ? '' : ' so far';
  if (all === 0 && some === 0)
    return `${designs.length === 1 ? 'The design does not explode' : `None of ${designs.length} designs explodes`}${soFar}`;
  if (all === 0) return `${some} of ${plural(designs.length, 'design')} ${explode(some)} in some trials${soFar}`;
  return `${all} of ${plural(designs.length, 'design')} ${explode(all)}${soFar}`;
}

/** Longer lists would not be read. */
const mostNamed = 6;

/** Which designs explode, from which length on, the fastest first; and what the others do. */
export function describeDesigns(designs: readonly Design[]): string {
  if (designs.length === 0) return '';
  const exploding = designs.filter(({ explodes }) => explodes.length > 0).toSorted((a, b) => b.rate - a.rate);
  const undecided = designs.filter(isUndecided);
  const rest = designs.filter((design) => !exploding.includes(design) && !undecided.includes(design));
  const vanishing = rest.filter(({ vanishes }) => vanishes).length;
  return [
    ...listed(
      'Exploding',
      exploding,
      ({ name, lengths, explodes, rate }) => `${name} ${describeLengths(explodes, lengths)}${growth(rate)}`,
    ),
    ...listed(
      'In some trials alone',
      undecided,
      ({ name, lengths, explodesInSome }) => `${name} ${describeLengths(explodesInSome, lengths)}`,
    ),
    ...(rest.length === 0
      ? []
      : [
          `${exploding.length + undecided.length === 0 ? 'Of all' : 'Of the others'}, ${vanishing} of ${rest.length} vanish at the longest length.`,
        ]),
  ].join(' ');
}

function isUndecided({ explodes, explodesInSome }: Design): boolean {
  return explodes.length === 0 && explodesInSome.length > 0;
}

function listed(lead: string, designs: readonly Design[], describe: (design: Design) => string): string[] {
  if (designs.length === 0) return [];
  const more = designs.length > mostNamed ? [`${designs.length - mostNamed} more`] : [];
  return [`${lead}: ${[...designs.slice(0, mostNamed).map(describe), ...more].join('; ')}.`];
}

/** "from T 50 on", "at every length", "at T 50, T 100". */
function describeLengths(found: readonly number[], all: readonly number[]): string {
  const named = (length: number) => `T ${length.toLocaleString('en-US')}`;
  if (all.length === 1) return `at ${named(found[0] as number)}`;
  if (found.length === all.length) return 'at every length';
  if (found.length === 1 && found[0] === all.at(-1)) return `at ${named(found[0] as number)}`;
  if (all.slice(-found.length).every((length, i) => length === found[i])) return `from ${named(found[0] as number)} on`;
  return `at ${found.map(named).join(', ')}`;
}

function growth(rate: number): string {
  return Number.isFinite(rate) ? ` (×${Math.exp(rate).toFixed(2)} per step)` : '';
}

function explode(count: number): string {
  return count === 1 ? 'explodes' : 'explode';
}
