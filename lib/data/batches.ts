import { checkBoolean, checkInteger, fail, readOptions, readSafely } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { checkLengths, type Lengths } from '../lengths';
import type { Labels } from '../losses/cross-entropy';
import type { LossOptions } from '../losses/loss';
import { readSampleWeights } from '../losses/sample-weights';
import { checkGenerator, type Generator } from '../random';
import { generatorState, matchGeneratorState, type StateDict } from '../state-dict';
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
  /**
   * how many steps of each sample of inputs [count, T, F], or of symbols [count, T], count. Batches then have lengths, and no more steps than their
   * longest sample; when they are shuffled, samples of about the same length go together, so that few steps are padding.
   */
  lengths?: Lengths;
  /** how much each sample counts in the loss [count]; batches then have theirs */
  sampleWeights?: LossOptions['sampleWeights'];
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
 *
 * @example
 * const batches = makeBatches(Tensor.randn([100, 20, 3]), Tensor.randn([100, 1]), { batchSize: 32, generator: new Generator(1) });
 * for (const { input, target } of batches) console.log(input.shape, target.shape); // three of 32, one of 4
 */
export function makeBatches(inputs: Tensor, targets: Tensor, options: BatchOptions): MadeBatches<Tensor>;
export function makeBatches(inputs: Tensor, labels: Labels, options: BatchOptions): MadeBatches<Int32Array>;
export function makeBatches(inputs: Tensor, targets: Tensor | Labels, options: BatchOptions): MadeBatches<Tensor | Int32Array> {
  const count = checkTensor('inputs', inputs).shape[0] ?? 0;
  if (count === 0) throw new EvenkeelError('ERR_SHAPE', `inputs: expected at least one sample, got shape ${formatShape(inputs.shape)}.`);
  const steps = inputs.shape[1] as number;
  const gatherTargets: Gather<Tensor | Int32Array> = Tensor.isTensor(targets)
    ? tensorGatherer(targets, count, steps)
    : labelGatherer(targets, count, steps);
  const known = ['batchSize', 'generator', 'shuffle', 'dropLast', 'lengths', 'sampleWeights'] as const;
  const given = readOptions('makeBatches options', options, known, { shuffle: true, dropLast: false });
  const batchSize = checkInteger('batchSize', given.batchSize, 1);
  const dropLast = checkBoolean('dropLast', given.dropLast);
  const shuffle = checkBoolean('shuffle', given.shuffle);
  const generator = checkGenerator('generator', given.generator);
  if (dropLast && batchSize > count)
    fail('ERR_OPTION', 'batchSize', `at most the ${count} samples, since dropLast leaves no other batch`, batchSize);
  const end = dropLast ? count - (count % batchSize) : count;
  const lengths = checkLengths(given.lengths, inputs.shape, 'either');
  const weights = given.sampleWeights === undefined ? undefined : readSampleWeights(given.sampleWeights, count);
  return {
    *[Symbol.iterator]() {
      const order = shuffle ? shuffledOrder(count, generator) : inOrder(count);
      const starts = Array.from({ length: Math.ceil(end / batchSize) }, (_, i) => i * batchSize);
      if (shuffle && lengths !== undefined) {
        sortInPools(order, lengths, POOL_BATCHES * batchSize);
        shuffleInPlace(starts, generator);
      }
      for (const start of starts) {
        const samples = order.subarray(start, start + batchSize);
        checkTensor('inputs', inputs);
        const batch =
          lengths === undefined
            ? { input: gather(inputs, samples, steps), target: gatherTargets(samples, steps) }
            : makeBatch(inputs, gatherTargets, samples, lengths);
        yield weights === undefined
          ? batch
          : { ...batch, sampleWeights: Float64Array.from(samples, (sample) => weights[sample] as number) };
      }
    },
    carriedState: (): StateDict => (shuffle ? { generator: generatorState(generator) } : {}),
    loadCarriedState(state) {
      const given = readSafely('carried state', () => (state as Partial<StateDict> | null | undefined)?.generator);
      if ((given !== undefined) === shuffle) {
        if (shuffle) matchGeneratorState('carried state["generator"]', generator, given)();
        return;
      }
      const [expected, got] = shuffle
        ? ['"generator", where the order comes from', 'none']
        : ['none, since the order is not random', '"generator"'];
      throw new EvenkeelError('ERR_STATE', `carried state: expected ${expected}, got ${got}.`);
    },
  };
}

/** Batches by {@link makeBatches}, made when they are gone through. */
export interface MadeBatches<Target> extends Iterable<MadeBatch<Target>> {
  /** where the generator of the random order is: a checkpoint of {@link fit} holds it */
  carriedState(): StateDict;
  /** @throws EvenkeelError ERR_STATE, ERR_OPTION, ERR_SHAPE or ERR_DTYPE for anything but what carriedState gives; nothing is changed then */
  loadCarriedState(state: StateDict): void;
}

/** A batch that {@link makeBatches} makes. */
export interface MadeBatch<Target> {
  input: Tensor;
  target: Target;
  /** where samples have lengths */
  lengths?: Int32Array;
  /** where samples have weights */
  sampleWeights?: Float64Array;
}

/** The samples' elements, of the first steps where they have steps. */
type Gather<Target> = (samples: Uint32Array, steps: number) => Target;

/** How many batches are cut from samples that are sorted together: enough that few steps are padding, and that an epoch's batches differ. */
const POOL_BATCHES = 32;

/** Sorts the samples of each pool, the longest first, as layers go through them; those of one length stay in their random order. */
function sortInPools(order: Uint32Array, lengths: Int32Array, poolSize: number): void {
  for (let start = 0; start < order.length; start += poolSize) {
    order.subarray(start, start + poolSize).sort((a, b) => (lengths[b] as number) - (lengths[a] as number));
  }
}

function makeBatch<Target>(inputs: Tensor, gatherTargets: Gather<Target>, samples: Uint32Array, lengths: Int32Array): MadeBatch<Target> {
  const own = Int32Array.from(samples, (sample) => lengths[sample] as number);
  const longest = own.reduce((most, length) => Math.max(most, length), 1);
  return { input: gather(inputs, samples, longest), target: gatherTargets(samples, longest), lengths: own };
}

function inOrder(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

/** 0 … count − 1 in random order (Durstenfeld 1964, Algorithm 235). */
function shuffledOrder(count: number, generator: Generator): Uint32Array {
  const order = inOrder(count);
  shuffleInPlace(order, generator);
  return order;
}

function shuffleInPlace(order: Uint32Array | number[], generator: Generator): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = generator.integer(i + 1);
    const swapped = order[i] as number;
    order[i] = order[j] as number;
    order[j] = swapped;
  }
}

/** Targets for each step, [count, T, F], have as many steps as a batch's input. */
function tensorGatherer(targets: Tensor, count: number, steps: number): Gather<Tensor> {
  if (checkTensor('targets', targets).shape[0] !== count) {
    throw new EvenkeelError('ERR_SHAPE', `targets: expected ${count} samples as in inputs, got shape ${formatShape(targets.shape)}.`);
  }
  const hasSteps = targets.shape.length === 3 && targets.shape[1] === steps;
  return (samples, first) => gather(checkTensor('targets', targets), samples, hasSteps ? first : targets.shape[1]);
}

/** [samples.length, steps, …] from [count, at least steps, …] */
function gather(tensor: Tensor, samples: Uint32Array, steps: number | undefined): Tensor {
  const [count = 1, all = 1, ...stepShape] = tensor.shape;
  const sampleSize = tensor.size / count;
  const size = steps === undefined ? sampleSize : (sampleSize / all) * steps;
  const data = allocate(tensor.dtype, samples.length * size);
  for (const [i, sample] of samples.entries()) data.set(tensor.data.subarray(sample * sampleSize, sample * sampleSize + size), i * size);
  return new Tensor(data, steps === undefined ? [samples.length] : [samples.length, steps, ...stepShape]);
}

/** Labels for each step, as many as an input has steps, are cut like it. */
function labelGatherer(labels: unknown, count: number, steps: number): Gather<Int32Array> {
  const length = readSafely('targets', () => labelCount(labels));
  const each = length / count;
  if (length === 0 || !Number.isInteger(each)) {
    throw new EvenkeelError('ERR_SHAPE', `targets: expected as many labels for each of the ${count} samples in inputs, got ${length}.`);
  }
  readSafely('targets', () => {
    for (let i = 0; i < length; i++) checkLabel(i, (labels as Int32Array)[i]);
  });
  return (samples, first) =>
    readSafely('targets', () => gatherLabels(labels as Int32Array, length, each, each === steps ? first : each, samples));
}

/** The first labels of the samples, of `each` that one has, checked as they are copied: an array may have changed. */
function gatherLabels(labels: Int32Array, length: number, each: number, first: number, samples: Uint32Array): Int32Array {
  if (labelCount(labels) !== length) {
    throw new EvenkeelError(
      'ERR_STATE',
      `targets: expected the ${length} labels that it had at first, but it now holds ${labelCount(labels)}.`,
    );
  }
  return Int32Array.from({ length: samples.length * first }, (_, i) => {
    const index = (samples[Math.floor(i / first)] as number) * each + (i % first);
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
