import { checkFunction, checkInteger, fail, readOptions, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import { fillOrthogonal } from '../initializers';
import { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import type { Scan } from '../layers/recurrent/scan';
import { cutTime, type Segment, SequenceArray } from '../layers/recurrent/time';
import { checkParametersAttached } from '../parameter';
import { Generator } from '../random';
import { allocate, checkTensor, Tensor, type TensorData } from '../tensor';

/** Options of {@link lyapunovExponents} and {@link lyapunovSpectrum}. */
export interface LyapunovOptions {
  /** how many of the largest exponents, from 1 to H; all H unless given */
  count?: number;
  /** told after every so many steps, about ten times a second, how many of all are done; what it throws ends the computation */
  onProgress?: (steps: number, total: number) => void;
}

/** What {@link lyapunovSpectrum} returns. */
export interface LyapunovSpectrum {
  /** largest first, per time step, in natural logarithms; −Infinity where a step's Jacobian is singular */
  exponents: Float64Array;
  /**
   * The standard error of each over time: of the mean of 20 means over blocks of neighbouring steps (of T, where there are fewer
   * steps), each over all sequences. It holds where a block is long against the memory of the dynamics. NaN for one step, and for −Infinity.
   */
  standardErrors: Float64Array;
  /**
   * The Kaplan-Yorke dimension (Kaplan, Yorke 1979): k + (λ_1 + … + λ_k)/|λ_{k+1}| with the largest k whose sum is not negative; 0 where λ_1 is
   * negative. NaN where it takes more exponents than the `count` asked for.
   */
  dimension: number;
  /**
   * The sum of the exponents above 0, in nats per step: by Pesin's identity the rate at which the dynamics produce entropy (Engelken et al. 2023).
   * NaN where there may be more than the `count` asked for.
   */
  entropyRate: number;
}

/** The blocks of time from which standard errors are taken. */
const BLOCKS = 20;

/** Multiply-adds between two reports: about a tenth of a second. */
const OPERATIONS_PER_SEGMENT = 2e8;
/** Elements that a segment keeps of its states and growths. */
const ELEMENTS_PER_SEGMENT = 1e6;

/**
 * The Lyapunov exponents of a recurrent layer under an input: the mean growth per step, along each direction, of a small difference between
 * two states. With J_t = ∂h_t/∂h_{t−1}, J_t Q_{t−1} = Q_t R_t (QR) and Q_0 random and orthonormal, the i-th is the mean of ln|R_t(i, i)| over
 * all steps and sequences (Vogt et al. 2020, arXiv:2006.14123; Engelken 2023, arXiv:2312.17306). The largest is where gradients go: above 0
 * ∂h_T/∂h_t, and with it ∂L/∂h_t, grows by e^λ per step, below 0 it vanishes. All of them add up to the mean of ln|det J_t|.
 *
 * −Infinity, too, is an exponent: of a direction that a step takes to nothing, as a relu that is off does, or a LayerNorm, which takes the
 * mean away: with a placement of kind `'layer'` the last of all H exponents is always −Infinity.
 *
 * Computed in float64 whatever the layer's dtype, from a state of zeros; neither the layer nor its state is changed. Synchronous, in parts
 * of about a tenth of a second: `onProgress` may show them, and stop it by throwing.
 *
 * @param rnn a recurrent layer
 * @param input what reaches it: x [N, T, I]
 * @returns the `count` largest, largest first, per time step, in natural logarithms; {@link lyapunovSpectrum} gives their errors as well
 * @throws EvenkeelError ERR_OPTION, ERR_SHAPE, ERR_DTYPE, ERR_NON_FINITE when states or weights are not finite
 */
export function lyapunovExponents(rnn: RecurrentLayer<unknown>, input: Tensor, options: LyapunovOptions = {}): Float64Array {
  return lyapunovSpectrum(rnn, input, options).exponents;
}

/** As {@link lyapunovExponents}, with the standard error of each exponent. */
export function lyapunovSpectrum(rnn: RecurrentLayer<unknown>, input: Tensor, options: LyapunovOptions = {}): LyapunovSpectrum {
  const { count, onProgress } = checkLyapunov(rnn, options);
  const { data, shape } = checkTensor('input', input, rnn.dtype, ['N', 'T', rnn.inputSize]);
  const [n, t] = shape as [number, number, number];
  const tangents = new TangentDynamics(rnn, n, count);
  const inputs = new SequenceArray(data, n, t, rnn.inputSize);
  const growth = new BlockMeans(t, count, rnn.stateSize);
  for (const segment of cutTime([{ begin: 0, end: t, rows: n }], Infinity, tangents.stepsPerSegment)) {
    growth.add(segment, tangents.advance(inputs.take(segment, rnn.dtype), segment.end - segment.begin), n);
    onProgress?.(segment.end, t);
  }
  return growth.spectrum();
}

function checkLyapunov(rnn: unknown, options: unknown): Required<Pick<LyapunovOptions, 'count'>> & Pick<LyapunovOptions, 'onProgress'> {
  if (!readSafely('rnn', () => rnn instanceof RecurrentLayer)) {
    fail(
      'ERR_OPTION',
      'rnn',
      'a recurrent layer',
      rnn,
      'Of a larger model, give its recurrent layer and the input that reaches that layer.',
    );
  }
  const { stateSize } = rnn as RecurrentLayer<unknown>;
  const given = readOptions('lyapunov options', options, ['count', 'onProgress'], { count: stateSize });
  if (given.onProgress !== undefined) checkFunction('onProgress', given.onProgress);
  return {
    count: checkInteger('count', given.count, 1, stateSize),
    onProgress: given.onProgress as LyapunovOptions['onProgress'],
  };
}

/** A layer's states and the tangents that go along with them, in float64. */
class TangentDynamics {
  readonly stepsPerSegment: number;
  readonly #scan: Scan;
  readonly #n: number;
  readonly #count: number;
  readonly #tangents: TensorData;
  #state: TensorData | null = null;

  constructor(layer: RecurrentLayer<unknown>, n: number, count: number) {
    const { hiddenSize, inputSize, stateSize } = layer;
    checkParametersAttached(layer.parameters());
    this.#scan = layer.scanInFloat64();
    this.#n = n;
    this.#count = count;
    // Any directions would do, but for a W_hh whose own directions are those of the axes, as those of the identity are.
    const directions = Tensor.zeros([count, stateSize], { dtype: 'float64' });
    fillOrthogonal(directions, 1, new Generator(0));
    this.#tangents = allocate('float64', n * count * stateSize);
    for (let row = 0; row < n; row++) this.#tangents.set(directions.data, row * count * stateSize);
    const operations = n * hiddenSize * (inputSize + hiddenSize + count * (hiddenSize + 4 * count));
    const elements = n * (inputSize + 3 * hiddenSize + count);
    this.stepsPerSegment = Math.max(1, Math.floor(Math.min(OPERATIONS_PER_SEGMENT / operations, ELEMENTS_PER_SEGMENT / elements)));
  }

  /**
   * @param input of the next steps [N, steps, I]
   * @returns ln|R_t(i, i)| of each [N, steps, count]
   */
  advance(input: TensorData, steps: number): Float64Array {
    const n = this.#n;
    const state = new Float64Array(n * this.#scan.stateSize);
    const logGrowths = new Float64Array(n * steps * this.#count);
    const output = new Float64Array(n * steps * this.#scan.outputSize);
    const pass = { n, t: steps, input: Float64Array.from(input), initialState: this.#state, output, tape: null };
    this.#scan.tangents(pass, state, this.#count, this.#tangents, logGrowths);
    this.#state = state;
    checkGrowths(logGrowths, state);
    return logGrowths;
  }
}

function checkGrowths(logGrowths: Float64Array, state: TensorData): void {
  const isLost = (value: number) => Number.isNaN(value) || value === Number.POSITIVE_INFINITY;
  if (logGrowths.some(isLost) || !state.every(Number.isFinite)) {
    throw new EvenkeelError(
      'ERR_NON_FINITE',
      'lyapunovExponents: the states of this layer on this input are not finite. Look at weights and input for values that are not finite, ' +
        'or at a relu layer whose states grow without bound.',
    );
  }
}

/**
 * @param exponents the largest ones, largest first
 * @param isWhole whether there are no others
 * @internal
 */
export function kaplanYorkeDimension(exponents: Float64Array, isWhole: boolean): number {
  let sum = 0;
  for (const [k, exponent] of exponents.entries()) {
    if (sum + exponent < 0) return k + sum / Math.abs(exponent);
    sum += exponent;
  }
  return isWhole ? exponents.length : Number.NaN;
}

/** As {@link kaplanYorkeDimension}. @internal */
export function entropyRate(exponents: Float64Array, isWhole: boolean): number {
  if (!isWhole && (exponents.at(-1) as number) > 0) return Number.NaN;
  return exponents.reduce((sum, exponent) => sum + Math.max(0, exponent), 0);
}

/** Means over blocks of time. */
class BlockMeans {
  readonly #steps: number;
  readonly #count: number;
  readonly #stateSize: number;
  readonly #blocks: number;
  /** the steps of each block */
  readonly #lengths: number[];
  /** of each block, over its steps [blocks, count] */
  readonly #sums: Float64Array;

  constructor(steps: number, count: number, stateSize: number) {
    this.#steps = steps;
    this.#count = count;
    this.#stateSize = stateSize;
    this.#blocks = Math.min(BLOCKS, steps);
    this.#lengths = new Array<number>(this.#blocks).fill(0);
    this.#sums = new Float64Array(this.#blocks * count);
  }

  /** @param logGrowths [n, end − begin, count] */
  add({ begin, end }: Segment, logGrowths: Float64Array, n: number): void {
    const count = this.#count;
    for (let step = begin; step < end; step++) {
      const block = Math.floor((step * this.#blocks) / this.#steps);
      this.#lengths[block] = (this.#lengths[block] ?? 0) + 1;
      for (let row = 0; row < n; row++) {
        const from = (row * (end - begin) + step - begin) * count;
        for (let i = 0; i < count; i++) {
          const at = block * count + i;
          this.#sums[at] = this.#sum(at) + (logGrowths[from + i] as number) / n;
        }
      }
    }
  }

  /** The exponents in order, with their errors. */
  spectrum(): LyapunovSpectrum {
    const all = Array.from({ length: this.#count }, (_, i) => this.#describe(i)).sort((a, b) => b.exponent - a.exponent || 0);
    const exponents = Float64Array.from(all, ({ exponent }) => exponent);
    const isWhole = this.#count === this.#stateSize;
    return {
      exponents,
      standardErrors: Float64Array.from(all, ({ error }) => error),
      dimension: kaplanYorkeDimension(exponents, isWhole),
      entropyRate: entropyRate(exponents, isWhole),
    };
  }

  #describe(i: number): { exponent: number; error: number } {
    const blocks = this.#blocks;
    const sums = Array.from({ length: blocks }, (_, block) => this.#sum(block * this.#count + i));
    const exponent = sums.reduce((total, sum) => total + sum, 0) / this.#steps;
    const squares = sums.reduce((total, sum, block) => total + (sum / (this.#lengths[block] as number) - exponent) ** 2, 0);
    return { exponent, error: Math.sqrt(squares / (blocks * (blocks - 1))) };
  }

  #sum(index: number): number {
    return this.#sums[index] as number;
  }
}
