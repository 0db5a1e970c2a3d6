import { checkDType, checkInteger, checkRowCount, checkSize, fail, MAX_DIMENSION, readOptions } from '../check';
import { Generator } from '../random';
import { allocateLabels, type DType, Tensor } from '../tensor';
import type { Task } from './task';

/** Options of {@link copyMemory}. */
export interface CopyMemoryOptions {
  /** T, for how many steps the symbols must be kept, at least 1 */
  delay: number;
  /** N, sequences per batch */
  batchSize: number;
  /** batches each time the task is gone through; 1 unless given */
  batches?: number;
  /** S, how many symbols are to be copied; 10 unless given */
  copyLength?: number;
  /** K, how many symbols there are, at least 2; 8 unless given */
  symbols?: number;
  /** where the symbols come from */
  generator: Generator;
  /** of the input; `'float32'` unless given */
  dtype?: DType;
}

interface Sizes {
  size: number;
  delay: number;
  copyLength: number;
  symbols: number;
}

/**
 * The copying memory problem (Hochreiter, Schmidhuber 1997, in the form of Arjovsky, Shah, Bengio 2016, arXiv:1511.06464). A sequence is
 * S random symbols out of K, T − 1 blanks, a marker and S blanks; what is asked for is T + S blanks and then the S symbols in their order.
 * Input is one-hot over K symbols, blank, marker. For `crossEntropyLoss` over all steps.
 *
 * To answer blanks, and after the marker any symbol, has a loss of S·ln K/(T + 2S) (the `baseline`).
 * @returns batches of input [N, T + 2S, K + 2] and target, N·(T + 2S) classes: the symbols 0 … K − 1 and the blank K
 * @throws EvenkeelError ERR_OPTION, ERR_SHAPE for more than 2^31 - 1 steps in a batch; ERR_MEMORY when a batch is drawn
 */
export function copyMemory(options: CopyMemoryOptions): Task<Int32Array> {
  const known = ['delay', 'batchSize', 'batches', 'copyLength', 'symbols', 'generator', 'dtype'] as const;
  const defaults = { batches: 1, copyLength: 10, symbols: 8, dtype: 'float32' };
  const given = readOptions('copyMemory options', options, known, defaults);
  const delay = checkSize('delay', given.delay);
  const size = checkSize('batchSize', given.batchSize);
  const batches = checkInteger('batches', given.batches, 1);
  const copyLength = checkSize('copyLength', given.copyLength);
  const symbols = checkInteger('symbols', given.symbols, 2, MAX_DIMENSION - 2);
  const { generator } = given;
  if (!Generator.isGenerator(generator)) fail('ERR_OPTION', 'generator', 'a Generator', generator, 'Make one with new Generator(seed).');
  const dtype = checkDType('dtype', given.dtype);
  const length = delay + 2 * copyLength;
  checkRowCount('(delay + 2 · copyLength) · batchSize', length * size);
  return {
    inputSize: symbols + 2,
    outputSize: symbols + 1,
    baseline: (copyLength * Math.log(symbols)) / length,
    *[Symbol.iterator]() {
      for (let i = 0; i < batches; i++) yield drawBatch({ size, delay, copyLength, symbols }, dtype, generator);
    },
  };
}

function drawBatch(sizes: Sizes, dtype: DType, generator: Generator): { input: Tensor; target: Int32Array } {
  const { size, delay, copyLength, symbols } = sizes;
  const length = delay + 2 * copyLength;
  const [blank, marker] = [symbols, symbols + 1];
  const input = Tensor.zeros([size, length, symbols + 2], { dtype });
  const target = allocateLabels(size * length).fill(blank);
  for (let n = 0; n < size; n++) {
    for (let t = 0; t < length; t++) {
      const symbol = t < copyLength ? generator.integer(symbols) : t === copyLength + delay - 1 ? marker : blank;
      input.data[(n * length + t) * (symbols + 2) + symbol] = 1;
      if (t < copyLength) target[n * length + delay + copyLength + t] = symbol;
    }
  }
  return { input, target };
}
