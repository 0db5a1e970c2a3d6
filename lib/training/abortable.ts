/** Waiting that an AbortSignal ends at once. */

/**
 * What `wait` comes to.
 * @throws the signal's reason as soon as it is aborted, whatever becomes of `wait`
 */
export function untilAborted<T>(signal: AbortSignal | undefined, wait: T | PromiseLike<T>): Promise<T> {
  if (signal === undefined) return Promise.resolve(wait);
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    // A listener of each wait's own: a race against one promise for all would keep something of each wait until the last.
    signal.addEventListener('abort', abort, { once: true });
    Promise.resolve(wait)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Goes through a source until the signal is aborted, while it waits for an item too; then the source is told to end, and not waited for. */
export function abortable<T>(source: Iterable<T> | AsyncIterable<T>, signal: AbortSignal | undefined): Iterable<T> | AsyncIterable<T> {
  if (signal === undefined) return source;
  return {
    [Symbol.asyncIterator]() {
      const iterator = openIterator(source);
      const close = async () => {
        await iterator.return?.();
      };
      return {
        async next() {
          try {
            return await untilAborted(signal, iterator.next());
          } catch (error) {
            // Not awaited: a generator that waits for its own source hears of it only afterwards. What ended the wait is what counts.
            if (signal.aborted) close().catch(() => {});
            throw error;
          }
        },
        async return() {
          await untilAborted(signal, close());
          return { done: true, value: undefined };
        },
      };
    },
  };
}

function openIterator<T>(source: Iterable<T> | AsyncIterable<T>): AsyncIterator<T> {
  if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]();
  // Awaits promises among the items, as `for await` does.
  return (async function* () {
    yield* source;
  })();
}
