import { checkInteger, checkNumber, fail, readOptions, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import { fillOrthogonal } from '../initializers';
import type { Zoneout } from '../layers/recurrent/masks';
import { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import { RNN } from '../layers/rnn';
import { checkMemory } from '../memory';
import { checkParametersAttached } from '../parameter';
import { Generator } from '../random';
import { checkTensor, Tensor } from '../tensor';
import { CellTangents } from './cell-tangents';
import { ElmanTangents } from './elman-tangents';
import { addTimes } from './qr';
import type { SequenceTangents } from './sequence-tangents';

/** Options of {@link flossing}. */
export interface FlossingOptions {
  /** k, how many of the leading exponents are pushed, from 1 to the state's size (H of an RNN and a GRU, P + H of an LSTM); all of them unless given */
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
 * Gradient flossing (Engelken 2023, arXiv:2312.17306): a loss on the leading Lyapunov exponents of a recurrent layer, which pushes them to a target. Adds
 * its gradients to those of the layer's parameters, as a backward pass does, so that it serves before training or beside any other loss, with any optimiser.
 *
 * With J_t = ∂s_t/∂s_{t−1} of the whole state, h and c of an LSTM, J_t Q_{t−1} = Q_t R_t (QR), and λ_i is the mean of ln R_t(i, i) over all steps
 * that count and all sequences. The gradient goes back through every QR decomposition and, since J_t depends on the state, through the states. Of an
 * RNN without a normalisation it is exact; of other cells and placements the second derivatives of a step are differences of the layer's own backward
 * passes: good to 1e-7 of the largest gradient and better, less where exponents far below 0 are asked for. Computed in float64 whatever the layer's dtype: a step takes some 10 k S (k + S) multiply-adds for each
 * sequence, so a few sequences of some dozen steps are what the paper takes too.
 *
 * States begin with zeros; neither the layer's state nor what a forward call kept is changed.
 *
 * @param layer a recurrent layer of one layer in one direction, without recurrentDropout or zoneout
 * @param input x [N, T, I], such as a batch of the task
 * @throws EvenkeelError ERR_OPTION, ERR_SHAPE, ERR_DTYPE, ERR_MEMORY; ERR_NON_FINITE when weights or input are not finite, or when a step takes
 *   a direction to nothing, as units of relu that are off do, and a LayerNorm in the recurrence to the last one: its exponent is −Infinity and has no
 *   gradient. Nothing is added then.
 * @example
 * const rnn = new RNN({ inputSize: 1, hiddenSize: 16, generator: new Generator(1) });
 * const optimizer = new Adam(rnn.parameters());
 * optimizer.zeroGrad();
 * const { value, exponents } = flossing(rnn, Tensor.randn([1, 50, 1]), { count: 8 });
 * optimizer.step();
 */
export function flossing(layer: RecurrentLayer<unknown>, input: Tensor, options: FlossingOptions = {}): FlossingResult {
  checkLayer(layer);
  const { data, shape } = checkTensor('input', input, layer.dtype, ['N', 'T', layer.inputSize]);
  const [n, t] = shape as [number, number, number];
  const { count, target, weight, burnIn } = checkOptions(options, layer.stateSize, t);
  checkParametersAttached(layer.parameters());
  const bytes = 2 * t * count * (layer.stateSize + count) * Float64Array.BYTES_PER_ELEMENT;
  checkMemory('flossing', bytes, 'Use fewer steps or a smaller count.');
  const tangents = tangentsOf(layer, count, t);
  const width = t * layer.inputSize;
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
  if (!tangents.gradients.every((gradient) => gradient.every(Number.isFinite))) failNonFinite(exponents);
  addGradients(layer, tangents.gradients);
  const value = (weight * exponents.reduce((sum, exponent) => sum + (exponent - target) ** 2, 0)) / count;
  return { value, exponents };
}

function checkLayer(given: unknown): void {
  const isOne = readSafely('layer', () => given instanceof RecurrentLayer);
  if (!isOne)
    fail(
      'ERR_OPTION',
      'layer',
      'a recurrent layer',
      given,
      'Of a larger model, give its recurrent layer and the input that reaches that layer.',
    );
  const { numLayers, bidirectional, options } = given as RecurrentLayer<unknown>;
  const { recurrentDropout, zoneout } = options as { recurrentDropout: number; zoneout: number | Zoneout };
  const { hidden, cell = 0 } = typeof zoneout === 'number' ? { hidden: zoneout } : zoneout;
  const other = [
    ...(numLayers > 1 ? [`${numLayers} layers`] : []),
    ...(bidirectional ? ['both directions'] : []),
    ...(recurrentDropout > 0 ? ['recurrentDropout'] : []),
    ...((hidden ?? 0) > 0 || cell > 0 ? ['zoneout'] : []),
  ];
  if (other.length > 0) fail('ERR_OPTION', 'layer', 'one layer in one direction, without recurrentDropout and zoneout', other.join(', '));
}

function checkOptions(options: unknown, stateSize: number, steps: number): Required<FlossingOptions> {
  const defaults = { count: stateSize, target: 0, weight: 1, burnIn: Math.floor(BURN_IN * steps) };
  const given = readOptions('flossing options', options, ['count', 'target', 'weight', 'burnIn'], defaults);
  return {
    count: checkInteger('count', given.count, 1, stateSize),
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

/** Of an RNN without a normalisation exactly, of others by differences. */
function tangentsOf(layer: RecurrentLayer<unknown>, count: number, steps: number): SequenceTangents {
  const directions = directionsOf(count, layer.stateSize);
  if (!(layer instanceof RNN) || layer.normalization.placement !== 'none') {
    return new CellTangents(layer.scanInFloat64(), layer.scanInFloat64(), directions, steps);
  }
  const [ih, hh, ...biases] = layer.parameters().map(({ value }) => Float64Array.from(value.data)) as [Float64Array, Float64Array];
  const bias = new Float64Array(layer.hiddenSize);
  for (const own of biases as Float64Array[]) addTimes(bias, 0, 1, own, 0, bias.length);
  return new ElmanTangents({ ih, hh, bias }, biases.length, layer.nonlinearity, directions, steps);
}

function addGradients(layer: RecurrentLayer<unknown>, gradients: readonly Float64Array[]): void {
  for (const [index, { grad }] of layer.parameters().entries()) {
    const { data } = grad;
    for (const [i, value] of (gradients[index] as Float64Array).entries()) data[i] = (data[i] as number) + value;
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
    `flossing: ${what}. Ask for fewer exponents (count) where a step takes directions to nothing, as units of relu that are off do, or a LayerNorm in the recurrence; or look at weights ` +
      'and input for values that are not finite.',
  );
}
