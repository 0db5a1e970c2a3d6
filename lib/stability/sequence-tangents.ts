/** A layer's states and k tangents along with them, forward and backward, one sequence at a time; tangents are rows [k, S]. */
export interface SequenceTangents {
  /** of the layer's parameters, in their order; backward passes add to them */
  readonly gradients: readonly Float64Array[];
  /**
   * @param input [T, I]
   * @returns ln R_t(i, i) of the QR decompositions [T, k]
   */
  forward(input: Float64Array): Float64Array;
  /**
   * Of the sequence that forward was last given.
   * @param gradLogDiagonal [k]: ∂L/∂ ln R_t(i, i) of every step that counts
   * @param burnIn steps that do not
   */
  backward(input: Float64Array, gradLogDiagonal: Float64Array, burnIn: number): void;
}
