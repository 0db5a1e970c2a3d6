import { checkNumber, fail, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import type { Tensor } from '../tensor';
import { typedArrayKind, typedArrayLength } from '../typed-arrays';

/** The largest that float32 holds. */
const MAX_WEIGHT = (2 - 2 ** -23) * 2 ** 127;

/**
 * A copy of one weight for each sample.
 * @throws EvenkeelError ERR_OPTION, ERR_SHAPE for another number of them
 */
export function readSampleWeights(value: unknown, samples: number): Float64Array {
  return readSafely('sampleWeights', () => {
    const kind = typedArrayKind(value);
    const isTyped = kind === 'Float32Array' || kind === 'Float64Array';
    if (!isTyped && !Array.isArray(value)) fail('ERR_OPTION', 'sampleWeights', `${samples} numbers of at least 0`, value);
    const list = value as readonly unknown[];
    const length = isTyped ? typedArrayLength(value as Float64Array) : list.length;
    if (length !== samples) {
      throw new EvenkeelError('ERR_SHAPE', `sampleWeights: expected one for each of the ${samples} samples, got ${length}.`);
    }
    return Float64Array.from({ length: samples }, (_, n) => checkNumber(`sampleWeights[${n}]`, list[n], { min: 0, max: MAX_WEIGHT }));
  });
}

/**
 * Losses with the samples' weights: Σ_n w_n Σ loss / Σ_n w_n count_n, or the sum above alone. The given tensors are changed.
 * @param each losses and gradients by themselves, of `reduction: 'none'`
 * @param countOf how many losses of a sample count, each with its class's weight
 */
export function weigh(
  { grad, values }: { grad: Tensor; values: Tensor },
  weights: Float64Array,
  countOf: (sample: number) => number,
  reduction: 'mean' | 'sum' | 'none',
): { value: number; grad: Tensor; count: number; values?: Tensor } {
  const total = weights.reduce((sum, weight, sample) => sum + weight * countOf(sample), 0);
  if (reduction === 'mean' && !(total > 0)) {
    throw new EvenkeelError(
      'ERR_OPTION',
      'sampleWeights: expected at least one above 0 of a sample that counts: there is no mean of nothing.',
    );
  }
  const divisor = reduction === 'mean' ? total : 1;
  let sum = 0;
  for (const [sample, weight] of weights.entries()) {
    sum += scale(values, weights.length, sample, weight);
    scale(grad, weights.length, sample, weight / divisor);
  }
  const result = { value: sum / divisor, grad, count: reduction === 'mean' ? total : 0 };
  return reduction === 'none' ? { ...result, values } : result;
}

/** Multiplies a sample's elements, and gives their sum; a weight of 0 takes NaN away too. */
function scale({ data, size }: Tensor, samples: number, sample: number, factor: number): number {
  const each = size / samples;
  let sum = 0;
  for (let i = sample * each; i < (sample + 1) * each; i++) {
    const scaled = factor === 0 ? 0 : (data[i] as number) * factor;
    data[i] = scaled;
    sum += scaled;
  }
  return sum;
}
