// Messages of a queue: trials for workers and outcomes for a sweep, as another client of the server could write them.
import { internal } from './calls.mjs';
import { json, mutateJson } from './random.mjs';
import { makeSweep, sweepId, version } from './sweep-data.mjs';

const { checkQueued, checkQueuedOutcome } = internal('sweep/executors/queue');
const { isOutcome, isTrial } = internal('sweep/schema');

export async function prepare(folder, calls) {
  const { records } = await makeSweep(folder);

  return async (random) => {
    const { hash, trial, finished: _, ...outcome } = random.pick(records);
    const mutated = (message) => {
      if (random.chance(0.02)) return json(random);
      for (let changes = random.below(4); changes > 0; changes--) message = mutateJson(random, message);
      return message;
    };
    for (let i = 0; i < 10; i++) {
      const queued = calls.run('checkQueued', () =>
        checkQueued(mutated({ sweepId, hash, trial, limits: { timeoutSeconds: 5, retries: 2 } }), version),
      );
      if (queued !== undefined) calls.expect('checkQueued', isTrial(queued.trial), 'what it let through is no trial');
      const received = calls.run('checkQueuedOutcome', () => checkQueuedOutcome(mutated({ hash, outcome })));
      if (received !== undefined) calls.expect('checkQueuedOutcome', isOutcome(received.outcome), 'what it let through is no outcome');
    }
  };
}
