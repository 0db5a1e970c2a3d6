import { freemem, totalmem } from 'node:os';
import { memoryUsage } from 'node:process';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { memoryLeft } from './cgroup';
import { EvenkeelError } from './errors';

/** Below this many bytes, of one request or of all since the last question, it is not worth asking the system what it has. */
const WORTH_ASKING = 64 * 1024 * 1024;

/** What of the process's memory is neither arrays nor JavaScript's heap: Node and its libraries, as they were when this was loaded. */
const programBytes = Math.min(besideArrays(memoryUsage()), 128 * 1024 * 1024);

/**
 * Bytes that this process may still take, by the system's count and by the limits of its containers (cgroup v1 and v2). Arrays that were made
 * and never written to count as taken, since the system hands memory out when it is first used.
 */
export function availableMemory(): number {
  const usage = memoryUsage();
  const written = besideArrays(usage) + usage.arrayBuffers - programBytes;
  const unwritten = Math.max(0, usage.arrayBuffers - Math.max(0, written));
  return Math.max(0, Math.min(freemem(), memoryLeft()) - unwritten);
}

function besideArrays({ rss, heapTotal, arrayBuffers }: NodeJS.MemoryUsage): number {
  return rss - heapTotal - arrayBuffers;
}

/** Whether a share of the available memory holds so many bytes. */
export function fitsInMemory(bytes: number, share = 1): boolean {
  return bytes < WORTH_ASKING || bytes <= share * availableMemory();
}

/**
 * Refuses a request that memory cannot hold, before anything of it is allocated: a system that overcommits would end the process later.
 * @param what the request, as an error names it
 * @param hint a full sentence
 * @throws EvenkeelError ERR_MEMORY with the bytes needed and available
 */
export function checkMemory(what: string, bytes: number, hint: string): void {
  if (bytes >= WORTH_ASKING) ask(what, bytes, hint);
}

/** What arrays may still take of a limit that holds for a while; undefined where none does. */
let allowed: { bytes: number } | undefined;

/**
 * Runs `make` with a limit to what it allocates for arrays, for sizes that come from a file.
 * @param limit how many bytes are left; what is taken is subtracted
 * @throws EvenkeelError ERR_SHAPE for an allocation beyond them
 * @internal
 */
export function withinBytes<Made>(limit: { bytes: number }, make: () => Made): Made {
  const before = allowed;
  allowed = limit;
  try {
    return make();
  } finally {
    allowed = before;
  }
}

/** Bytes of allocations since the system was asked. */
let unasked = 0;

/**
 * The same for an allocation that is about to be made; small ones ask together.
 * @throws EvenkeelError ERR_MEMORY
 */
export function checkAllocation(what: string, bytes: number): void {
  if (allowed !== undefined) {
    allowed.bytes -= bytes;
    if (!(allowed.bytes >= 0)) throw new EvenkeelError('ERR_SHAPE', `${what}: expected no more than the file has values for.`);
  }
  unasked += bytes;
  if (unasked < WORTH_ASKING) return;
  unasked = 0;
  ask(what, bytes, 'Use smaller sizes, or give the process more memory.');
}

function ask(what: string, bytes: number, hint: string): void {
  if (bytes <= availableMemory()) return;
  // What is garbage and not collected yet is available in truth.
  if (bytes <= totalmem()) collectGarbage();
  const available = availableMemory();
  if (bytes <= available) return;
  throw new EvenkeelError('ERR_MEMORY', `${what}: needs ${inGigabytes(bytes)}, and ${inGigabytes(available)} are available. ${hint}`);
}

/** What a nested array of numbers takes of JavaScript's heap for each number and for each array, with what its growing takes meanwhile. */
const NESTED = { number: 24, array: 64 };

/**
 * Refuses to build nested arrays that JavaScript's heap cannot hold: V8 would end the process.
 * @throws EvenkeelError ERR_MEMORY
 */
export function checkHeap(what: string, numbers: number, arrays: number, hint: string): void {
  const bytes = numbers * NESTED.number + arrays * NESTED.array;
  if (bytes < 1024 * 1024) return;
  const { heap_size_limit: limit, used_heap_size: used } = getHeapStatistics();
  if (bytes <= limit - used) return;
  throw new EvenkeelError(
    'ERR_MEMORY',
    `${what}: needs ${inGigabytes(bytes)} of JavaScript's heap, and ${inGigabytes(limit - used)} are available. ${hint}`,
  );
}

let collect: (() => void) | undefined;

function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  // The second waits until what the first found is freed.
  collect();
  collect();
}

/** Such as `1.53 GB (1,530,000,000 bytes)`. */
export function inGigabytes(bytes: number): string {
  const gigabytes = bytes / 1e9;
  const text = gigabytes < 1000 ? gigabytes.toPrecision(3) : Math.round(gigabytes).toLocaleString('en-US');
  return `${text} GB (${Math.ceil(bytes).toLocaleString('en-US')} bytes)`;
}
