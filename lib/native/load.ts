import { statSync } from 'node:fs';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { usableCores } from '../cgroup';
import { type ErrorCode, EvenkeelError } from '../errors';
import type { NativeAddon } from './addon';

let loaded: NativeAddon | undefined;

/**
 * The native addon, loaded at its first use.
 * `EVENKEEL_ADDON` names another build of it, such as one with sanitizers.
 * @throws EvenkeelError ERR_NATIVE with the remedy for this platform when it does not load
 */
export function native(): NativeAddon {
  if (loaded === undefined) {
    loaded = load(process.env.EVENKEEL_ADDON);
    const { blas, simdTarget } = loaded.runtimeInfo();
    const warning = slowBlas(blas, simdTarget);
    if (warning !== undefined) process.emitWarning(warning, { type: 'EvenkeelWarning', code: 'EVENKEEL_SLOW_BLAS' });
  }
  return loaded;
}

/** What to say where OpenBLAS takes a processor that is newer than itself for one of 2004; measured, its products take six times as long. */
export function slowBlas(blas: string, simdTarget: string): string | undefined {
  const core = { avx512: 'SkylakeX', avx2: 'Haswell' }[simdTarget];
  if (core === undefined || !blas.endsWith(' Prescott')) return undefined;
  return (
    `${blas}: this OpenBLAS does not know the processor, and Linear layers take several times as long as they could. ` +
    `Set OPENBLAS_CORETYPE=${core} in the environment, or install a newer OpenBLAS.`
  );
}

// Both lib/native and dist/native stand two levels below the package.
const packageRoot = join(__dirname, '..', '..');

/** Loads an addon; exported for tests. */
export function load(path: string | undefined): NativeAddon {
  const file = path === undefined || path === '' ? join(packageRoot, 'build', 'Release', 'evenkeel.node') : resolve(path);
  try {
    const addon = wrap(open(file));
    forgetOnChange(addon);
    addon.setDefaultThreads(Math.min(usableCores(), MAX_THREADS));
    return addon;
  } catch (cause) {
    if (cause instanceof EvenkeelError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    // The addon itself may refuse its environment.
    if (isCode(code)) throw translate(cause);
    const reason = message.split('\n')[0];
    throw new EvenkeelError('ERR_NATIVE', `The native addon ${file} does not load: ${reason}. ${remedy(process.platform)}`, { cause });
  }
}

/** How many times a strategy was forced: with it change the sizes that a recurrent layer tells. */
export let strategyChanges = 0;

function forgetOnChange(addon: NativeAddon): void {
  const { setScanStrategy } = addon;
  addon.setScanStrategy = (name) => {
    strategyChanges++;
    setScanStrategy(name);
  };
}

/** The most threads that the addon takes. */
export const MAX_THREADS = 256;

/**
 * The addon in a file, which nothing but an addon can be: `require` would run a script. While it is loaded, OpenBLAS reads how many threads to
 * start: none, for evenkeel's own threads call it.
 */
function open(file: string): NativeAddon {
  // To open a pipe would wait for ever.
  if (!statSync(file).isFile()) throw new Error('it is not a file');
  const module = { exports: {} };
  const before = process.env[OPENBLAS_THREADS];
  process.env[OPENBLAS_THREADS] = '1';
  try {
    process.dlopen(module, file, constants.dlopen.RTLD_NOW);
  } finally {
    if (before === undefined) delete process.env[OPENBLAS_THREADS];
    else process.env[OPENBLAS_THREADS] = before;
  }
  if (!('runtimeInfo' in module.exports)) throw new Error('it is an addon, but not of evenkeel');
  return module.exports as NativeAddon;
}

const OPENBLAS_THREADS = 'OPENBLAS_NUM_THREADS';

/** What to type to get a working addon. */
export function remedy(platform: NodeJS.Platform): string {
  switch (platform) {
    case 'linux':
      return (
        'Install what it is built from and with (Debian, Ubuntu: apt-get install libopenblas-dev libhwy-dev pkg-config cmake g++), ' +
        'then build it: npm run setup in a clone, npm rebuild evenkeel where it is installed.'
      );
    case 'darwin':
      return 'Install what it is built from and with (brew install openblas highway cmake pkg-config), then build it: npm run setup in a clone, npm rebuild evenkeel where it is installed.';
    default:
      return `evenkeel runs on Linux and macOS, not on ${platform}; on Windows use WSL.`;
  }
}

type NativeFunction = (...args: unknown[]) => unknown;

/** The same functions, throwing EvenkeelErrors. */
function wrap<Group extends object>(group: Group): Group {
  const entries = Object.entries(group).map(([name, value]) => [name, typeof value === 'function' ? translateErrors(name, value) : value]);
  return Object.fromEntries(entries) as Group;
}

function translateErrors(name: string, call: NativeFunction): NativeFunction {
  return (...args) => {
    try {
      const result = call(...args);
      if (typeof result === 'function') return translateErrors(name, result as NativeFunction);
      return isGroup(result) ? wrap(result) : result;
    } catch (cause) {
      throw translate(cause, name);
    }
  };
}

/** Whether a native call gave functions of its own, as a recurrent layer does. */
function isGroup(result: unknown): result is object {
  return typeof result === 'object' && result !== null && 'forward' in result;
}

function translate(cause: unknown, name?: string): EvenkeelError {
  const { code, message } = cause as { code?: unknown; message?: unknown };
  return new EvenkeelError(isCode(code) ? code : 'ERR_NATIVE', `${name === undefined ? '' : `${name}: `}${message}`, { cause });
}

const NATIVE_CODES: readonly ErrorCode[] = ['ERR_SHAPE', 'ERR_DTYPE', 'ERR_OPTION', 'ERR_STATE', 'ERR_MEMORY', 'ERR_NATIVE'];

function isCode(code: unknown): code is ErrorCode {
  return NATIVE_CODES.includes(code as ErrorCode);
}
