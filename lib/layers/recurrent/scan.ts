/** The scan over time: the one file of the recurrent layers that calls the addon. */
import type { NativeRecurrentLayer, NativeRecurrentPair, RecurrentLayerOptions } from '../../native/addon';
import { native, strategyChanges } from '../../native/load';
import type { DType, TensorData } from '../../tensor';

/** The arrays of a parameter and its gradient. */
interface ParameterArrays {
  readonly value: { readonly data: TensorData };
  readonly grad: { readonly data: TensorData };
}

/** What forward keeps for backward; null for a cell that keeps nothing, or a pass that no backward pass follows. */
export type Tape = TensorData | null;

/** A forward pass over steps of some sequences. The state is S wide, its first P columns are what is put out. */
export interface ForwardPass {
  readonly n: number;
  readonly t: number;
  /** [N, T, I] */
  readonly input: TensorData;
  /** [N, S]; null for zeros */
  readonly initialState: TensorData | null;
  /** [N, T, P], written */
  readonly output: TensorData;
  /** written where it is given */
  readonly tape: Tape;
  /** as the addon takes them; null where there are none */
  readonly masks: Int32Array | null;
  /** steps from one sequence to the next in all arrays of steps, of which the pass has a part; null for t */
  readonly stride: number | null;
  /** how many steps of each sequence count [N], the longest first; null for all. finalState then starts as the initial state or zeros */
  readonly lengths: Int32Array | null;
}

/** ∂L/∂ what a pass took and gave. */
export interface PassGradients {
  /** [N, T, P]; null for zeros */
  readonly output: TensorData | null;
  /** [N, T, I]; null where it is not wanted */
  readonly input: TensorData | null;
  /** [N, S]: from beyond the last step, and then by the initial state */
  readonly state: TensorData;
}

/** A forward pass to be made. */
export interface ForwardJob {
  readonly pass: ForwardPass;
  /** [N, S], written; null where it is not wanted */
  readonly finalState: TensorData | null;
}

/** What a backward pass does about g_t = ∂L/∂state_t. */
export interface StateGradientArrays {
  /** of ‖g_t‖ of each sequence */
  readonly limit: number;
  /** ln of it [N, T], written; null where it is not recorded, as `exponents` then */
  readonly logNorms: Float64Array | null;
  /** [N]: the state's gradient is 2^−exponent of the true one */
  readonly exponents: Int32Array | null;
}

/** A backward pass to be made, which adds to the parameters' gradients. */
export interface BackwardJob {
  readonly pass: ForwardPass;
  readonly gradients: PassGradients;
  readonly stateGradient: StateGradientArrays;
  /** a forward pass of as many sequences, for threads that are idle else */
  readonly concurrent: ForwardPass | undefined;
}

/** Of n sequences: the steps of a chunk, and a tape's elements for each step and beyond them. */
interface Sizes {
  readonly chunkSteps: number;
  readonly tapeStride: number;
  readonly tapeExtra: number;
}

/** A recurrent layer of the addon with its parameters. */
export class Scan {
  readonly inputSize: number;
  readonly #parameters: readonly ParameterArrays[];
  readonly #options: RecurrentLayerOptions;
  readonly #dtype: DType;
  #handle: NativeRecurrentLayer | undefined;
  readonly #sizes = new Map<number, Sizes>();
  #sizesChange = strategyChanges;

  /** @param parameters in the addon's order: W_ih, W_hh, then the cell's own */
  constructor(parameters: readonly ParameterArrays[], options: RecurrentLayerOptions, dtype: DType) {
    this.inputSize = options.inputSize;
    this.#parameters = parameters;
    this.#options = options;
    this.#dtype = dtype;
  }

  /** The same layer with copies of its parameters in float64. */
  inFloat64(): Scan {
    const copy = (data: TensorData) => ({ data: Float64Array.from(data) });
    const parameters = this.#parameters.map(({ value, grad }) => ({ value: copy(value.data), grad: copy(grad.data) }));
    return new Scan(parameters, this.#options, 'float64');
  }

  /** Packs the weights once for all passes to come: they must not change any more. */
  keepWeights(): void {
    this.#layer.keepWeights();
  }

  /** by its parameters, in their order */
  get gradients(): readonly TensorData[] {
    return this.#parameters.map(({ grad }) => grad.data);
  }

  /** S and P */
  get stateSize(): number {
    return this.#layer.stateSize;
  }
  get outputSize(): number {
    return this.#layer.outputSize;
  }

  /** The steps of a chunk: a segment that starts at a multiple of them gives the same bits as the whole. */
  chunkSteps(n: number): number {
    return this.#sizesFor(n).chunkSteps;
  }

  /** The elements that a tape of n sequences has for each step. */
  tapeStride(n: number): number {
    return this.#sizesFor(n).tapeStride;
  }

  /** @param make gives memory, with whatever it held */
  makeTape(n: number, t: number, make: (dtype: DType, length: number) => TensorData): Tape {
    const length = this.tapeLength(n, t);
    return length === 0 ? null : make(this.#dtype, length);
  }

  /** The part of a tape that holds the steps [begin, end). */
  sliceTape(tape: Tape, n: number, begin: number, end: number): Tape {
    if (tape === null) return null;
    const first = begin * this.tapeStride(n);
    return tape.subarray(first, first + this.tapeLength(n, end - begin));
  }

  /** The elements of a tape. */
  tapeLength(n: number, t: number): number {
    const { tapeStride, tapeExtra } = this.#sizesFor(n);
    return t * tapeStride + tapeExtra;
  }

  /** What the addon says of n sequences, kept until another strategy is forced. */
  #sizesFor(n: number): Sizes {
    if (this.#sizesChange !== strategyChanges) this.#sizes.clear();
    this.#sizesChange = strategyChanges;
    const known = this.#sizes.get(n);
    if (known !== undefined) return known;
    const layer = this.#layer;
    const tapeExtra = layer.tapeLength(n, 0);
    const sizes = { chunkSteps: layer.chunkSteps(n), tapeStride: layer.tapeLength(n, 1) - tapeExtra, tapeExtra };
    this.#sizes.set(n, sizes);
    return sizes;
  }

  forward({ pass, finalState }: ForwardJob): void {
    this.#layer.forward(pass.n, pass.t, ...forwardArguments(pass, finalState));
  }

  /** Whether all passes from now on pack the weights once, which must not change meanwhile. */
  shareWeights(shares: boolean): void {
    this.#layer.shareWeights(shares);
  }

  /** @returns how many gradients were limited */
  backward(job: BackwardJob): number {
    const { pass, concurrent } = job;
    const own = backwardArguments(job);
    if (concurrent === undefined) return this.#layer.backward(pass.n, pass.t, ...own);
    return this.#layer.backward(pass.n, pass.t, ...own, concurrent.t, ...forwardArguments(concurrent, null));
  }

  /** The state [N, S] after the step `step`, from 0, of a pass that has run; of states wider than the output its tape must have been kept. */
  readState(pass: Pick<ForwardPass, 'n' | 't' | 'output' | 'tape' | 'stride'>, step: number, state: TensorData): TensorData {
    this.#layer.readState(pass.n, pass.t, step, pass.output, pass.tape, state, pass.stride);
    return state;
  }

  /**
   * Of a scan in float64: forward, and for each sequence and step J_t Q = Q' R with J_t = ∂state_t/∂state_{t−1}.
   * @param tangents the `count` columns of Q_0, orthonormal, each a row [N, count, S], which become those of Q_T
   * @param logGrowths ln|R_t(i, i)| [N, T, count], written
   */
  tangents(
    { n, t, input, initialState, output }: Omit<ForwardPass, 'masks' | 'tape' | 'stride' | 'lengths'>,
    finalState: TensorData,
    count: number,
    tangents: TensorData,
    logGrowths: TensorData,
  ): void {
    this.#layer.tangents(n, t, input, initialState, output, finalState, count, tangents, logGrowths);
  }

  /** Both as the addon has them. */
  static pairOf(first: Scan, second: Scan): NativeRecurrentPair {
    return native().recurrentPair(first.#layer.self, second.#layer.self);
  }

  get #layer(): NativeRecurrentLayer {
    this.#handle ??= native().recurrentLayer(
      this.#parameters.map(({ value }) => value.data),
      this.#parameters.map(({ grad }) => grad.data),
      this.#options,
    );
    return this.#handle;
  }
}

function forwardArguments({ input, initialState, output, tape, masks, stride, lengths }: ForwardPass, finalState: TensorData | null) {
  return [input, initialState, output, finalState, tape, masks, stride, lengths] as const;
}

function backwardArguments({ pass, gradients, stateGradient }: BackwardJob) {
  const { input, initialState, output, tape, masks, stride, lengths } = pass;
  const { limit, logNorms, exponents } = stateGradient;
  const { output: gradOutput, input: gradInput, state } = gradients;
  return [input, initialState, output, tape, gradOutput, gradInput, state, limit, logNorms, exponents, masks, stride, lengths] as const;
}

/**
 * The scans of a layer's one or two directions, whose passes are of the same steps and sequences: threads make both at the same time where each
 * alone has too little work.
 */
export class Directions {
  readonly scans: readonly Scan[];
  readonly #first: Scan;
  readonly #second: Scan | undefined;
  #pair: NativeRecurrentPair | undefined;

  constructor(scans: readonly Scan[]) {
    this.scans = scans;
    [this.#first, this.#second] = scans as [Scan, Scan | undefined];
  }

  /** Calls `body`, which makes so many passes: they pack the weights once. */
  sharingWeights(passes: number, body: () => void): void {
    if (passes < 2) {
      body();
      return;
    }
    for (const scan of this.scans) scan.shareWeights(true);
    try {
      body();
    } finally {
      for (const scan of this.scans) scan.shareWeights(false);
    }
  }

  /** @param jobs one of each direction */
  forward(jobs: readonly ForwardJob[]): void {
    const [first, second] = jobs as readonly [ForwardJob, ForwardJob | undefined];
    if (second === undefined) {
      this.#first.forward(first);
      return;
    }
    const ofFirst = forwardArguments(first.pass, first.finalState);
    this.#handle.forward(first.pass.n, first.pass.t, ...ofFirst, ...forwardArguments(second.pass, second.finalState));
  }

  /** @returns how many gradients of each were limited */
  backward(jobs: readonly BackwardJob[]): readonly number[] {
    const [first, second] = jobs as readonly [BackwardJob, BackwardJob | undefined];
    if (second === undefined) return [this.#first.backward(first)];
    const { n, t } = first.pass;
    const both = [...backwardArguments(first), ...backwardArguments(second)] as const;
    if (first.concurrent === undefined || second.concurrent === undefined) return this.#handle.backward(n, t, ...both);
    const concurrent = [...forwardArguments(first.concurrent, null), ...forwardArguments(second.concurrent, null)] as const;
    return this.#handle.backward(n, t, ...both, first.concurrent.t, ...concurrent);
  }

  get #handle(): NativeRecurrentPair {
    this.#pair ??= Scan.pairOf(this.#first, this.#second as Scan);
    return this.#pair;
  }
}

/** Columns [column, column + the width of a copy) of rows of `width`, N·T of them. */
export interface StepColumns {
  readonly data: TensorData;
  readonly width: number;
  readonly column?: number;
}

/**
 * Copies `width` columns of every step, or adds them to what is there.
 * @param how `reverse`: each sequence, within its length, from the last step to the first; padding stays where it is
 */
export function copySteps(
  { n, steps, lengths }: { readonly n: number; readonly steps: number; readonly lengths: Int32Array | undefined },
  width: number,
  from: StepColumns,
  to: StepColumns,
  { reverse = false, add = false }: { reverse?: boolean; add?: boolean } = {},
): void {
  const source = [from.data, from.width, from.column ?? 0] as const;
  native().copySteps(n, steps, width, ...source, to.data, to.width, to.column ?? 0, lengths ?? null, reverse, add);
}

/**
 * Sequences in an order of their own, each as far as its length goes: row order[k] becomes row k.
 * @param back out of that order, with zeros beyond the lengths
 */
export function reorderSteps(
  { n, steps, lengths, order }: { readonly n: number; readonly steps: number; readonly lengths: Int32Array; readonly order: Int32Array },
  width: number,
  from: TensorData,
  to: TensorData,
  { back = false }: { back?: boolean } = {},
): void {
  native().reorderSteps(n, steps, width, from, to, lengths, order, back);
}

/** The two words that all masks of a call are made from; undefined where there are none. */
export type MaskKey = readonly [number, number] | undefined;

/**
 * output = input ⊙ mask, each element of which is 0 with probability p, else 1/(1 − p); the same of gradients. input may be output.
 * @param input [N, T, width]; what lies beyond a sequence's length becomes 0
 */
export function dropElements(
  { n, steps, lengths }: { readonly n: number; readonly steps: number; readonly lengths: Int32Array | undefined },
  [key0, key1]: readonly [number, number],
  p: number,
  input: TensorData,
  output: TensorData,
): void {
  const width = input.length / (n * steps);
  native().dropout(n, steps * width, lengths?.map((length) => length * width) ?? null, key0, key1, p, input, output);
}
