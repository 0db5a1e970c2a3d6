import { readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { checkLengths, countSteps, type Lengths } from '../lengths';
import type { Tensor } from '../tensor';

/** Options of a loss function. */
export interface LossOptions {
  /** how many steps of each sequence of an output [N, T, F] count: the mean is over these, and the gradient elsewhere 0 */
  lengths?: Lengths;
}

/** What a loss function returns. */
export interface LossResult {
  value: number;
  /** ∂value/∂output, of the output's shape and dtype: what the model's backward takes */
  grad: Tensor;
}

/** @throws EvenkeelError ERR_OPTION, ERR_SHAPE, also where no step counts: there is no mean of nothing */
export function readLossLengths(options: LossOptions | undefined, { shape }: Tensor): Int32Array | undefined {
  if (options === undefined) return undefined;
  const lengths = checkLengths(readOptions('loss options', options, ['lengths']).lengths, shape);
  if (lengths !== undefined && countSteps(lengths) === 0) {
    throw new EvenkeelError('ERR_SHAPE', 'lengths: expected at least one step that counts, got lengths of 0.');
  }
  return lengths;
}
