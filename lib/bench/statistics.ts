/** What becomes of many times: order statistics, because a busy machine only ever adds to a time. */

export interface Spread {
  median: number;
  p10: number;
  p90: number;
  min: number;
}

/** The quantile `q` from 0 to 1, linear between the order statistics (type 7 of Hyndman, Fan 1996); NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const position = q * (sorted.length - 1);
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), p10: quantile(values, 0.1), p90: quantile(values, 0.9), min: quantile(values, 0) };
}

/** What most of some rounds agree on. */
export interface Range {
  low: number;
  high: number;
  rounds: number;
}

/** With fewer rounds a difference cannot be told from noise. */
export const enoughRounds = 3;

/** With fewer rounds none is left out as an outlier. */
const roundsToLeaveOut = 5;

/**
 * The range from p10 to p90 of some rounds, by whole rounds inwards: a tenth of them, rounded up, is left out at either end, so that a single
 * disturbed round never decides. Of fewer than five rounds all count.
 */
export function centralRange(values: readonly number[]): Range {
  const rounds = values.length;
  const leftOut = rounds < roundsToLeaveOut ? 0 : Math.ceil(0.1 * (rounds - 1));
  const sorted = values.toSorted((a, b) => a - b);
  return { low: sorted[leftOut] ?? Number.NaN, high: sorted[rounds - 1 - leftOut] ?? Number.NaN, rounds };
}

export interface Ratio extends Range {
  /** the median over rounds */
  ratio: number;
}

/**
 * How many times as long `ours` takes as `theirs`, of the ratios of each round that both took part in. A slow minute of the machine slows both
 * of a round.
 */
export function ratioOverRounds(ours: readonly number[], theirs: readonly number[]): Ratio {
  const rounds = Math.min(ours.length, theirs.length);
  const ratios = Array.from({ length: rounds }, (_, round) => (ours[round] as number) / (theirs[round] as number));
  return { ratio: median(ratios), ...centralRange(ratios) };
}

/** Of more rounds than five times {@link enoughRounds} this part counts. */
const calmPart = 1 / 5;

/**
 * The calm rounds, by their indices: the fifth in which all systems together took least, and at least {@link enoughRounds}. Other work on the
 * machine only ever adds to a time, it comes and goes within seconds, and it slows what uses many threads more than what uses one: a median
 * over all rounds would say how busy the machine was. All systems' times choose together, by the sum of their logarithms, so that a round
 * does not count for being lucky for one of them.
 * @param times of each system the times of all rounds
 */
export function calmRounds(times: readonly (readonly number[])[]): number[] {
  const rounds = Math.min(...times.map(({ length }) => length));
  if (!Number.isFinite(rounds)) return [];
  const sums = Array.from({ length: rounds }, (_, round) => times.reduce((sum, one) => sum + Math.log(one[round] as number), 0));
  const counting = Math.min(rounds, Math.max(enoughRounds, Math.ceil(calmPart * rounds)));
  const order = sums.map((sum, round) => ({ sum, round })).toSorted((a, b) => a.sum - b.sum);
  return order
    .slice(0, counting)
    .map(({ round }) => round)
    .toSorted((a, b) => a - b);
}

/** Whether two runs differ by more than the spread over the rounds of either: their ranges do not meet. Undefined: too few rounds to tell. */
export function differs(before: Range, after: Range): boolean | undefined {
  if (Math.min(before.rounds, after.rounds) < enoughRounds) return undefined;
  return before.high < after.low || after.high < before.low;
}
