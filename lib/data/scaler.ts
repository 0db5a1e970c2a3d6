import { checkNames, checkString, copyList, fail, isPlainObject, readOptions, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import { checkTensor, Tensor } from '../tensor';
import { checkRanges } from './ranges';
import { checkSeries, type RowRange, type SequenceRange, type Series, sequencesOf } from './series';

/** Mean and standard deviation of each of C columns. */
export interface Moments {
  /** [C], in the unit of each column */
  mean: number[];
  /** [C], the population standard deviation; 1 for a column that is constant over the fitted rows */
  std: number[];
}

/** What a {@link Scaler} has learned, in plain values, as JSON takes them. */
export interface ScalerState extends Moments {
  /** names of the C columns */
  columns: string[];
  /** those that are constant over the fitted rows, where there are any */
  constantColumns?: string[];
  /** of each of several series, by its id */
  sequences?: Record<string, Moments>;
}

/** What a {@link Scaler} is made of. */
class Fitted {
  constructor(
    readonly columns: readonly string[],
    readonly pooled: Moments,
    /** of each of several series, by its id */
    readonly own: ReadonlyMap<string, Moments>,
    readonly constantColumns: readonly string[],
  ) {}
}

/**
 * Brings columns to mean 0 and standard deviation 1 over the rows that it is fitted on, usually the training part alone: the others must not have
 * a say in it. Of several series each has a mean and a standard deviation of its own; one that had no fitted rows goes by those of all together.
 * Cells that were missing and filled in do not count.
 */
export class Scaler {
  readonly columns: readonly string[];
  /** names of the columns that are constant over the fitted rows, of which the mean is subtracted only */
  readonly constantColumns: readonly string[];
  readonly #pooled: Moments;
  readonly #own: ReadonlyMap<string, Moments>;

  private constructor(fitted: Fitted) {
    // JavaScript may call what TypeScript calls private.
    if (!(fitted instanceof Fitted)) fail('ERR_OPTION', 'new Scaler', 'a call of Scaler.fit or Scaler.from instead', fitted);
    this.columns = fitted.columns;
    this.constantColumns = fitted.constantColumns;
    this.#pooled = fitted.pooled;
    this.#own = fitted.own;
  }

  /**
   * @param range the rows to fit on, one range or several; all unless given
   * @throws EvenkeelError ERR_NON_FINITE for a column whose mean or standard deviation is out of the range of float64, or not a number;
   *   ERR_OPTION for a column of which no cell in these rows was there
   */
  static fit(series: Series, range?: RowRange | readonly RowRange[]): Scaler {
    const checked = checkSeries(series);
    const ranges = checkRanges('range', range, checked.rows);
    const { moments: pooled, constantColumns } = momentsOf(checked, ranges);
    const own = new Map<string, Moments>();
    for (const sequence of checked.sequences ?? []) {
      const within = ranges.map((each) => intersect(each, sequence)).filter(({ begin, end }) => begin < end);
      // A column may have been missing in all of one series' rows.
      if (within.length > 0 && hasCells(checked, within)) own.set(sequence.id, momentsOf(checked, within).moments);
    }
    return new Scaler(new Fitted([...checked.columns], pooled, own, constantColumns));
  }

  /**
   * A scaler from what {@link toJSON} gave, perhaps by way of a file.
   * @throws EvenkeelError ERR_OPTION
   */
  static from(state: ScalerState): Scaler {
    const given = readOptions('state', state, ['columns', 'constantColumns', 'mean', 'std', 'sequences']);
    const columns = checkNames('state.columns', given.columns, 'column name');
    const pooled = checkMoments('state', given.mean, given.std, columns.length);
    const own = new Map<string, Moments>();
    if (given.sequences !== undefined) {
      if (!readSafely('state.sequences', () => isPlainObject(given.sequences)))
        fail('ERR_OPTION', 'state.sequences', 'an object of { mean, std } by id', given.sequences);
      for (const [id, moments] of readSafely('state.sequences', () => Object.entries(given.sequences as object))) {
        const where = `state.sequences[${JSON.stringify(id.slice(0, 60))}]`;
        const { mean, std } = readOptions(where, moments, ['mean', 'std']);
        own.set(id, checkMoments(where, mean, std, columns.length));
      }
    }
    return new Scaler(new Fitted(columns, pooled, own, checkConstant(given.constantColumns, columns)));
  }

  /** (value − mean) / std in place of each value. @throws EvenkeelError ERR_OPTION for a series of other columns */
  transform(series: Series): Series {
    const checked = this.#checkColumns(series);
    const width = this.columns.length;
    const values = new Float64Array(checked.values.length);
    for (const sequence of sequencesOf(checked)) {
      const { mean, std } = this.#momentsFor(sequence);
      for (let i = sequence.begin * width; i < sequence.end * width; i++) {
        values[i] = ((checked.values[i] as number) - (mean[i % width] as number)) / (std[i % width] as number);
      }
    }
    return { ...checked, values };
  }

  /**
   * The fitted mean in place of each cell that was missing: `missing: 'mean'` of readSeries without looking at later rows.
   * @throws EvenkeelError ERR_OPTION for a series of other columns
   */
  fillMissing(series: Series): Series {
    const checked = this.#checkColumns(series);
    const width = this.columns.length;
    const values = checked.values.slice();
    for (const sequence of checked.filled === undefined ? [] : sequencesOf(checked)) {
      const { mean } = this.#momentsFor(sequence);
      for (let i = sequence.begin * width; i < sequence.end * width; i++) {
        if (checked.filled?.[i] === 1) values[i] = mean[i % width] as number;
      }
    }
    return { ...checked, values };
  }

  /**
   * value · std + mean of one column: forecasts in its own unit.
   * @param values of any shape
   * @param column its name
   * @param sequence which of several series they are of
   */
  inverseTransform(values: Tensor, column: string, sequence?: string): Tensor {
    const { data, shape } = checkTensor('values', values);
    const { mean, std } = this.momentsOf(column, sequence);
    return new Tensor(
      data.map((value) => value * std + mean),
      shape,
    );
  }

  /** Mean and standard deviation of one column. @param sequence of which of several series */
  momentsOf(column: string, sequence?: string): { mean: number; std: number } {
    const index = this.columns.indexOf(checkString('column', column));
    if (index === -1) fail('ERR_OPTION', 'column', `one of ${this.columns.slice(0, 20).join(', ')}`, column);
    if (sequence !== undefined && typeof sequence !== 'string') fail('ERR_OPTION', 'sequence', 'a text', sequence);
    const { mean, std } = this.#own.get(sequence ?? '') ?? this.#pooled;
    return { mean: mean[index] as number, std: std[index] as number };
  }

  /** Whether a series has a mean and a standard deviation of its own. */
  knows(sequence: string): boolean {
    return this.#own.has(checkString('sequence', sequence));
  }

  /** What {@link Scaler.from} takes; `JSON.stringify(scaler)` calls it. */
  toJSON(): ScalerState {
    const copy = ({ mean, std }: Moments): Moments => ({ mean: [...mean], std: [...std] });
    return {
      columns: [...this.columns],
      ...(this.constantColumns.length > 0 && { constantColumns: [...this.constantColumns] }),
      ...copy(this.#pooled),
      ...(this.#own.size > 0 && { sequences: Object.fromEntries([...this.#own].map(([id, moments]) => [id, copy(moments)])) }),
    };
  }

  #momentsFor({ id }: SequenceRange): Moments {
    return this.#own.get(id) ?? this.#pooled;
  }

  #checkColumns(series: Series): Series {
    const checked = checkSeries(series);
    const isSame = checked.columns.length === this.columns.length && checked.columns.every((name, i) => name === this.columns[i]);
    if (!isSame) fail('ERR_OPTION', 'series.columns', `the scaler's, ${this.columns.slice(0, 20).join(', ')}`, checked.columns);
    return checked;
  }
}

function intersect(a: RowRange, b: RowRange): RowRange {
  return { begin: Math.max(a.begin, b.begin), end: Math.min(a.end, b.end) };
}

function checkConstant(value: unknown, columns: readonly string[]): string[] {
  if (value === undefined) return [];
  const names = checkNames('state.constantColumns', value, 'column name');
  const unknown = names.find((name) => !columns.includes(name));
  if (unknown !== undefined) fail('ERR_OPTION', 'state.constantColumns', 'some of state.columns', unknown);
  return names;
}

function checkMoments(where: string, mean: unknown, std: unknown, width: number): Moments {
  const list = (name: string, value: unknown, isRight: (number: number) => boolean, what: string): number[] => {
    const copy = readSafely(name, () => (Array.isArray(value) && value.length === width ? copyList(value as unknown[]) : undefined));
    const isNumber = (number: unknown): number is number => typeof number === 'number' && Number.isFinite(number) && isRight(number);
    if (copy === undefined || !copy.every(isNumber)) fail('ERR_OPTION', name, `${width} ${what}`, value);
    return copy as number[];
  };
  return {
    mean: list(`${where}.mean`, mean, () => true, 'finite numbers'),
    std: list(`${where}.std`, std, (number) => number > 0, 'numbers above 0'),
  };
}

/** Whether every column has a cell in these rows that was not filled in. */
function hasCells({ filled, columns }: Series, ranges: readonly RowRange[]): boolean {
  if (filled === undefined) return true;
  return columns.every((_, c) =>
    ranges.some(({ begin, end }) => {
      for (let row = begin; row < end; row++) if (filled[row * columns.length + c] === 0) return true;
      return false;
    }),
  );
}

function momentsOf(series: Series, ranges: readonly RowRange[]): { moments: Moments; constantColumns: string[] } {
  const constantColumns: string[] = [];
  const moments: Moments = { mean: [], std: [] };
  for (const [c, name] of series.columns.entries()) {
    const { mean, std, isConstant } = columnMoments(series, c, ranges);
    if (isConstant) constantColumns.push(name);
    if (!Number.isFinite(mean) || !Number.isFinite(std) || (std === 0 && !isConstant)) {
      throw new EvenkeelError(
        'ERR_NON_FINITE',
        `column ${JSON.stringify(name)}: expected values with a mean and standard deviation in the range of float64, got ` +
          `mean ${mean} and standard deviation ${std}. Give the column in another unit.`,
      );
    }
    moments.mean.push(mean);
    moments.std.push(isConstant ? 1 : std);
  }
  return { moments, constantColumns };
}

function columnMoments(series: Series, column: number, ranges: readonly RowRange[]): { mean: number; std: number; isConstant: boolean } {
  const { values, columns, filled } = series;
  let first: number | undefined;
  let sum = 0;
  let count = 0;
  let isConstant = true;
  const forEach = (take: (value: number) => void) => {
    for (const { begin, end } of ranges) {
      for (let i = begin * columns.length + column; i < end * columns.length; i += columns.length) {
        if (filled?.[i] !== 1) take(values[i] as number);
      }
    }
  };
  forEach((value) => {
    first ??= value;
    sum += value;
    count++;
    isConstant &&= value === first;
  });
  if (first === undefined) {
    const name = JSON.stringify(columns[column]);
    throw new EvenkeelError(
      'ERR_OPTION',
      `column ${name}: expected a number in the rows that the scaler is fitted on, where all cells are missing. Choose other columns.`,
    );
  }
  // The mean of equal numbers is that number; their sum need not say so to the last digit.
  if (isConstant) return { mean: first, std: 0, isConstant };
  const mean = sum / count;
  let squares = 0;
  forEach((value) => {
    squares += (value - mean) ** 2;
  });
  return { mean, std: Math.sqrt(squares / count), isConstant };
}
