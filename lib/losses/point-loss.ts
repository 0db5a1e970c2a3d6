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
  const arrays = { output: output.data, target: target.data, values: values?.data, grad: grad.data };
  const { value, size } =
    lengths === undefined
      ? { value: compute(loss, options, arrays), size: output.size }
      : computeOverLengths(loss, options, arrays, lengths, shape as readonly [number, number, number]);
  const count = reduction === 'mean' ? size : 0;
  return values === undefined ? { value, grad, count } : { value, grad, values, count };
}

/** What a loss reads, and what it writes: each loss by itself, where that is wanted, and ∂L/∂output. */
interface PointLossArrays {
  readonly output: TensorData;
  readonly target: TensorData;
  readonly values: TensorData | undefined;
  readonly grad: TensorData;
}

/** Over the steps that count; `size` of their elements. */
function computeOverLengths(
  loss: PointLoss,
  options: CheckedLossOptions,
  { output, target, values, grad }: PointLossArrays,
  lengths: Int32Array,
  [, steps, width]: readonly [number, number, number],
): { value: number; size: number } {
  const dtype = output instanceof Float64Array ? 'float64' : 'float32';
  const counted = packSteps(output, lengths, steps, width);
  const size = counted.length;
  const packed = { output: counted, target: packSteps(target, lengths, steps, width) };
  const results = { values: values && allocate(dtype, size), grad: allocate(dtype, size) };
  const value = size === 0 ? 0 : compute(loss, options, { ...packed, ...results });
  unpackSteps(results.grad, lengths, steps, width, grad);
  if (values !== undefined) unpackSteps(results.values as TensorData, lengths, steps, width, values);
  return { value, size };
}

function compute(
  { kind, delta = 1, positive }: PointLoss,
  { reduction }: CheckedLossOptions,
  { output, target, values, grad }: PointLossArrays,
): number {
  const divisor = reduction === 'mean' ? output.length : 1;
  return native().pointLoss(kind, divisor, delta, output, target, positive ?? null, values ?? null, grad);
}
