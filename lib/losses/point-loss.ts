import { fail } from '../check';
import { packSteps, unpackSteps } from '../lengths';
import { native } from '../native/load';
import { allocate, checkTensor, type Tensor, type TensorData } from '../tensor';
import { allocateOutput } from '../workspace';
import type { CheckedLossOptions, LossResult } from './loss';
import { weigh } from './sample-weights';

/** Losses of each element by itself, by their numbers in the addon. */
export const SQUARED = 0;
export const ABSOLUTE = 1;
export const HUBER = 2;
export const LOGISTIC = 3;

/** Which loss of each element. */
export interface PointLoss {
  readonly kind: number;
  /** of HUBER */
  readonly delta?: number;
  /** of LOGISTIC: weights of positive targets [F] */
  readonly positive?: TensorData | undefined;
}

/** @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_STATE, ERR_OPTION */
export function checkOutputAndTarget(output: Tensor, target: Tensor): void {
  const { shape, dtype, size } = checkTensor('output', output);
  checkTensor('target', target, dtype, shape);
  if (size === 0) fail('ERR_SHAPE', 'output', 'at least one element', output);
}

/** The loss of an output and a target that were checked, over the steps that count. */
export function pointLoss(output: Tensor, target: Tensor, options: CheckedLossOptions, loss: PointLoss): LossResult {
  const { lengths, reduction, sampleWeights } = options;
  const { dtype, shape } = output;
  if (sampleWeights !== undefined) {
    const each = pointLoss(output, target, { lengths, reduction: 'none' }, loss) as Required<LossResult>;
    const [samples = 1, , width = 1] = shape;
    return weigh(each, sampleWeights, (n) => (lengths === undefined ? output.size / samples : (lengths[n] as number) * width), reduction);
  }
  const grad = allocateOutput(dtype, shape);
  const values = reduction === 'none' ? allocateOutput(dtype, shape) : undefined;
  const result = (value: number, size: number): LossResult => {
    const count = reduction === 'mean' ? size : 0;
    return values === undefined ? { value, grad, count } : { value, grad, values, count };
  };
  if (lengths === undefined) return result(compute(loss, options, output.data, target.data, values?.data, grad.data), output.size);
  const [, steps, width] = shape as [number, number, number];
  const counted = packSteps(output.data, lengths, steps, width);
  const [losses, gradients] = [values && allocate(dtype, counted.length), allocate(dtype, counted.length)];
  const wanted = packSteps(target.data, lengths, steps, width);
  const value = counted.length === 0 ? 0 : compute(loss, options, counted, wanted, losses, gradients);
  unpackSteps(gradients, lengths, steps, width, grad.data);
  if (values !== undefined) unpackSteps(losses as TensorData, lengths, steps, width, values.data);
  return result(value, counted.length);
}

function compute(
  { kind, delta = 1, positive }: PointLoss,
  { reduction }: CheckedLossOptions,
  output: TensorData,
  target: TensorData,
  values: TensorData | undefined,
  grad: TensorData,
): number {
  const divisor = reduction === 'mean' ? output.length : 1;
  return native().pointLoss(kind, divisor, delta, output, target, positive ?? null, values ?? null, grad);
}
