import { checkDType, checkInteger, checkNumber, fail, readOptions, readSafely } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { allocate, type NestedNumbers, Tensor } from '../tensor';

/** Options of {@link padSequences}. */
export interface PadSequencesOptions {
  /** T, the steps of the result, at least those of the longest sequence, whose steps it is unless given */
  length?: number;
  /** what stands in the steps after a sequence's end; 0 unless given */
  value?: number;
  /** of sequences that are given as arrays of numbers; `'float32'` unless given */
  dtype?: 'float32' | 'float64';
}

/** What {@link padSequences} gives: what layers, losses and fit take. */
export interface PaddedSequences {
  /** [N, T, F], or of symbols [N, T] */
  input: Tensor;
  /** how many steps of each sequence count [N] */
  lengths: Int32Array;
}

const MAX_SEQUENCES = 2 ** 31 - 1;

/**
 * Sequences of different lengths as one batch, padded at the end, with their lengths; as torch.nn.utils.rnn.pad_sequence.
 * @param sequences at least one: tensors [Tₙ, F] of one dtype, or of symbols [Tₙ]; or nested arrays of numbers of these shapes
 * @throws EvenkeelError ERR_SHAPE for sequences that do not go together, ERR_DTYPE, ERR_OPTION, ERR_MEMORY
 *
 * @example
 * const { input, lengths } = padSequences([[[1], [2], [3]], [[4]]]);
 * const output = new GRU({ inputSize: 1, hiddenSize: 8 }).forward(input, { lengths });
 */
export function padSequences(sequences: readonly (Tensor | NestedNumbers)[], options: PadSequencesOptions = {}): PaddedSequences {
  const given = readOptions('padSequences options', options, ['length', 'value', 'dtype'], { value: 0, dtype: 'float32' });
  const value = checkNumber('value', given.value);
  const list = checkSequences(sequences, checkDType('dtype', given.dtype));
  const [{ dtype, shape }] = list as [Tensor, ...Tensor[]];
  const features = shape.slice(1);
  const lengths = Int32Array.from(list, (sequence) => sequence.shape[0] as number);
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  const steps =
    given.length === undefined ? Math.max(longest, 1) : checkInteger('length', given.length, Math.max(longest, 1), MAX_SEQUENCES);
  const width = features[0] ?? 1;
  const data = allocate(dtype, list.length * steps * width);
  if (value !== 0) data.fill(value);
  for (const [row, sequence] of list.entries()) data.set(sequence.data, row * steps * width);
  return { input: new Tensor(data, [list.length, steps, ...features]), lengths };
}

function checkSequences(sequences: unknown, dtype: 'float32' | 'float64'): Tensor[] {
  const given = readSafely('sequences', () =>
    Array.isArray(sequences) && sequences.length <= MAX_SEQUENCES && sequences.length > 0 ? sequences : undefined,
  );
  if (given === undefined) fail('ERR_OPTION', 'sequences', 'an array of at least one tensor or array of numbers', sequences);
  const count = given.length;
  const list: Tensor[] = [];
  for (let row = 0; row < count; row++)
    list.push(
      checkSequence(
        `sequences[${row}]`,
        readSafely('sequences', () => given[row]),
        dtype,
      ),
    );
  // An empty array of numbers does not say whether it holds symbols or rows.
  const first = list.find(({ size }) => size > 0) ?? (list[0] as Tensor);
  return list.map((sequence, row) => matchSequence(`sequences[${row}]`, sequence, first));
}

function checkSequence(argument: string, value: unknown, dtype: 'float32' | 'float64'): Tensor {
  if (Tensor.isTensor(value)) {
    value.checkAttached(argument);
    return value;
  }
  if (!readSafely(argument, () => Array.isArray(value))) fail('ERR_OPTION', argument, 'a tensor or an array of numbers', value);
  return Tensor.from(value as NestedNumbers, { dtype });
}

function matchSequence(argument: string, sequence: Tensor, first: Tensor): Tensor {
  const { shape, dtype, size } = sequence;
  if (dtype !== first.dtype) fail('ERR_DTYPE', argument, `a ${first.dtype} tensor, as of the others`, dtype);
  const features = first.shape.slice(1);
  if (size === 0 && shape[0] === 0) return new Tensor(sequence.data, [0, ...features]);
  const fits = (shape.length === 1 || shape.length === 2) && size > 0 && formatShape(shape.slice(1)) === formatShape(features);
  if (!fits) {
    const expected = features.length === 0 ? formatShape(['T']) : formatShape(['T', ...features]);
    const others = first.shape.length > 2 ? `${formatShape(['T'])} or ${formatShape(['T', 'F'])}` : expected;
    throw new EvenkeelError('ERR_SHAPE', `${argument}: expected shape ${others}, got ${formatShape(shape)}.`);
  }
  return sequence;
}
