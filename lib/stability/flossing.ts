import { checkInteger, checkNumber, fail, readOptions, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import { fillOrthogonal } from '../initializers';
import { RNN } from '../layers/rnn';
import { checkMemory } from '../memory';
import { checkParametersAttached } from '../parameter';
import { Generator } from '../random';
import { checkTensor, Tensor } from '../tensor';
import { ElmanTangents, type ElmanWeights } from './elman-tangents';
import { addTimes } from './qr';

/** Options of {@link flossing}. */
export interface FlossingOptions {
  /** k, how many of the leading exponents are pushed, from 1 to H; all of them unless given */
  count?: number;
  /** where to: 0 unless given, where differences between states neither grow nor shrink */
  target?: number;
  /** what the loss is multiplied by; 1 unless given */
  weight?: number;
  /** the first so many steps do not count: a tenth of them unless given, see {@link LyapunovOptions} */
  burnIn?: number;
}

/** What {@link flossing} returns. */
export interface FlossingResult {
  /** the loss: `weight` times the mean over the exponents of (λ_i − target)² */
  value: number;
  /** λ_1 … λ_k, per time step, in natural logarithms, in the order of the directions: the largest first but for chance over few steps */
  exponents: Float64Array;
}

/** Of the steps, as in lyapunovExponents. */
const BURN_IN = 0.1;

/**
 * Gradient flossing (Engelken 2023, arXiv:2312.17306): a loss on the leading Lyapunov exponents of an RNN, which pushes them to a target. Adds its
 * gradients to those of the RNN's parameters, as a backward pass does, so that it serves before training or beside any other loss, with any optimiser.
 *
 * h_t = φ(a_t), J_t = ∂h_t/∂h_{t−1} = diag(φ′(a_t)) W_hh, J_t Q_{t−1} = Q_t R_t (QR), and λ_i is the mean of ln R_t(i, i) over all steps
 * that count and all sequences. The gradient is exact: back through every QR decomposition and, since φ′ depends on the state, through the states.
 * It is computed in float64 whatever the RNN's dtype, in JavaScript: a step takes some 10 k H (k + H) multiply-adds for each sequence, so a few sequences of some
 * dozen steps are what the paper takes too.
 *
 * States begin with zeros; neither the layer's state nor what a forward call kept is changed.
 *
 * @param rnn an RNN of one layer in one direction, without a normalisation, recurrentDropout or zoneout
 * @param input x [N, T, I], such as a batch of the task
 * @throws EvenkeelError ERR_OPTION, ERR_SHAPE, ERR_DTYPE, ERR_MEMORY; ERR_NON_FINITE when weights or input are not finite, or when a step takes
 *   a direction to nothing, as units of relu that are off do: its exponent is −Infinity and has no gradient. Nothing is added then.
 * @example
 * const rnn = new RNN({ inputSize: 1, hiddenSize: 16, generator: new Generator(1) });
 * const optimizer = new Adam(rnn.parameters());
 * const before = flossing(rnn, Tensor.randn([1, 50, 1]), { count: 8 }).exponents;
 * optimizer.zeroGrad();
 * const { value, exponents } = flossing(rnn, Tensor.randn([1, 50, 1]), { count: 8 });
 * optimizer.step();
 */
export function flossing(rnn: RNN, input: Tensor, options: FlossingOptions = {}): FlossingResult {
  checkRnn(rnn);
  const { data, shape } = checkTensor('input', input, rnn.dtype, ['N', 'T', rnn.inputSize]);
  const [n, t] = shape as [number, number, number];
  const { count, target, weight, burnIn } = checkOptions(options, rnn.hiddenSize, t);
  checkParametersAttached(rnn.parameters());
  const bytes = 2 * t * count * (rnn.hiddenSize + count) * Float64Array.BYTES_PER_ELEMENT;
  checkMemory('flossing', bytes, 'Use fewer steps or a smaller count.');
  const tangents = new ElmanTangents(weightsOf(rnn), rnn.nonlinearity, directionsOf(count, rnn.hiddenSize), t);
  const width = t * rnn.inputSize;
  const inputs = Array.from({ length: n }, (_, row) => Float64Array.from(data.subarray(row * width, (row + 1) * width)));
  const exponents = new Float64Array(count);
  for (const x of inputs) addGrowths(exponents, tangents.forward(x), burnIn, n);
  if (!exponents.every(Number.isFinite)) failNonFinite(exponents);
  const gradExponents = exponents.map((exponent) => (2 * weight * (exponent - target)) / count);
  const gradLogDiagonal = gradExponents.map((gradient) => gradient / (n * (t - burnIn)));
  for (const x of inputs) {
    // Of one sequence it is still there.
    if (n > 1) tangents.forward(x);
    tangents.backward(x, gradLogDiagonal, burnIn);
  }
  if (!tangents.isFinite()) failNonFinite(exponents);
  addGradients(rnn, tangents.gradients);
  const value = (weight * exponents.reduce((sum, exponent) => sum + (exponent - target) ** 2, 0)) / count;
  return { value, exponents };
}

function checkRnn(rnn: unknown): void {
  const isOne = readSafely('rnn', () => rnn instanceof RNN);
  if (!isOne) fail('ERR_OPTION', 'rnn', 'an RNN', rnn, 'Second derivatives of an LSTM or a GRU are not there.');
  const { numLayers, bidirectional, normalization, options } = rnn as RNN;
  const { recurrentDropout, zoneout } = options as { recurrentDropout: number; zoneout: number };
  const other = [
    ...(numLayers > 1 ? [`${numLayers} layers`] : []),
    ...(bidirectional ? ['both directions'] : []),
    ...(normalization.placement === 'none' ? [] : [`normalization '${normalization.placement}'`]),
    ...(recurrentDropout > 0 ? ['recurrentDropout'] : []),
    ...(zoneout > 0 ? ['zoneout'] : []),
  ];
  if (other.length > 0) {
    fail('ERR_OPTION', 'rnn', 'one layer in one direction, without normalization, recurrentDropout and zoneout', other.join(', '));
  }
}

function checkOptions(options: unknown, hiddenSize: number, steps: number): Required<FlossingOptions> {
  const defaults = { count: hiddenSize, target: 0, weight: 1, burnIn: Math.floor(BURN_IN * steps) };
  const given = readOptions('flossing options', options, ['count', 'target', 'weight', 'burnIn'], defaults);
  return {
    count: checkInteger('count', given.count, 1, hiddenSize),
    target: checkNumber('target', given.target),
    weight: checkNumber('weight', given.weight, { min: 0 }),
    burnIn: checkInteger('burnIn', given.burnIn, 0, steps - 1),
  };
}

/** The directions that lyapunovExponents begins with. */
function directionsOf(count: number, size: number): Float64Array {
  const directions = Tensor.zeros([count, size], { dtype: 'float64' });
  fillOrthogonal(directions, 1, new Generator(0));
  return Float64Array.from(directions.data);
}

function weightsOf(rnn: RNN): ElmanWeights {
  const { hiddenSize } = rnn;
  const values = new Map(rnn.parameters().map(({ name, value }) => [name, Float64Array.from(value.data)]));
  const bias = new Float64Array(hiddenSize);
  for (const name of ['bias_ih_l0', 'bias_hh_l0']) {
    const own = values.get(name);
    if (own !== undefined) addTimes(bias, 0, 1, own, 0, hiddenSize);
  }
  return { ih: values.get('weight_ih_l0') as Float64Array, hh: values.get('weight_hh_l0') as Float64Array, bias };
}

function addGradients(rnn: RNN, { ih, hh, bias }: ElmanWeights): void {
  const gradients: Readonly<Record<string, Float64Array>> = { weight_ih_l0: ih, weight_hh_l0: hh, bias_ih_l0: bias, bias_hh_l0: bias };
  for (const { name, grad } of rnn.parameters()) {
    const { data } = grad;
    for (const [i, value] of (gradients[name] as Float64Array).entries()) data[i] = (data[i] as number) + value;
  }
}

/** Adds the mean over the steps that count, and over n sequences, of ln R_t(i, i) [T, k]. */
function addGrowths(exponents: Float64Array, logGrowths: Float64Array, burnIn: number, n: number): void {
  const k = exponents.length;
  const steps = logGrowths.length / k - burnIn;
  for (let at = burnIn * k; at < logGrowths.length; at++) {
    exponents[at % k] = (exponents[at % k] as number) + (logGrowths[at] as number) / (n * steps);
  }
}

function failNonFinite(exponents: Float64Array): never {
  const first = exponents.findIndex((exponent) => !Number.isFinite(exponent));
  const what = first < 0 ? 'a gradient is not finite' : `the exponent ${first + 1} is not finite`;
  throw new EvenkeelError(
    'ERR_NON_FINITE',
    `flossing: ${what}. Ask for fewer exponents (count) where a step takes directions to nothing, as units of relu that are off do; or look at weights ` +
      'and input for values that are not finite.',
  );
}
