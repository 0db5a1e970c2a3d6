// A driver that computes nothing: what it answers stands in the JSON of its argument.
//   { name, log?, numbers, calls?: times in ms, turns?: such of each turn, first?: ms, behaviour?: 'crash' | 'hang' | 'garbage' | 'missing' | 'die-later' | 'spawn' | 'slow' | 'late' | 'late-again', noteStart?: true }
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const { name, log, numbers, calls = [1], turns = [calls], first = 1, behaviour, noteStart } = JSON.parse(process.argv[2]);
const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const note = (text) => log !== undefined && appendFileSync(log, `${text}\n`);

let turn = 0;
let isLate = behaviour === 'late';
let started = false;
for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (!started) start(message);
  else if (message.measure) answer(numbers);
  else if (message.runMs === 0) firstCall();
  else if (behaviour === 'die-later') throw new RangeError('Maximum call stack size exceeded');
  else {
    note(name);
    answer({ timesMs: turns[turn++ % turns.length], peakBytes: 3e6 });
  }
  started = true;
}

function start({ trial, threads, tier }) {
  // In any trial but the first of the tests.
  isLate ||= behaviour === 'late-again' && trial.h !== 4;
  if (noteStart) note(`start ${name}`);
  process.stdout.write('Welcome to a library that greets.\n');
  if (behaviour === 'crash') process.kill(process.pid, 'SIGSEGV');
  else if (behaviour === 'missing') answer({ error: 'It is not there.', install: 'install it' });
  else if (behaviour === 'garbage') answer({ ready: true, system: 7 });
  else if (behaviour === 'spawn') note(spawn('sleep', ['1000'], { stdio: 'ignore' }).pid);
  if (behaviour === undefined || behaviour === 'die-later' || behaviour === 'spawn' || behaviour?.startsWith('late')) {
    answer({ ready: true, system: `${name} ${tier ?? ''}${threads}`, baseBytes: 1e6 });
  } else if (behaviour === 'slow') {
    note(`slow ${threads}`);
    answer({ ready: true, system: name, baseBytes: 1e6 });
  }
}

function firstCall() {
  const answerFirst = () => answer({ timesMs: [first], peakBytes: 2e6 });
  if (isLate) setTimeout(answerFirst, first);
  else if (behaviour !== 'slow') answerFirst();
}
