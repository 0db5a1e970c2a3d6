import { fail, readSafely } from '../check';
import { scaleGradients } from '../clipping/clipper';
import { EvenkeelError, formatShape } from '../errors';
import { countSteps, type Lengths, lengthsOf } from '../lengths';
import type { LossOptions, LossResult } from '../losses/loss';
import type { Parameter } from '../parameter';
import { Tensor } from '../tensor';
import type { Batch } from './options';
import type { Run } from './run';

/** @throws EvenkeelError ERR_OPTION for anything but a batch */
export function checkBatch(argument: string, given: unknown): Batch<unknown> {
  const { input, target, lengths, sampleWeights } = readSafely(argument, () =>
    pick(given, ['input', 'target', 'lengths', 'sampleWeights']),
  );
  if (!Tensor.isTensor(input)) fail('ERR_OPTION', argument, '{ input: Tensor, target, lengths? }', given);
  return { input, target, lengths: lengths as Lengths | undefined, sampleWeights: sampleWeights as LossOptions['sampleWeights'] };
}

/**
 * The loss of an output.
 * @param lengths the batch's, checked
 * @returns with `count`, how much the value is a mean of: where the loss does not say, as many as there are samples, or steps that count
 */
export function lossOf(
  loss: Run['loss'],
  output: Tensor,
  { input, target, sampleWeights }: Batch<unknown>,
  lengths: Int32Array | undefined,
): LossResult & { count: number } {
  const counted = lengthsOf(output, input, lengths);
  const options = { ...(counted && { lengths: counted }), ...(sampleWeights && { sampleWeights }) };
  const hasOptions = counted !== undefined || sampleWeights !== undefined;
  const result = checkLossResult(hasOptions ? loss(output, target, options) : loss(output, target), output);
  return { ...result, count: result.count ?? (counted === undefined ? (input.shape[0] ?? 1) : countSteps(counted)) };
}

/** The mean of the losses of several batches, each counted by how much it is a mean of: the loss of one batch of all. Sums are added. */
export class LossMean {
  /** the last value that was added */
  last = 0;
  #first = 0;
  #batches = 0;
  #sum = 0;
  #count = 0;

  /**
   * @param count how much the value is a mean of; 0 for a sum
   * @returns what the batch's gradient is to be multiplied with, before the sum of all is divided
   */
  add(value: number, count: number): number {
    this.last = value;
    this.#batches++;
    if (this.#batches === 1) this.#first = count;
    if (this.#first === 0) {
      this.#sum += value;
      return 1;
    }
    // Relative to the first: batches of one size are not multiplied at all.
    this.#sum += value * (count / this.#first);
    this.#count += count;
    return count / this.#first;
  }

  /** NaN of nothing */
  get value(): number {
    if (this.#batches === 0) return Number.NaN;
    return this.#first === 0 || this.#batches === 1 ? this.#sum : this.#sum * (this.#first / this.#count);
  }

  /** Makes of the sum of gradients that of the mean. */
  divide(parameters: readonly Parameter[]): void {
    if (this.#batches > 1 && this.#first !== 0) scaleGradients(parameters, this.#first, this.#count);
  }
}

function checkLossResult(given: unknown, output: Tensor): LossResult {
  const { value, grad, count } = readSafely('loss()', () => pick(given, ['value', 'grad', 'count']));
  if (typeof value !== 'number' || !Tensor.isTensor(grad)) fail('ERR_OPTION', 'loss()', '{ value: number, grad: Tensor }', given);
  if (grad.dtype !== output.dtype || formatShape(grad.shape) !== formatShape(output.shape)) {
    throw new EvenkeelError(
      'ERR_OPTION',
      `loss().grad: expected the output's ${output.dtype} ${formatShape(output.shape)}, got ${grad.dtype} ${formatShape(grad.shape)}.`,
    );
  }
  if (count !== undefined && !(typeof count === 'number' && Number.isFinite(count) && count >= 0)) {
    fail('ERR_OPTION', 'loss().count', 'how much the value is a mean of', count);
  }
  return count === undefined ? { value, grad } : { value, grad, count };
}

/** Properties of what may be no object at all. */
function pick<Name extends string>(given: unknown, names: readonly Name[]): Partial<Record<Name, unknown>> {
  const object = given as Partial<Record<Name, unknown>> | null | undefined;
  return Object.fromEntries(names.map((name) => [name, object?.[name]])) as Partial<Record<Name, unknown>>;
}
