import { checkInteger, MAX_DIMENSION, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { checkSeries, type RowRange, type Series, sequencesOf } from './series';

/** The rows of the three parts of a series, earliest first. */
export interface Split {
  train: RowRange;
  validation: RowRange;
  test: RowRange;
}

/**
 * Splits rows in time: the first 70 % train, the next 15 % validate, the last 15 % test.
 * @param window time steps per window, which the training part must hold besides one target
 * @throws EvenkeelError ERR_SHAPE when the rows are too few, saying how many are needed; ERR_OPTION
 */
export function splitInTime(rows: number, window: number): Split {
  checkInteger('rows', rows, 0);
  return splitRows(rows, checkInteger('window', window, 1, MAX_DIMENSION), 1);
}

function splitRows(rows: number, window: number, horizon: number): Split {
  const split = splitAt(rows);
  if (fits(split, window, horizon)) return split;
  let needed = Math.ceil((window + horizon - 1) / 0.7);
  while (!fits(splitAt(needed), window, horizon)) needed++;
  const targets = horizon === 1 ? ['its target', 'a target'] : [`its ${horizon} targets`, `${horizon} targets`];
  throw new EvenkeelError(
    'ERR_SHAPE',
    `rows: expected at least ${needed}, so that the training part holds a window of ${window} and ${targets[0]} and the other parts ${targets[1]} each, ` +
      `got ${rows}. Give more rows or a smaller window.`,
  );
}

function splitAt(rows: number): Split {
  const trainEnd = Math.round(rows * 0.7);
  const validationEnd = Math.round(rows * 0.85);
  return {
    train: { begin: 0, end: trainEnd },
    validation: { begin: trainEnd, end: validationEnd },
    test: { begin: validationEnd, end: rows },
  };
}

function fits({ train, validation, test }: Split, window: number, horizon: number): boolean {
  return train.end >= window + horizon && validation.end - validation.begin >= horizon && test.end - test.begin >= horizon;
}

/** The rows of the three parts of one series or several: of each series a range, where it has rows in that part. */
export interface SeriesSplit {
  train: RowRange[];
  validation: RowRange[];
  test: RowRange[];
}

/** Options of splitSeries. */
export interface SplitOptions {
  /** time steps per window */
  window: number;
  /** how many values after a window are forecast, 1 unless given */
  horizon?: number;
}

/**
 * Splits a series in time as {@link splitInTime} does. Of several series with times all are cut at the same two moments, so that no training row
 * is later than a row of another series that tests; without times each is cut at its own rows.
 * @throws EvenkeelError ERR_SHAPE when a part would hold no window with its targets, ERR_OPTION
 */
export function splitSeries(series: Series, options: SplitOptions): SeriesSplit {
  const checked = checkSeries(series);
  const given = readOptions('splitSeries options', options, ['window', 'horizon'], { horizon: 1 });
  const window = checkInteger('window', given.window, 1, MAX_DIMENSION);
  const horizon = checkInteger('horizon', given.horizon, 1, MAX_DIMENSION);
  if (checked.sequences === undefined) {
    const { train, validation, test } = splitRows(checked.rows, window, horizon);
    return { train: [train], validation: [validation], test: [test] };
  }
  const cutsOf = checked.times === undefined ? cutByRows : cutByTimes(checked.times);
  const split: SeriesSplit = { train: [], validation: [], test: [] };
  for (const { begin, end } of checked.sequences) {
    const [first, second] = cutsOf(begin, end);
    const parts = { train: { begin, end: first }, validation: { begin: first, end: second }, test: { begin: second, end } };
    for (const [name, range] of Object.entries(parts) as [keyof SeriesSplit, RowRange][])
      if (range.end > range.begin) split[name].push(range);
  }
  for (const [name, ranges] of Object.entries(split)) checkPart(name, ranges, checked, window, horizon);
  return split;
}

type Cuts = (begin: number, end: number) => [number, number];

const cutByRows: Cuts = (begin, end) => {
  const { train, validation } = splitAt(end - begin);
  return [begin + train.end, begin + validation.end];
};

/** At the times before which 70 and 85 % of all rows lie. */
function cutByTimes(times: Float64Array): Cuts {
  const { train, validation } = splitAt(times.length);
  const sorted = times.toSorted();
  const [first, second] = [train.end, validation.end].map((rows) => sorted[Math.min(rows, sorted.length - 1)] as number) as [
    number,
    number,
  ];
  const rowsBefore = (begin: number, end: number, moment: number) => {
    let row = begin;
    while (row < end && (times[row] as number) < moment) row++;
    return row;
  };
  return (begin, end) => [rowsBefore(begin, end, first), rowsBefore(begin, end, second)];
}

function checkPart(name: string, ranges: readonly RowRange[], series: Series, window: number, horizon: number): void {
  const holdsWindow = ({ begin, end }: RowRange) => {
    const own = sequencesOf(series).find((sequence) => sequence.begin <= begin && end <= sequence.end);
    return end - Math.max(begin, (own?.begin ?? 0) + window) >= horizon;
  };
  if (ranges.some(holdsWindow)) return;
  const longest = Math.max(...sequencesOf(series).map(({ begin, end }) => end - begin));
  throw new EvenkeelError(
    'ERR_SHAPE',
    `series: expected one whose ${name} part holds a window of ${window} and ${horizon} ${horizon === 1 ? 'target' : 'targets'}, got none; the longest has ${longest} rows. ` +
      'Give more rows or a smaller window.',
  );
}
