/** Operations and gradients that several tiers share. */
import type { Model, Operand, Pass, Tensor, Tf, Variable } from './tf';

export const EPS = 1e-5;
const MAX_PIECES = 8;

/** tf.variableGrads and how long its backward part took. */
export function differentiate(tf: Tf, computeLoss: () => Tensor, variables: readonly Variable[]): Pass {
  let begin = 0;
  const { value, grads } = tf.variableGrads(() => {
    const loss = computeLoss();
    begin = performance.now();
    return loss;
  }, variables);
  const backwardMs = performance.now() - begin;
  return { loss: value, gradients: Object.entries(grads).map(([name, tensor]) => ({ name, tensor })), backwardMs };
}

/** LayerNorm alone, with a given output gradient. */
export function differentiatedLayerNorm(
  tf: Tf,
  input: Tensor,
  gradOutput: Tensor,
  variables: Model['variables'],
  forward: () => Tensor,
): Model {
  const gradientsOf = tf.grads(forward);
  const inputs = [input, ...variables.map(({ variable }) => variable)];
  return {
    variables,
    forward,
    pass: () => ({ gradients: gradientsOf(inputs, gradOutput).map((tensor, k) => ({ name: `${k}`, tensor })), backwardMs: 0 }),
  };
}

/** The mean squared error of rows. */
export function meanSquaredError(tf: Tf, output: Tensor, target: Tensor): Tensor {
  return tf.mean(tf.square(tf.sub(output, target)));
}

/** Splits [T·N, H] into T steps, by way of larger pieces: the wasm backend copies all of a tensor for each piece that it takes from it. */
export function splitSteps(tf: Tf, rows: Tensor, n: number, t: number): Tensor[] {
  // TF.js has no gradient for a split into one piece.
  if (t === 1) return [rows];
  if (t <= MAX_PIECES) return tf.split(rows, t, 0);
  const bounds = Array.from({ length: MAX_PIECES + 1 }, (_, k) => Math.floor((k * t) / MAX_PIECES));
  const steps = bounds.slice(1).map((end, k) => end - (bounds[k] ?? 0));
  const sizes = steps.map((count) => count * n);
  return tf.split(rows, sizes, 0).flatMap((piece, k) => splitSteps(tf, piece, n, steps[k] ?? 0));
}

/** LayerNorm over rows, with what its gradient needs. */
export function normalise(tf: Tf, rows: Tensor, gamma: Tensor, beta: Operand): { output: Tensor; normalised: Tensor; rstd: Tensor } {
  const centred = tf.sub(rows, tf.mean(rows, 1, true));
  const rstd = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), EPS));
  const normalised = tf.mul(centred, rstd);
  return { output: tf.add(tf.mul(normalised, gamma), beta), normalised, rstd };
}

/** dx = rstd · (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)) with dx̂ = γ · dy (Ba et al. 2016, differentiated). */
export function normaliseBackward(tf: Tf, dOutput: Tensor, { normalised, rstd }: { normalised: Tensor; rstd: Tensor }, gamma: Tensor) {
  const dNormalised = tf.mul(dOutput, gamma);
  const projection = tf.mul(normalised, tf.mean(tf.mul(dNormalised, normalised), 1, true));
  return {
    dRows: tf.mul(rstd, tf.sub(tf.sub(dNormalised, tf.mean(dNormalised, 1, true)), projection)),
    dGamma: tf.sum(tf.mul(dOutput, normalised), 0),
    dBeta: tf.sum(dOutput, 0),
  };
}
