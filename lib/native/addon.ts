/**
 * The typed contract of the native addon. Unless it says otherwise, every array of one call has the same element type, float32 or float64; every call is
 * synchronous and works on the caller's arrays in place. Gradients of parameters are added to, all other outputs are overwritten.
 * Layers validate first; the addon checks again whatever could corrupt memory.
 * Shapes: N sequences, T steps, I inputs, H hidden units, R rows, all row-major.
 */
import type { TensorData } from '../tensor';

type Optional = TensorData | null;
type Arrays = readonly TensorData[];

/**
 * One normalisation within a recurrent step; null where it has none of these, all four where the placement has no such site. A forward call
 * whose backward pass will not come may do without `inputs` and `statistics`.
 */
export type NormSiteArguments = [
  weight: Optional,
  bias: Optional,
  /** what it normalised [T, N, H], for backward; written by forward */
  inputs: Optional,
  /** of each row, for backward [T, 3, N], or [T, 1, N] of kind rms; written by forward */
  statistics: Optional,
];

/** The normalisations within a recurrent step. placement: 0 none, 1 preactivation, 2 split-preactivation, 3 recurrent-input, 4 hidden. */
export type NormArguments = [placement: number, kind: number, eps: number, ...NormSiteArguments, ...NormSiteArguments];

/** gradWeight and gradBias of both sites. */
export type NormGradients = [Optional, Optional, Optional, Optional];
type NormForward = (
  rows: number,
  size: number,
  eps: number,
  input: TensorData,
  weight: Optional,
  bias: Optional,
  output: TensorData,
  statistics: TensorData,
) => void;
type NormBackward = (
  rows: number,
  size: number,
  input: TensorData,
  weight: Optional,
  statistics: TensorData,
  gradOutput: TensorData,
  gradInput: Optional,
  gradWeight: Optional,
  gradBias: Optional,
) => void;

/** What a backward pass does about ∂L/∂h_t, the total derivative by each state. */
export type StateGradientArguments = [
  /** its norm is limited to this for each sequence; Infinity for no limit */
  limit: number,
  /** ln of its norm before the limit [N, T], written; null where it is not recorded */
  logNorms: Float64Array | null,
  /** [N] where it is recorded: gradState is 2^−exponent of the true gradient, at the start and at the end */
  exponents: Int32Array | null,
];

/** output: [N, T, H] */
export type BesideArguments = [t: number, input: TensorData, initialState: Optional, output: TensorData, ...norm: NormArguments];

export interface NativeAddon {
  /** output: [N, T, H] */
  rnnForward(
    n: number,
    t: number,
    i: number,
    h: number,
    nonlinearity: number,
    input: TensorData,
    initialState: Optional,
    weightIh: TensorData,
    weightHh: TensorData,
    biasIh: TensorData,
    biasHh: TensorData,
    output: TensorData,
    ...norm: NormArguments
  ): void;
  /**
   * gradOutput: null for zeros. gradState: ∂L/∂h_T from beyond the last step [N, H], which becomes ∂L/∂h_0. beside: a forward pass over
   * another part of the time, which threads that are idle else may take. Returns how many gradients were limited.
   */
  rnnBackward(
    n: number,
    t: number,
    i: number,
    h: number,
    nonlinearity: number,
    input: TensorData,
    initialState: Optional,
    weightIh: TensorData,
    weightHh: TensorData,
    biasIh: TensorData,
    biasHh: TensorData,
    output: TensorData,
    gradOutput: Optional,
    gradInput: Optional,
    gradState: TensorData,
    gradWeightIh: TensorData,
    gradWeightHh: TensorData,
    gradBiasIh: TensorData,
    gradBiasHh: TensorData,
    ...last: [...NormArguments, ...NormGradients, ...StateGradientArguments, ...beside: BesideArguments | []]
  ): number;
  /**
   * In float64: forward, keeping all states and what the normalisations keep, and for each sequence and step J_t Q = Q' R with J_t = ∂h_t/∂h_{t−1}.
   * tangents: the `count` columns of Q_0, orthonormal, each a row [N, count, H], which become those of Q_T. logGrowths: ln|R_t(i, i)|
   * [N, T, count], written.
   */
  rnnTangents(
    n: number,
    t: number,
    i: number,
    h: number,
    nonlinearity: number,
    input: TensorData,
    initialState: Optional,
    weightIh: TensorData,
    weightHh: TensorData,
    biasIh: TensorData,
    biasHh: TensorData,
    output: TensorData,
    ...last: [...NormArguments, count: number, tangents: TensorData, logGrowths: TensorData]
  ): void;
  /** The steps after which time is cut: a part of a sequence that starts at a multiple of them gives the same bits as the whole. */
  rnnChunkSteps(n: number, i: number, h: number, placement: number): number;

  /** Which way the scan over time takes for this shape and placement: 'blas', 'panels', 'single', 'columns' or 'lanes'. */
  scanStrategy(n: number, i: number, h: number, placement: number): string;
  /** Forces one of them for every shape, as the environment's `EVENKEEL_SCAN` does; 'auto' chooses by shape again. */
  setScanStrategy(name: string): void;

  /** statistics: [3, R], what backward needs of each row: mean, the part of the mean below the element type's precision, 1/σ */
  layerNormForward: NormForward;
  layerNormBackward: NormBackward;
  /** statistics: [R], the reciprocal root mean square of each row */
  rmsNormForward: NormForward;
  rmsNormBackward: NormBackward;

  linearForward(
    rows: number,
    inputSize: number,
    outputSize: number,
    input: TensorData,
    weight: TensorData,
    bias: Optional,
    output: TensorData,
  ): void;
  linearBackward(
    rows: number,
    inputSize: number,
    outputSize: number,
    input: TensorData,
    weight: TensorData,
    gradOutput: TensorData,
    gradInput: Optional,
    gradWeight: TensorData,
    gradBias: Optional,
  ): void;

  /** mean((output − target)²), and its gradient into `grad` */
  meanSquaredError(output: TensorData, target: TensorData, grad: TensorData): number;
  /** mean over rows of −ln softmax(logits)[label], and its gradient into `grad`; logits [R, C], labels [R] in [0, C) */
  crossEntropy(rows: number, classes: number, logits: TensorData, labels: Int32Array, grad: TensorData): number;

  // Passes over all parameters: each list has one array per parameter, float32 or float64, of one kind and length in all lists.

  /** for each array Σ|x| (order 1), Σx² (order 2) or max|x| (order 0), in double; NaN if any element is NaN */
  normTerms(values: Arrays, order: 0 | 1 | 2): number[];
  /** values ← factor · values */
  scale(values: Arrays, factor: number): void;
  /** values ← min(max(values, −limit), limit) */
  clamp(values: Arrays, limit: number): void;

  // What an optimiser does at each step: these take the lists once and give the function to call. It keeps the arrays alive, and sees at each
  // call whether they still have their elements.

  /** values ← 0 */
  zeroPass(values: Arrays): () => void;
  /** the index of the first array with an element that is NaN or infinite, or -1 */
  finitePass(values: Arrays): () => number;
  /** to ← from */
  copyPass(from: Arrays, to: Arrays): () => void;
  sgdPass(
    values: Arrays,
    grads: Arrays,
    momentumBuffers: Arrays | null,
  ): (learningRate: number, momentum: number, nesterov: boolean, weightDecay: number, firstStep: boolean) => void;
  /** decoupled: AdamW's weight decay instead of Adam's; step counts from 1 */
  adamPass(
    values: Arrays,
    grads: Arrays,
    firstMoments: Arrays,
    secondMoments: Arrays,
  ): (learningRate: number, beta1: number, beta2: number, eps: number, weightDecay: number, decoupled: boolean, step: number) => void;
  rmspropPass(
    values: Arrays,
    grads: Arrays,
    squareAverages: Arrays,
    momentumBuffers: Arrays | null,
  ): (learningRate: number, alpha: number, eps: number, weightDecay: number, momentum: number) => void;

  setNumThreads(count: number): void;
  getNumThreads(): number;
  /**
   * What the machine can do in float32 with the threads in use: multiply-adds in registers and OpenBLAS's best product, in 10⁹ operations
   * per second; reading and copying (bytes read plus written) memory beyond the caches, in 10⁹ bytes per second. Takes about a second.
   */
  measureMachine(): { fmaGflops: number; gemmGflops: number; readGBs: number; copyGBs: number };
  /** how many bytes after the begin of a cache line the array begins */
  bytesPastLine(array: TensorData): number;
  /** flock(descriptor, LOCK_EX | LOCK_NB): false when another open file description holds the lock */
  lockFile(descriptor: number): boolean;
  runtimeInfo(): { simdTarget: string; simdTargets: string[]; blas: string };
}
