/** The shape of the benchmark's results.json. A field that changes its name or meaning raises {@link schemaVersion}. */
import type { MachineFloor, TrialFloor } from './floor';
import type { Trial } from './protocol';
import type { Spread } from './statistics';

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
  /** `milliseconds`: the shortest time in which this machine could do it; left out where nothing bounds it */
  floor: TrialFloor & { milliseconds?: number };
  /** in float64, what every case must agree with before it is timed */
  reference: Numbers;
  cases: CaseResult[];
  /** evenkeel against the fastest of the others; left out unless both were timed */
  comparison?: Comparison;
}

/** What two systems that do the same work agree on; see ReadyMessage for what they are per kind of work. */
export interface Numbers {
  loss: number;
  norm: number;
  nextLoss?: number;
  nextNorm?: number;
}

/** `disagrees`: other numbers than the reference's, therefore not timed; `missing`: not installed. */
export type Outcome = 'timed' | 'disagrees' | 'missing' | 'failed';

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
  /** of the thread counts of one system and tier, the one with the better median */
  counts: boolean;
}

/** Times in milliseconds. */
export interface Timing extends Spread {
  calls: number;
  /** the median of each round; the rounds of all cases of a trial took place together, one after another */
  rounds: number[];
  /** calls so long that there were too few rounds to know their spread */
  slow: boolean;
  firstCallMs: number;
  baseBytes: number;
  peakBytes: number;
}

export interface Comparison {
  /** the fastest of the others */
  rival: { system: string; title: string; tier?: string; threads: number };
  /** evenkeel's time divided by the rival's, the median over rounds: below 1 evenkeel is faster */
  ratio: number;
  /** smallest and largest over rounds */
  low: number;
  high: number;
  rounds: number;
}

/** What is said of a comparison: a draw where the rounds do not agree on who is faster. */
export function verdict({ low, high }: Comparison): 'faster' | 'slower' | 'draw' {
  if (high < 1) return 'faster';
  return low > 1 ? 'slower' : 'draw';
}

/** Such as `TF.js node (layers), 2 threads`. */
export function caseName({ title, tier, threads }: { title: string; tier?: string; threads: number }): string {
  return `${title}${tier === undefined ? '' : ` (${tier})`}, ${threads} thread${threads === 1 ? '' : 's'}`;
}
