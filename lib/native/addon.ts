/**
 * The typed contract of the native addon. Unless it says otherwise, every array of one call has the same element type, float32 or float64; every call is
 * synchronous and works on the caller's arrays in place. Gradients of parameters are added to, all other outputs are overwritten.
 * Layers validate first; the addon checks again whatever could corrupt memory.
 * Shapes: N sequences, T steps, I inputs, H hidden units, R rows, all row-major.
 */
import type { TensorData } from '../tensor';

type Optional = TensorData | null;
type Arrays = readonly TensorData[];

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

/** What a recurrent layer is made of. Its cell says what else it reads. */
export interface RecurrentLayerOptions {
  /** 'elman', 'lstm' or 'gru' */
  cell: string;
  inputSize: number;
  hiddenSize: number;
  /** P, what is put out at each step; hiddenSize unless given */
  outputSize?: number;
  /** 0 tanh, the default, 1 relu */
  nonlinearity?: number;
  /** whether b_ih and b_hh are among the weights; true unless given */
  bias?: boolean;
  /** where a normalisation stands: 0 nowhere, the default, 1 preactivation, 2 split-preactivation, 3 recurrent-input, 4 hidden */
  placement?: number;
  /** 0 LayerNorm, the default, 1 RMSNorm */
  normKind?: number;
  eps?: number;
  /** whether each gate's pre-activation has statistics of its own; false unless given */
  perGate?: boolean;
  /** of a GRU: whether the reset comes after the product; true unless given */
  resetAfter?: boolean;
  /** of an LSTM's cell state: 0 nothing, the default, 1 normalised for the output, 2 normalised and carried on */
  cellNorm?: number;
  cellNormKind?: number;
  cellNormEps?: number;
  /** in training, the probabilities that an element of what multiplies W_hh is dropped, and that one of h or of c is held; 0 unless given */
  recurrentDropout?: number;
  zoneoutHidden?: number;
  zoneoutCell?: number;
  /** which of the layers that share the keys of their masks it is; 0 unless given */
  place?: number;
}

/**
 * What the masks of a pass are made of: the key's two words, the pass's first step, and which sequence each of the pass's is [3 + N]. Null
 * outside training, and where there are no masks.
 */
type Masks = Int32Array | null;

/**
 * Steps from one sequence to the next in a pass's arrays [N, T, ·], which end with the last sequence's last step: at least T, for passes over a
 * part of the time. Null for T.
 */
type Stride = number | null;

/**
 * How many steps of each sequence count [N], the longest first: initialState, finalState and gradState are of each at its own end, and finalState,
 * which is needed, starts as initialState or zeros. The tape is those of the parts of the time in which as many sequences go on, one after the
 * other. Null for all.
 */
type SortedLengths = Int32Array | null;

/** The arrays of a forward pass: input [N, T, I], initialState, finalState [N, S], output [N, T, P]; finalState is written where it is given. */
type ForwardArrays = readonly [
  input: TensorData,
  initialState: Optional,
  output: TensorData,
  finalState: Optional,
  /** null to keep nothing */
  tape: Optional,
];

/** Those of a backward pass, and what it records. */
type BackwardArrays = readonly [
  input: TensorData,
  initialState: Optional,
  /** with the tape as forward left them */
  output: TensorData,
  tape: Optional,
  /** null for zeros */
  gradOutput: Optional,
  /** null where it is not wanted */
  gradInput: Optional,
  /** ∂L/∂state_T from beyond the last step [N, S], which becomes ∂L/∂state_0 */
  gradState: TensorData,
  /** of ‖∂L/∂state_t‖ of each sequence, Infinity for none */
  limit: number,
  /** ln of it before the limit [N, T], or where S > P [N, T, 3], which has those of its first P columns and of the rest too, written */
  logNorms: Float64Array | null,
  /** [N]: gradState is 2^−exponent of the true gradient, at the start and at the end; both null where it is not recorded */
  exponents: Int32Array | null,
];

/** What a forward pass over another part of the time takes, which threads that are idle else may do. */
export type ConcurrentArguments = readonly [t: number, ...ForwardArrays, masks?: Masks, stride?: Stride, lengths?: SortedLengths];

/**
 * A recurrent layer of the addon. The state that a step hands to the next is S wide, its first P columns are what is put out. The tape is what
 * forward keeps for backward: `tapeLength(n, t)` elements, in any array. That of the steps [b, e) is the part of it that begins at
 * `tapeLength(n, b) − tapeLength(n, 0)` and is `tapeLength(n, e − b)` long.
 */
export interface NativeRecurrentLayer {
  forward(n: number, t: number, ...pass: readonly [...ForwardArrays, masks?: Masks, stride?: Stride, lengths?: SortedLengths]): void;
  /** Returns how many gradients were limited. */
  backward(
    n: number,
    t: number,
    ...pass: readonly [...BackwardArrays, masks?: Masks, stride?: Stride, lengths?: SortedLengths, ...concurrent: ConcurrentArguments | []]
  ): number;
  /**
   * Of a layer in float64: forward, and for each sequence and step J_t Q = Q' R with J_t = ∂state_t/∂state_{t−1}.
   * tangents: the `count` columns of Q_0, orthonormal, each a row [N, count, S], which become those of Q_T. logGrowths: ln|R_t(i, i)|
   * [N, T, count], written.
   */
  tangents(
    n: number,
    t: number,
    input: TensorData,
    initialState: Optional,
    output: TensorData,
    finalState: Optional,
    count: number,
    tangents: TensorData,
    logGrowths: TensorData,
  ): void;
  /** The state [N, S] after the step `step`, from 0, of a pass that kept what backward needs. */
  readState(n: number, t: number, step: number, output: TensorData, tape: Optional, state: TensorData, stride?: Stride): void;
  /** The steps after which time is cut: a part of a sequence that starts at a multiple of them gives the same bits as the whole. */
  chunkSteps(n: number): number;
  tapeLength(n: number, t: number): number;
  /** Which way the scan over time takes: 'blas', 'panels', 'single', 'columns' or 'lanes'. */
  strategy(n: number): string;
  /** Packs the weights as they are now for all forward passes from now on, with the same bits: they must not change any more. */
  keepWeights(): void;
  /** Whether all passes from now on pack the weights once, with the same bits: they must not change meanwhile. Else each packs them for itself. */
  shareWeights(shares: boolean): void;
  /** S and P */
  readonly stateSize: number;
  readonly outputSize: number;
  /** the layer itself, for `recurrentPair` */
  readonly self: unknown;
}

type ForwardArguments = readonly [...ForwardArrays, masks: Masks, stride: Stride, lengths: SortedLengths];
type BackwardArguments = readonly [...BackwardArrays, masks: Masks, stride: Stride, lengths: SortedLengths];

/** Two layers of one kind, such as the directions of a layer. Their passes run at the same time where that is faster. */
export interface NativeRecurrentPair {
  forward(n: number, t: number, ...both: [...ForwardArguments, ...ForwardArguments]): void;
  /** concurrent: a forward pass of each. Returns how many gradients of each were limited. */
  backward(
    n: number,
    t: number,
    ...both: [...BackwardArguments, ...BackwardArguments, ...([t: number, ...ForwardArguments, ...ForwardArguments] | [])]
  ): [number, number];
}

export interface NativeAddon {
  /**
   * weights, gradients: one array for each of the layer's parameters, in their order: W_ih, W_hh, then the cell's own. The layer keeps them
   * alive, and sees at each call whether they still have their elements.
   */
  recurrentLayer(weights: Arrays, gradients: Arrays, options: RecurrentLayerOptions): NativeRecurrentLayer;
  /** first, second: `self` of two layers of the same sizes and type */
  recurrentPair(first: unknown, second: unknown): NativeRecurrentPair;
  /**
   * Of every step of N sequences, T each, `width` columns from one array [N, T, fromWidth] to another [N, T, toWidth], which is not the same;
   * with `add` added to what is there. lengths: [N], null where all are T. reverse: within its length, each sequence from the last step to the first.
   */
  copySteps(
    n: number,
    t: number,
    width: number,
    from: TensorData,
    fromWidth: number,
    fromColumn: number,
    to: TensorData,
    toWidth: number,
    toColumn: number,
    lengths: Int32Array | null,
    reverse: boolean,
    add: boolean,
  ): void;
  /**
   * Row order[k] of `from` [N, T, width], as far as its length goes, becomes row k of `to`; with `back` row k row order[k], zeros beyond its
   * length. lengths: [N] of the rows outside the order.
   */
  reorderSteps(
    n: number,
    t: number,
    width: number,
    from: TensorData,
    to: TensorData,
    lengths: Int32Array,
    order: Int32Array,
    back: boolean,
  ): void;
  /** Forces one way through time for every shape, as the environment's `EVENKEEL_SCAN` does; 'auto' chooses by shape again. */
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

  /**
   * output = input ⊙ mask, each element of which is 0 with the probability, else 1 / (1 − probability): a function of key, sequence and element
   * alone, so that the same call makes ∂L/∂input of ∂L/∂output. input, output [sequences, size]; counts [sequences]: how many elements of
   * each count, the others of the output are 0; null for all
   */
  dropout(
    sequences: number,
    size: number,
    counts: Int32Array | null,
    key0: number,
    key1: number,
    probability: number,
    input: TensorData,
    output: TensorData,
  ): void;
  /** The words of Philox4x32-10 of the counters {firstBlock …, row, step, stream} and a key [blocks, 4]: what masks are made of. */
  randomWords(
    key0: number,
    key1: number,
    firstBlock: number,
    row: number,
    step: number,
    stream: number,
    blocks: number,
    words: Int32Array,
  ): void;

  /** rows of a table: output [rows, width] of weight [vocabulary, width]; an index of −1 gives zeros */
  embeddingForward(rows: number, vocabulary: number, width: number, indices: Int32Array, weight: TensorData, output: TensorData): void;
  /** touched: the different indices of at least 0, ascending [min(rows, vocabulary)]; returns how many */
  embeddingBackward(
    rows: number,
    vocabulary: number,
    width: number,
    indices: Int32Array,
    gradOutput: TensorData,
    gradWeight: TensorData,
    touched: Int32Array,
  ): number;
  /** to [rows, width] ← the rows of from [vocabulary, width] with these indices */
  gatherRows(rows: number, vocabulary: number, width: number, indices: Int32Array, from: TensorData, to: TensorData): void;
  /** the rows of to [vocabulary, width] with these indices, each once, ← from [rows, width] */
  scatterRows(rows: number, vocabulary: number, width: number, indices: Int32Array, from: TensorData, to: TensorData): void;

  /**
   * Σ loss(output, target) / divisor, and its gradient into `grad`. kind: 0 squared, 1 absolute, 2 Huber with delta, 3 logistic, whose
   * positive targets weigh `positive` [width], one for each column; null for ones. values: each element's loss, or null
   */
  pointLoss(
    kind: number,
    divisor: number,
    delta: number,
    output: TensorData,
    target: TensorData,
    positive: Optional,
    values: Optional,
    grad: TensorData,
  ): number;
  /** mean over rows of −ln softmax(logits)[label], and its gradient into `grad`; logits [R, C], labels [R] in [0, C) */
  crossEntropy(rows: number, classes: number, logits: TensorData, labels: Int32Array, grad: TensorData): number;
  /**
   * Σ over the rows with a label of at least 0 of −Σ_c t_c ln softmax(logits)_c, t_c = (1 − smoothing) w_label [c = label] + smoothing/C · w_c,
   * over the divisor, and its gradient into `grad`. weights [C], null for ones; values: each row's loss [R], or null
   */
  weightedCrossEntropy(
    rows: number,
    classes: number,
    divisor: number,
    logits: TensorData,
    labels: Int32Array,
    weights: Optional,
    smoothing: number,
    values: Optional,
    grad: TensorData,
  ): number;

  // Passes over all parameters: each list has one array per parameter, float32 or float64, of one kind and length in all lists.

  /** for each array Σ|x| (order 1), Σx² (order 2) or max|x| (order 0), in double; NaN if any element is NaN. terms: one for each, or more */
  normTerms(values: Arrays, order: 0 | 1 | 2, terms: Float64Array): void;
  /** values ← values · numerator / denominator, also where the quotient is too small for the arrays' type, or for any */
  scale(values: Arrays, numerator: number, denominator: number): void;
  /** values ← min(max(values, −limit), limit) */
  clamp(values: Arrays, limit: number): void;

  // What an optimiser does at each step: these take the lists once and give the function to call. It keeps the arrays alive, and sees at each
  // call whether they still have their elements.

  /** values ← 0 */
  zeroPass(values: Arrays): () => void;
  /** the index of the first array with an element that is NaN or infinite, or -1 */
  finitePass(values: Arrays): () => number;
  /** whether no element is NaN or beyond ±limit; with `positive`, none is below zero either */
  withinPass(values: Arrays): (limit: number, positive: boolean) => boolean;
  /** to ← from */
  copyPass(from: Arrays, to: Arrays): () => void;
  sgdPass(
    values: Arrays,
    grads: Arrays,
    momentumBuffers: Arrays | null,
  ): (
    learningRate: number,
    momentum: number,
    nesterov: boolean,
    weightDecay: number,
    firstStep: boolean,
    dampening: number,
    maximize: boolean,
  ) => void;
  /** decoupled: AdamW's weight decay instead of Adam's; step counts from 1 */
  adamPass(
    values: Arrays,
    grads: Arrays,
    firstMoments: Arrays,
    secondMoments: Arrays,
    largestSecondMoments: Arrays | null,
  ): (
    learningRate: number,
    beta1: number,
    beta2: number,
    eps: number,
    weightDecay: number,
    decoupled: boolean,
    step: number,
    maximize: boolean,
  ) => void;
  rmspropPass(
    values: Arrays,
    grads: Arrays,
    squareAverages: Arrays,
    momentumBuffers: Arrays | null,
    gradAverages: Arrays | null,
  ): (learningRate: number, alpha: number, eps: number, weightDecay: number, momentum: number, maximize: boolean) => void;

  setNumThreads(count: number): void;
  getNumThreads(): number;
  /** What getNumThreads gives unless the environment or setNumThreads says else; the first call in the process counts. */
  setDefaultThreads(count: number): void;
  /**
   * What the machine can do in float32 with the threads in use: multiply-adds in registers and OpenBLAS's best product, in 10⁹ operations
   * per second; reading and copying (bytes read plus written) memory beyond the caches, in 10⁹ bytes per second. Takes about a second.
   */
  measureMachine(): { fmaGflops: number; gemmGflops: number; readGBs: number; copyGBs: number };
  /** where the array begins in memory, of whichever handle of its buffer */
  addressOf(array: TensorData): number;
  /** flock(descriptor, LOCK_EX | LOCK_NB): false when another open file description holds the lock */
  lockFile(descriptor: number): boolean;
  runtimeInfo(): { simdTarget: string; simdTargets: string[]; blas: string };
  /** of the package that it was built from */
  version: string;
}
