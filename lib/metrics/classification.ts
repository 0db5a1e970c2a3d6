import { fail, readOptions, readSafely } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { checkLengths } from '../lengths';
import type { Labels } from '../losses/cross-entropy';
import { checkTensor, Tensor, type TensorData } from '../tensor';
import { typedArrayKind, typedArrayLength } from '../typed-arrays';
import { makeMetric } from './make-metric';
import type { Metric, MetricAccumulator, MetricOptions } from './metric';

/**
 * What a classifier's target is: of logits [N, C] or [N, T, C] one class for each row, of which a negative one does not count; or of the logits of
 * yes and no, of any shape, a tensor of that shape with 1 for yes and 0 for no.
 */
export type Classes = Labels | Tensor;

/** How many of the rows that count have their largest logit at their class; of yes and no, a logit above 0 is a yes. */
export const accuracy: Metric<Classes> = makeMetric<Classes>('max', () => {
  let right = 0;
  let count = 0;
  return {
    add(output, target, options) {
      eachDecision(output, target, options, (predicted, wanted) => {
        if (predicted === wanted) right++;
        count++;
      });
    },
    value: () => right / count,
  };
});

/**
 * The F₁ score, 2 tp / (2 tp + fp + fn), over the whole set: of two classes, and of yes and no, that of class 1; of more the mean over the classes
 * that occur, as scikit-learn's f1_score with `average='macro'`. NaN where class 1 occurs neither in the targets nor in the outputs.
 */
export const f1: Metric<Classes> = makeMetric<Classes>('max', () => new F1());

/** e to the mean of −ln softmax(logits)[label] over the rows that count, in double. */
export const perplexity: Metric<Labels> = makeMetric<Labels>('min', () => {
  let sum = 0;
  let count = 0;
  return {
    add(output, labels, options) {
      count += eachRow(output, labels, options, (data, begin, classes, label) => {
        let largest = Number.NEGATIVE_INFINITY;
        for (let c = 0; c < classes; c++) largest = Math.max(largest, data[begin + c] as number);
        let total = 0;
        for (let c = 0; c < classes; c++) total += Math.exp((data[begin + c] as number) - largest);
        sum += Math.log(total) - ((data[begin + label] as number) - largest);
      });
    },
    value: () => Math.exp(sum / count),
  };
});

class F1 implements MetricAccumulator<Classes> {
  readonly #hits = new Map<number, number>();
  /** how often a class was wanted, and how often it was predicted */
  readonly #occurrences = new Map<number, number>();
  #classes = 0;

  add(output: Tensor, target: Classes, options?: MetricOptions): void {
    const add = (counts: Map<number, number>, which: number) => counts.set(which, (counts.get(which) ?? 0) + 1);
    const classes = eachDecision(output, target, options, (predicted, wanted) => {
      if (predicted === wanted) add(this.#hits, wanted);
      add(this.#occurrences, wanted);
      // A row with a NaN predicts nothing.
      if (predicted >= 0) add(this.#occurrences, predicted);
    });
    this.#classes = Math.max(this.#classes, classes);
  }

  value(): number {
    const score = (which: number) => (2 * (this.#hits.get(which) ?? 0)) / (this.#occurrences.get(which) ?? 0);
    if (this.#classes <= 2) return score(1);
    const scores = [...this.#occurrences.keys()].map(score);
    return scores.reduce((sum, one) => sum + one, 0) / scores.length;
  }
}

/**
 * Goes through what was predicted, −1 for a row with a NaN, and what was wanted.
 * @returns how many classes there are; 0 where no row counts
 */
function eachDecision(output: unknown, target: unknown, options: unknown, take: (predicted: number, wanted: number) => void): number {
  if (Tensor.isTensor(target)) {
    eachAnswer(output, target, options, take);
    return 2;
  }
  let classesOf = 0;
  eachRow(output, target, options, (data, begin, classes, label) => {
    classesOf = classes;
    let best = 0;
    for (let c = 0; c < classes; c++) {
      const logit = data[begin + c] as number;
      if (Number.isNaN(logit)) best = -1;
      if (best >= 0 && logit > (data[begin + best] as number)) best = c;
    }
    take(best, label);
  });
  return classesOf;
}

/** Of yes and no. */
function eachAnswer(output: unknown, target: Tensor, options: unknown, take: (predicted: number, wanted: number) => void): void {
  const { data, shape, dtype, size } = checkTensor('output', output);
  const wanted = checkTensor('target', target, dtype, shape).data;
  const counts = counter(options, shape);
  const width = shape.length > 1 ? (shape.at(-1) as number) : 1;
  for (let i = 0; i < size; i++) {
    const logit = data[i] as number;
    if (counts(Math.floor(i / width))) take(Number.isNaN(logit) ? -1 : Number(logit > 0), Number((wanted[i] as number) > 0.5));
  }
}

/**
 * Goes through the rows of logits that count.
 * @returns how many there are
 */
function eachRow(
  output: unknown,
  labels: unknown,
  options: unknown,
  take: (data: TensorData, begin: number, classes: number, label: number) => void,
): number {
  const { data, shape, size } = checkTensor('output', output);
  if ((shape.length !== 2 && shape.length !== 3) || size === 0) {
    throw new EvenkeelError('ERR_SHAPE', `output: expected logits [N, C] or [N, T, C], got ${formatShape(shape)}.`);
  }
  const classes = shape.at(-1) as number;
  const rows = size / classes;
  const counts = counter(options, shape);
  const given = readSafely('target', () => readLabels(labels, rows));
  let count = 0;
  for (let row = 0; row < rows; row++) {
    const label: unknown = readSafely('target', () => given[row]);
    if (!counts(row)) continue;
    if (typeof label !== 'number' || !Number.isInteger(label) || label >= classes) {
      fail('ERR_OPTION', `target[${row}]`, `a class from 0 to ${classes - 1}, or a negative number for none`, label);
    }
    if (label < 0) continue;
    take(data, row * classes, classes, label);
    count++;
  }
  return count;
}

/** Which rows count. */
function counter(options: unknown, shape: readonly number[]): (row: number) => boolean {
  const lengths = options === undefined ? undefined : checkLengths(readOptions('metric options', options, ['lengths']).lengths, shape);
  const [, steps = 1] = shape;
  return lengths === undefined ? () => true : (row) => row % steps < (lengths[Math.floor(row / steps)] as number);
}

function readLabels(labels: unknown, rows: number): ArrayLike<unknown> {
  const kind = typedArrayKind(labels);
  if (kind === undefined ? !Array.isArray(labels) : !/^(?:Int|Uint)\d/.test(kind)) {
    fail('ERR_OPTION', 'target', 'class numbers in an array, or a Tensor', labels);
  }
  const length = kind === undefined ? (labels as unknown[]).length : typedArrayLength(labels as Int32Array);
  if (length !== rows)
    throw new EvenkeelError('ERR_SHAPE', `target: expected one class for each of the ${rows} rows of logits, got ${length}.`);
  return labels as ArrayLike<unknown>;
}
