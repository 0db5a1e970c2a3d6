import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { EvenkeelError } from '../../errors';
import { fileFault, quote } from '../../io/file';
import { checkMemory } from '../../memory';
import { Tensor } from '../../tensor';
import type { Hdf5Result } from './hdf5-reader';

export interface Hdf5Request {
  readonly contents: ArrayBuffer;
  /** a regular expression of paths that are not gone into */
  readonly skip: string;
}

/** What an HDF5 file holds. */
export interface Hdf5File {
  readonly tensors: readonly (readonly [path: string, tensor: Tensor])[];
  readonly left: readonly string[];
  /** A text at a group; '' is the root. */
  text(group: string, name: string): string | undefined;
  /** A list of texts at a group, also one that Keras cut into several since an attribute holds 64 kB. */
  list(group: string, name: string): string[] | undefined;
}

export type Hdf5Answer = { result: Hdf5Result } | { missing: string } | { expected: string } | { reason: string };

/** Longer than any sound file takes, which is read at some 10 MB a second at least. */
const MOST_SECONDS = 60;
const BYTES_A_SECOND = 2_000_000;
/** Of JavaScript's heap, beside what the numbers of one array take. */
const HEAP_MEGABYTES = 512;

/**
 * Reads an HDF5 file's numbers and texts, all or nothing, in a thread with limits of time and memory.
 * @param where begins with the file's path
 * @param contents given away
 * @param skip of paths that are not gone into
 * @param seconds that reading may take, and more for a long file
 * @throws EvenkeelError ERR_FILE for what is no HDF5 file or is damaged, ERR_MEMORY, ERR_STATE where jsfive is not installed
 */
export async function readHdf5(where: string, contents: ArrayBuffer, skip: RegExp, seconds = MOST_SECONDS): Promise<Hdf5File> {
  const size = contents.byteLength;
  checkEnd(where, Buffer.from(contents));
  // The file, its numbers, and those of one array as JavaScript's.
  checkMemory(where, 6 * size, 'Give the process more memory.');
  const request: Hdf5Request = { contents, skip: skip.source };
  const worker = new Worker(join(__dirname, 'hdf5-worker.js'), {
    workerData: request,
    transferList: [contents],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MEGABYTES + Math.ceil((4 * size) / 1e6) },
  });
  const answer = await answerOf(where, worker, 1000 * (seconds + size / BYTES_A_SECOND));
  if ('result' in answer) return opened(answer.result);
  if ('missing' in answer) {
    throw new EvenkeelError('ERR_STATE', `Files of Keras need the package ${answer.missing}. Install it: npm install ${answer.missing}`);
  }
  if ('expected' in answer) return fileFault(where, answer.expected, 'others', 'The file is damaged.');
  return fileFault(where, 'a sound HDF5 file', quote(answer.reason, 120), 'The file is damaged, or of a kind that Keras does not write.');
}

/** The end of the file as its superblock tells it, by the superblock's version (HDF5 File Format Specification, II.A). */
const END_AT: Readonly<Record<number, number>> = { 0: 40, 1: 44, 2: 28, 3: 28 };

/** A file that was cut is short of what nobody may ask for. */
function checkEnd(where: string, contents: Buffer): void {
  const at = contents.length > 8 ? END_AT[contents.readUInt8(8)] : undefined;
  if (at === undefined || contents.length < at + 8) fileFault(where, 'a superblock of HDF5', 'none', 'The file is damaged.');
  const end = contents.readBigUInt64LE(at);
  if (end > contents.length) fileFault(where, `${end} bytes`, `${contents.length}`, 'The file was cut.');
}

async function answerOf(where: string, worker: Worker, milliseconds: number): Promise<Hdf5Answer> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Hdf5Answer>((resolve, reject) => {
      const damaged = (got: string) => {
        try {
          fileFault(where, 'a sound HDF5 file', got, 'The file is damaged.');
        } catch (error) {
          reject(error);
        }
      };
      timer = setTimeout(() => damaged(`one that was not read within ${Math.round(milliseconds / 1000)} s`), milliseconds);
      worker.once('message', resolve);
      worker.once('error', (error: NodeJS.ErrnoException) =>
        damaged(
          error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'one that needs more memory than its size explains' : quote(String(error), 120),
        ),
      );
      worker.once('exit', () => damaged('one that ended its reader'));
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

function opened({ attributes, tensors, left }: Hdf5Result): Hdf5File {
  const groups = new Map(attributes.map(([group, texts]) => [group, new Map(texts)]));
  return {
    tensors: tensors.map(([path, shape, data]) => [path, new Tensor(data, shape)]),
    left,
    text(group, name) {
      const value = groups.get(group)?.get(name);
      return typeof value === 'string' ? value : undefined;
    },
    list(group, name) {
      const texts = groups.get(group);
      const whole = texts?.get(name);
      if (whole !== undefined) return asList(whole);
      const parts: string[] = [];
      for (let index = 0; texts?.has(`${name}${index}`); index++) parts.push(...asList(texts.get(`${name}${index}`) as string | string[]));
      return parts.length === 0 ? undefined : parts;
    },
  };
}

function asList(value: string | string[]): string[] {
  return typeof value === 'string' ? [value] : value;
}
