import type { NativeAddon } from '../../lib/native/addon';
import { Generator } from '../../lib/random';
import { allocate, type DType, type TensorData } from '../../lib/tensor';

/** Every array of an RNN's forward and backward call, filled with random numbers. */
export function rnnArrays(n: number, t: number, i: number, h: number, dtype: DType, scale = 1 / Math.sqrt(h)) {
  const generator = new Generator(7);
  const filled = (count: number, by: number): TensorData => allocate(dtype, count).map(() => by * generator.normal()) as TensorData;
  const empty = (count: number): TensorData => allocate(dtype, count);
  return {
    input: filled(n * t * i, 1),
    initialState: filled(n * h, 1),
    weightIh: filled(h * i, scale),
    weightHh: filled(h * h, scale),
    biasIh: filled(h, scale),
    biasHh: filled(h, scale),
    output: empty(n * t * h),
    gradOutput: filled(n * t * h, 1),
    gradInput: empty(n * t * i),
    gradInitialState: empty(n * h),
    gradWeightIh: empty(h * i),
    gradWeightHh: empty(h * h),
    gradBiasIh: empty(h),
    gradBiasHh: empty(h),
  };
}

export type RnnArrays = ReturnType<typeof rnnArrays>;

/** One forward and one backward pass of a tanh RNN, its parameter gradients starting at zero; returns all that they wrote. */
export function runRnn(addon: NativeAddon, n: number, t: number, i: number, h: number, a: RnnArrays): TensorData[] {
  for (const gradient of [a.gradInitialState, a.gradWeightIh, a.gradWeightHh, a.gradBiasIh, a.gradBiasHh]) gradient.fill(0);
  addon.rnnForward(n, t, i, h, 0, a.input, a.initialState, a.weightIh, a.weightHh, a.biasIh, a.biasHh, a.output);
  addon.rnnBackward(
    n,
    t,
    i,
    h,
    0,
    a.input,
    a.initialState,
    a.weightIh,
    a.weightHh,
    a.biasIh,
    a.biasHh,
    a.output,
    a.gradOutput,
    a.gradInput,
    a.gradInitialState,
    a.gradWeightIh,
    a.gradWeightHh,
    a.gradBiasIh,
    a.gradBiasHh,
  );
  return [a.output, a.gradInput, a.gradInitialState, a.gradWeightIh, a.gradWeightHh, a.gradBiasIh, a.gradBiasHh];
}
