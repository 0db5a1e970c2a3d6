/** Sentences about a whole benchmark, said alike on the page and in the terminal. */
import { formatDuration, formatNumber, plural } from '../report/text';
import type { Trial, Work } from './protocol';
import {
  type BenchResults,
  type CaseResult,
  type Comparison,
  caseName,
  drawMargin,
  type Outcome,
  type Timing,
  type TrialResult,
  type Verdict,
  verdict,
} from './results';
import { enoughRounds } from './statistics';
import { evenkeel, systems } from './systems';
import { workTitles } from './works';

/** The trial's sizes, `32,50,10,20` (sequences, steps, inputs, hidden units) or `1600,20` (rows, size) for a LayerNorm, after its placement. */
export function sizes({ work, placement, n, t, i, h }: Trial): string {
  const numbers = work === 'layer-norm' ? `${n * t},${h}` : `${n},${t},${i},${h}`;
  return placement === undefined ? numbers : `${placement} ${numbers}`;
}

/** Such as `training step 32,50,10,20`. */
export function trialTitle(trial: Trial): string {
  return `${lowerFirst(workTitles[trial.work])} ${sizes(trial)}`;
}

/** Names keep their capitals. */
function lowerFirst(title: string): string {
  return /^(LayerNorm|RNN|LSTM|GRU)/.test(title) ? title : title.charAt(0).toLowerCase() + title.slice(1);
}

/** A trial in which evenkeel and a rival were timed. */
export interface ComparedTrial extends TrialResult {
  comparison: Comparison;
}

export function comparedTrials({ trials }: BenchResults): ComparedTrial[] {
  return trials.filter((result): result is ComparedTrial => result.comparison !== undefined);
}

/** The case that stands for evenkeel, timed. */
export function ownCase({ cases }: TrialResult): CaseResult | undefined {
  return countingCases(cases).find(({ system }) => system === evenkeel.id);
}

/** The fastest of the others. */
export function rivalCase({ cases, comparison }: TrialResult): CaseResult | undefined {
  return countingCases(cases).find(({ system, tier }) => system === comparison?.rival.system && tier === comparison.rival.tier);
}

/** evenkeel's times with one number of threads, and what part they are of what so many threads can do: 1 is the machine's limit. */
export interface ThreadsAtWork {
  threads: number;
  timing: Timing;
  /** the floor's time divided by the median */
  part: number;
  /** the same of the fastest round, which other users of the machine disturbed least */
  best: number;
}

export function threadsAtWork({ cases, floor }: TrialResult): ThreadsAtWork[] {
  return cases.flatMap(({ system, threads, timing }) => {
    const least = floor.byThreads?.find((one) => one.threads === threads)?.milliseconds;
    if (system !== evenkeel.id || timing === undefined || least === undefined) return [];
    return [{ threads, timing, part: least / timing.median, best: least / Math.min(...timing.rounds) }];
  });
}

/** Such as `Evenkeel with 1 thread 0.52 ms, 80 % of what it can do; …`: what a number of threads does of what it could. */
export function describeThreads(result: TrialResult): string | undefined {
  const parts = threadsAtWork(result).map(
    ({ threads, timing, part }) =>
      `with ${plural(threads, 'thread')} ${formatDuration(timing.median)}, ${formatNumber(100 * part, 1)} % of what ${threads === 1 ? 'it' : 'they'} can do`,
  );
  return parts.length === 0 ? undefined : `Evenkeel ${parts.join('; ')}.`;
}

/** The cases that took one step, which was not repeated. */
export function oneStepCases(cases: readonly CaseResult[]): OneStepCase[] {
  return cases.filter((one): one is OneStepCase => one.step !== undefined);
}

type OneStepCase = CaseResult & Required<Pick<CaseResult, 'step'>>;

/** Such as `PyTorch, 2 threads: 64.1 s in one step, not repeated, 4,350 times as long as evenkeel`. */
export function describeOneSteps(result: TrialResult): string[] {
  const own = ownCase(result)?.timing?.median;
  return oneStepCases(result.cases).map((one) => {
    const times = own === undefined ? '' : `, ${formatFactor(one.step.milliseconds / own)} times as long as evenkeel`;
    return `${caseName(one)}: ${formatDuration(one.step.milliseconds)} in one step, not repeated${times}`;
  });
}

/** Such as `more than 1.00 s, 68 times as long as evenkeel`, of a case over the limit; undefined where it was not waited for. */
export function describeBound({ moreThanMs }: CaseResult, result: TrialResult): string | undefined {
  if (moreThanMs === undefined) return undefined;
  const own = ownCase(result)?.timing?.median;
  const times = own === undefined ? '' : `, ${formatFactor(moreThanMs / own)} times as long as evenkeel`;
  return `more than ${formatDuration(moreThanMs)}${times}`;
}

/** The timed cases with the better number of threads, the fastest first. */
export function countingCases(cases: readonly CaseResult[]): CaseResult[] {
  return cases.filter(({ counts, timing }) => counts && timing !== undefined).toSorted((a, b) => medianOf(a) - medianOf(b));
}

function medianOf({ timing }: CaseResult): number {
  return timing?.median ?? Number.POSITIVE_INFINITY;
}

/** The benchmark's answer in one sentence. */
export function headline(results: BenchResults): string {
  const compared = comparedTrials(results);
  if (compared.length === 0) return 'No rival was timed beside evenkeel: nothing is compared';
  const count = (name: Verdict) => compared.filter(({ comparison }) => verdict(comparison) === name).length;
  const all = plural(compared.length, 'trial');
  const open = count('undecided') === 0 ? '' : `; ${count('undecided')} undecided`;
  return `Against the best rival, evenkeel wins ${count('faster')} of ${all}, draws ${count('draw')} and loses ${count('slower')}${open}`;
}

/** Where evenkeel wins, where nobody does, where it loses and where too little was measured, by how much: one entry each, in the same words. */
export function standings(results: BenchResults): { verdict: Verdict; label: string; text: string }[] {
  const compared = comparedTrials(results);
  return (['faster', 'draw', 'slower', 'undecided'] as const).flatMap((name) => {
    const trials = compared.filter(({ comparison }) => verdict(comparison) === name);
    if (trials.length === 0) return [];
    return { verdict: name, label: `${labels[name]} ${trials.length} of ${compared.length}`, text: `${where(trials, compared)}.` };
  });
}

const labels: Record<Verdict, string> = { faster: 'Faster in', draw: 'A draw in', slower: 'Slower in', undecided: 'Undecided in' };

export const verdictWords: Record<Verdict, string> = { faster: 'faster', draw: 'a draw', slower: 'slower', undecided: 'undecided' };

/** More trials than this are summed up by kind of work. */
const mostNamed = 4;

function where(trials: readonly ComparedTrial[], compared: readonly ComparedTrial[]): string {
  if (trials.length <= mostNamed) {
    return trials.map(({ trial, comparison }) => `${trialTitle(trial)}, ${againstRival(comparison)}`).join('; ');
  }
  const ofWork = (list: readonly ComparedTrial[], work: Work) => list.filter(({ trial }) => trial.work === work);
  return [...new Set(trials.map(({ trial }) => trial.work))]
    .map((work) => {
      const comparisons = ofWork(trials, work).map(({ comparison }) => comparison);
      return `${lowerFirst(workTitles[work])} in ${comparisons.length} of ${ofWork(compared, work).length} (${fromTo(comparisons)})`;
    })
    .join('; ');
}

/** The rule of {@link verdict}, for readers. */
export const verdictRule =
  `A draw is where the times differ by less than ${100 * drawMargin} %, or the rounds do not agree on who is faster (their p10 and p90 lie on both sides); ` +
  `with fewer than ${enoughRounds} rounds nothing is decided.`;

/** How many times as fast where evenkeel is faster, else how many times as long it takes. */
function factor(comparison: Comparison): number {
  return verdict(comparison) === 'faster' ? 1 / comparison.ratio : comparison.ratio;
}

function unit(comparison: Comparison): string {
  return `times as ${verdict(comparison) === 'faster' ? 'fast' : 'long'}`;
}

/** Such as `2.3 times as fast` or `1.2 times as long`. */
export function describeFactor(comparison: Comparison): string {
  return `${formatFactor(factor(comparison))} ${unit(comparison)}`;
}

/** Such as `2.3 times as fast as JAX`. */
export function againstRival(comparison: Comparison): string {
  return `${describeFactor(comparison)} as ${systemName(comparison.rival)}`;
}

/** From the smallest factor to the largest, of comparisons with one verdict. */
function fromTo(comparisons: readonly Comparison[]): string {
  const [first, ...more] = comparisons.toSorted((a, b) => factor(a) - factor(b));
  const last = more.at(-1);
  if (first === undefined) return '';
  return last === undefined ? againstRival(first) : `${formatFactor(factor(first))} to ${describeFactor(last)}`;
}

/** Between which factors the rounds lie, and of how many rounds this is known. */
export function describeRounds(comparison: Comparison): string {
  const { low, high, rounds, of = rounds } = comparison;
  if (rounds < enoughRounds) return `${plural(rounds, 'round')} only: its noise is not known`;
  const [least, most] = verdict(comparison) === 'faster' ? [1 / high, 1 / low] : [low, high];
  return `${formatFactor(least)} to ${formatFactor(most)} times over ${of > rounds ? `the calm ${rounds} of ${of}` : rounds} rounds`;
}

/** More digits near one, where they tell who is ahead. */
export function formatFactor(value: number): string {
  if (value < 1.995) return value.toFixed(2);
  return value < 9.95 ? value.toFixed(1) : Math.round(value).toLocaleString('en-US');
}

/** Such as `TF.js node (layers)`. */
export function systemName({ title, tier }: { title: string; tier?: string }): string {
  return tier === undefined ? title : `${title} (${tier})`;
}

/** Says that trials are missing. */
export function describeInterruption({ trials }: BenchResults): string {
  return `Interrupted: only what had finished by then is here, ${plural(trials.length, 'trial')}.`;
}

/** Who did not take part, so that nobody takes the best that was there for the best there is; undefined when all did. */
export function describeAbsent({ trials }: BenchResults): string | undefined {
  const untimed = trials.flatMap(({ cases }) => cases.filter(({ outcome }) => outcome !== 'timed'));
  const of = (...outcomes: Outcome[]) => untimed.filter(({ outcome }) => outcomes.includes(outcome));
  const missing = [...new Set(of('missing').map(({ title }) => title))];
  const [overLimit, oneStep] = [of('over the limit').length, of('one step').length];
  const [failed, wrong] = [of('failed').length, of('disagrees').length];
  const parts = [
    ...(missing.length > 0 ? [`${joinWords(missing)} did not take part (not installed)`] : []),
    ...(overLimit > 0 ? [`${plural(overLimit, 'case')} took longer for the first call than the limit`] : []),
    ...(oneStep > 0 ? [`${plural(oneStep, 'case')} took longer too, and one step tells how long`] : []),
    ...(failed > 0 ? [`${plural(failed, 'case')} failed`] : []),
    ...(wrong > 0 ? [`${plural(wrong, 'case')} computed something else`] : []),
  ];
  return parts.length === 0 ? undefined : `Not timed: ${parts.join('; ')}.`;
}

/** Which kinds of work of a run a system, or a way of it, does not express; one entry for all of which the same is said. */
export function describeUnexpressed({ trials, options }: BenchResults): string[] {
  const works = [...new Set(trials.map(({ trial }) => trial.work))];
  const took = systems.filter(({ id }) => options.systems.includes(id));
  const said = took.flatMap(({ title, ways }) =>
    ways.flatMap(({ tier, works: expressed }) => {
      const lacking = works.filter((work) => !expressed.includes(work)).map((work) => lowerFirst(workTitles[work]));
      return lacking.length === 0 ? [] : [{ name: systemName({ title, tier }), lacking: joinWords(lacking) }];
    }),
  );
  return [...new Set(said.map(({ lacking }) => lacking))].map((lacking) => {
    return `${joinWords(said.filter((one) => one.lacking === lacking).map(({ name }) => name))}: ${lacking}`;
  });
}

function joinWords(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** Why a trial has no comparison. */
export function whyNotCompared(result: TrialResult): string {
  if (ownCase(result) !== undefined) return 'no rival was timed';
  const reason = result.cases.find(({ system }) => system === evenkeel.id)?.reason;
  return `evenkeel was not timed${reason === undefined ? '' : `: ${reason.replace(/\.$/, '')}`}`;
}

/** The trials without a comparison; undefined when there are none. */
export function describeUncompared({ trials }: BenchResults): string | undefined {
  const uncompared = trials.filter(({ comparison }) => comparison === undefined);
  if (uncompared.length === 0) return undefined;
  return `Not compared: ${uncompared.map((result) => `${trialTitle(result.trial)} (${whyNotCompared(result)})`).join('; ')}.`;
}
