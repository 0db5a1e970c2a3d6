import { checkNumber, fail, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import { allocate, type Tensor, type TensorData } from '../tensor';
import { type LossOptions, type LossResult, readLossOptions } from './loss';
import { checkOutputAndTarget, LOGISTIC, pointLoss } from './point-loss';

/** Options of {@link bceWithLogitsLoss}. */
export interface BceWithLogitsLossOptions extends LossOptions {
  /** weighs positive targets, at least 0: one number for all, or one for each of the last dimension's elements; 1 unless given */
  posWeight?: number | readonly number[];
}

/**
 * The mean of −[p y ln σ(x) + (1 − y) ln(1 − σ(x))] over all elements, with p = posWeight, as
 * torch.nn.functional.binary_cross_entropy_with_logits. It is computed from the logits, as (1 − y) x + (1 + (p − 1) y) ln(1 + e^−x), of which
 * no finite logit makes an infinity.
 * @param logits x, any shape with at least one element
 * @param target y, of the logits' shape and dtype: usually from 0 to 1, which is not checked
 * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_OPTION, ERR_STATE for a detached buffer
 */
export function bceWithLogitsLoss(logits: Tensor, target: Tensor, options?: BceWithLogitsLossOptions): LossResult {
  checkOutputAndTarget(logits, target);
  const read = readLossOptions(options, logits, ['posWeight']);
  return pointLoss(logits, target, read, { kind: LOGISTIC, positive: readPosWeight(read.given.posWeight, logits) });
}

/** @returns one weight for each of the last dimension's elements, a copy */
function readPosWeight(value: unknown, { shape, dtype }: Tensor): TensorData | undefined {
  if (value === undefined) return undefined;
  const width = shape.at(-1) ?? 1;
  if (typeof value === 'number') return allocate(dtype, width).fill(checkWeight('posWeight', value));
  return readWeights('posWeight', value, width, dtype);
}

/**
 * A copy of a list of weights.
 * @throws EvenkeelError ERR_OPTION, ERR_SHAPE for another number of them
 */
export function readWeights(argument: string, value: unknown, count: number, dtype: Tensor['dtype']): TensorData {
  return readSafely(argument, () => {
    if (!Array.isArray(value)) fail('ERR_OPTION', argument, `${count} numbers of at least 0`, value);
    if (value.length !== count) throw new EvenkeelError('ERR_SHAPE', `${argument}: expected ${count} numbers, got ${value.length}.`);
    const weights = allocate(dtype, count);
    for (let i = 0; i < count; i++) weights[i] = checkWeight(`${argument}[${i}]`, value[i]);
    return weights;
  });
}

/** The largest that float32 holds. */
const MAX_WEIGHT = (2 - 2 ** -23) * 2 ** 127;

function checkWeight(argument: string, value: unknown): number {
  return checkNumber(argument, value, { min: 0, max: MAX_WEIGHT });
}
