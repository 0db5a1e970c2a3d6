// What the cases about journals and messages start from: a small sweep's records.
import { createRequire } from 'node:module';
import { internal } from './calls.mjs';

const { checkDefinition } = internal('sweep/definition');
const { trialsOf } = internal('sweep/grid');
const { runTrial } = internal('sweep/measures');
const { trialHash } = internal('sweep/trial');

export const { version } = createRequire(import.meta.url)('../../package.json');
export const sweepId = '123e4567-e89b-42d3-a456-426614174000';

export async function makeSweep(folder) {
  const definition = { lengths: [3], seeds: [1, 2, 3], steps: 1, sizes: [{ batchSize: 1, inputSize: 1, hiddenSize: 2 }] };
  const { grid } = checkDefinition(definition, folder);
  const records = [];
  for (const trial of trialsOf(grid)) {
    const outcome = { status: 'done', ...(await runTrial(trial)), attempts: 1 };
    records.push({ hash: trialHash(trial, version), trial, finished: new Date(0).toISOString(), ...outcome });
  }
  const { trial, hash } = records[2];
  records[2] = { hash, trial, finished: records[2].finished, status: 'failed', reason: 'took too long', attempts: 3 };
  return { grid, records };
}
