/** A whole benchmark: per trial, everyone's numbers are compared first, then all that agree are timed in turns. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveState } from '../io/safetensors';
import type { Progress } from '../progress';
import { makeData } from './data';
import { DriverFailure } from './driver-process';
import { DriversAtWork } from './drivers-at-work';
import { environment } from './environment';
import { type Experience, mayFit } from './experience';
import { patienceMs } from './first-call';
import { floorMilliseconds, type MachineFloor, trialFloor } from './floor';
import { takeOneStep } from './one-step';
import type { Numbers, StartMessage, Trial } from './protocol';
import { type BenchOptions, type BenchResults, type CaseResult, type Comparison, schemaVersion, type TrialResult } from './results';
import { type StartedCase, startCase } from './start-case';
import { ratioOverRounds } from './statistics';
import { type Case, casesOf, evenkeel, type System, type SystemPaths } from './systems';
import { measureInTurns } from './turns';

export interface RunOptions extends Pick<BenchOptions, 'filter' | 'quick' | 'budgetSeconds' | 'limitSeconds' | 'oneStepSeconds'> {
  trials: readonly Trial[];
  systems: readonly System[];
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

/** A first call may take so many times as long as evenkeel's, whatever the limit. */
const timesOwnFirstCall = 4;

/** What all others are compared with is timed at the largest trials too. */
const ownLimitSeconds = 60;

/** And so many times as long as the limit, where it compiles. */
const timesLimitToCompile = 4;

/** All steps over the limit of a run may take so many times as long as one: the trials that tell most come first. */
const oneStepsOfRun = 4;

/** What the trials of one run share. */
interface Run extends RunOptions, RunHooks, Experience {
  allThreads: number;
  /** of all trials, two for each case: to start and to time it */
  steps: { done: number; total: number };
  begin: number;
}

/**
 * Runs all trials. An aborted signal does not throw: the results then hold the trials that had finished, and say that they were interrupted.
 */
export async function runBench(options: RunOptions, hooks: RunHooks): Promise<BenchResults> {
  const { filter, quick, budgetSeconds, limitSeconds, oneStepSeconds = 0, systems, trials, floor } = options;
  const begin = performance.now();
  const results: BenchResults = {
    schema: 'evenkeel/bench',
    schemaVersion,
    interrupted: true,
    date: new Date().toISOString(),
    seconds: 0,
    options: { filter, quick, systems: systems.map(({ id }) => id), budgetSeconds, limitSeconds, oneStepSeconds },
    environment: environment(),
    floor,
    trials: [],
  };
  const allThreads = results.environment.threads;
  const total = trials.reduce((sum, trial) => sum + 2 * casesIn(trial, systems, allThreads).length, 0);
  const run: Run = {
    ...options,
    ...hooks,
    allThreads,
    missing: new Map(),
    overLimit: [],
    agreed: new Set(),
    oneSteps: [],
    steps: { done: 0, total },
    begin,
  };
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
  const drivers = new DriversAtWork(run.signal);
  const cases = casesIn(trial, run.systems, run.allThreads);
  run.progress.begin(trial.id, 2 * cases.length);
  try {
    const dataFile = join(folder, 'data.safetensors');
    saveState(dataFile, makeData(trial));
    const reference = await computeReference(trial, dataFile, drivers, run);
    if (reference instanceof DriverFailure) return withoutReference(trial, reference, run);

    const started: (StartedCase & { one: Case })[] = [];
    for (const [index, one] of cases.entries()) {
      if (!run.missing.has(one.system) || !started.some(({ result }) => result.system === one.system.id))
        started.push({
          one,
          ...(await startCase(one, { trial, threads: one.threads, tier: one.tier, dataFile }, reference, drivers, {
            ...run,
            limitSeconds: limitBeside(started, run, one.system),
          })),
        });
      advance(run, index + 1);
    }
    await takeOneSteps(started, { trial, dataFile }, reference, drivers, run);
    await timeCases(started, drivers, run, (part) => advance(run, Math.round((1 + part) * cases.length)));
    const results = started.map(({ result }) => result);
    return ended(summarizeTrial(trial, reference, results, run.floor), run);
  } finally {
    run.steps.done += 2 * cases.length;
    await drivers.endAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Of each system that is over the limit in whatever way it tried a training step, one case takes its first step all the same: with the way that
 * stands last, nearest to the metal, and all threads.
 */
async function takeOneSteps(
  started: readonly (StartedCase & { one: Case })[],
  { trial, dataFile }: Pick<StartMessage, 'trial' | 'dataFile'>,
  reference: Numbers,
  drivers: DriversAtWork,
  run: Run,
): Promise<void> {
  if (trial.work !== 'train') return;
  const { oneStepSeconds = 0 } = run;
  for (const system of run.systems) {
    const cases = started.filter(({ one }) => one.system === system);
    const last = cases.findLast(({ result }) => result.outcome === 'over the limit');
    if (last === undefined || system === evenkeel || cases.some(({ contender }) => contender !== undefined)) continue;
    const left = oneStepsOfRun * oneStepSeconds - run.oneSteps.reduce((sum, { spentSeconds }) => sum + spentSeconds, 0);
    const seconds = Math.floor(Math.min(oneStepSeconds, left));
    if (seconds <= run.limitSeconds || !mayFit(last.one, trial, seconds, run)) continue;
    const { threads, tier } = last.one;
    await takeOneStep(last, { trial, threads, tier, dataFile }, reference, drivers, { ...run, seconds });
  }
}

/** The limit for a first call grows with evenkeel's own, which is there first: the largest trials take seconds on everything. */
function limitBeside(started: readonly StartedCase[], run: Run, system: System): number {
  if (system === evenkeel) return Math.max(run.limitSeconds, ownLimitSeconds);
  const limitSeconds = run.limitSeconds * (system.slowFirstCall ? timesLimitToCompile : 1);
  const own = started.flatMap(({ contender }) => (contender?.own ? [contender.firstCallMs] : []));
  return Math.max(limitSeconds, Math.ceil((timesOwnFirstCall * Math.max(0, ...own)) / 1000));
}

function casesIn(trial: Trial, systems: readonly System[], allThreads: number): Case[] {
  return systems.flatMap((system) => casesOf(system, trial, allThreads));
}

/** `done` steps of a trial are done; those that are left will take as long as those behind took. */
function advance({ progress, steps, begin }: Run, done: number): void {
  const behind = steps.done + done;
  progress.advance(done, ((performance.now() - begin) / 1000) * (steps.total / behind - 1));
}

function ended(result: TrialResult, run: Run): TrialResult {
  run.progress.end(outcomeOf(result));
  return result;
}

/** The numbers in float64, by evenkeel's own driver, or why it has none. */
async function computeReference(trial: Trial, dataFile: string, drivers: DriversAtWork, run: Run): Promise<Numbers | DriverFailure> {
  const driver = drivers.start(evenkeel.command(run.paths));
  try {
    const message: StartMessage = { trial, threads: run.allThreads, tier: 'float64', dataFile };
    await drivers.load(driver, message, patienceMs);
    await drivers.run(driver, 0, patienceMs);
    return await drivers.measure(driver, trial.allThreadsOnly === true, patienceMs);
  } catch (error) {
    if (!(error instanceof DriverFailure)) throw error;
    return error;
  } finally {
    await drivers.end(driver);
  }
}

/** Without numbers to agree with, nobody is timed. */
function withoutReference(trial: Trial, { message: reason }: DriverFailure, run: Run): TrialResult {
  const { id, title } = evenkeel;
  const own: CaseResult = { system: id, title, tier: 'float64', threads: run.allThreads, outcome: 'failed', reason, counts: false };
  return ended(summarizeTrial(trial, undefined, [own], run.floor), run);
}

async function timeCases(cases: readonly StartedCase[], drivers: DriversAtWork, run: Run, advance: (part: number) => void): Promise<void> {
  const contending = cases.filter((one): one is Required<StartedCase> => one.contender !== undefined);
  const contenders = contending.map(({ contender }) => contender);
  const outcomes = await measureInTurns(contenders, run.budgetSeconds * 1000, drivers, {
    limitMs: patienceMs,
    signal: run.signal,
    advance,
  });
  for (const [index, outcome] of outcomes.entries()) {
    Object.assign(contending[index]?.result as CaseResult, outcome, 'timing' in outcome && { outcome: 'timed' });
  }
}

function summarizeTrial(trial: Trial, reference: Numbers | undefined, cases: CaseResult[], machine: readonly MachineFloor[]): TrialResult {
  for (const one of cases) one.counts = one === fastest(cases.filter(({ system, tier }) => system === one.system && tier === one.tier));
  const byThreads = machine.map((limits) => ({ threads: limits.threads, milliseconds: floorMilliseconds(trial, limits) }));
  const milliseconds = byThreads.flatMap((floor) => floor.milliseconds ?? []);
  return {
    trial,
    floor: { ...trialFloor(trial), milliseconds: milliseconds.length === 0 ? undefined : Math.min(...milliseconds), byThreads },
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
  const of = Math.min(ours.timing.of ?? ours.timing.rounds.length, rival.timing.of ?? rival.timing.rounds.length);
  return { rival: { system, title, tier, threads }, of, ...ratioOverRounds(ours.timing.rounds, rival.timing.rounds) };
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
