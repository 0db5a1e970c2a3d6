/** The shape of the benchmark's results.json. A field that changes its name or meaning raises {@link schemaVersion}. */
import { plural } from '../report/text';
import type { MachineFloor, TrialFloor } from './floor';
import type { Numbers, Trial } from './protocol';
import { enoughRounds, type Ratio, type Spread } from './statistics';

export const schemaVersion = 1;

export interface BenchResults {
  schema: 'evenkeel/bench';
  schemaVersion: typeof schemaVersion;
  /** true when the run was stopped early: the trials that had finished by then are here */
  interrupted: boolean;
  /** when the run began, ISO 8601 in UTC */
  date: string;
  seconds: number;
  options: BenchOptions;
  environment: BenchEnvironment;
  /** what the machine can do, with 1 and with all threads */
  floor: readonly MachineFloor[];
  trials: TrialResult[];
}

export interface BenchOptions {
  /** only trials whose id contains it */
  filter?: string;
  /** only the trials of the short run */
  quick: boolean;
  /** ids of the systems that took part */
  systems: string[];
  /** measuring time per trial */
  budgetSeconds: number;
  /** how long the first call of a case may take, where evenkeel's own does not take a fourth of it */
  limitSeconds: number;
  /** how long the one step of a system may take that is over the limit; runs from before there was one had none */
  oneStepSeconds?: number;
}

export interface BenchEnvironment {
  evenkeel: string;
  node: string;
  platform: string;
  /** release of the operating system's kernel */
  kernel: string;
  cpu: string;
  /** cores that this process may use, and so what "all threads" means */
  threads: number;
  caches: Cache[];
  memoryBytes: number;
  simdTarget: string;
  blas: string;
}

/** One cache of the first core; none are listed where the system does not tell. */
export interface Cache {
  level: number;
  type: string;
  bytes: number;
  /** cores that share it, as the system lists them, such as `0-1` */
  sharedBy: string;
}

export interface TrialResult {
  trial: Trial;
  /** `milliseconds`: the shortest time in which this machine could do it, with all it has and by threads; left out where nothing bounds it */
  floor: TrialFloor & { milliseconds?: number; byThreads?: { threads: number; milliseconds?: number }[] };
  /** in float64, what every case must agree with before it is timed; without it evenkeel failed, and nobody was timed */
  reference?: Numbers;
  cases: CaseResult[];
  /** evenkeel against the fastest of the others; left out unless both were timed */
  comparison?: Comparison;
}

/**
 * `disagrees`: other numbers than the reference's, therefore not timed; `missing`: not installed; `over the limit`: its first call takes longer
 * than the run waits for; `one step`: so does it, and of all ways of its system this one took its first step all the same, which agrees.
 */
export type Outcome = 'timed' | 'disagrees' | 'missing' | 'over the limit' | 'one step' | 'failed';

/** One system at one trial, in one way of expressing the work, with one number of threads. */
export interface CaseResult {
  /** id in the table of systems */
  system: string;
  title: string;
  tier?: string;
  threads: number;
  outcome: Outcome;
  /** name and version of what computed, as the driver gave it */
  version?: string;
  /** why it is not timed */
  reason?: string;
  /** the command that would install it */
  install?: string;
  numbers?: Numbers;
  timing?: Timing;
  /** of the outcome `one step`: the first one, with whatever was set up in it; without `numbers` its way had agreed in an earlier trial */
  step?: { milliseconds: number; baseBytes: number; peakBytes: number };
  /** of the outcome `over the limit`: its first call takes longer than this, where it was waited for, or a smaller trial tells */
  moreThanMs?: number;
  /** of the thread counts of one system and tier, the one with the better median */
  counts: boolean;
}

/** Times in milliseconds. */
export interface Timing extends Spread {
  calls: number;
  /** the median of each round that counts; the rounds of all cases of a trial took place together, one after another */
  rounds: number[];
  /** how many rounds it took part in; the calm ones of these count. Runs from before this was told counted all */
  of?: number;
  /** calls so long that there were too few rounds to know their spread */
  slow: boolean;
  firstCallMs: number;
  baseBytes: number;
  peakBytes: number;
}

export interface Comparison extends Ratio {
  /** how many rounds both took part in; the calm ones of these are compared */
  of?: number;
  /** the fastest of the others; the ratio is evenkeel's time divided by the rival's: below 1 evenkeel is faster */
  rival: { system: string; title: string; tier?: string; threads: number };
}

export type Verdict = 'faster' | 'slower' | 'draw' | 'undecided';

/** A smaller difference of the medians is a draw, however well the rounds agree: another build or another day moves times as far. */
export const drawMargin = 0.02;

/**
 * What is said of a comparison. The times of each round are divided, since a slow minute of the machine hits both. `faster` or `slower` need
 * both: the median ratio differs from 1 by more than {@link drawMargin}, and the range of the ratios ({@link centralRange}: p10 to p90) lies
 * wholly on that side of 1. Else it is a `draw`; with fewer than {@link enoughRounds} rounds nothing is said.
 */
export function verdict({ ratio, low, high, rounds }: Comparison): Verdict {
  if (rounds < enoughRounds) return 'undecided';
  if (high < 1 && ratio < 1 / (1 + drawMargin)) return 'faster';
  return low > 1 && ratio > 1 + drawMargin ? 'slower' : 'draw';
}

/** Such as `TF.js node (layers), 2 threads`. */
export function caseName({ title, tier, threads }: { title: string; tier?: string; threads: number }): string {
  return `${title}${tier === undefined ? '' : ` (${tier})`}, ${plural(threads, 'thread')}`;
}
