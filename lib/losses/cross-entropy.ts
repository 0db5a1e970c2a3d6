import { checkInteger, checkNumber, checkRowCount, fail, readSafely } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { native } from '../native/load';
import { allocateLabels, checkTensor, type Tensor, type TensorData } from '../tensor';
import { typedArrayKind, typedArrayLength } from '../typed-arrays';
import { allocateOutput } from '../workspace';
import { readWeights } from './bce-with-logits';
import { type LossOptions, type LossResult, readLossOptions } from './loss';
import { weigh } from './sample-weights';

/** Class numbers, which the call copies. */
export type Labels = Int32Array | Int8Array | Uint8Array | Uint8ClampedArray | Int16Array | Uint16Array | Uint32Array | readonly number[];

/** Options of {@link crossEntropyLoss}. */
export interface CrossEntropyLossOptions extends LossOptions {
  /** a label that counts for nothing, whether it is a class or not; torch's is -100 where nothing is said, here there is none */
  ignoreIndex?: number;
  /** w, one number of at least 0 for each class; ones unless given */
  classWeights?: readonly number[];
  /** ε, how much of each target is spread over all classes, from 0 to 1 (Szegedy et al. 2016); 0 unless given */
  labelSmoothing?: number;
}

const OWN_OPTIONS = ['ignoreIndex', 'classWeights', 'labelSmoothing'] as const;
const INTEGER_KINDS = ['Int32Array', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Uint32Array'];
/** The label of a row that does not count, as the addon knows it. */
const NONE = -1;

/**
 * The mean over all rows of −ln softmax(logits)[label], as torch.nn.functional.cross_entropy. With weights and smoothing a row's loss is
 * −(1 − ε) w_label ln softmax(logits)[label] − ε/C Σ_c w_c ln softmax(logits)_c, and the mean is Σ loss / Σ w_label over the rows that count.
 * @param logits [N, C] or [N, T, C]
 * @param labels one class in [0, C) for each row of logits, N or N·T of them, row-major; those of steps that do not count may be anything
 * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_OPTION for a label that is no class, and for a mean over labels none of which counts;
 *   ERR_STATE for a detached buffer
 *
 * @example
 * const logits = Tensor.randn([4, 3]); // four samples, three classes
 * const { value, grad } = crossEntropyLoss(logits, [0, 2, 1, 1], { labelSmoothing: 0.1 });
 */
export function crossEntropyLoss(logits: Tensor, labels: Labels, options?: CrossEntropyLossOptions): LossResult {
  const { data, shape, dtype, size } = checkTensor('logits', logits);
  const classes = shape.at(-1) ?? 0;
  if ((shape.length !== 2 && shape.length !== 3) || size === 0) {
    throw new EvenkeelError('ERR_SHAPE', `logits: expected shape [N, C] or [N, T, C], got ${formatShape(shape)}.`);
  }
  const rows = checkRowCount('logits', size / classes);
  const { lengths, reduction, sampleWeights, given } = readLossOptions(options, logits, OWN_OPTIONS);
  const { ignoreIndex, classWeights, labelSmoothing = 0 } = given;
  const ignored = ignoreIndex === undefined ? undefined : checkInteger('ignoreIndex', ignoreIndex, -(2 ** 31), 2 ** 32 - 1);
  const weights = classWeights === undefined ? undefined : readWeights('classWeights', classWeights, classes, dtype);
  const smoothing = checkNumber('labelSmoothing', labelSmoothing, { min: 0, max: 1 });
  const checked = readSafely('labels', () => checkLabels(labels, rows, classes, ignored, lengths));
  if (sampleWeights !== undefined) {
    const each = crossEntropyLoss(logits, labels, { ...options, sampleWeights: undefined, reduction: 'none' }) as Required<LossResult>;
    const steps = rows / sampleWeights.length;
    return weigh(each, sampleWeights, (n) => weightOf(checked.subarray(n * steps, (n + 1) * steps), weights), reduction);
  }
  const isPlain = [ignored, lengths, weights].every((option) => option === undefined) && smoothing === 0 && reduction === 'mean';
  const divisor = reduction === 'mean' && !isPlain ? sumOfWeights(checked, weights) : 1;
  const grad = allocateOutput(dtype, shape);
  if (isPlain) return { value: native().crossEntropy(rows, classes, data, checked, grad.data), grad, count: rows };
  const values = reduction === 'none' ? allocateOutput(dtype, shape.slice(0, -1)) : undefined;
  const [w, v] = [weights ?? null, values?.data ?? null];
  const value = native().weightedCrossEntropy(rows, classes, divisor, data, checked, w, smoothing, v, grad.data);
  const count = reduction === 'mean' ? divisor : 0;
  return values === undefined ? { value, grad, count } : { value, grad, values, count };
}

/** @returns a copy, with NONE for those that do not count */
function checkLabels(
  labels: unknown,
  rows: number,
  classes: number,
  ignored: number | undefined,
  lengths: Int32Array | undefined,
): Int32Array {
  const kind = typedArrayKind(labels);
  if (kind === undefined ? !Array.isArray(labels) : !INTEGER_KINDS.includes(kind)) {
    fail('ERR_OPTION', 'labels', 'an Int32Array, another array of integers of at most 32 bits, or an array of numbers', labels);
  }
  const source = labels as Int32Array;
  const length = kind === undefined ? source.length : typedArrayLength(source);
  if (length !== rows) throw new EvenkeelError('ERR_SHAPE', `labels: expected one for each of the ${rows} rows of logits, got ${length}.`);
  // A copy: another thread may change shared memory, or a getter its mind, after the check.
  const checked = allocateLabels(rows).fill(NONE);
  const steps = lengths === undefined ? rows : rows / lengths.length;
  for (let row = 0; row < rows; row++) {
    if (row % steps >= (lengths?.[Math.floor(row / steps)] ?? steps)) continue;
    const label: unknown = source[row];
    if (ignored !== undefined && label === ignored) continue;
    if (typeof label !== 'number' || !Number.isInteger(label) || label < 0 || label >= classes) {
      const hint = label === -100 ? 'Labels that count for nothing need ignoreIndex: -100.' : undefined;
      fail('ERR_OPTION', `labels[${row}]`, `a class from 0 to ${classes - 1}`, label, hint);
    }
    checked[row] = label;
  }
  return checked;
}

/** How many labels count, each with its class's weight. */
function weightOf(labels: Int32Array, weights: TensorData | undefined): number {
  let sum = 0;
  for (const label of labels) if (label !== NONE) sum += weights === undefined ? 1 : (weights[label] as number);
  return sum;
}

/** What the mean divides by. */
function sumOfWeights(labels: Int32Array, weights: TensorData | undefined): number {
  const sum = weightOf(labels, weights);
  if (sum > 0) return sum;
  const expected = weights === undefined ? 'at least one that counts' : 'at least one that counts and has a weight above 0';
  throw new EvenkeelError('ERR_OPTION', `labels: expected ${expected}, got none: there is no mean of nothing.`);
}
