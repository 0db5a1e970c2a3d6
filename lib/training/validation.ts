import { EvenkeelError } from '../errors';
import { checkLengths, countSteps, lengthsOf } from '../lengths';
import type { Metric, MetricAccumulator } from '../metrics/metric';
import { checkTensor, type Tensor } from '../tensor';
import type { Workspace } from '../workspace';
import { abortable } from './abortable';
import { checkBatch, LossMean, lossOf } from './batch-loss';
import type { Batch, Batches } from './options';
import type { Run } from './run';

/**
 * The loss over all batches, as of one batch of them all, and each metric, by name.
 * @param breathe lets the event loop run, if it has waited for long
 * @throws EvenkeelError ERR_NON_FINITE for a loss that is not finite, unless such are skipped; what model, loss and metrics throw
 */
export async function validate(
  run: Run,
  batches: Batches<unknown>,
  workspace: Workspace,
  breathe: () => Promise<void>,
): Promise<Record<string, number>> {
  const loss = new LossMean();
  const metrics = run.metrics.map(([name, metric]) => [name, metric.accumulator?.() ?? new Averaged(metric)] as const);
  let number = 0;
  for await (const given of abortable(batches, run.signal)) {
    run.signal?.throwIfAborted();
    number++;
    const batch = checkBatch('validation.batches', given);
    workspace.run(() => measure(run, batch, loss, metrics));
    if (!Number.isFinite(loss.last) && run.nonFinite === 'throw') {
      throw new EvenkeelError(
        'ERR_NON_FINITE',
        `validation, batch ${number}: the loss is ${loss.last}. With nonFinite: 'skip' it is recorded.`,
      );
    }
    await breathe();
  }
  run.signal?.throwIfAborted();
  if (number === 0) {
    throw new EvenkeelError(
      'ERR_OPTION',
      'validation.batches: expected at least one batch, got none. Can it be gone through more than once? Give an array, or an object whose iterator starts afresh.',
    );
  }
  return { loss: loss.value, ...Object.fromEntries(metrics.map(([name, metric]) => [name, metric.value()])) };
}

function measure(
  { model, loss }: Run,
  batch: Batch<unknown>,
  mean: LossMean,
  metrics: readonly (readonly [name: string, metric: MetricAccumulator<unknown>])[],
): void {
  const { input, target } = batch;
  const lengths = checkLengths(batch.lengths, input.shape, 'either');
  const options = lengths === undefined ? {} : { lengths };
  const output = checkTensor(
    'output of model.predict()',
    model.predict === undefined ? model.forward(input, { ...options, training: false }) : model.predict(input, options),
  );
  const { value, count } = lossOf(loss, output, batch, lengths);
  mean.add(value, count);
  const counted = lengthsOf(output, input, lengths);
  for (const [name, metric] of metrics) {
    try {
      if (counted === undefined) metric.add(output, target);
      else metric.add(output, target, { lengths: counted });
    } catch (error) {
      throw error instanceof EvenkeelError ? new EvenkeelError(error.code, `metrics.${name}: ${error.message}`, { cause: error }) : error;
    }
  }
}

/** The mean of what a metric says of batches, by the number of samples or of steps that count. */
class Averaged implements MetricAccumulator<unknown> {
  readonly #metric: Metric<unknown>;
  #sum = 0;
  #count = 0;

  constructor(metric: Metric<unknown>) {
    this.#metric = metric;
  }

  add(output: Tensor, target: unknown, options?: { lengths: Int32Array }): void {
    const count = options === undefined ? (output.shape[0] ?? 1) : countSteps(options.lengths);
    const value = this.#metric(output, target, options);
    if (typeof value !== 'number') throw new EvenkeelError('ERR_OPTION', `expected a function that returns a number, got ${typeof value}.`);
    this.#sum += count * value;
    this.#count += count;
  }

  value(): number {
    return this.#sum / this.#count;
  }
}
