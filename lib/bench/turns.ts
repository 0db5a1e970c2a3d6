/** Everyone in turns: a slow minute of the machine hits all. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DriverFailure, type DriverProcess } from './driver-process';
import type { DriversAtWork } from './drivers-at-work';
import type { ReadyMessage, RunMessage, TimesMessage } from './protocol';
import type { Timing } from './results';
import { enoughRounds, median, spread } from './statistics';

/** A driver that has made its first call and agrees. */
export interface Contender {
  driver: DriverProcess;
  /** evenkeel's: the fastest of these is compared with the fastest of the others */
  own: boolean;
  firstCallMs: number;
  baseBytes: number;
}

/** What came of it: times, or why there are none. */
export type Measured = { timing: Timing } | { reason: string };

interface State extends Contender {
  times: number[];
  /** the median of each round */
  rounds: number[];
  peakBytes: number;
  /** measuring time it has used, the round that does not count included */
  spentMs: number;
  failure?: string;
}

/** Rounds that the budget is meant for, and the most there are when calls are short. */
const wantedRounds = 8;
const maxRounds = 30;
/** Long enough for the clock, and short enough that a slow moment of the machine is not one system's alone. */
const turnRangeMs = { min: 5, max: 500 };
/** Between turns, for the threads of the last one to go to sleep. */
const settleMs = 10;
/** The part of the budget that a case may use whose calls are longer than its turns. */
const largestShare = 0.1;
/**
 * A case that is slower by no more than this factor than the fastest of its side, evenkeel's or the others', takes part in enough rounds to know
 * the spread, whatever they cost: it may be the one that is compared.
 */
const closeToFastest = 2;

/**
 * Times all contenders: first a round that does not count, then rounds until the budget is used. One whose calls are long takes part in
 * the first rounds only, and at least in one.
 * @param limitMs for one turn, beside what it is asked to last
 * @param advance is told the part that is done, from 0 to 1
 */
export async function measureInTurns(
  contenders: readonly Contender[],
  budgetMs: number,
  drivers: DriversAtWork,
  { limitMs, signal, advance }: { limitMs: number; signal?: AbortSignal; advance(part: number): void },
): Promise<Measured[]> {
  const states = contenders.map((one): State => ({ ...one, times: [], rounds: [], peakBytes: 0, spentMs: 0 }));
  const runMs = Math.min(turnRangeMs.max, Math.max(turnRangeMs.min, budgetMs / (states.length * (wantedRounds + 1))));
  const begin = performance.now();
  for (let round = 0; round <= maxRounds; round++) {
    const spentMs = performance.now() - begin;
    if (round > wantedRounds && spentMs > budgetMs) break;
    for (const state of states) {
      const fastestMs = fastestOf(states.filter(({ own }) => own === state.own));
      if (!takesPart(state, round, { runMs, shareMs: budgetMs * largestShare, fastestMs })) continue;
      await sleep(settleMs, undefined, { signal });
      await takeTurn(state, runMs, round > 0, (message) => drivers.ask(state.driver, message, runMs + limitMs));
    }
    advance(Math.min(1, Math.max(spentMs / budgetMs, round / wantedRounds)));
  }
  return states.map(measured);
}

function fastestOf(states: readonly State[]): number {
  return Math.min(...states.map(({ times }) => (times.length === 0 ? Infinity : median(times))));
}

function takesPart(
  { firstCallMs, times, rounds, spentMs, failure }: State,
  round: number,
  { runMs, shareMs, fastestMs }: { runMs: number; shareMs: number; fastestMs: number },
): boolean {
  if (failure !== undefined) return false;
  // One with long calls has had its warm-up by its first call.
  if (round === 0) return firstCallMs < shareMs;
  if (round === 1) return true;
  const call = median(times);
  const isAffordable = call < runMs || spentMs + call < shareMs || (round <= enoughRounds && call <= closeToFastest * fastestMs);
  return rounds.length === round - 1 && isAffordable;
}

async function takeTurn(state: State, runMs: number, counts: boolean, ask: (message: RunMessage) => Promise<object>): Promise<void> {
  const begin = performance.now();
  try {
    const { timesMs, peakBytes } = checkTimes(await ask({ runMs }));
    state.peakBytes = peakBytes;
    if (!counts) return;
    for (const time of timesMs) state.times.push(time);
    state.rounds.push(median(timesMs));
  } catch (error) {
    if (!(error instanceof DriverFailure)) throw error;
    state.failure = error.message;
  } finally {
    state.spentMs += performance.now() - begin;
  }
}

function measured({ times, rounds, firstCallMs, baseBytes, peakBytes, failure }: State): Measured {
  if (failure !== undefined) return { reason: failure };
  const slow = rounds.length < enoughRounds;
  return { timing: { ...spread(times), calls: times.length, rounds, slow, firstCallMs, baseBytes, peakBytes } };
}

/** Checks the times of a driver's turn. */
export function checkTimes(answer: object): TimesMessage {
  const { timesMs, peakBytes } = answer as Partial<TimesMessage>;
  if (!Array.isArray(timesMs) || timesMs.length === 0 || !timesMs.every(isAmount) || !isAmount(peakBytes)) failAnswer(answer);
  return { timesMs, peakBytes };
}

/** Checks a driver's first answer. */
export function checkReady(answer: object): ReadyMessage {
  const { ready, system, baseBytes } = answer as Partial<ReadyMessage>;
  if (ready !== true || typeof system !== 'string' || !isAmount(baseBytes)) failAnswer(answer);
  return answer as ReadyMessage;
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function failAnswer(answer: object): never {
  throw new DriverFailure(`an answer that is not understood: ${JSON.stringify(answer).slice(0, 200)}`);
}
