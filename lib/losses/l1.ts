import type { Tensor } from '../tensor';
import { type LossOptions, type LossResult, readLossOptions } from './loss';
import { ABSOLUTE, checkOutputAndTarget, pointLoss } from './point-loss';

/**
 * The mean absolute error over all elements, as torch.nn.functional.l1_loss. Where output and target are equal the gradient is 0.
 * @param output any shape with at least one element
 * @param target of the output's shape and dtype
 * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_STATE for a detached buffer
 */
export function l1Loss(output: Tensor, target: Tensor, options?: LossOptions): LossResult {
  checkOutputAndTarget(output, target);
  return pointLoss(output, target, readLossOptions(options, output), { kind: ABSOLUTE });
}
