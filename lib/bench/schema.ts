/** What a results.json of the benchmark may hold: it may come from someone else, and its numbers are computed with. */
import { atLeast0, type Check, finite, integer, listOf, type Members, objectWith, optional, orNull, text, word } from '../io/shape';
import type { MachineFloor } from './floor';
import { trialMembers } from './messages';
import type { Numbers } from './protocol';
import type { BenchEnvironment, BenchResults, Cache, CaseResult, Comparison, Outcome, Timing, TrialResult } from './results';

const boolean: Check = (value) => typeof value === 'boolean';
/** Names, versions, and what a rival printed when it failed. */
const line = text(100_000);
/** No run has more of anything. */
const list = (check: Check) => listOf(check, 0, 1_000_000);
const count = integer(0);

/** JSON has null for what a rival computed that is not finite. */
const number = orNull(finite);
const numbers: Members<Numbers> = {
  loss: number,
  norm: number,
  clippedNorm: optional(number),
  nextLoss: optional(number),
  nextNorm: optional(number),
};
const timing: Members<Timing> = {
  median: atLeast0,
  min: atLeast0,
  p10: atLeast0,
  p90: atLeast0,
  calls: count,
  rounds: list(atLeast0),
  of: optional(count),
  slow: boolean,
  firstCallMs: atLeast0,
  baseBytes: atLeast0,
  peakBytes: atLeast0,
};
const outcomes: Record<Outcome, true> = {
  timed: true,
  disagrees: true,
  missing: true,
  'over the limit': true,
  'one step': true,
  failed: true,
};
const caseResult: Members<CaseResult> = {
  system: line,
  title: line,
  tier: optional(line),
  threads: count,
  outcome: word(...Object.keys(outcomes)),
  version: optional(line),
  reason: optional(line),
  install: optional(line),
  numbers: optional(objectWith(numbers)),
  timing: optional(objectWith(timing)),
  step: optional(objectWith({ milliseconds: atLeast0, baseBytes: atLeast0, peakBytes: atLeast0 })),
  moreThanMs: optional(atLeast0),
  counts: boolean,
};
const comparison: Members<Comparison> = {
  ratio: atLeast0,
  low: atLeast0,
  high: atLeast0,
  rounds: count,
  of: optional(count),
  rival: objectWith({ system: line, title: line, tier: optional(line), threads: count }),
};
const trialResult: Members<TrialResult> = {
  trial: objectWith(trialMembers),
  floor: objectWith({
    flop: atLeast0,
    bytes: atLeast0,
    milliseconds: optional(atLeast0),
    byThreads: optional(list(objectWith({ threads: count, milliseconds: optional(atLeast0) }))),
  }),
  reference: optional(objectWith(numbers)),
  // A case that counts is one that was timed.
  cases: list((value) => objectWith(caseResult)(value) && (!(value as CaseResult).counts || (value as CaseResult).timing !== undefined)),
  comparison: optional(objectWith(comparison)),
};
const cache: Members<Cache> = { level: count, type: line, bytes: atLeast0, sharedBy: line };
const environment: Members<BenchEnvironment> = {
  evenkeel: line,
  node: line,
  platform: line,
  kernel: line,
  cpu: line,
  threads: count,
  caches: list(objectWith(cache)),
  memoryBytes: atLeast0,
  simdTarget: line,
  blas: line,
};
const floor: Members<MachineFloor> = { threads: count, fmaGflops: atLeast0, gemmGflops: atLeast0, readGBs: atLeast0, copyGBs: atLeast0 };
const results: Omit<Members<BenchResults>, 'schema' | 'schemaVersion'> = {
  interrupted: boolean,
  date: line,
  seconds: atLeast0,
  options: objectWith({
    filter: optional(line),
    quick: boolean,
    systems: list(line),
    budgetSeconds: atLeast0,
    limitSeconds: atLeast0,
    oneStepSeconds: optional(atLeast0),
  }),
  environment: objectWith(environment),
  floor: list(objectWith(floor)),
  trials: list(objectWith(trialResult)),
};

export const isBenchResults = objectWith(results) as (value: unknown) => value is BenchResults;
