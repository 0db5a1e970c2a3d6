import type { Tensor } from '../tensor';

/** What a loss function returns. */
export interface LossResult {
  value: number;
  /** ∂value/∂output, of the output's shape and dtype: what the model's backward takes */
  grad: Tensor;
}
