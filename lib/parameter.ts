import { Tensor } from './tensor';

/**
 * A trainable array and the gradient that backward passes add to.
 * Optimisers, clippers and measures see parameters, never layers.
 */
export class Parameter {
  /** ∂L/∂value, same shape and dtype; backward passes add to it, `optimizer.zeroGrad()` clears it. */
  readonly grad: Tensor;

  /**
   * @param name as in the state dict, such as `rnn.weight_ih_l0`
   * @param value the values, updated in place by optimisers
   */
  constructor(
    readonly name: string,
    readonly value: Tensor,
    grad?: Tensor,
  ) {
    this.grad = grad ?? Tensor.zeros(value.shape, { dtype: value.dtype });
  }
}
