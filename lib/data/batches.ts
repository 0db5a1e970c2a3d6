import { checkBoolean, checkInteger, fail, readOptions, readSafely } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import type { Labels } from '../losses/cross-entropy';
import { checkGenerator, type Generator } from '../random';
import { allocate, checkTensor, Tensor } from '../tensor';
import { typedArrayKind, typedArrayLength } from '../typed-arrays';

/** Options of makeBatches. */
export interface BatchOptions {
  /** samples per batch; the last batch of an epoch has what is left */
  batchSize: number;
  /** where the order of the samples comes from; without it from a random seed */
  generator?: Generator;
  /** `true` unless given; without it samples come in their order, as a stateful layer needs them */
  shuffle?: boolean;
  /** leaves out the last batch where it would be smaller, as a stateful layer needs it; `false` unless given */
  dropLast?: boolean;
}

/**
 * Mini-batches for fit, shuffled unless told otherwise; the first dimension of a batch's input and target counts its samples. Each iteration
 * is one epoch with a new order, so `fit` can go through the same batches as often as it likes; each batch has arrays of its own, which
 * nothing overwrites later.
 * @param inputs [count, …]
 * @param targets [count, …], or class labels for crossEntropyLoss: as many for each sample, sample by sample
 * @throws EvenkeelError ERR_SHAPE when the counts differ or are zero; ERR_OPTION; when a batch is made, ERR_STATE for an array whose buffer
 * was transferred or resized since
 */
export function makeBatches(inputs: Tensor, targets: Tensor, options: BatchOptions): Iterable<{ input: Tensor; target: Tensor }>;
export function makeBatches(inputs: Tensor, labels: Labels, options: BatchOptions): Iterable<{ input: Tensor; target: Int32Array }>;
export function makeBatches(
  inputs: Tensor,
  targets: Tensor | Labels,
  options: BatchOptions,
): Iterable<{ input: Tensor; target: Tensor | Int32Array }> {
  const count = checkTensor('inputs', inputs).shape[0] ?? 0;
  if (count === 0) throw new EvenkeelError('ERR_SHAPE', `inputs: expected at least one sample, got shape ${formatShape(inputs.shape)}.`);
  const gatherTargets = Tensor.isTensor(targets) ? tensorGatherer(targets, count) : labelGatherer(targets, count);
  const known = ['batchSize', 'generator', 'shuffle', 'dropLast'] as const;
  const given = readOptions('makeBatches options', options, known, { shuffle: true, dropLast: false });
  const batchSize = checkInteger('batchSize', given.batchSize, 1);
  const dropLast = checkBoolean('dropLast', given.dropLast);
  const shuffle = checkBoolean('shuffle', given.shuffle);
  const generator = checkGenerator('generator', given.generator);
  if (dropLast && batchSize > count)
    fail('ERR_OPTION', 'batchSize', `at most the ${count} samples, since dropLast leaves no other batch`, batchSize);
  const end = dropLast ? count - (count % batchSize) : count;
  return {
    *[Symbol.iterator]() {
      const order = shuffle ? shuffledOrder(count, generator) : inOrder(count);
      for (let start = 0; start < end; start += batchSize) {
        const samples = order.subarray(start, start + batchSize);
        checkTensor('inputs', inputs);
        yield { input: gather(inputs, samples), target: gatherTargets(samples) };
      }
    },
  };
}

function inOrder(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

/** 0 … count − 1 in random order (Durstenfeld 1964, Algorithm 235). */
function shuffledOrder(count: number, generator: Generator): Uint32Array {
  const order = inOrder(count);
  for (let i = count - 1; i > 0; i--) {
    const j = generator.integer(i + 1);
    const swapped = order[i] as number;
    order[i] = order[j] as number;
    order[j] = swapped;
  }
  return order;
}

function tensorGatherer(targets: Tensor, count: number): (samples: Uint32Array) => Tensor {
  if (checkTensor('targets', targets).shape[0] !== count) {
    throw new EvenkeelError('ERR_SHAPE', `targets: expected ${count} samples as in inputs, got shape ${formatShape(targets.shape)}.`);
  }
  return (samples) => gather(checkTensor('targets', targets), samples);
}

/** [samples.length, …] from [count, …] */
function gather(tensor: Tensor, samples: Uint32Array): Tensor {
  const [count = 1, ...sampleShape] = tensor.shape;
  const sampleSize = tensor.size / count;
  const data = allocate(tensor.dtype, samples.length * sampleSize);
  for (const [i, sample] of samples.entries())
    data.set(tensor.data.subarray(sample * sampleSize, (sample + 1) * sampleSize), i * sampleSize);
  return new Tensor(data, [samples.length, ...sampleShape]);
}

function labelGatherer(labels: unknown, count: number): (samples: Uint32Array) => Int32Array {
  const length = readSafely('targets', () => labelCount(labels));
  const each = length / count;
  if (length === 0 || !Number.isInteger(each)) {
    throw new EvenkeelError('ERR_SHAPE', `targets: expected as many labels for each of the ${count} samples in inputs, got ${length}.`);
  }
  readSafely('targets', () => {
    for (let i = 0; i < length; i++) checkLabel(i, (labels as Int32Array)[i]);
  });
  return (samples) => readSafely('targets', () => gatherLabels(labels as Int32Array, length, each, samples));
}

/** The labels of the samples, `each` of them for one, checked as they are copied: an array may have changed. */
function gatherLabels(labels: Int32Array, length: number, each: number, samples: Uint32Array): Int32Array {
  if (labelCount(labels) !== length) {
    throw new EvenkeelError(
      'ERR_STATE',
      `targets: expected the ${length} labels that it had at first, but it now holds ${labelCount(labels)}.`,
    );
  }
  return Int32Array.from({ length: samples.length * each }, (_, i) => {
    const index = (samples[Math.floor(i / each)] as number) * each + (i % each);
    return checkLabel(index, labels[index]);
  });
}

function labelCount(labels: unknown): number {
  const kind = typedArrayKind(labels);
  if (kind === undefined ? !Array.isArray(labels) : !/^(?:Int|Uint)\d/.test(kind)) {
    fail(
      'ERR_OPTION',
      'targets',
      'a Tensor, or labels in an Int32Array, another array of integers of at most 32 bits, or an array of numbers',
      labels,
    );
  }
  return kind === undefined ? (labels as unknown[]).length : typedArrayLength(labels as Int32Array);
}

/** Which classes there are is the loss's to know. */
function checkLabel(index: number, label: unknown): number {
  if (typeof label !== 'number' || label !== (label | 0))
    fail('ERR_OPTION', `targets[${index}]`, 'a class, an integer of at most 32 bits', label);
  return label;
}
