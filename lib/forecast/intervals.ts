/** Prediction intervals from what forecasts have missed by. */
import { copyList, fail, isPlainObject } from '../check';
import type { StepValues } from './scaled-series';

/** The parts of the future that intervals shall hold. */
export const levels = [0.8, 0.95] as const;

/** For each level and step, how far below and above a forecast the interval reaches, in standard deviations of the series. */
export interface Intervals {
  /** how many forecasts were looked at */
  count: number;
  levels: number[];
  /** [level][step], mostly negative */
  low: number[][];
  /** [level][step] */
  high: number[][];
}

/**
 * The empirical quantiles of truth − forecast at each step ahead, those of split conformal prediction (Lei et al. 2018, JASA 113, section 2.2): the
 * ⌈(n + 1)(1 − α/2)⌉-th smallest and its mirror image, so that a few residuals give wider intervals.
 */
export function residualIntervals(forecast: StepValues, truth: StepValues): Intervals {
  const { count, horizon } = truth;
  const bySteps = Array.from({ length: horizon }, (_, step) =>
    Float64Array.from(
      { length: count },
      (_, i) => (truth.values[i * horizon + step] as number) - (forecast.values[i * horizon + step] as number),
    ).sort(),
  );
  const rank = (level: number) => Math.min(count, Math.ceil((count + 1) * (0.5 + level / 2)));
  return {
    count,
    levels: [...levels],
    low: levels.map((level) => bySteps.map((residuals) => residuals[count - rank(level)] as number)),
    high: levels.map((level) => bySteps.map((residuals) => residuals[rank(level) - 1] as number)),
  };
}

export interface Coverage {
  level: number;
  /** part of what came that lay in the intervals */
  covered: number;
  bySteps: number[];
}

/** How much of what came the intervals around forecasts held. */
export function coverageOf(intervals: Intervals, forecast: StepValues, truth: StepValues): Coverage[] {
  const { count, horizon } = truth;
  return intervals.levels.map((level, l) => {
    const bySteps = Array.from({ length: horizon }, (_, step) => {
      const [low, high] = [intervals.low[l]?.[step] as number, intervals.high[l]?.[step] as number];
      let held = 0;
      for (let i = 0; i < count; i++) {
        const residual = (truth.values[i * horizon + step] as number) - (forecast.values[i * horizon + step] as number);
        held += Number(residual >= low && residual <= high);
      }
      return held / count;
    });
    return { level, covered: bySteps.reduce((sum, part) => sum + part, 0) / horizon, bySteps };
  });
}

/** Of a file. @throws EvenkeelError ERR_OPTION */
export function checkIntervals(argument: string, value: unknown, horizon: number): Intervals {
  const { count, levels: own, low, high } = isPlainObject(value) ? value : ({} as Record<string, unknown>);
  const isNumbers = (list: unknown, length: number) =>
    Array.isArray(list) && list.length === length && copyList(list).every((number) => Number.isFinite(number));
  const isTable = (table: unknown) =>
    Array.isArray(table) && table.length === levels.length && table.every((row) => isNumbers(row, horizon));
  if (!Number.isSafeInteger(count) || !isNumbers(own, levels.length) || !isTable(low) || !isTable(high))
    fail('ERR_OPTION', argument, `{ count, levels, low, high } for ${horizon} steps`, value);
  return value as Intervals;
}
