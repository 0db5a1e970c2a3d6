/** Everyone in turns: a slow minute of the machine hits all. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DriverFailure, type DriverProcess } from './driver-process';
import type { DriversAtWork } from './drivers-at-work';
import type { TimesMessage } from './protocol';
import type { Timing } from './results';
import { calmRounds, enoughRounds, median, spread } from './statistics';

/** A driver that has made its first call and agrees. */
export interface Contender {
  driver: DriverProcess;
  /** another process of the same, after its first call, in place of the one that it ends */
  restart(old: DriverProcess): Promise<DriverProcess>;
  /** evenkeel's: the fastest of these is compared with the fastest of the others */
  own: boolean;
  firstCallMs: number;
  baseBytes: number;
}

/** What came of it: times, or why there are none. */
export type Measured = { timing: Timing } | { reason: string };

interface Round {
  timesMs: number[];
  /** the median of these */
  median: number;
}

interface State extends Contender {
  rounds: Round[];
  peakBytes: number;
  /** measuring time it has used, the round that does not count included */
  spentMs: number;
  failure?: string;
}

/** Everyone takes part in so many rounds. They choose who goes on to the final, whose rounds last until the budget is used. */
const fieldRounds = enoughRounds;
/** The field's part of the way, as progress counts it. */
const fieldPart = 0.4;
/** The most rounds that one final has. */
const maxRounds = 60;
/**
 * How fast calls this short are depends on where a process's memory and threads come to lie: of two processes of one program one may take half
 * as long again for all its life. So a final of them is played by so many processes of each, one after another.
 */
const shortCall = { ms: 1, processes: 3 };
/** Threads that another system's turn has put to sleep are awake after a few milliseconds; a slow moment of the machine lasts longer than this. */
const turnMs = 50;
/** Between turns, for the threads of the last one to go to sleep. */
const settleMs = 10;
/** The part of the budget that a case may use whose calls are longer than its turns. */
const largestShare = 0.1;
/** The final is of those that are slower by no more than this factor than the fastest of their side, evenkeel's or the others'. */
const closeToFastest = 1.4;

/**
 * Times all contenders. First comes a round that does not count, then the field: rounds of all, of which those with long calls take part in one.
 * Then comes the final, rounds of evenkeel's fastest and of the fastest of the others until the budget is used: what is compared stands close
 * together in time and has most of the rounds, of which the calm ones count ({@link calmRounds}). What takes less than a millisecond has
 * three finals, with new processes each. Every other round goes backwards, so that nobody always follows the same one.
 * @param budgetMs for a final
 * @param limitMs for one turn, beside what it is asked to last
 * @param advance is told the part that is done, from 0 to 1
 */
export async function measureInTurns(
  contenders: readonly Contender[],
  budgetMs: number,
  drivers: DriversAtWork,
  { limitMs, signal, advance }: { limitMs: number; signal?: AbortSignal; advance(part: number): void },
): Promise<Measured[]> {
  const states = contenders.map((one): State => ({ ...one, rounds: [], peakBytes: 0, spentMs: 0 }));
  const playRound = async (round: number, takers: readonly State[], counts = true) => {
    for (const state of round % 2 === 0 ? takers : takers.toReversed()) {
      await sleep(settleMs, undefined, { signal });
      await takeTurn(state, counts, () => drivers.run(state.driver, turnMs, turnMs + limitMs));
    }
  };
  for (let round = 0; round <= fieldRounds; round++) {
    const takers = states.filter((state) => takesPart(state, round, states, budgetMs * largestShare));
    await playRound(round, takers, round > 0);
    advance((fieldPart * round) / fieldRounds);
  }
  const finalists = states.filter((state) => state.rounds.length === fieldRounds && isClose(state, states));
  const finals = Math.min(...finalists.map(fastestRound)) < shortCall.ms ? shortCall.processes : 1;
  for (let final = 0; final < finals; final++) {
    if (final > 0) {
      for (const state of finalists) await restart(state);
      await playRound(0, finalists.filter(isWhole), false);
    }
    const advanceFinal = (part: number) => advance(fieldPart + ((1 - fieldPart) * (final + part)) / finals);
    await playFinal((round) => playRound(round, finalists.filter(isWhole)), finalists, budgetMs, advanceFinal);
  }
  const whole = finalists.filter(isWhole);
  const calm = calmRounds(whole.map(({ rounds }) => rounds.map(({ median: time }) => time)));
  return states.map((state) => measured(state, whole.includes(state) ? calm : undefined));
}

/** Rounds for as long as another one fits into the budget. */
async function playFinal(
  playRound: (round: number) => Promise<void>,
  finalists: readonly State[],
  budgetMs: number,
  advance: (part: number) => void,
): Promise<void> {
  const end = performance.now() + budgetMs;
  const left = () => end - performance.now() - finalists.filter(isWhole).reduce((sum, state) => sum + fastestRound(state), 0);
  for (let round = 0; round < maxRounds && left() > 0; round++) {
    await playRound(round);
    advance(Math.min(1, Math.max(round / maxRounds, 1 - left() / budgetMs)));
  }
}

async function restart(state: State): Promise<void> {
  if (state.failure !== undefined) return;
  try {
    state.driver = await state.restart(state.driver);
  } catch (error) {
    if (!(error instanceof DriverFailure)) throw error;
    state.failure = error.message;
  }
}

function isWhole({ failure }: State): boolean {
  return failure === undefined;
}

function takesPart(state: State, round: number, states: readonly State[], shareMs: number): boolean {
  const { firstCallMs, rounds, spentMs, failure } = state;
  if (failure !== undefined) return false;
  // One with long calls has had its warm-up by its first call.
  if (round === 0) return firstCallMs < shareMs;
  if (round === 1) return true;
  const call = fastestRound(state);
  return rounds.length === round - 1 && (call < turnMs || spentMs + call < shareMs || isClose(state, states));
}

function isClose(state: State, states: readonly State[]): boolean {
  return fastestRound(state) <= closeToFastest * Math.min(...states.filter(({ own }) => own === state.own).map(fastestRound));
}

/** A slow moment of the machine should keep nobody out of the final. */
function fastestRound({ rounds, failure }: State): number {
  return failure === undefined ? Math.min(...rounds.map(({ median: time }) => time)) : Infinity;
}

async function takeTurn(state: State, counts: boolean, run: () => Promise<TimesMessage>): Promise<void> {
  const begin = performance.now();
  try {
    const { timesMs, peakBytes } = await run();
    state.peakBytes = peakBytes;
    if (counts) state.rounds.push({ timesMs, median: median(timesMs) });
  } catch (error) {
    if (!(error instanceof DriverFailure)) throw error;
    state.failure = error.message;
  } finally {
    state.spentMs += performance.now() - begin;
  }
}

/** @param calm which rounds count; all unless given */
function measured({ rounds, firstCallMs, baseBytes, peakBytes, failure }: State, calm?: readonly number[]): Measured {
  if (failure !== undefined) return { reason: failure };
  const counting = rounds.filter((_, round) => calm?.includes(round) ?? true);
  const times = counting.flatMap(({ timesMs }) => timesMs);
  const slow = counting.length < enoughRounds;
  const medians = counting.map(({ median: time }) => time);
  return {
    timing: { ...spread(times), calls: times.length, rounds: medians, of: rounds.length, slow, firstCallMs, baseBytes, peakBytes },
  };
}
