import { checkDType, checkInteger, checkRowCount, checkSize, fail, MAX_DIMENSION, readOptions } from '../check';
import { Generator } from '../random';
import { type DType, Tensor } from '../tensor';
import type { Task } from './task';

/** Options of {@link addingProblem}. */
export interface AddingProblemOptions {
  /** T, time steps per sequence, at least 2 */
  sequenceLength: number;
  /** N, sequences per batch */
  batchSize: number;
  /** batches each time the task is gone through; 1 unless given */
  batches?: number;
  /** where the numbers come from */
  generator: Generator;
  /** `'float32'` unless given */
  dtype?: DType;
}

/**
 * The adding problem (Hochreiter, Schmidhuber 1997, in the form of Le, Jaitly, Hinton 2015, arXiv:1504.00941). Each step of a sequence holds
 * a number uniform in [0, 1) and a mask, which is 1 at two steps and else 0; what is asked for at the end is the sum of the two marked
 * numbers. Every pair of steps is equally likely. For `mseLoss` over the last step.
 *
 * To answer 1 whatever comes has an error of 1/6 = 0.167 (the `baseline`), the variance of a sum of two uniform numbers.
 * @returns batches of input [N, T, 2] (number, mask) and target [N, 1]
 * @throws EvenkeelError ERR_OPTION, ERR_SHAPE for more than 2^31 - 1 steps in a batch; ERR_MEMORY when a batch is drawn
 */
export function addingProblem(options: AddingProblemOptions): Task<Tensor> {
  const known = ['sequenceLength', 'batchSize', 'batches', 'generator', 'dtype'] as const;
  const given = readOptions('addingProblem options', options, known, { batches: 1, dtype: 'float32' });
  const length = checkInteger('sequenceLength', given.sequenceLength, 2, MAX_DIMENSION);
  const size = checkSize('batchSize', given.batchSize);
  const batches = checkInteger('batches', given.batches, 1);
  const { generator } = given;
  if (!Generator.isGenerator(generator)) fail('ERR_OPTION', 'generator', 'a Generator', generator, 'Make one with new Generator(seed).');
  const dtype = checkDType('dtype', given.dtype);
  checkRowCount('sequenceLength · batchSize', length * size);
  return {
    inputSize: 2,
    outputSize: 1,
    baseline: 1 / 6,
    *[Symbol.iterator]() {
      for (let i = 0; i < batches; i++) yield drawBatch(size, length, dtype, generator);
    },
  };
}

function drawBatch(size: number, length: number, dtype: DType, generator: Generator): { input: Tensor; target: Tensor } {
  const input = Tensor.zeros([size, length, 2], { dtype });
  const target = Tensor.zeros([size, 1], { dtype });
  for (let n = 0; n < size; n++) {
    const sequence = input.data.subarray(2 * n * length, 2 * (n + 1) * length);
    for (let t = 0; t < length; t++) sequence[2 * t] = generator.uniform();
    const first = generator.integer(length);
    const other = generator.integer(length - 1);
    const second = other < first ? other : other + 1;
    sequence[2 * first + 1] = 1;
    sequence[2 * second + 1] = 1;
    // Of the numbers as they stand there, rounded to float32 where that is the dtype.
    target.data[n] = (sequence[2 * first] as number) + (sequence[2 * second] as number);
  }
  return { input, target };
}
