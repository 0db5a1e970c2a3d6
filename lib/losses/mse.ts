import { fail } from '../check';
import { packSteps, unpackSteps } from '../lengths';
import { native } from '../native/load';
import { allocate, checkTensor, type Tensor } from '../tensor';
import { allocateOutput } from '../workspace';
import { type LossOptions, type LossResult, readLossLengths } from './loss';

/**
 * The mean squared error over all elements, as torch.nn.functional.mse_loss.
 * @param output any shape with at least one element
 * @param target of the output's shape and dtype
 * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_STATE for a detached buffer
 */
export function mseLoss(output: Tensor, target: Tensor, options?: LossOptions): LossResult {
  const { data, shape, dtype, size } = checkTensor('output', output);
  checkTensor('target', target, dtype, shape);
  if (size === 0) fail('ERR_SHAPE', 'output', 'at least one element', output);
  const lengths = readLossLengths(options, output);
  const grad = allocateOutput(dtype, shape);
  if (lengths === undefined) return { value: native().meanSquaredError(data, target.data, grad.data), grad };
  const [, steps, width] = shape as [number, number, number];
  const counted = packSteps(data, lengths, steps, width);
  const gradients = allocate(dtype, counted.length);
  const value = native().meanSquaredError(counted, packSteps(target.data, lengths, steps, width), gradients);
  unpackSteps(gradients, lengths, steps, width, grad.data);
  return { value, grad };
}
