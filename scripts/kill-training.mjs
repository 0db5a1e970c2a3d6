// Kills a training at random moments, while it saves too, and checks that it ends as one that nothing disturbed, bit for bit:
//   node scripts/kill-training.mjs [--kills 200] [--epochs 12] [--seed 1] [--json]
// The training has a schedule, groups, accumulated gradients, a clipper, dropout, zoneout, averaged weights, validation and early stopping. What is
// compared are the bytes of its last checkpoint, which holds all that has a state and the history, and of its weights in the end.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Generator } from '../dist/index.js';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    epochs: { type: 'string', default: '12' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const wanted = Number(values.kills);
if (!(Number.isInteger(wanted) && wanted > 0)) throw new Error(`--kills: expected a whole number above 0, got ${values.kills}`);
const random = new Generator(Number(values.seed));
const root = mkdtempSync(join(tmpdir(), 'evenkeel-kills-'));
const train = new URL('kill-training/train.mjs', import.meta.url).pathname;

/** Starts the training in a folder; `ended` is its exit status, or the signal that ended it. */
function start(folder) {
  const child = spawn(process.execPath, ['--no-warnings', train, folder, values.epochs], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      if (status !== 0 && signal !== 'SIGKILL') reject(new Error(`the training ended with ${signal ?? status}:\n${said}`));
      else resolve(signal ?? status);
    });
  });
  return { child, ended };
}

/** How long to the first checkpoint, and to the end, in milliseconds. */
async function undisturbed(folder) {
  const begin = performance.now();
  const { ended } = start(folder);
  let first;
  const watch = setInterval(() => {
    if (first === undefined && existsSync(join(folder, 'run.safetensors'))) first = performance.now() - begin;
  }, 2);
  await ended;
  clearInterval(watch);
  return { first, all: performance.now() - begin };
}

const hash = (folder) =>
  ['run.safetensors', 'weights.safetensors']
    .map((name) =>
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    )
    .join();

/** Files that a save under way leaves behind when it is killed. */
const leftOvers = (folder) => readdirSync(folder).filter((name) => name.endsWith('.tmp')).length;

/** Kills one training until it ends, or as often as is wanted. */
async function disturbed(folder, time, most) {
  let kills = 0;
  let whileSaving = 0;
  for (;;) {
    const before = leftOvers(folder);
    const { child, ended } = start(folder);
    let isOver = false;
    ended.then(
      () => (isOver = true),
      () => (isOver = true),
    );
    if (kills < most) {
      // From before the checkpoint is read to some steps after it.
      await Promise.race([ended, wait(0.5 * time.first + random.uniform() * (0.6 * time.first + 0.4 * (time.all - time.first)))]);
      if (!isOver) child.kill('SIGKILL');
      if ((await ended) === 0) return { kills, whileSaving };
      kills++;
      if (leftOvers(folder) > before) whileSaving++;
      if (!values.json && kills % 10 === 0) console.error(`${kills} kills`);
    } else if ((await ended) === 0) return { kills, whileSaving };
  }
}

const whole = mkdtempSync(join(root, 'whole-'));
const time = await undisturbed(whole);
const expected = hash(whole);
const rounds = [];
let kills = 0;
while (kills < wanted) {
  const folder = mkdtempSync(join(root, 'killed-'));
  const round = await disturbed(folder, time, wanted - kills);
  const isSame = hash(folder) === expected;
  rounds.push({ ...round, isSame });
  kills += round.kills;
  if (!values.json)
    console.log(`${kills} of ${wanted} kills: a training that was killed ${round.kills} times, ${isSame ? 'the same bits' : 'OTHER BITS'}`);
}
const whileSaving = rounds.reduce((sum, round) => sum + round.whileSaving, 0);
const same = rounds.filter(({ isSame }) => isSame).length;
if (values.json) console.log(JSON.stringify({ kills, whileSaving, trainings: rounds.length, same }));
else
  console.log(
    `${kills} kills, ${whileSaving} of them while a checkpoint was written; ${same} of ${rounds.length} trainings ended with the same bits`,
  );
rmSync(root, { recursive: true });
if (same < rounds.length) process.exitCode = 1;
