import type { Tensor } from '../tensor';
import { type LossOptions, type LossResult, readLossOptions } from './loss';
import { checkOutputAndTarget, pointLoss, SQUARED } from './point-loss';

/**
 * The mean squared error over all elements, as torch.nn.functional.mse_loss.
 * @param output any shape with at least one element
 * @param target of the output's shape and dtype
 * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_STATE for a detached buffer
 *
 * @example
 * const model = new Linear({ inputSize: 4, outputSize: 1 });
 * const { value, grad } = mseLoss(model.forward(Tensor.randn([8, 4])), Tensor.zeros([8, 1]));
 * model.backward(grad);
 */
export function mseLoss(output: Tensor, target: Tensor, options?: LossOptions): LossResult {
  checkOutputAndTarget(output, target);
  return pointLoss(output, target, readLossOptions(options, output), { kind: SQUARED });
}
