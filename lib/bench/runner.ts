/** A whole benchmark: per trial, everyone's numbers are compared first, then all that agree are timed in turns. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EvenkeelError } from '../errors';
import { saveState } from '../io/safetensors';
import type { Progress } from '../progress';
import { disagreement } from './agreement';
import { makeData } from './data';
import { DriverFailure } from './driver-process';
import { DriversAtWork } from './drivers-at-work';
import { environment } from './environment';
import { floorMilliseconds, type MachineFloor, trialFloor } from './floor';
import type { StartMessage, Trial } from './protocol';
import {
  type BenchOptions,
  type BenchResults,
  type CaseResult,
  type Comparison,
  type Numbers,
  schemaVersion,
  type TrialResult,
} from './results';
import { ratioOverRounds } from './statistics';
import { type Case, casesOf, evenkeel, type System, type SystemPaths } from './systems';
import { type Contender, checkReady, measureInTurns } from './turns';

export interface RunOptions extends Pick<BenchOptions, 'filter' | 'quick' | 'budgetSeconds'> {
  trials: readonly Trial[];
  systems: readonly System[];
  /** for one answer of a driver */
  timeLimitSeconds: number;
  paths: SystemPaths;
  /** what the machine can do, measured just before */
  floor: readonly MachineFloor[];
}

export interface RunHooks {
  progress: Progress;
  signal?: AbortSignal;
  /** is given the results so far after each trial */
  onTrial?(results: BenchResults): void;
}

/** What the trials of one run share. */
interface Run extends RunOptions, RunHooks {
  allThreads: number;
  /** what was found missing once is not looked for again */
  missing: Map<System, DriverFailure>;
}

/** The reference is computed once, and may take its time. */
const referenceTimeLimitMs = 1_200_000;

/**
 * Runs all trials. An aborted signal does not throw: the results then hold the trials that had finished, and say that they were interrupted.
 * @throws EvenkeelError ERR_NATIVE when evenkeel's own reference cannot be computed
 */
export async function runBench(options: RunOptions, hooks: RunHooks): Promise<BenchResults> {
  const { filter, quick, budgetSeconds, systems, trials, floor } = options;
  const begin = performance.now();
  const results: BenchResults = {
    schema: 'evenkeel/bench',
    schemaVersion,
    interrupted: true,
    date: new Date().toISOString(),
    seconds: 0,
    options: { filter, quick, systems: systems.map(({ id }) => id), budgetSeconds },
    environment: environment(),
    floor,
    trials: [],
  };
  const run: Run = { ...options, ...hooks, allThreads: results.environment.threads, missing: new Map() };
  try {
    for (const trial of trials) {
      results.trials.push(await runTrial(trial, run));
      results.seconds = (performance.now() - begin) / 1000;
      hooks.onTrial?.(results);
    }
    results.interrupted = false;
  } catch (error) {
    if (!hooks.signal?.aborted) throw error;
  }
  results.seconds = (performance.now() - begin) / 1000;
  return results;
}

async function runTrial(trial: Trial, run: Run): Promise<TrialResult> {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-bench-'));
  const drivers = new DriversAtWork(run.timeLimitSeconds * 1000, run.signal);
  try {
    const cases = run.systems.flatMap((system) => casesOf(system, trial.work, run.allThreads));
    run.progress.begin(trial.id, 2 * cases.length);
    const dataFile = join(folder, 'data.safetensors');
    saveState(dataFile, makeData(trial));
    const reference = await computeReference(trial, dataFile, drivers, run);

    const started: StartedCase[] = [];
    for (const [index, one] of cases.entries()) {
      if (!run.missing.has(one.system) || !started.some(({ result }) => result.system === one.system.id))
        started.push(await startCase(one, { trial, threads: one.threads, tier: one.tier, dataFile }, reference, drivers, run));
      run.progress.advance(index + 1);
    }
    const advance = (part: number) => run.progress.advance(Math.round((1 + part) * cases.length));
    await timeCases(started, drivers, run, advance);
    const result = summarizeTrial(
      trial,
      reference,
      started.map(({ result: one }) => one),
      run.floor,
    );
    run.progress.end(outcomeOf(result));
    return result;
  } finally {
    await drivers.endAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The numbers in float64, by evenkeel's own driver. */
async function computeReference(trial: Trial, dataFile: string, drivers: DriversAtWork, run: Run): Promise<Numbers> {
  const driver = drivers.start(evenkeel.command(run.paths));
  try {
    const message: StartMessage = { trial, threads: run.allThreads, tier: 'float64', dataFile };
    return numbersOf(checkReady(await drivers.ask(driver, message, referenceTimeLimitMs)));
  } catch (error) {
    if (!(error instanceof DriverFailure)) throw error;
    throw new EvenkeelError('ERR_NATIVE', `${trial.id}: could not compute the reference in float64: ${error.message}.`, { cause: error });
  } finally {
    await drivers.end(driver);
  }
}

interface StartedCase {
  result: CaseResult;
  /** undefined for those that are not to be timed */
  contender?: Contender;
}

async function startCase(
  { system, tier, threads }: Case,
  message: StartMessage,
  reference: Numbers,
  drivers: DriversAtWork,
  run: Run,
): Promise<StartedCase> {
  const result: CaseResult = { system: system.id, title: system.title, tier, threads, outcome: 'failed', counts: false };
  const knownMissing = run.missing.get(system);
  if (knownMissing !== undefined) return { result: asMissing(result, knownMissing) };
  const driver = drivers.start(system.command(run.paths));
  try {
    const ready = checkReady(await drivers.ask(driver, message));
    const numbers = numbersOf(ready);
    const reason = disagreement(numbers, reference);
    Object.assign(result, { version: ready.system, numbers, reason });
    if (reason === undefined) return { result, contender: { driver, ready } };
    result.outcome = 'disagrees';
  } catch (error) {
    if (!(error instanceof DriverFailure)) throw error;
    result.reason = error.message;
    const install = error.install ?? (error.code === 'ENOENT' ? system.install : undefined);
    if (install !== undefined) {
      const missing = new DriverFailure(error.message, { install });
      run.missing.set(system, missing);
      asMissing(result, missing);
    }
  }
  await drivers.end(driver);
  return { result };
}

/** All its ways and thread counts are missing, so the one case stands for all. */
function asMissing(result: CaseResult, { message, install }: DriverFailure): CaseResult {
  return Object.assign(result, { tier: undefined, outcome: 'missing', reason: message, install });
}

function numbersOf({ loss, norm, nextLoss, nextNorm }: Numbers): Numbers {
  return { loss, norm, nextLoss, nextNorm };
}

async function timeCases(cases: readonly StartedCase[], drivers: DriversAtWork, run: Run, advance: (part: number) => void): Promise<void> {
  const contending = cases.filter((one): one is Required<StartedCase> => one.contender !== undefined);
  const contenders = contending.map(({ contender }) => contender);
  const outcomes = await measureInTurns(contenders, run.budgetSeconds * 1000, drivers, { signal: run.signal, advance });
  for (const [index, outcome] of outcomes.entries()) {
    Object.assign(contending[index]?.result as CaseResult, outcome, 'timing' in outcome && { outcome: 'timed' });
  }
}

function summarizeTrial(trial: Trial, reference: Numbers, cases: CaseResult[], machine: readonly MachineFloor[]): TrialResult {
  for (const one of cases) one.counts = one === fastest(cases.filter(({ system, tier }) => system === one.system && tier === one.tier));
  const milliseconds = machine.map((threads) => floorMilliseconds(trial, threads)).filter((time) => time !== undefined);
  return {
    trial,
    floor: { ...trialFloor(trial), milliseconds: milliseconds.length === 0 ? undefined : Math.min(...milliseconds) },
    reference,
    cases,
    comparison: compareWithBest(cases),
  };
}

/** evenkeel's best against the best of the others, over the rounds that both took part in; undefined unless both were timed. */
export function compareWithBest(cases: readonly CaseResult[]): Comparison | undefined {
  const ours = fastest(cases.filter(({ system }) => system === evenkeel.id));
  const rival = fastest(cases.filter(({ system }) => system !== evenkeel.id));
  if (ours?.timing === undefined || rival?.timing === undefined) return undefined;
  const { system, title, tier, threads } = rival;
  return { rival: { system, title, tier, threads }, ...ratioOverRounds(ours.timing.rounds, rival.timing.rounds) };
}

function fastest(cases: readonly CaseResult[]): CaseResult | undefined {
  const timed = cases.filter(({ timing }) => timing !== undefined);
  return timed.toSorted((a, b) => (a.timing?.median ?? 0) - (b.timing?.median ?? 0))[0];
}

function outcomeOf({ cases, comparison }: TrialResult): string {
  const timed = `${cases.filter(({ outcome }) => outcome === 'timed').length} of ${cases.length} cases timed`;
  return comparison === undefined
    ? timed
    : `${timed}, evenkeel takes ${comparison.ratio.toFixed(2)} times as long as ${comparison.rival.title}`;
}
