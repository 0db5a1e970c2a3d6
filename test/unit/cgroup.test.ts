import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cpuQuota, memoryLeft, usableCores } from '../../lib/cgroup';

const root = mkdtempSync(join(tmpdir(), 'evenkeel-cgroup-'));
afterAll(() => rmSync(root, { recursive: true }));

let systems = 0;

/** A system with these files below its mount points, whose `/proc/self/cgroup` and mounts say so. */
function system(groups: string, mounts: readonly string[], files: Record<string, string> = {}) {
  const folder = join(root, String(systems++));
  const write = (name: string, text: string) => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  };
  for (const [name, text] of Object.entries(files)) write(name, `${text}\n`);
  return { groups: write('groups', groups), mounts: write('mounts', mounts.map((mount) => mount.replace('@', folder)).join('\n')) };
}

const v2 = '31 23 0:28 / @/fs rw,nosuid - cgroup2 cgroup2 rw';
const v1 = [
  '32 31 0:29 / @/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct',
  '35 31 0:32 / @/memory rw,relatime - cgroup cgroup rw,memory',
  '40 31 0:37 / @/systemd rw - cgroup cgroup rw,name=systemd',
];

test('without groups there is no limit', () => {
  for (const bare of [system('', []), system('0::/\n', [v2]), { groups: '/nowhere', mounts: '/nowhere' }]) {
    expect([cpuQuota(bare), memoryLeft(bare)]).toEqual([Infinity, Infinity]);
    expect(usableCores(bare)).toBeGreaterThanOrEqual(1);
  }
});

test('version 2: the smallest limit from the own group to the root holds, less what is taken and not reclaimable', () => {
  const nested = system('0::/a/b\n', [v2], {
    'fs/a/b/memory.max': 'max',
    'fs/a/b/memory.current': '5',
    'fs/a/memory.max': '1000',
    'fs/a/memory.high': '900',
    'fs/a/memory.current': '600',
    'fs/a/memory.stat': 'anon 1\ninactive_file 50\nactive_file 7',
    'fs/a/b/cpu.max': '150000 100000',
    'fs/a/cpu.max': 'max 100000',
  });
  expect([memoryLeft(nested), cpuQuota(nested)]).toEqual([350, 1.5]);
});

test('version 1: each controller has its hierarchy', () => {
  const nested = system('4:memory:/x\n2:cpu,cpuacct:/y/z\n9:name=systemd:/\n', v1, {
    'memory/x/memory.limit_in_bytes': '1000',
    'memory/x/memory.usage_in_bytes': '1200',
    'memory/memory.limit_in_bytes': '9223372036854771712',
    'memory/memory.usage_in_bytes': '77',
    'cpu/y/z/cpu.cfs_quota_us': '-1',
    'cpu/y/z/cpu.cfs_period_us': '100000',
    'cpu/y/cpu.cfs_quota_us': '50000',
    'cpu/y/cpu.cfs_period_us': '100000',
  });
  expect([memoryLeft(nested), cpuQuota(nested), usableCores(nested)]).toEqual([0, 0.5, 1]);
});

test('inside a container: a path of outside, or a mount of the own group alone', () => {
  const limit = { 'fs/memory.max': '500', 'fs/memory.current': '100' };
  expect(memoryLeft(system('0::/../other\n', [v2], limit))).toBe(400);
  expect(memoryLeft(system('0::/docker/1\n', [v2.replace(' / ', ' /docker/1 ')], limit))).toBe(400);
});
