import { readdirSync, readFileSync } from 'node:fs';
import { release, totalmem } from 'node:os';
import { join } from 'node:path';
import { runtimeInfo } from '../runtime';
import type { BenchEnvironment, Cache } from './results';

/** The machine and what computes on it. */
export function environment(): BenchEnvironment {
  const { version, node, platform, arch, cpu, cores, simdTarget, blas } = runtimeInfo();
  return {
    evenkeel: version,
    node,
    platform: `${platform} ${arch}`,
    kernel: release(),
    cpu,
    threads: cores,
    caches: caches(),
    memoryBytes: totalmem(),
    simdTarget,
    blas,
  };
}

function caches(): Cache[] {
  const folder = '/sys/devices/system/cpu/cpu0/cache';
  try {
    const read = (index: string, file: string) => readFileSync(join(folder, index, file), 'utf8').trim();
    return readdirSync(folder)
      .filter((name) => /^index\d+$/.test(name))
      .map((index) => ({
        level: Number(read(index, 'level')),
        type: read(index, 'type'),
        bytes: Number.parseInt(read(index, 'size'), 10) * 1024,
        sharedBy: read(index, 'shared_cpu_list'),
      }));
  } catch {
    return [];
  }
}
