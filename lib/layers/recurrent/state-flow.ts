import { EvenkeelError } from '../../errors';
import type { Tensor } from '../../tensor';
import { makeTensor } from '../../workspace';

/** What a backward pass saw in one layer and direction, of each sequence and step [N, T]. */
export interface StateFlow {
  /** `l0`, `l0_reverse`, … */
  readonly suffix: string;
  /** ln‖∂L/∂state_t‖ of the whole state, and of each of its parts */
  readonly gradients: Tensor;
  readonly parts: Readonly<Record<string, Tensor>>;
  /** ln‖state_t‖ */
  readonly states: Tensor;
}

/** One tensor as it is, several on a new first dimension. */
export function stack(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors as readonly [Tensor];
  if (tensors.length === 1) return first;
  const all = makeTensor(first.dtype, [tensors.length, ...first.shape]);
  for (const [index, { data, size }] of tensors.entries()) all.data.set(data, index * size);
  return all;
}

export function failNotRecorded(property: string): never {
  throw new EvenkeelError(
    'ERR_STATE',
    `${property}: expected a backward call that records them, got one that does not. Set recordStateGradients = true before it.`,
  );
}

export function failNoBackward(property: string): never {
  throw new EvenkeelError('ERR_STATE', `${property}: expected a backward call before it is read, got none since the last forward call.`);
}
