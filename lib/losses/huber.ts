import { checkNumber } from '../check';
import type { Tensor } from '../tensor';
import { type LossOptions, type LossResult, readLossOptions } from './loss';
import { checkOutputAndTarget, HUBER, pointLoss } from './point-loss';

/** Options of {@link huberLoss}. */
export interface HuberLossOptions extends LossOptions {
  /** where the square ends and the straight line begins, above 0; 1 unless given */
  delta?: number;
}

/**
 * The mean of ½ d² where |d| < δ, else δ (|d| − ½ δ), with d = output − target (Huber 1964), as torch.nn.functional.huber_loss: an error's
 * gradient is limited to ±δ. Divided by δ it is torch's smooth_l1_loss with beta = δ.
 * @param output any shape with at least one element
 * @param target of the output's shape and dtype
 * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_STATE for a detached buffer
 */
export function huberLoss(output: Tensor, target: Tensor, options?: HuberLossOptions): LossResult {
  checkOutputAndTarget(output, target);
  const read = readLossOptions(options, output, ['delta']);
  const { delta = 1 } = read.given;
  return pointLoss(output, target, read, { kind: HUBER, delta: checkNumber('delta', delta, { above: 0 }) });
}
