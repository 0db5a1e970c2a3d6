import { EvenkeelError } from '../../errors';
import { checkTensor, type Tensor } from '../../tensor';

/** How a model tells steps that do not count: by rows of numbers that are all one value, or by a symbol. */
export interface Mask {
  readonly value: number;
  readonly ofSymbols: boolean;
}

/**
 * The lengths of the sequences of an input, as the model's mask sees them.
 * @throws EvenkeelError ERR_SHAPE for an input of another rank, ERR_OPTION for a step that does not count before one that does
 */
export function maskedLengths({ value, ofSymbols }: Mask, input: Tensor): Int32Array {
  const { data, dtype, shape } = checkTensor('input', input, undefined, ofSymbols ? ['N', 'T'] : ['N', 'T', 'F']);
  const [sequences = 0, steps = 0, width = 1] = shape;
  const masked = dtype === 'float32' ? Math.fround(value) : value;
  const counts = (row: number, step: number) => {
    const begin = (row * steps + step) * width;
    return data.subarray(begin, begin + width).some((number) => number !== masked);
  };
  return Int32Array.from({ length: sequences }, (_, row) => {
    let length = steps;
    while (length > 0 && !counts(row, length - 1)) length--;
    for (let step = 0; step < length; step++) {
      if (!counts(row, step)) {
        throw new EvenkeelError(
          'ERR_OPTION',
          `input[${row}]: expected steps that are masked (${value}) behind all that count, got step ${step} masked and step ${length - 1} not. ` +
            "Pad sequences at their end: in Keras pad_sequences(…, padding='post'), here padSequences.",
        );
      }
    }
    return length;
  });
}
