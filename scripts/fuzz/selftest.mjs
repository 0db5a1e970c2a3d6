// Cases that fail in each way that a case can: whether the fuzzer sees it, and goes on, is what the suite asks.
export async function prepare(_folder, calls) {
  let cases = 0;
  return async () => {
    calls.run('good', () => 1);
    // The first of each process fails, in a way that its number says.
    if (cases++ > 0) return;
    const [, , , first] = process.argv;
    if (first % 3 === 0) process.abort();
    if (first % 3 === 1) calls.run('untyped', () => null.x);
    if (first % 3 === 2) calls.expect('wrong', false, 'a result is not as it should be');
  };
}
