import type { NativeAddon, NormArguments, NormGradients, StateGradientArguments } from '../../lib/native/addon';
import { Generator } from '../../lib/random';
import { allocate, type DType, type TensorData } from '../../lib/tensor';

/** What the calls take for an RNN without normalisation. */
export const NO_NORM: NormArguments = [0, 0, 1e-5, null, null, null, null, null, null, null, null];

/** The normalisations of a placement, by its number and that of its kind: two sites for 2, none for 0; no kept inputs for 3. */
export function normArrays(placement: number, kind: number, n: number, t: number, h: number, dtype: DType): Norm {
  const generator = new Generator(9);
  const around = (center: number): TensorData => allocate(dtype, h).map(() => center + 0.5 * generator.normal()) as TensorData;
  const hasBias = kind === 0 && placement !== 2;
  const site = (exists: boolean): [TensorData | null, TensorData | null, TensorData | null, TensorData | null] =>
    exists
      ? [
          around(1),
          hasBias ? around(0) : null,
          placement === 3 ? null : allocate(dtype, n * t * h),
          allocate(dtype, n * t * (kind === 0 ? 3 : 1)),
        ]
      : [null, null, null, null];
  const gradients = (exists: boolean): [TensorData | null, TensorData | null] =>
    exists ? [allocate(dtype, h), hasBias ? allocate(dtype, h) : null] : [null, null];
  const [first, second] = [placement !== 0, placement === 2];
  return [
    [placement, kind, 1e-5, ...site(first), ...site(second)],
    [...gradients(first), ...gradients(second)],
  ];
}

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

type Norm = [NormArguments, NormGradients];
const NOTHING_NORMALISED: Norm = [NO_NORM, [null, null, null, null]];
const NOT_RECORDED: StateGradientArguments = [Number.POSITIVE_INFINITY, null, null];

/** Those of rnnBackward without a forward pass beside it. */
type BackwardArguments = Extract<Parameters<NativeAddon['rnnBackward']>, { length: 37 }>;

/** The arguments of rnnBackward, for a tanh RNN. */
export function backwardArguments(
  n: number,
  t: number,
  i: number,
  h: number,
  a: RnnArrays,
  [norm, normGradients] = NOTHING_NORMALISED,
  stateGradient = NOT_RECORDED,
  { gradInput = a.gradInput, gradOutput = a.gradOutput }: { gradInput?: TensorData | null; gradOutput?: TensorData | null } = {},
): BackwardArguments {
  return [
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
    gradOutput,
    gradInput,
    a.gradInitialState,
    a.gradWeightIh,
    a.gradWeightHh,
    a.gradBiasIh,
    a.gradBiasHh,
    ...norm,
    ...normGradients,
    ...stateGradient,
  ];
}

/** One forward and one backward pass of a tanh RNN, its parameter gradients starting at zero; returns all that they wrote. */
export function runRnn(
  addon: NativeAddon,
  n: number,
  t: number,
  i: number,
  h: number,
  a: RnnArrays,
  norm = NOTHING_NORMALISED,
): TensorData[] {
  const [normArguments, normGradients] = norm;
  for (const gradient of [a.gradInitialState, a.gradWeightIh, a.gradWeightHh, a.gradBiasIh, a.gradBiasHh, ...normGradients])
    gradient?.fill(0);
  addon.rnnForward(n, t, i, h, 0, a.input, a.initialState, a.weightIh, a.weightHh, a.biasIh, a.biasHh, a.output, ...normArguments);
  addon.rnnBackward(...backwardArguments(n, t, i, h, a, norm));
  const written = [a.output, a.gradInput, a.gradInitialState, a.gradWeightIh, a.gradWeightHh, a.gradBiasIh, a.gradBiasHh];
  return [...written, ...normGradients.filter((gradient) => gradient !== null)];
}

/** What {@link NativeAddon.normTerms} gives for one array. */
export function normTerm(addon: NativeAddon, values: TensorData, order: 0 | 1 | 2): number {
  return addon.normTerms([values], order)[0] as number;
}
