import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BinaryPlatform } from '../../lib/native/binary-packages';
import { binaryPlatforms, requireBinary } from '../../lib/native/binary-packages';
import { findAddon, type Surroundings } from '../../lib/native/find';
import { native, nativeOrigin } from '../../lib/native/load';
import { currentPlatform, describePlatform, type Platform, platformName } from '../../lib/native/platform';
import { version } from '../../lib/version';
import { expectRefused } from '../helpers/errors';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-find-'));
afterAll(() => rmSync(folder, { recursive: true }));
const nowhere = join(folder, 'build/Release/evenkeel.node');

const glibc: Platform = { os: 'linux', arch: 'x64', libc: 'glibc', libcVersion: '2.36' };
const musl: Platform = { os: 'linux', arch: 'x64', libc: 'musl' };

/** As on a machine with these packages, of which each gives what `give` says. */
function machine(platform: Platform, installed: BinaryPlatform[] = [], give?: () => unknown): Surroundings {
  return {
    platform,
    ownBuild: nowhere,
    isInstalled: (name) => installed.includes(name),
    requireBinary(name) {
      if (!installed.includes(name))
        return { cause: Object.assign(new Error(`Cannot find module '@evenkeel/${name}'\nRequire stack:`), { code: 'MODULE_NOT_FOUND' }) };
      try {
        return { exports: give?.() };
      } catch (cause) {
        return { cause };
      }
    },
  };
}

const addon = { runtimeInfo: () => ({}), version };
const failing =
  (message: string, code = 'ERR_DLOPEN_FAILED') =>
  () => {
    throw Object.assign(new Error(message), { code });
  };

test('the package of the platform is taken, with the libc in its name where that is musl', () => {
  expect(findAddon(machine(glibc, ['linux-x64'], () => addon))).toEqual({ addon, from: '@evenkeel/linux-x64' });
  expect(findAddon(machine(musl, ['linux-x64-musl'], () => addon))).toEqual({ addon, from: '@evenkeel/linux-x64-musl' });
  expect(findAddon(machine({ os: 'darwin', arch: 'arm64' }, ['darwin-arm64'], () => addon)).from).toBe('@evenkeel/darwin-arm64');
});

test('a build of one’s own goes first, and where it does not load nothing else is taken in silence', () => {
  const ownBuild = join(folder, 'own.node');
  writeFileSync(ownBuild, 'not an addon');
  const surroundings = { ...machine(glibc, ['linux-x64'], () => addon), ownBuild };
  expectRefused(() => findAddon(surroundings), 'ERR_NATIVE', `The native addon ${ownBuild} does not load`);
  expectRefused(() => findAddon(surroundings), 'ERR_NATIVE', 'npx evenkeel build');
});

describe('without a binary the error names the platform, what was looked for, and what to type:', () => {
  test('a platform that none is made for', () => {
    const message =
      'There is no binary of evenkeel for freebsd-x64, but for linux-x64, linux-x64-musl, linux-arm64, win32-x64, darwin-arm64, darwin-x64';
    expectRefused(() => findAddon(machine({ os: 'freebsd', arch: 'x64' })), 'ERR_NATIVE', message);
    expectRefused(() => findAddon(machine({ os: 'freebsd', arch: 'x64' })), 'ERR_NATIVE', 'npx evenkeel build');
    expectRefused(
      () => findAddon(machine({ os: 'linux', arch: 'riscv64', libc: 'glibc', libcVersion: '2.38' })),
      'ERR_NATIVE',
      'linux-riscv64 (glibc 2.38)',
    );
    expectRefused(
      () => findAddon(machine({ os: 'win32', arch: 'arm64' })),
      'ERR_NATIVE',
      'Use Node for x64, which Windows 11 runs on ARM too, or WSL.',
    );
  });

  test('optional packages that were left out', () => {
    const find = () => findAddon(machine(glibc));
    expectRefused(find, 'ERR_NATIVE', 'evenkeel finds no native addon for linux-x64 (glibc 2.36). Looked for a build of your own');
    expectRefused(find, 'ERR_NATIVE', `${nowhere}: not there; and for the package @evenkeel/linux-x64: not installed`);
    expectRefused(find, 'ERR_NATIVE', '--omit=optional');
    expectRefused(find, 'ERR_NATIVE', 'npm install --include=optional --os=linux --cpu=x64 --libc=glibc evenkeel');
  });

  test('packages, or a lock file, from another platform', () => {
    expectRefused(
      () => findAddon(machine(glibc, ['darwin-arm64'])),
      'ERR_NATIVE',
      'There is @evenkeel/darwin-arm64: the packages were installed on another platform',
    );
    expectRefused(() => findAddon(machine(glibc)), 'ERR_NATIVE', 'the lock file was made on another platform');
    expectRefused(
      () => findAddon(machine({ os: 'darwin', arch: 'arm64' }, ['linux-x64'])),
      'ERR_NATIVE',
      '--os=darwin --cpu=arm64 evenkeel',
    );
  });

  test('on Windows nobody is sent to a build from source', () => {
    const windows = { os: 'win32', arch: 'x64' };
    expect(findAddon(machine(windows, ['win32-x64'], () => addon)).from).toBe('@evenkeel/win32-x64');
    const broken = failing('The specified module could not be found.\r\nevenkeel.node');
    const load = () => findAddon(machine(windows, ['win32-x64'], broken));
    expectRefused(load, 'ERR_NATIVE', 'does not load on win32-x64: The specified module could not be found. Install it again');
    for (const find of [load, () => findAddon(machine(windows))]) expect(find).not.toThrow('evenkeel build');
    expectRefused(() => findAddon(machine(windows)), 'ERR_NATIVE', 'npm install --include=optional --os=win32 --cpu=x64 evenkeel');
  });

  test('another libc', () => {
    expectRefused(() => findAddon(machine(musl, ['linux-x64'])), 'ERR_NATIVE', 'for linux-x64 (musl)');
    expectRefused(() => findAddon(machine(musl, ['linux-x64'])), 'ERR_NATIVE', 'There is @evenkeel/linux-x64, for another libc');
    expectRefused(() => findAddon(machine(musl, ['linux-x64'])), 'ERR_NATIVE', '--libc=musl');
  });

  test('a glibc that is too old', () => {
    const give = failing("/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.18' not found (required by evenkeel.node)");
    const find = () => findAddon(machine({ ...glibc, libcVersion: '2.17' }, ['linux-x64'], give));
    expectRefused(find, 'ERR_NATIVE', 'does not load on linux-x64 (glibc 2.17)');
    expectRefused(find, 'ERR_NATIVE', 'It needs glibc 2.18 or newer');
  });

  test('a file that is broken, or of something else', () => {
    expectRefused(
      () => findAddon(machine(glibc, ['linux-x64'], failing('file too short'))),
      'ERR_NATIVE',
      'does not load on linux-x64 (glibc 2.36): file too short',
    );
    expectRefused(
      () => findAddon(machine(glibc, ['linux-x64'], () => ({}))),
      'ERR_NATIVE',
      '@evenkeel/linux-x64 is an addon, but not of evenkeel',
    );
    // A module that the package itself lacks is not the package.
    const lacking = failing("Cannot find module 'left-pad'", 'MODULE_NOT_FOUND');
    expectRefused(() => findAddon(machine(glibc, ['linux-x64'], lacking)), 'ERR_NATIVE', 'does not load');
  });
});

test('a binary of another version is named with both versions and with what to type', () => {
  const other = (number?: string) => findAddon(machine(glibc, ['linux-x64'], () => ({ ...addon, version: number })));
  const message = (number: string) =>
    `@evenkeel/linux-x64 is of evenkeel ${number}, but this is evenkeel ${version}. Delete node_modules, and type: npm install evenkeel@${version}`;
  expectRefused(() => other('9.8.7'), 'ERR_NATIVE', message('9.8.7'));
  expectRefused(() => other(), 'ERR_NATIVE', message('before 0.2.0'));
});

test('what the addon itself refuses is handed on', () => {
  expect(() => findAddon(machine(glibc, ['linux-x64'], failing('EVENKEEL_SIMD: expected', 'ERR_OPTION')))).toThrow(
    'EVENKEEL_SIMD: expected',
  );
  const processor = failing('This processor has neither SSE3 nor 3DNow!', 'ERR_NATIVE');
  expect(() => findAddon(machine(glibc, ['linux-x64'], processor))).toThrow(/^This processor has neither/);
});

test('each platform requires the package of its name, which is not there in a checkout', () => {
  for (const name of binaryPlatforms) {
    expect(requireBinary(name)).toEqual({
      cause: expect.objectContaining({ code: 'MODULE_NOT_FOUND', message: expect.stringContaining(`@evenkeel/${name}'`) }),
    });
  }
});

test('this process has a platform, and its addon an origin', () => {
  expect(native()).toBeDefined();
  expect(nativeOrigin()).toMatch(/\.node$/);
  const platform = currentPlatform();
  expect(platformName(platform)).toContain(`${process.platform}-${process.arch}`);
  if (process.platform === 'linux') expect(describePlatform(platform)).toMatch(/\((glibc \d+\.\d+|musl)\)$/);
  expect(platformName(musl)).toBe('linux-x64-musl');
});
