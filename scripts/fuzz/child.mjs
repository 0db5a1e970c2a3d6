// Runs cases of one area until its time is over, or it has made its calls: node scripts/fuzz/child.mjs AREA FIRST_CASE SECONDS CALLS FOLDER
// The state file says which case is under way, so that whoever started this knows it after a crash.
import { mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Calls, Finding } from './calls.mjs';
import { Random } from './random.mjs';

const [, , area, firstCase, seconds, wantedCalls, parent] = process.argv;
const descriptor = openSync(join(parent, 'state'), 'w');
const folder = mkdtempSync(join(parent, 'case-'));
// Most calls are refused, and most of a refusal's time is its stack: whole where a finding is looked at alone.
if (Number(seconds) > 0) Error.stackTraceLimit = 3;
// What a case writes to a relative path is no file of ours.
process.chdir(folder);
// A promise that nobody awaits may be part of a case.
const rejections = [];
process.on('unhandledRejection', (reason) => rejections.push(reason));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const { prepare } = await import(`./${area}.mjs`);
const calls = new Calls();
// A finding is the last that is reported, and the longest.
const report = (index, finding) =>
  writeSync(descriptor, JSON.stringify({ case: index, calls: calls.calls, refused: calls.refused, finding }).padEnd(100, ' '), 0);
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
} while (performance.now() < end && calls.calls < Number(wantedCalls));
report(index);
const functions = Object.fromEntries(
  [...calls.byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { calls: all, accepted }]) => [name, [all, accepted]]),
);
console.log(JSON.stringify({ area, cases: index - Number(firstCase), calls: calls.calls, refused: calls.refused, functions }));
process.exit(0);
