import type { NativeAddon, NativeRecurrentLayer } from '../../lib/native/addon';
import { Generator } from '../../lib/random';
import { allocate, type DType, type TensorData } from '../../lib/tensor';

/** The normalisations of a placement, by its number and that of its kind, as a layer takes them: weight and bias of two sites for 2, none for 0. */
export interface NormArrays {
  placement: number;
  normKind: number;
  weights: TensorData[];
  gradients: TensorData[];
}

export function normArrays(placement: number, normKind: number, h: number, dtype: DType): NormArrays {
  const generator = new Generator(9);
  const around = (center: number): TensorData => allocate(dtype, h).map(() => center + 0.5 * generator.normal()) as TensorData;
  const hasBias = normKind === 0 && placement !== 2;
  const sites = [placement !== 0, placement === 2].filter((exists) => exists);
  const weights = sites.flatMap(() => (hasBias ? [around(1), around(0)] : [around(1)]));
  return { placement, normKind, weights, gradients: weights.map(() => allocate(dtype, h)) };
}

const NOTHING_NORMALISED: NormArrays = { placement: 0, normKind: 0, weights: [], gradients: [] };

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

/** A tanh RNN over these arrays. */
export function layerOf(addon: NativeAddon, i: number, h: number, a: RnnArrays, norm = NOTHING_NORMALISED): NativeRecurrentLayer {
  const { placement, normKind } = norm;
  return addon.recurrentLayer(
    [a.weightIh, a.weightHh, a.biasIh, a.biasHh, ...norm.weights],
    [a.gradWeightIh, a.gradWeightHh, a.gradBiasIh, a.gradBiasHh, ...norm.gradients],
    { cell: 'elman', inputSize: i, hiddenSize: h, placement, normKind },
  );
}

/** A tape for a layer's forward call; null where it keeps nothing. */
export function tapeOf(layer: NativeRecurrentLayer, n: number, t: number, dtype: DType): TensorData | null {
  const length = layer.tapeLength(n, t);
  return length === 0 ? null : allocate(dtype, length);
}

type StateGradient = [limit: number, logNorms: Float64Array | null, exponents: Int32Array | null];
const NOT_RECORDED: StateGradient = [Number.POSITIVE_INFINITY, null, null];

type Backward = Required<Parameters<NativeRecurrentLayer['backward']>>;
/** Those of backward without a concurrent forward pass. */
type BackwardArguments = Extract<Backward, { length: 15 }>;

/** The arguments of backward. */
export function backwardArguments(
  n: number,
  t: number,
  a: RnnArrays,
  tape: TensorData | null,
  stateGradient = NOT_RECORDED,
  { gradInput = a.gradInput, gradOutput = a.gradOutput }: { gradInput?: TensorData | null; gradOutput?: TensorData | null } = {},
): BackwardArguments {
  return [n, t, a.input, a.initialState, a.output, tape, gradOutput, gradInput, a.gradInitialState, ...stateGradient, null, null, null];
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
  for (const gradient of [a.gradInitialState, a.gradWeightIh, a.gradWeightHh, a.gradBiasIh, a.gradBiasHh, ...norm.gradients])
    gradient.fill(0);
  const layer = layerOf(addon, i, h, a, norm);
  const tape = tapeOf(layer, n, t, a.input instanceof Float64Array ? 'float64' : 'float32');
  layer.forward(n, t, a.input, a.initialState, a.output, null, tape);
  layer.backward(...backwardArguments(n, t, a, tape));
  const written = [a.output, a.gradInput, a.gradInitialState, a.gradWeightIh, a.gradWeightHh, a.gradBiasIh, a.gradBiasHh];
  return [...written, ...norm.gradients];
}

/** What {@link NativeAddon.normTerms} gives. */
export function normTerms(addon: NativeAddon, values: readonly TensorData[], order: 0 | 1 | 2): Float64Array {
  const terms = new Float64Array(values.length);
  addon.normTerms(values, order, terms);
  return terms;
}

/** What {@link NativeAddon.normTerms} gives for one array. */
export function normTerm(addon: NativeAddon, values: TensorData, order: 0 | 1 | 2): number {
  return normTerms(addon, [values], order)[0] as number;
}
