// A sweep's folder whose journal or header is damaged: read for a report, and opened to go on.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { internal } from './calls.mjs';
import { mutateBytes, mutateJson } from './random.mjs';
import { makeSweep, sweepId, version } from './sweep-data.mjs';

const { readStore, recordsInOrder, SweepStore } = internal('sweep/store');
const { isStoredRecord } = internal('sweep/schema');

export async function prepare(root, calls) {
  const { grid, records } = await makeSweep(root);
  const header = { schema: 'evenkeel/sweep', schemaVersion: 3, version, sweepId, grid };
  const folder = join(root, 'sweep');

  function lines(random) {
    let journal = records.map((record) => JSON.stringify(random.chance(0.3) ? mutateJson(random, record) : record));
    if (random.chance(0.3)) journal = journal.concat(random.pick(journal));
    const bytes = Buffer.from(journal.map((line) => `${line}\n`).join(''));
    return random.chance(0.4) ? mutateBytes(random, bytes) : bytes;
  }

  return async (random) => {
    mkdirSync(folder, { recursive: true });
    const text = JSON.stringify(random.chance(0.3) ? mutateJson(random, header) : header) ?? '';
    writeFileSync(join(folder, 'definition.json'), random.chance(0.1) ? mutateBytes(random, Buffer.from(text)) : text);
    writeFileSync(join(folder, 'trials.jsonl'), lines(random));
    const stored = calls.run('readStore', () => readStore(folder));
    if (stored !== undefined) {
      for (const record of stored.records.values())
        calls.expect('readStore', isStoredRecord(record), `a record is none: ${JSON.stringify(record).slice(0, 500)}`);
      calls.run('recordsInOrder', () => recordsInOrder(stored));
    }
    const store = calls.run('SweepStore', () => new SweepStore(folder, grid, version));
    if (store !== undefined) {
      calls.run('SweepStore.append', () => store.append(records[0]));
      calls.run('SweepStore.close', () => store.close());
      const again = calls.run('readStore', () => readStore(folder));
      calls.expect(
        'readStore',
        again?.records.has(records[0].hash),
        'a store that was opened and added to cannot be read, or lost a record',
      );
    }
    if (random.chance(0.05)) rmSync(folder, { recursive: true });
  };
}
