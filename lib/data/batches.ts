import { checkInteger, fail, readOptions } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { Generator } from '../random';
import { allocate, checkTensor, Tensor } from '../tensor';

/** Options of makeBatches. */
export interface BatchOptions {
  /** samples per batch; the last batch of an epoch has what is left */
  batchSize: number;
  /** where the order of the samples comes from */
  generator: Generator;
}

/**
 * Shuffled mini-batches for fit; the first dimension of a batch's input and target counts its samples. Each iteration is one epoch with a new order, so `fit` can go through the same batches as often as it likes; each
 * batch has arrays of its own, which nothing overwrites later.
 * @param inputs [count, …]
 * @param targets [count, …]
 * @throws EvenkeelError ERR_SHAPE when the counts differ or are zero; ERR_OPTION
 */
export function makeBatches(inputs: Tensor, targets: Tensor, options: BatchOptions): Iterable<{ input: Tensor; target: Tensor }> {
  const count = checkTensor('inputs', inputs).shape[0] ?? 0;
  if (count === 0) throw new EvenkeelError('ERR_SHAPE', `inputs: expected at least one sample, got shape ${formatShape(inputs.shape)}.`);
  if (checkTensor('targets', targets).shape[0] !== count) {
    throw new EvenkeelError('ERR_SHAPE', `targets: expected ${count} samples as in inputs, got shape ${formatShape(targets.shape)}.`);
  }
  const given = readOptions('makeBatches options', options, ['batchSize', 'generator']);
  const batchSize = checkInteger('batchSize', given.batchSize, 1);
  const { generator } = given;
  if (!Generator.isGenerator(generator)) fail('ERR_OPTION', 'generator', 'a Generator', generator, 'Make one with new Generator(seed).');
  return {
    *[Symbol.iterator]() {
      const order = shuffledOrder(count, generator);
      for (let start = 0; start < count; start += batchSize) {
        const samples = order.subarray(start, start + batchSize);
        yield { input: gather(inputs, samples), target: gather(targets, samples) };
      }
    },
  };
}

/** 0 … count − 1 in random order (Durstenfeld 1964, Algorithm 235). */
function shuffledOrder(count: number, generator: Generator): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = generator.integer(i + 1);
    const swapped = order[i] as number;
    order[i] = order[j] as number;
    order[j] = swapped;
  }
  return order;
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
