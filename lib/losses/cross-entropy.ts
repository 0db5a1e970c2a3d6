import { checkRowCount, fail, readSafely } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { countSteps, packSteps, unpackSteps } from '../lengths';
import { native } from '../native/load';
import { allocate, allocateLabels, checkTensor, type Tensor } from '../tensor';
import { typedArrayKind, typedArrayLength } from '../typed-arrays';
import { allocateOutput } from '../workspace';
import { type LossOptions, type LossResult, readLossLengths } from './loss';

/** Class numbers, which the call copies. */
export type Labels = Int32Array | Int8Array | Uint8Array | Uint8ClampedArray | Int16Array | Uint16Array | Uint32Array | readonly number[];

const INTEGER_KINDS = ['Int32Array', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Uint32Array'];

/**
 * The mean over all rows of −ln softmax(logits)[label], as torch.nn.functional.cross_entropy.
 * @param logits [N, C] or [N, T, C]
 * @param labels one class in [0, C) for each row of logits, N or N·T of them, row-major; those of steps that do not count may be anything
 * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_OPTION for a label that is no class, ERR_STATE for a detached buffer
 */
export function crossEntropyLoss(logits: Tensor, labels: Labels, options?: LossOptions): LossResult {
  const { data, shape, dtype, size } = checkTensor('logits', logits);
  const classes = shape.at(-1) ?? 0;
  if ((shape.length !== 2 && shape.length !== 3) || size === 0) {
    throw new EvenkeelError('ERR_SHAPE', `logits: expected shape [N, C] or [N, T, C], got ${formatShape(shape)}.`);
  }
  const rows = checkRowCount('logits', size / classes);
  const lengths = readLossLengths(options, logits);
  const checked = readSafely('labels', () => checkLabels(labels, rows, classes, lengths));
  const grad = allocateOutput(dtype, shape);
  if (lengths === undefined) return { value: native().crossEntropy(rows, classes, data, checked, grad.data), grad };
  const steps = shape[1] as number;
  const counted = packSteps(data, lengths, steps, classes);
  const gradients = allocate(dtype, counted.length);
  const value = native().crossEntropy(checked.length, classes, counted, checked, gradients);
  unpackSteps(gradients, lengths, steps, classes, grad.data);
  return { value, grad };
}

/** @returns the labels of the steps that count */
function checkLabels(labels: unknown, rows: number, classes: number, lengths: Int32Array | undefined): Int32Array {
  const kind = typedArrayKind(labels);
  if (kind === undefined ? !Array.isArray(labels) : !INTEGER_KINDS.includes(kind)) {
    fail('ERR_OPTION', 'labels', 'an Int32Array, another array of integers of at most 32 bits, or an array of numbers', labels);
  }
  const source = labels as Int32Array;
  const length = kind === undefined ? source.length : typedArrayLength(source);
  if (length !== rows) throw new EvenkeelError('ERR_SHAPE', `labels: expected one for each of the ${rows} rows of logits, got ${length}.`);
  // A copy: another thread may change shared memory, or a getter its mind, after the check.
  const checked = allocateLabels(lengths === undefined ? rows : countSteps(lengths));
  const steps = lengths === undefined ? rows : rows / lengths.length;
  let next = 0;
  for (let row = 0; row < rows; row++) {
    if (row % steps >= (lengths?.[Math.floor(row / steps)] ?? steps)) continue;
    const label: unknown = source[row];
    if (typeof label !== 'number' || !Number.isInteger(label) || label < 0 || label >= classes) {
      fail('ERR_OPTION', `labels[${row}]`, `a class from 0 to ${classes - 1}`, label);
    }
    checked[next++] = label;
  }
  return checked;
}
