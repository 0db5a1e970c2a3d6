/**
 * What a container (a Linux control group, version 1 or 2) grants this process. A limit of any group from its own up to the root holds, as far
 * as the groups can be seen from inside.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';

/** Where the kernel's files are; tests have others. */
export interface SystemFiles {
  /** `/proc/self/cgroup` */
  groups: string;
  /** `/proc/self/mountinfo` */
  mounts: string;
}

const SYSTEM: SystemFiles = { groups: '/proc/self/cgroup', mounts: '/proc/self/mountinfo' };

/** How many cores this process may keep busy: those that it may run on, or fewer where a quota grants less time; a part of one counts whole. */
export function usableCores(system = SYSTEM): number {
  return Math.max(1, Math.min(availableParallelism(), Math.ceil(cpuQuota(system))));
}

/** The smallest number of CPUs that a quota grants, such as 1.5; Infinity without one. */
export function cpuQuota(system = SYSTEM): number {
  return smallest(system, 'cpu', (folder, version) => {
    const [quota, period] =
      version === 2
        ? (readText(folder, 'cpu.max') ?? 'max').split(' ').map(Number)
        : [readNumber(folder, 'cpu.cfs_quota_us'), readNumber(folder, 'cpu.cfs_period_us')];
    // "max" is NaN here, and −1 says the same in version 1.
    return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : Infinity;
  });
}

/** The bytes that the process may still take until a limit is met; Infinity without one. What the kernel would give back first does not count as taken. */
export function memoryLeft(system = SYSTEM): number {
  return smallest(system, 'memory', (folder, version) => {
    const names =
      version === 2
        ? { limits: ['memory.max', 'memory.high'], taken: 'memory.current', reclaimable: 'inactive_file' }
        : { limits: ['memory.limit_in_bytes'], taken: 'memory.usage_in_bytes', reclaimable: 'total_inactive_file' };
    const limit = Math.min(...names.limits.map((name) => readNumber(folder, name) ?? Infinity));
    const taken = readNumber(folder, names.taken);
    // Version 1 writes about 2^63 for no limit.
    if (taken === undefined || !(limit < 2 ** 60)) return Infinity;
    const reclaimable = new RegExp(`^${names.reclaimable} (\\d+)$`, 'm').exec(readText(folder, 'memory.stat') ?? '')?.[1] ?? 0;
    return Math.max(0, limit - taken + Number(reclaimable));
  });
}

type Version = 1 | 2;

function smallest(system: SystemFiles, controller: string, grantOf: (folder: string, version: Version) => number): number {
  let least = Infinity;
  for (const { folder, version } of groupFolders(system, controller)) least = Math.min(least, grantOf(folder, version));
  return least;
}

/** The folders of the process's group and of those above it, in each hierarchy that has the controller. */
function groupFolders({ groups, mounts }: SystemFiles, controller: string): { folder: string; version: Version }[] {
  const mounted = (readText(mounts) ?? '').split('\n');
  return (readText(groups) ?? '').split('\n').flatMap((line) => {
    // 4:memory:/docker/… in version 1, 0::/… in version 2
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) return [];
    const version: Version = controllers === '' ? 2 : 1;
    if (version === 1 && !controllers.split(',').includes(controller)) return [];
    return mounted.flatMap((mount) => foldersBelow(mount, path, version, controller)).map((folder) => ({ folder, version }));
  });
}

/** From the group's folder up to the mount point of its hierarchy, if this is a mount of it. */
function foldersBelow(mount: string, path: string, version: Version, controller: string): string[] {
  // 30 23 0:26 /root /mount/point rw shared:9 - cgroup cgroup rw,memory
  const [place = '', kind = ''] = mount.split(' - ');
  const [, , , root, point] = place.split(' ');
  const [type, , options = ''] = kind.split(' ');
  if (root === undefined || point === undefined || type !== (version === 2 ? 'cgroup2' : 'cgroup')) return [];
  if (version === 1 && !options.split(',').includes(controller)) return [];
  // Inside a container the path may be one outside of it: the mount point itself is then the nearest group to be seen.
  const below = relative(root, path);
  const steps = below === '' || below.startsWith('..') ? [] : below.split('/');
  return Array.from({ length: steps.length + 1 }, (_, up) => join(point, ...steps.slice(0, steps.length - up)));
}

function readText(...path: string[]): string | undefined {
  try {
    return readFileSync(join(...path), 'utf8').trim();
  } catch {
    return undefined;
  }
}

function readNumber(...path: string[]): number | undefined {
  const text = readText(...path);
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}
