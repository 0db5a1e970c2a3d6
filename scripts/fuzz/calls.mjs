// What is right of a call, whatever it is given: it returns, or it throws an EvenkeelError.
import { createRequire } from 'node:module';

export const require = createRequire(import.meta.url);
/** A compiled file of the package, as its modules see each other. */
export const internal = (name) => require(`../../dist/${name}.js`);
export const { EvenkeelError } = internal('errors');

/** Thrown by a callback that a case gives: it may come out as it went in. */
export class CallbackError extends Error {}
/** Thrown by a getter or a trap that a case gives: it must come out as the cause of an EvenkeelError. */
export class GetterError extends Error {}
/** What a case found. */
export class Finding extends Error {}

const CODES = ['ERR_SHAPE', 'ERR_DTYPE', 'ERR_OPTION', 'ERR_STATE', 'ERR_NON_FINITE', 'ERR_MEMORY', 'ERR_FILE', 'ERR_NATIVE'];
const isTyped = (error) => (error instanceof EvenkeelError && CODES.includes(error.code)) || error instanceof CallbackError;
/** What iterators of batches throw comes out of fit unchanged. */
export const isTypedOrTheirs = (error) => isTyped(error) || error instanceof GetterError;
/** The raw addon throws plain Errors with a code, and lets those of getters and proxies out. */
const isCoded = (error) =>
  error instanceof GetterError || /\bproxy\b/i.test(error?.message) || (error instanceof Error && CODES.includes(error.code));

/** Counts the calls of an area, and checks each. */
export class Calls {
  calls = 0;
  refused = 0;
  /** how often each function was called, and how often it returned */
  byName = new Map();

  /** What `call` returns; undefined where it was refused. */
  run(name, call, isRight = isTyped) {
    const counts = this.#count(name);
    try {
      const result = call();
      counts.accepted++;
      return result;
    } catch (error) {
      this.#refuse(name, error, isRight);
      return undefined;
    }
  }

  runRaw(name, call) {
    return this.run(name, call, isCoded);
  }

  async runAsync(name, call, isRight = isTyped) {
    const counts = this.#count(name);
    try {
      const result = await call();
      counts.accepted++;
      return result;
    } catch (error) {
      this.#refuse(name, error, isRight);
      return undefined;
    }
  }

  /** Fails the case where something that was returned is not as it should be. */
  expect(name, condition, what) {
    if (!condition) throw new Finding(`${name}: ${what}`);
  }

  #count(name) {
    this.calls++;
    let counts = this.byName.get(name);
    if (counts === undefined) {
      counts = { calls: 0, accepted: 0 };
      this.byName.set(name, counts);
    }
    counts.calls++;
    return counts;
  }

  #refuse(name, error, isRight) {
    if (error instanceof Finding) throw error;
    if (!isRight(error)) throw new Finding(`${name}: an untyped error: ${error?.stack ?? String(error)}`);
    this.refused++;
  }
}
