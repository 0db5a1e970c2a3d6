import { join, resolve } from 'node:path';
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
    return wrap(require(file) as NativeAddon);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    // The addon itself may refuse its environment.
    if (isCode(code)) throw translate(cause);
    const reason = message.split('\n')[0];
    throw new EvenkeelError('ERR_NATIVE', `The native addon ${file} does not load: ${reason}. ${remedy(process.platform)}`, { cause });
  }
}

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
