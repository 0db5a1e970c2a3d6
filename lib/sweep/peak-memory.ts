/** The most resident memory of this process, from one moment on where the system can tell (Linux), else since the process began. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Begins anew; see clear_refs in proc(5). */
export function resetPeakMemory(): void {
  // What earlier trials left is none of the next one's. The second waits until what the first found is freed.
  collectGarbage();
  collectGarbage();
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {}
}

/** Where Node runs with --expose-gc. */
export function collectGarbage(): void {
  globalThis.gc?.();
}

/** in bytes */
export function peakMemory(): number {
  const kilobytes = Number(/^VmHWM:\s*(\d+) kB/m.exec(readStatus())?.[1]);
  // Not every Linux tells, such as one in gVisor.
  return 1024 * (Number.isNaN(kilobytes) ? process.resourceUsage().maxRSS : kilobytes);
}

function readStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'utf8');
  } catch {
    return '';
  }
}
