import { checkFunction, checkInteger, fail, readOptions, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import { fillOrthogonal } from '../initializers';
import { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import type { Scan } from '../layers/recurrent/scan';
import { cutTime, type Segment, SequenceArray } from '../layers/recurrent/time';
import { checkParametersAttached } from '../parameter';
import { Generator } from '../random';
import { allocate, checkTensor, Tensor, type TensorData } from '../tensor';
import { entropyRate, kaplanYorkeDimension } from './attractor';
import { cosinesAt, type Estimate, meanOf, type SequenceMean, wavesOf } from './growth-rate';

/** Options of {@link lyapunovExponents} and {@link lyapunovSpectrum}. */
export interface LyapunovOptions {
  /** how many of the largest exponents, from 1 to the state's size (H of an RNN and a GRU, P + H of an LSTM); all of them unless given */
  count?: number;
  /**
   * The first so many steps do not count: on them the state comes from zero to where the input drives it, and the directions turn into those that grow
   * most. A tenth of the steps, at most 1,000, unless given; 0 counts all. The first step alone weighs ln(1/√eps)/T where a LayerNorm meets
   * a state of zeros, whose derivative there is 1/√eps.
   */
  burnIn?: number;
  /** told after every so many steps, about ten times a second, how many of all are done; what it throws ends the computation */
  onProgress?: (steps: number, total: number) => void;
}

/** What {@link lyapunovSpectrum} returns. */
export interface LyapunovSpectrum {
  /** largest first, per time step, in natural logarithms; −Infinity where a step's Jacobian is singular */
  exponents: Float64Array;
  /**
   * The standard error of each, over other inputs of the same kind: from the differences between the sequences, which must not depend on
   * each other; of fewer than nine, from the autocorrelation in time as well. NaN for a single step, and for −Infinity.
   */
  standardErrors: Float64Array;
  /** both ends of the 95 % interval of each, by Student's t */
  intervals: [low: number, high: number][];
  /** the dimension of the attractor by Kaplan and Yorke; NaN where the exponents asked for are too few to say */
  dimension: number;
  /** the sum of the positive exponents, in nats per step; NaN where the exponents asked for are too few to say */
  entropyRate: number;
}

/** Steps that do not count unless it is said: a share of all, and at most so many. */
const BURN_IN = { share: 0.1, most: 1000 };

/** Multiply-adds between two reports: about a tenth of a second. */
const OPERATIONS_PER_SEGMENT = 2e8;
/** Elements that a segment keeps of its states and growths. */
const ELEMENTS_PER_SEGMENT = 1e6;

/**
 * The Lyapunov exponents of a recurrent layer under an input: the mean growth per step, along each direction, of a small difference between
 * two states: of the whole state, h and c of an LSTM. With J_t = ∂h_t/∂h_{t−1}, J_t Q_{t−1} = Q_t R_t (QR) and Q_0 random and orthonormal, the i-th is the mean of ln|R_t(i, i)| over
 * all steps that count and all sequences (Vogt et al. 2020, arXiv:2006.14123; Engelken 2023, arXiv:2312.17306). The largest is where gradients go: above 0
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
 *
 * @example
 * const lstm = new LSTM({ inputSize: 4, hiddenSize: 16 });
 * const [largest] = lyapunovExponents(lstm, Tensor.randn([1, 500, 4]), { count: 1 });
 */
export function lyapunovExponents(rnn: RecurrentLayer<unknown>, input: Tensor, options: LyapunovOptions = {}): Float64Array {
  return lyapunovSpectrum(rnn, input, options).exponents;
}

/** As {@link lyapunovExponents}, with the standard error of each exponent, and what they say of the attractor. */
export function lyapunovSpectrum(rnn: RecurrentLayer<unknown>, input: Tensor, options: LyapunovOptions = {}): LyapunovSpectrum {
  checkRecurrent(rnn);
  if (rnn.numLayers > 1 || rnn.bidirectional) {
    const hint = 'Give each layer by itself: an RNN with its weights, and the input that reaches it.';
    fail(
      'ERR_OPTION',
      'rnn',
      'one layer in one direction',
      `${rnn.numLayers} layers${rnn.bidirectional ? ' in both directions' : ''}`,
      hint,
    );
  }
  const { data, shape } = checkTensor('input', input, rnn.dtype, ['N', 'T', rnn.inputSize]);
  const [n, t] = shape as [number, number, number];
  const { count, burnIn, onProgress } = checkOptions(options, rnn.stateSize, t);
  const tangents = new TangentDynamics(rnn, n, count);
  const inputs = new SequenceArray(data, n, t, rnn.inputSize);
  const growth = new MeanGrowths(n, count, burnIn, t);
  for (const segment of cutTime([{ begin: 0, end: t, rows: n }], Infinity, tangents.stepsPerSegment)) {
    growth.add(segment, tangents.advance(inputs.take(segment, rnn.dtype), segment.end - segment.begin));
    onProgress?.(segment.end, t);
  }
  return spectrumOf(growth.estimates(), rnn.stateSize);
}

function spectrumOf(estimates: readonly Estimate[], stateSize: number): LyapunovSpectrum {
  const ordered = estimates.toSorted((a, b) => b.mean - a.mean || 0);
  const exponents = Float64Array.from(ordered, ({ mean }) => mean);
  const isWhole = exponents.length === stateSize;
  return {
    exponents,
    standardErrors: Float64Array.from(ordered, ({ error }) => error),
    intervals: ordered.map(({ interval }) => interval),
    dimension: kaplanYorkeDimension(exponents, isWhole),
    entropyRate: entropyRate(exponents, isWhole),
  };
}

function checkRecurrent(rnn: unknown): void {
  if (readSafely('rnn', () => rnn instanceof RecurrentLayer)) return;
  fail('ERR_OPTION', 'rnn', 'a recurrent layer', rnn, 'Of a larger model, give its recurrent layer and the input that reaches that layer.');
}

function checkOptions(options: unknown, stateSize: number, steps: number) {
  const burnIn = Math.min(BURN_IN.most, Math.floor(BURN_IN.share * steps));
  const given = readOptions('lyapunov options', options, ['count', 'burnIn', 'onProgress'], { count: stateSize, burnIn });
  if (given.onProgress !== undefined) checkFunction('onProgress', given.onProgress);
  return {
    count: checkInteger('count', given.count, 1, stateSize),
    burnIn: checkInteger('burnIn', given.burnIn, 0, steps - 1),
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

/** The mean growth in each direction over the steps that count, by sequence. */
class MeanGrowths {
  readonly #n: number;
  readonly #count: number;
  readonly #burnIn: number;
  /** the steps that count */
  readonly #steps: number;
  readonly #cosines: Float64Array;
  /** of each sequence and direction, its sum and its products with the cosines [n, count, 1 + cosines] */
  readonly #sums: Float64Array;

  constructor(n: number, count: number, burnIn: number, steps: number) {
    this.#n = n;
    this.#count = count;
    this.#burnIn = burnIn;
    this.#steps = steps - burnIn;
    this.#cosines = new Float64Array(Math.min(wavesOf(n), this.#steps - 1));
    this.#sums = new Float64Array(n * count * (1 + this.#cosines.length));
  }

  /** @param logGrowths [n, end − begin, count] */
  add({ begin, end }: Segment, logGrowths: Float64Array): void {
    const count = this.#count;
    for (let step = Math.max(begin, this.#burnIn); step < end; step++) {
      cosinesAt(step - this.#burnIn, this.#steps, this.#cosines);
      for (let row = 0; row < this.#n; row++) {
        const from = (row * (end - begin) + step - begin) * count;
        for (let i = 0; i < count; i++) this.#addTo(row * count + i, logGrowths[from + i] as number);
      }
    }
  }

  /** Of each direction, in the order of the directions. */
  estimates(): Estimate[] {
    return Array.from({ length: this.#count }, (_, i) =>
      meanOf(Array.from({ length: this.#n }, (__, row) => this.#meanAt(row * this.#count + i))),
    );
  }

  #addTo(index: number, growth: number): void {
    const sums = this.#sums;
    const at = index * (1 + this.#cosines.length);
    sums[at] = (sums[at] as number) + growth;
    for (let k = 1; k <= this.#cosines.length; k++) sums[at + k] = (sums[at + k] as number) + (this.#cosines[k - 1] as number) * growth;
  }

  #meanAt(index: number): SequenceMean {
    const width = 1 + this.#cosines.length;
    const [sum, ...products] = this.#sums.subarray(index * width, (index + 1) * width) as unknown as [number, ...number[]];
    const length = Math.sqrt(2 / this.#steps);
    return { mean: sum / this.#steps, squares: 1 / this.#steps, waves: Float64Array.from(products, (product) => product * length) };
  }
}
