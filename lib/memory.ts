import { EvenkeelError } from './errors';

/** Below this many bytes it is not worth asking the system what it has. */
const WORTH_ASKING = 64 * 1024 * 1024;

/** Bytes that this process may still take, by the system's count and a container's limit (cgroup). */
export function availableMemory(): number {
  return process.availableMemory();
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
  if (fitsInMemory(bytes)) return;
  throw new EvenkeelError(
    'ERR_MEMORY',
    `${what}: needs ${inGigabytes(bytes)}, and ${inGigabytes(availableMemory())} are available. ${hint}`,
  );
}

/** Such as `1.53 GB (1,530,000,000 bytes)`. */
export function inGigabytes(bytes: number): string {
  const gigabytes = bytes / 1e9;
  const text = gigabytes < 1000 ? gigabytes.toPrecision(3) : Math.round(gigabytes).toLocaleString('en-US');
  return `${text} GB (${Math.ceil(bytes).toLocaleString('en-US')} bytes)`;
}
