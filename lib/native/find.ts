/** Where the addon comes from: a build of one's own, else the platform's package, else an error that says what was looked for and what to type. */
import { existsSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { EvenkeelError } from '../errors';
import { version } from '../version';
import type { NativeAddon } from './addon';
import { type Attempt, type BinaryPlatform, binaryPlatforms, isBinaryPlatform, requireBinary } from './binary-packages';
import { currentPlatform, describePlatform, type Platform, platformName } from './platform';

// Both lib/native and dist/native stand two levels below the package.
export const packageRoot = join(__dirname, '..', '..');

/** Where `npm run setup` and `npx evenkeel build` leave the addon. */
export const ownBuild = join(packageRoot, 'build', 'Release', 'evenkeel.node');

export interface Found {
  addon: NativeAddon;
  /** the file of a build of one's own, or the platform's package */
  from: string;
}

/** What is looked at; tests have others. */
export interface Surroundings {
  platform: Platform;
  ownBuild: string;
  requireBinary(platform: BinaryPlatform): Attempt;
  isInstalled(platform: BinaryPlatform): boolean;
}

const here: Surroundings = {
  platform: currentPlatform(),
  ownBuild,
  requireBinary,
  // Package managers put what a package depends on beside it.
  isInstalled: (platform) => existsSync(join(packageRoot, '..', '@evenkeel', platform)),
};

/** @throws EvenkeelError ERR_NATIVE where there is none, or what there is does not load */
export function findAddon(surroundings = here): Found {
  if (existsSync(surroundings.ownBuild)) return { addon: openAddon(surroundings.ownBuild), from: surroundings.ownBuild };
  const name = platformName(surroundings.platform);
  if (!isBinaryPlatform(name)) throw new EvenkeelError('ERR_NATIVE', unsupported(surroundings));
  const attempt = withoutBlasThreads(() => surroundings.requireBinary(name));
  if ('exports' in attempt) return { addon: checkAddon(attempt.exports, `@evenkeel/${name}`), from: `@evenkeel/${name}` };
  const { cause } = attempt;
  if (isOwn(cause)) throw cause;
  const message = isMissing(cause, name) ? notInstalled(name, surroundings) : notLoaded(name, surroundings, cause);
  throw new EvenkeelError('ERR_NATIVE', message, { cause });
}

/** The addon in a file, which nothing but an addon can be: `require` would run a script. */
export function openAddon(file: string): NativeAddon {
  const module = { exports: {} };
  try {
    // To open a pipe would wait for ever.
    if (!statSync(file).isFile()) throw new Error('it is not a file');
    withoutBlasThreads(() => process.dlopen(module, file, constants.dlopen.RTLD_NOW));
  } catch (cause) {
    if (isOwn(cause)) throw cause;
    throw new EvenkeelError('ERR_NATIVE', `The native addon ${file} does not load: ${reasonOf(cause)}. ${buildAgain}`, { cause });
  }
  return checkAddon(module.exports, file);
}

function checkAddon(exports: unknown, from: string): NativeAddon {
  if (typeof exports !== 'object' || exports === null || !('runtimeInfo' in exports))
    throw new EvenkeelError('ERR_NATIVE', `${from} is an addon, but not of evenkeel. ${hintFor(from)}`);
  const addon = exports as NativeAddon;
  if (addon.version !== version)
    throw new EvenkeelError(
      'ERR_NATIVE',
      `${from} is of evenkeel ${addon.version ?? 'before 0.2.0'}, but this is evenkeel ${version}. ${hintFor(from)}`,
    );
  return addon;
}

function hintFor(from: string): string {
  return from.startsWith('@evenkeel/') ? `Delete node_modules, and type: npm install evenkeel@${version}` : buildAgain;
}

/** While the addon is loaded, OpenBLAS reads how many threads to start: none, for evenkeel's own threads call it. */
function withoutBlasThreads<Result>(load: () => Result): Result {
  const before = process.env[BLAS_THREADS];
  process.env[BLAS_THREADS] = '1';
  try {
    return load();
  } finally {
    if (before === undefined) delete process.env[BLAS_THREADS];
    else process.env[BLAS_THREADS] = before;
  }
}

const BLAS_THREADS = 'OPENBLAS_NUM_THREADS';

// --- what is said where there is none ---

/** For a build of one's own. */
export const buildAgain =
  'Build it again: npm run setup in a clone, npx evenkeel build where evenkeel is installed; or delete the file, and the binary of the platform’s package is taken.';

function unsupported({ platform, ownBuild }: Surroundings): string {
  const looked = `Looked for a build of your own, ${ownBuild}: not there.`;
  const hint =
    platform.os === 'win32'
      ? 'Use Node for x64, which Windows 11 runs on ARM too, or WSL.'
      : 'Build it from source, on purpose: npx evenkeel build.';
  return `There is no binary of evenkeel for ${describePlatform(platform)}, but for ${binaryPlatforms.join(', ')}. ${looked} ${hint}`;
}

function notInstalled(name: BinaryPlatform, { platform, ownBuild, isInstalled }: Surroundings): string {
  const looked = `Looked for a build of your own, ${ownBuild}: not there; and for the package @evenkeel/${name}: not installed.`;
  return `evenkeel finds no native addon for ${describePlatform(platform)}. ${looked} ${whyNot(name, platform, isInstalled)} ${mendFor(platform)}`;
}

function whyNot(name: BinaryPlatform, { os, arch }: Platform, isInstalled: Surroundings['isInstalled']): string {
  const other = binaryPlatforms.find((platform) => platform !== name && isInstalled(platform));
  if (other === undefined)
    return 'Optional packages were left out (--omit=optional, --no-optional), or the lock file was made on another platform and names its package alone.';
  if (other.startsWith(`${os}-${arch}`)) return `There is @evenkeel/${other}, for another libc.`;
  return `There is @evenkeel/${other}: the packages were installed on another platform, or for it.`;
}

function mendFor({ os, arch, libc }: Platform): string {
  const flags = `--os=${os} --cpu=${arch}${libc === undefined ? '' : ` --libc=${libc}`}`;
  return `Type: npm install --include=optional ${flags} evenkeel; if that does not help, delete node_modules and the lock file, and install again.${fromSource(os)}`;
}

function notLoaded(name: BinaryPlatform, { platform }: Surroundings, cause: unknown): string {
  const reason = reasonOf(cause);
  const needed = /version [`'"]?GLIBC_(\d+\.\d+)/.exec(reason)?.[1];
  const mend =
    needed === undefined ? 'Install it again, delete node_modules first.' : `It needs glibc ${needed} or newer. Take a newer system.`;
  return `The binary of @evenkeel/${name} does not load on ${describePlatform(platform)}: ${reason}. ${mend}${fromSource(platform.os)}`;
}

/** A sentence more, but for Windows, where nobody has built it. */
function fromSource(os: string): string {
  return os === 'win32' ? '' : ' Or build it from source: npx evenkeel build.';
}

function isMissing(cause: unknown, name: BinaryPlatform): boolean {
  return hasCode(cause, 'MODULE_NOT_FOUND') && reasonOf(cause).includes(`@evenkeel/${name}`);
}

/** Whether the addon itself refuses its environment, such as EVENKEEL_SIMD, or the processor. */
function isOwn(error: unknown): boolean {
  return hasCode(error, 'ERR_OPTION') || hasCode(error, 'ERR_NATIVE');
}

function hasCode(error: unknown, code: string): boolean {
  return (error as { code?: unknown } | null)?.code === code;
}

/** Without the full stop that Windows ends it with. */
function reasonOf(error: unknown): string {
  const [line = ''] = String((error as { message?: unknown } | null)?.message ?? error).split(/\r?\n/);
  return line.replace(/\.$/, '');
}
