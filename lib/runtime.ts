import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { usableCores } from './cgroup';
import { checkInteger } from './check';
import { MAX_THREADS, native, nativeOrigin } from './native/load';
import { currentPlatform, type Platform } from './native/platform';
import { version } from './version';

/**
 * Sets how many threads native calls use, in the whole process. Results do not depend on it, not in a single bit.
 * The default is the environment's `EVENKEEL_NUM_THREADS`, else the number of cores that the process may use: those it may run on, or as many
 * as a container's CPU quota grants.
 * @param count from 1 to 256
 * @throws EvenkeelError ERR_OPTION for anything else
 */
export function setNumThreads(count: number): void {
  native().setNumThreads(checkInteger('count', count, 1, MAX_THREADS));
}

/** How many threads native calls use. */
export function getNumThreads(): number {
  return native().getNumThreads();
}

/** What computes: for bug reports and benchmark tables. */
export interface RuntimeInfo {
  /** of this package */
  version: string;
  /** of Node.js */
  node: string;
  platform: string;
  arch: string;
  /** the processor's name; on Linux with family and model, since virtual machines hide the name's end */
  cpu: string;
  /** cores that this process may use, by its affinity and a container's quota */
  cores: number;
  /** threads that native calls use */
  threads: number;
  /** the vector instruction set in use */
  simdTarget: string;
  /** the vector instruction sets that this build and machine offer */
  simdTargets: string[];
  /** the BLAS library, its version and kernel */
  blas: string;
  /** the native addon: the file of a build of one's own, or the package of the platform */
  binary: string;
  /** of Linux: 'glibc' with its version, or 'musl' */
  libc?: string;
}

/** Versions, vector instructions, BLAS and threads in use. */
export function runtimeInfo(): RuntimeInfo {
  return {
    version,
    node: process.version,
    platform: process.platform,
    arch: process.arch,
    cpu: cpuName(),
    cores: usableCores(),
    threads: getNumThreads(),
    ...native().runtimeInfo(),
    binary: nativeOrigin(),
    ...libcOf(currentPlatform()),
  };
}

function cpuName(): string {
  const name = cpus()[0]?.model.trim() ?? 'unknown';
  try {
    const info = readFileSync('/proc/cpuinfo', 'utf8');
    const [family, model] = ['cpu family', 'model'].map((key) => new RegExp(`^${key}\\s*: (\\d+)$`, 'm').exec(info)?.[1]);
    return family === undefined || model === undefined ? name : `${name} (family ${family}, model ${model})`;
  } catch {
    return name;
  }
}

function libcOf({ libc, libcVersion }: Platform): { libc?: string } {
  return libc === undefined ? {} : { libc: libcVersion === undefined ? libc : `${libc} ${libcVersion}` };
}
