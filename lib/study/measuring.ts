/**
 * Runs `measure`, which adds to `results`, and notes how long it took. An aborted signal does not throw: the results then hold what had
 * finished, and say so.
 */
export async function measuring<Results extends { interrupted: boolean; seconds: number }>(
  results: Results,
  signal: AbortSignal | undefined,
  measure: () => Promise<void>,
): Promise<Results> {
  const begin = performance.now();
  try {
    await measure();
  } catch (error) {
    if (!signal?.aborted) throw error;
    results.interrupted = true;
  }
  results.seconds = (performance.now() - begin) / 1000;
  return results;
}
