// Runs cases of one area until its time is over: node scripts/fuzz/child.mjs AREA FIRST_CASE SECONDS STATE_FILE
// The state file says which case is under way, so that whoever started this knows it after a crash.
import { mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Calls, Finding } from './calls.mjs';
import { Random } from './random.mjs';

const [, , area, firstCase, seconds, stateFile] = process.argv;
const descriptor = openSync(stateFile, 'w');
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-fuzz-'));
// What a case writes to a relative path is no file of ours.
process.chdir(folder);
// A promise that nobody awaits may be part of a case.
const rejections = [];
process.on('unhandledRejection', (reason) => rejections.push(reason));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const { prepare } = await import(`./${area}.mjs`);
const calls = new Calls();
const report = (index, finding) =>
  writeSync(
    descriptor,
    JSON.stringify({ case: index, calls: calls.calls, refused: calls.refused, finding }).padEnd(4000, ' ').slice(0, 4000),
    0,
  );
report(Number(firstCase));
const runCase = await prepare(folder, calls);
const end = performance.now() + 1000 * Number(seconds);
let index = Number(firstCase);
do {
  report(index);
  try {
    await runCase(new Random(index));
    if (rejections.length > 0) throw new Finding(`a promise that nobody awaits was rejected: ${rejections.pop()?.stack}`);
  } catch (error) {
    const finding = error instanceof Finding ? error.message : `the fuzzer itself failed: ${error?.stack}`;
    report(index, finding.slice(0, 3500));
    process.exit(9);
  }
  index++;
} while (performance.now() < end);
report(index);
const functions = Object.fromEntries(
  [...calls.byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { calls: all, accepted }]) => [name, [all, accepted]]),
);
console.log(JSON.stringify({ area, cases: index - Number(firstCase), calls: calls.calls, refused: calls.refused, functions }));
process.exit(0);
