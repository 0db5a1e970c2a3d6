import { fail } from '../check';
import { native } from '../native/load';
import { checkTensor, type Tensor } from '../tensor';
import { allocateOutput } from '../workspace';
import type { LossResult } from './loss';

/**
 * The mean squared error over all elements, as torch.nn.functional.mse_loss.
 * @param output any shape with at least one element
 * @param target of the output's shape and dtype
 * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_STATE for a detached buffer
 */
export function mseLoss(output: Tensor, target: Tensor): LossResult {
  const { data, shape, dtype, size } = checkTensor('output', output);
  checkTensor('target', target, dtype, shape);
  if (size === 0) fail('ERR_SHAPE', 'output', 'at least one element', output);
  const grad = allocateOutput(dtype, shape);
  return { value: native().meanSquaredError(data, target.data, grad.data), grad };
}
