// Kills a sweep at random moments and checks that nothing is lost and nothing counted twice:
//   node scripts/chaos.mjs local [--trials 540] [--kills 20] [--seed 1]   SIGKILL to trial processes and to the sweep itself
//   node scripts/chaos.mjs queue [...]                                    three workers on a real redis-server: SIGKILL to workers, the sweep and Redis
//   node scripts/chaos.mjs local queue [...]                              both, beside one undisturbed run
//   node scripts/chaos.mjs throughput [...]                               the same sweep by queue with one worker and with two
// The killed sweep is started again until it is complete; its results.csv must be that of an undisturbed run, byte for byte.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const cli = new URL('../dist/cli/main.js', import.meta.url).pathname;
const { positionals: modes, values } = parseArgs({
  allowPositionals: true,
  options: { trials: { type: 'string', default: '540' }, kills: { type: 'string', default: '20' }, seed: { type: 'string', default: '1' } },
});
const wantedTrials = Number(values.trials);
const wantedKills = Number(values.kills);
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-chaos-'));
const started = new Set();

/** A small generator (mulberry32), so that --seed says which run it was; when things happen is up to the machine. */
let state = Number(values.seed);
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const pick = (list) => list[Math.floor(random() * list.length)];

function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], ...options });
  started.add(child);
  child.said = '';
  child.stderr?.on('data', (text) => {
    child.said += text;
  });
  child.ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(started.delete(child) && (signal ?? code))));
  return child;
}

const evenkeel = (...args) => start(process.execPath, [cli, ...args]);

function childrenOf(pid) {
  try {
    return execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(Number);
  } catch {
    return [];
  }
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

/** Lengths from 10 to 100,000 in a mix that takes a minute or two. */
function writeDefinition() {
  const lengths = [10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000];
  const seeds = Math.max(1, Math.round(wantedTrials / (lengths.length * 6)));
  const definition = {
    lengths,
    placements: ['none', 'input', 'output'],
    clips: ['none', { maxNorm: 0.5 }],
    sizes: [{ batchSize: 1, inputSize: 2, hiddenSize: 8 }],
    seeds: Array.from({ length: seeds }, (_, i) => i + 1),
    steps: 2,
  };
  const path = join(folder, 'sweep.json');
  writeFileSync(path, JSON.stringify(definition));
  return { path, trials: lengths.length * 6 * seeds };
}

/** The run that nobody disturbs, in the folder `calm`, once; its seconds. */
let calm;
const calmSeconds = (path) => {
  calm ??= complete(['sweep', path, '--out', join(folder, 'calm')]);
  return calm;
};

async function complete(args) {
  const begin = performance.now();
  const sweep = evenkeel(...args);
  const status = await sweep.ended;
  if (status !== 0) throw new Error(`evenkeel ${args.join(' ')} ended with ${status}:\n${sweep.said}`);
  return (performance.now() - begin) / 1000;
}

/** Runs the sweep again and again until it is complete, while `disturb` kills; returns how often it was started. */
async function disturbed(args, disturb) {
  let kills = 0;
  let starts = 0;
  for (;;) {
    const sweep = evenkeel(...args);
    starts++;
    while (kills < wantedKills && sweep.exitCode === null && sweep.signalCode === null) {
      await Promise.race([sleep(300 + 1200 * random()), sweep.ended]);
      if (sweep.exitCode !== null || sweep.signalCode !== null) break;
      if (await disturb(sweep)) kills++;
    }
    const status = await sweep.ended;
    if (status === 0) return { starts, kills };
    // A sweep that begins while Redis is down says so and ends: its user begins it again.
    const isWithoutRedis = status === 1 && /expected a Redis or Valkey server/.test(sweep.said);
    if (status !== 'SIGKILL' && !isWithoutRedis) throw new Error(`the sweep ended with ${status}:\n${sweep.said}`);
  }
}

function compare(reference, out, trials) {
  const read = (dir, file) => readFileSync(join(folder, dir, file), 'utf8');
  const records = read(out, 'trials.jsonl')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const done = records.filter(({ status }) => status === 'done').map(({ hash }) => hash);
  const result = {
    trials,
    done: new Set(done).size,
    twice: done.length - new Set(done).size,
    failedRecords: records.length - done.length,
    sameResults: read(reference, 'results.csv') === read(out, 'results.csv'),
  };
  if (result.done !== trials || result.twice !== 0 || !result.sameResults)
    throw new Error(`not as it should be: ${JSON.stringify(result)}`);
  return result;
}

const report = (text, result) => console.log(`${text}: ${JSON.stringify(result)}`);

async function local() {
  const { path, trials } = writeDefinition();
  const seconds = await calmSeconds(path);
  const begin = performance.now();
  const { starts, kills } = await disturbed(['sweep', path, '--out', join(folder, 'killed'), '--retries', '10'], (sweep) => {
    const workers = childrenOf(sweep.pid);
    const target = random() < 0.5 ? sweep.pid : pick(workers);
    return target !== undefined && kill(target);
  });
  report('local', { ...compare('calm', 'killed', trials), kills, starts, seconds, secondsDisturbed: (performance.now() - begin) / 1000 });
}

class Redis {
  async start() {
    this.port ??= await freePort();
    this.url = `redis://127.0.0.1:${this.port}`;
    const args = [
      '--port',
      String(this.port),
      '--bind',
      '127.0.0.1',
      '--dir',
      folder,
      '--appendonly',
      'yes',
      '--save',
      '',
      '--loglevel',
      'warning',
    ];
    this.child = start('redis-server', args);
    await Promise.race([sleep(500), this.child.ended]);
    if (this.child.exitCode !== null) throw new Error(`redis-server ended: ${this.child.said}`);
  }

  async restart() {
    kill(this.child.pid);
    await this.child.ended;
    await sleep(2000 * random());
    await this.start();
  }
}

/** A worker that is started again when it ends, as a service manager would. */
class Worker {
  #stopped = false;

  constructor(url) {
    this.ended = this.#run(url);
  }

  async #run(url) {
    while (!this.#stopped) {
      this.child = evenkeel('worker', '--queue', url, '--workers', '1', '--lost-after', '3');
      await this.child.ended;
      await sleep(200);
    }
  }

  async stop() {
    this.#stopped = true;
    this.child.kill('SIGTERM');
    await this.ended;
  }
}

async function queue() {
  const { path, trials } = writeDefinition();
  const seconds = await calmSeconds(path);
  const redis = new Redis();
  await redis.start();
  const workers = [1, 2, 3].map(() => new Worker(redis.url));
  const begin = performance.now();
  const killed = { worker: 0, sweep: 0, redis: 0 };
  const { starts, kills } = await disturbed(
    ['sweep', path, '--out', join(folder, 'killed-by-queue'), '--queue', redis.url],
    async (sweep) => {
      const what = pick(['worker', 'worker', 'sweep', 'redis']);
      if (what === 'redis') await redis.restart();
      else if (!kill(what === 'sweep' ? sweep.pid : pick(workers).child.pid)) return false;
      killed[what]++;
      return true;
    },
  );
  const secondsDisturbed = (performance.now() - begin) / 1000;
  report('queue', { ...compare('calm', 'killed-by-queue', trials), kills, killed, starts, secondsLocal: seconds, secondsDisturbed });
  await Promise.all(workers.map((worker) => worker.stop()));
}

async function throughput() {
  const { path, trials } = writeDefinition();
  const redis = new Redis();
  await redis.start();
  for (const count of [1, 2]) {
    const workers = Array.from({ length: count }, () => new Worker(redis.url));
    await sleep(2000);
    const seconds = await complete(['sweep', path, '--out', join(folder, `by-${count}`), '--queue', redis.url]);
    report(`${count} worker${count === 1 ? '' : 's'}`, { trials, seconds, trialsPerSecond: trials / seconds });
    await Promise.all(workers.map((worker) => worker.stop()));
  }
  compare('by-1', 'by-2', trials);
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const known = { local, queue, throughput };
try {
  const unknown = modes.find((mode) => !Object.hasOwn(known, mode));
  if (modes.length === 0 || unknown !== undefined) throw new Error(`expected some of ${Object.keys(known).join(', ')}, got ${unknown}`);
  for (const mode of modes) await known[mode]();
} finally {
  for (const child of started) kill(child.pid);
  rmSync(folder, { recursive: true, force: true });
}
