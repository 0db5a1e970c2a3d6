import { resolve } from 'node:path';
import { usableCores } from '../cgroup';
import { type ErrorCode, EvenkeelError } from '../errors';
import type { NativeAddon } from './addon';
import { type Found, findAddon, openAddon } from './find';

let loaded: Found | undefined;

/**
 * The native addon, loaded at its first use.
 * `EVENKEEL_ADDON` names another build of it, such as one with sanitizers.
 * @throws EvenkeelError ERR_NATIVE with the remedy for this platform when it does not load
 */
export function native(): NativeAddon {
  return use().addon;
}

/** Where the addon comes from: the file of a build of one's own, or the platform's package. */
export function nativeOrigin(): string {
  return use().from;
}

function use(): Found {
  if (loaded === undefined) {
    loaded = load(process.env.EVENKEEL_ADDON);
    const { blas, simdTarget } = loaded.addon.runtimeInfo();
    const warning = slowBlas(blas, simdTarget);
    if (warning !== undefined) process.emitWarning(warning, { type: 'EvenkeelWarning', code: 'EVENKEEL_SLOW_BLAS' });
  }
  return loaded;
}

/** What to say where OpenBLAS takes a processor that is newer than itself for one of 2004; measured, its products take six times as long. */
export function slowBlas(blas: string, simdTarget: string): string | undefined {
  const core = { avx512: 'SkylakeX', avx2: 'Haswell' }[simdTarget];
  // Built for chosen processors, as in the platforms' packages, OpenBLAS calls the same kernels Katmai.
  if (core === undefined || !/ (Prescott|Katmai)$/.test(blas)) return undefined;
  return (
    `${blas}: this OpenBLAS does not know the processor, and Linear layers take several times as long as they could. ` +
    `Set OPENBLAS_CORETYPE=${core} in the environment, or install a newer OpenBLAS.`
  );
}

/** Loads an addon; exported for tests. */
export function load(path: string | undefined): Found {
  try {
    const { addon, from } = path === undefined || path === '' ? findAddon() : named(resolve(path));
    const wrapped = wrap(addon);
    forgetOnChange(wrapped);
    wrapped.setDefaultThreads(Math.min(usableCores(), MAX_THREADS));
    return { addon: wrapped, from };
  } catch (cause) {
    // The addon itself may refuse its environment.
    throw cause instanceof EvenkeelError ? cause : translate(cause);
  }
}

function named(file: string): Found {
  return { addon: openAddon(file), from: file };
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
