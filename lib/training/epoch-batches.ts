import { EvenkeelError } from '../errors';
import { abortable } from './abortable';
import type { Batch } from './options';
import type { Parts } from './part';
import { carriedPart } from './parts';
import type { Position } from './position';
import type { Run } from './run';

/** An epoch's batches from where the training is, in lists of those that a step is made from. */
export async function* batchesOfSteps(run: Run, position: Position): AsyncGenerator<Batch<unknown>[]> {
  let group: Batch<unknown>[] = [];
  for await (const batch of batchesLeft(run, position)) {
    group.push(batch);
    if (group.length < run.accumulate) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

async function* batchesLeft(run: Run, position: Position): AsyncGenerator<Batch<unknown>> {
  const source = abortable(run.batches, run.signal);
  if (position.batch === 0) {
    position.begin();
    yield* source;
    return;
  }
  // The iterator of a stream may reset the state of layers.
  const others: Parts = { carried: carriedPart(run.model) };
  const goOn = position.rewind(others);
  const used = position.batch;
  let passed = 0;
  for await (const batch of source) {
    if (passed === used) yield batch;
    else if (++passed === used) goOn();
  }
  if (passed < used) {
    throw new EvenkeelError(
      'ERR_OPTION',
      `batches: expected the ${used} batches of epoch ${position.epoch} that the checkpoint was made after, got ${passed}. Give the same data.`,
    );
  }
}
