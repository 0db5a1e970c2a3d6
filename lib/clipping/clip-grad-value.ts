import { checkNumber, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { native } from '../native/load';
import { checkParameters, checkParametersAttached, type Parameter } from '../parameter';
import { withWrittenParts, writtenPart } from '../sparse-rows';
import { maximumNorms } from './norms';

/** Options of {@link clipGradValue}. */
export interface ClipGradValueOptions {
  /** the largest magnitude to leave, at least 0 */
  clipValue: number;
}

/**
 * Clamps each element of each gradient to ±clipValue, infinities too, as torch.nn.utils.clip_grad_value_.
 * @throws EvenkeelError ERR_NON_FINITE naming the first parameter whose gradient holds a NaN, ERR_OPTION; the gradients are then as they were
 */
export function clipGradValue(parameters: readonly Parameter[], options: ClipGradValueOptions): void {
  const given = readOptions('clipGradValue options', options, ['clipValue']);
  const clipValue = checkNumber('clipValue', given.clipValue, { min: 0 });
  const list = checkParameters('parameters', parameters);
  checkParametersAttached(list);
  clampToValue(list, clipValue);
}

/** Clamps gradients; returns whether that changed them. */
export function clampToValue(parameters: readonly Parameter[], clipValue: number): boolean {
  const largest = maximumNorms(parameters.map(({ grad }) => writtenPart(grad)));
  const broken = parameters[largest.findIndex(Number.isNaN)];
  if (broken !== undefined) {
    throw new EvenkeelError(
      'ERR_NON_FINITE',
      `clipGradValue: the gradient of "${broken.name}" holds a NaN. The gradients are as they were.`,
    );
  }
  const beyond = parameters.filter((_, index) => (largest[index] as number) > clipValue).map(({ grad }) => grad);
  if (beyond.length > 0) withWrittenParts(beyond, (arrays) => native().clamp(arrays, clipValue));
  return beyond.length > 0;
}
