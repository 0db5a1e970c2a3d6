/**
 * Reads one HDF5 file in a thread of its own: a file can be made so that a reader's loops or lists do not end, and a thread has limits and can
 * be ended. What it finds goes back in one message.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { importOptional } from '../../optional-package';
import type { Hdf5Answer, Hdf5Request } from './hdf5';
import { Fault, Hdf5Reader, type Jsfive } from './hdf5-reader';

function say(answer: Hdf5Answer, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(answer, transfer);
}

async function answer({ contents, skip }: Hdf5Request): Promise<void> {
  let jsfive: Jsfive;
  try {
    jsfive = await importOptional<Jsfive>('jsfive');
  } catch {
    return say({ missing: 'jsfive' });
  }
  try {
    const result = new Hdf5Reader(contents.byteLength, new RegExp(skip)).read(jsfive, contents);
    return say(
      { result },
      result.tensors.map(([, , data]) => data.buffer as ArrayBuffer),
    );
  } catch (error) {
    // jsfive throws texts too.
    return say(error instanceof Fault ? { expected: error.message } : { reason: String(error) });
  }
}

void answer(workerData as Hdf5Request);
