// Tries to break the package: npm run fuzz -- [--minutes 1] [--calls N] [--area border] [--case 123] [--seed 1] [--at-once 1] [--json FILE]
// The minutes are shared by the areas; with --calls, an area ends when it has made as many, and the minutes are the most that it may take for that.
// Each area runs in a process of its own, so that a crash is a finding like another. A finding names its case: `--area A --case N` runs that alone.
// Under sanitizers: scripts/sanitize.sh address node scripts/fuzz.mjs
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/** What is called, or read. */
const AREAS = {
  border: 'functions and classes of the package, with arguments of every kind',
  addon: 'functions of the native addon, past the checks of TypeScript',
  safetensors: 'damaged safetensors files and checkpoints',
  csv: 'CSV files of every kind',
  definitions: 'sweep definitions',
  journals: "sweeps' folders with damaged journals",
  messages: 'messages of a queue, as other clients could write them',
  interop: 'damaged models of Keras, TF.js, ONNX, PyTorch and saveModel',
};

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    calls: { type: 'string' },
    area: { type: 'string' },
    case: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Date.now() / 1000) % 1e6) },
    'at-once': { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
const areas = values.area === undefined ? Object.keys(AREAS) : values.area.split(',');
for (const area of areas)
  if (!(area in AREAS) && area !== 'selftest') throw new Error(`--area: expected one of ${Object.keys(AREAS).join(', ')}, got ${area}`);
const wantedCalls = values.calls === undefined ? Infinity : Number(values.calls);
if (!(wantedCalls > 0)) throw new Error(`--calls: expected a number above 0, got ${values.calls}`);
const minutes = Number(values.minutes ?? (values.calls === undefined ? 1 : 24 * 60));
const atOnce = Math.min(Number(values['at-once']), areas.length);
if (!(atOnce >= 1)) throw new Error(`--at-once: expected a number of at least 1, got ${values['at-once']}`);
const seconds = (60 * minutes * atOnce) / areas.length;
if (!(seconds >= 0)) throw new Error(`--minutes: expected a number, got ${values.minutes}`);
/** A case that takes longer hangs. */
const hangSeconds = 120;
// In memory where the system has a place there, unless another is asked for: most of a damaged file's time is otherwise the disk's.
const folder = mkdtempSync(join(process.env.TMPDIR === undefined && isWritable('/dev/shm') ? '/dev/shm' : tmpdir(), 'evenkeel-fuzz-'));

function isWritable(path) {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** One process: what it says at its end, or how it ended and in which case. */
async function runChild(area, firstCase, childSeconds, childCalls) {
  const ownFolder = mkdtempSync(join(folder, 'child-'));
  const stateFile = join(ownFolder, 'state');
  const script = new URL('fuzz/child.mjs', import.meta.url).pathname;
  const child = spawn(
    process.execPath,
    ['--expose-gc', '--max-old-space-size=1024', script, area, firstCase, childSeconds, childCalls, ownFolder],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let said = '';
  let complaints = '';
  child.stdout.on('data', (text) => (said += text));
  child.stderr.on('data', (text) => (complaints = (complaints + text).slice(-20_000)));
  const watch = watchProgress(stateFile, () => child.kill('SIGKILL'));
  const [status, signal] = await new Promise((resolve) => child.on('close', (...ended) => resolve(ended)));
  const hung = watch.stop();
  if (status === 0) return { result: JSON.parse(said.trim().split('\n').at(-1)) };
  const state = readState(stateFile) ?? { case: Number(firstCase), calls: 0 };
  const how = hung ? `no case was done within ${hangSeconds} s` : `the process ended with ${signal ?? `status ${status}`}`;
  return { state, finding: state.finding ?? `${how}\n${complaints.slice(0, 6000)}` };
}

function readState(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Counts its own seconds: while the machine sleeps, or all of this is stopped, nobody hangs. */
function watchProgress(file, kill) {
  let last;
  let idleSeconds = 0;
  let hung = false;
  const timer = setInterval(() => {
    const now = readState(file)?.case;
    if (now !== last) [last, idleSeconds] = [now, 0];
    else if (++idleSeconds > hangSeconds) [hung] = [true, kill()];
  }, 1000);
  return {
    stop() {
      clearInterval(timer);
      return hung;
    },
  };
}

/** An area until its time is over; after a crash, from the next case on. */
async function runArea(area) {
  const begin = Date.now();
  const total = { area, cases: 0, calls: 0, refused: 0, functions: {}, findings: [] };
  let next = values.case === undefined ? Number(values.seed) * 10_000_000 : Number(values.case);
  for (let left = seconds; (left > 0 && total.calls < wantedCalls) || total.cases === 0; left = seconds - (Date.now() - begin) / 1000) {
    const childSeconds = values.case === undefined ? Math.max(1, left) : 0;
    const { result, state, finding } = await runChild(area, String(next), String(childSeconds), String(wantedCalls - total.calls));
    if (result !== undefined) {
      Object.assign(total, {
        cases: total.cases + result.cases,
        calls: total.calls + result.calls,
        refused: total.refused + result.refused,
      });
      for (const [name, [calls, accepted]] of Object.entries(result.functions)) {
        const [before, acceptedBefore] = total.functions[name] ?? [0, 0];
        total.functions[name] = [before + calls, acceptedBefore + accepted];
      }
      break;
    }
    total.cases += state.case - next + 1;
    total.calls += state.calls;
    total.refused += state.refused ?? 0;
    total.findings.push({ case: state.case, finding });
    console.error(`\n${area}, case ${state.case}: ${finding}\nTo see it again: node scripts/fuzz.mjs --area ${area} --case ${state.case}`);
    next = state.case + 1;
    if (values.case !== undefined || total.findings.length >= (area === 'selftest' ? 3 : 20)) break;
  }
  return { ...total, seconds: (Date.now() - begin) / 1000 };
}

const results = [];
async function runAreas(queue) {
  for (let area = queue.shift(); area !== undefined; area = queue.shift()) {
    const result = await runArea(area);
    results[areas.indexOf(area)] = result;
    const { calls, refused, cases, findings } = result;
    console.log(
      `${area}: seed ${values.seed}, ${calls.toLocaleString('en-US')} calls in ${cases} cases, ${refused} refused, ${findings.length} findings`,
    );
  }
}

try {
  const queue = [...areas];
  await Promise.all(Array.from({ length: atOnce }, () => runAreas(queue)));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ seed: values.seed, results }, null, 1)}\n`);
process.exitCode = results.some(({ findings }) => findings.length > 0) ? 1 : 0;
