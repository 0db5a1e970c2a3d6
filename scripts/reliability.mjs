// Measures how reliable this build is on this machine, and writes docs/reliability.json and, from it, docs/reliability.md:
//   node scripts/reliability.mjs [--minutes 10] [--only fuzz,workers]    of the time asked for, half goes to fuzzing
//   node scripts/reliability.mjs --calls 1000000 [--minutes 60] [--at-once 2]    fuzzing ends when each area has made as many calls, at the latest after its share
//   node scripts/reliability.mjs --area csv,addon [...]                  fuzzing of these areas, for all the minutes; what is recorded of the others on
//                                                                        such a machine stays. With --only sanitized, under sanitizers
//   node scripts/reliability.mjs --recheck                               runs the cases of recorded findings again, and says which are mended
//   node scripts/reliability.mjs --document                              writes the document again from what was recorded
// With an addon that scripts/sanitize.sh address has built, fuzzing runs under sanitizers too.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { documentOf } from './reliability/document.mjs';

const { runtimeInfo } = createRequire(import.meta.url)('../dist/index.js');
const root = new URL('..', import.meta.url).pathname;
const recorded = join(root, 'docs/reliability.json');
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    calls: { type: 'string' },
    'at-once': { type: 'string', default: '1' },
    only: { type: 'string' },
    area: { type: 'string' },
    document: { type: 'boolean', default: false },
    recheck: { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new Error(`--minutes: expected a number above 0, got ${values.minutes}`);
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-reliability-'));

/** What a command says on standard output; what it complains about is shown as it comes. */
function run(command, args, statuses = [0]) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (text) => (said += text));
    child.on('error', reject);
    child.on('close', (status, signal) =>
      statuses.includes(status) ? resolve(said) : reject(new Error(`${command} ${args.join(' ')} ended with ${signal ?? status}`)),
    );
  });
}

const script = (name, ...args) => run(process.execPath, [join(root, 'scripts', name), ...args]);
const measured = async (name, share) =>
  JSON.parse((await script('reliability/measure.mjs', name, String(share * minutes))).trim().split('\n').at(-1));

async function fuzz(share, ...prefix) {
  const json = join(mkdtempSync(join(folder, 'fuzz-')), 'fuzz.json');
  const most = ['calls', 'area'].flatMap((name) => (values[name] === undefined ? [] : [`--${name}`, values[name]]));
  const args = [
    join(root, 'scripts/fuzz.mjs'),
    '--minutes',
    String(share * minutes),
    '--json',
    json,
    '--at-once',
    values['at-once'],
    ...most,
  ];
  const [command, ...rest] = [...prefix, process.execPath, ...args];
  // Findings are a result too.
  await run(command, rest, [0, 1]);
  const { seed, results } = JSON.parse(readFileSync(json, 'utf8'));
  const { version } = runtimeInfo();
  return {
    areas: results.map(({ area, calls, refused, cases, seconds, findings: found }) => {
      // Without the stack, which names places on this machine.
      const findings = found.map(({ case: number, finding }) => ({ case: number, finding: finding.split('\n')[0] }));
      return { area, seed, version, calls, refused, cases, seconds, findings };
    }),
  };
}

/** Areas of a run, and of the run before it on such a machine those that it left out. */
function mergeAreas(before, { machine, result }) {
  if (result.areas === undefined || values.area === undefined || JSON.stringify(before?.machine) !== JSON.stringify(machine)) return result;
  const areas = new Map([...before.result.areas, ...result.areas].map((one) => [one.area, one]));
  return { areas: [...areas.values()] };
}

async function kills(mode) {
  const count = String(Math.max(2, Math.round(2 * minutes)));
  const said = await script('chaos.mjs', mode, '--kills', count, '--trials', String(54 * Math.ceil(minutes)));
  return JSON.parse(said.slice(said.indexOf('{')));
}

const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
const hasSanitizers = existsSync(join(root, 'build-asan/Release/evenkeel.node'));
const SANITIZED = ['bash', join(root, 'scripts/sanitize.sh'), 'address'];
const MEASUREMENTS = {
  fuzz: () => fuzz(values.area === undefined ? (hasSanitizers ? 0.25 : 0.5) : 1),
  ...(hasSanitizers ? { sanitized: () => fuzz(values.area === undefined ? 0.25 : 1, ...SANITIZED) } : {}),
  killsLocal: () => kills('local'),
  ...(hasRedis ? { killsQueue: () => kills('queue') } : {}),
  faults: () => measured('faults', 0),
  workers: () => measured('workers', 0.15),
  longRun: () => measured('long-run', 0.25),
  eventLoop: () => measured('event-loop', 0),
};

async function record(name, measurement) {
  console.error(`${name} …`);
  const result = await measurement();
  const { node, platform, arch, cpu, cores, threads, simdTarget, blas, version } = runtimeInfo();
  const machine = { node, platform, arch, cpu, cores, threads, simdTarget, blas };
  const all = existsSync(recorded) ? JSON.parse(readFileSync(recorded, 'utf8')) : {};
  const date = new Date().toISOString().slice(0, 10);
  all[name] = { date, version, machine, result: mergeAreas(all[name], { machine, result }) };
  writeFileSync(recorded, `${JSON.stringify(all, null, 2)}\n`);
}

/** Says of each finding whether it is still one: in the build, and by the rules of calls, as they are by now. */
async function recheck() {
  const all = JSON.parse(readFileSync(recorded, 'utf8'));
  const runs = { fuzz: [], sanitized: SANITIZED };
  for (const [name, prefix] of Object.entries(runs))
    for (const { area, findings } of all[name]?.result.areas ?? [])
      for (const finding of findings) {
        const fuzzing = [process.execPath, join(root, 'scripts/fuzz.mjs'), '--area', area, '--case', String(finding.case)];
        const [command, ...args] = [...prefix, ...fuzzing];
        finding.mended = spawnSync(command, args, { stdio: 'inherit' }).status === 0;
      }
  writeFileSync(recorded, `${JSON.stringify(all, null, 2)}\n`);
}

try {
  if (values.recheck) await recheck();
  else if (!values.document) {
    const names = values.only?.split(',') ?? (values.area === undefined ? Object.keys(MEASUREMENTS) : ['fuzz']);
    for (const name of names) {
      if (MEASUREMENTS[name] === undefined)
        throw new Error(`--only: expected some of ${Object.keys(MEASUREMENTS).join(', ')}, got ${name}`);
      await record(name, MEASUREMENTS[name]);
    }
  }
  writeFileSync(join(root, 'docs/reliability.md'), documentOf(JSON.parse(readFileSync(recorded, 'utf8'))));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
