import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Numbers, Trial } from '../../lib/bench/protocol';
import type { BenchResults, CaseResult, TrialResult } from '../../lib/bench/results';
import { compareWithBest, type RunHooks, type RunOptions, runBench } from '../../lib/bench/runner';
import { evenkeel, type System } from '../../lib/bench/systems';

const trial: Trial = { id: 'train 2,3,2,4', work: 'train', n: 2, t: 3, i: 2, h: 4, quick: true, why: 'small' };
const quiet = { begin() {}, advance() {}, end() {} };
const floor = [{ threads: 1, fmaGflops: 100, gemmGflops: 80, readGBs: 20, copyGBs: 20 }];

interface Fake {
  name: string;
  numbers?: Partial<Numbers>;
  calls?: number[];
  /** calls of each turn, again and again */
  turns?: number[][];
  first?: number;
  noteStart?: true;
  behaviour?: 'crash' | 'hang' | 'garbage' | 'missing' | 'die-later' | 'spawn' | 'slow' | 'late' | 'late-again';
}

let folder: string;
const usualFolder = process.env.TMPDIR;
let numbers: Numbers;

beforeAll(async () => {
  numbers = (await run([])).reference as Numbers;
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-test-'));
  process.env.TMPDIR = folder;
});
afterEach(() => {
  if (usualFolder === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = usualFolder;
  rmSync(folder, { recursive: true, force: true });
});

const log = () => join(folder, 'log');
const logged = () => readFileSync(log(), 'utf8').trim().split('\n');

function fake(options: Fake): System {
  const argument = JSON.stringify({ log: log(), ...options, numbers: options.numbers ?? numbers });
  return {
    id: options.name,
    title: options.name,
    ways: [{ works: ['train'] }],
    threaded: false,
    command: () => ({ file: process.execPath, args: [join(__dirname, 'fake-driver.mjs'), argument] }),
    install: `get ${options.name}`,
  };
}

function runAll(systems: readonly System[], options: Partial<RunOptions> = {}, hooks: Partial<RunHooks> = {}): Promise<BenchResults> {
  const full: RunOptions = {
    trials: [trial],
    systems,
    quick: true,
    budgetSeconds: 0.2,
    limitSeconds: 60,
    paths: { python: 'python3' },
    floor,
    ...options,
  };
  return runBench(full, { progress: quiet, ...hooks });
}

async function run(systems: readonly System[], options: Partial<RunOptions> = {}): Promise<TrialResult> {
  const [result] = (await runAll(systems, options)).trials;
  if (result === undefined) throw new Error('no trial');
  return result;
}

function isAlive(pid: number): boolean {
  try {
    // A killed process whose parent has gone, too, is a zombie until init takes it.
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('same work first', () => {
  test('the reference is float64, and evenkeel agrees with it', async () => {
    const { cases, reference } = await run([evenkeel]);
    expect(Object.values(reference as Numbers).every(Number.isFinite)).toBe(true);
    expect(cases.map(({ outcome }) => outcome)).toEqual(cases.map(() => 'timed'));
    expect(cases[0]?.numbers?.loss).not.toBe(reference?.loss);
    expect(cases[0]?.version).toContain('evenkeel');
  });

  test.each(['forward', 'backward', 'layer-norm'] as const)('evenkeel agrees with its reference in %s', async (work) => {
    const { cases } = await run([evenkeel], { trials: [{ ...trial, work }] });
    expect(cases[0]).toMatchObject({ outcome: 'timed', timing: { min: expect.any(Number) } });
  });

  test('another loss is shown with both numbers and not timed', async () => {
    const { cases, comparison } = await run([fake({ name: 'other', numbers: { ...numbers, loss: numbers.loss * 1.001 } })]);
    expect(cases).toEqual([expect.objectContaining({ outcome: 'disagrees', counts: false })]);
    expect(cases[0]?.reason).toContain(`but ${numbers.loss} in float64`);
    expect(cases[0]?.timing).toBeUndefined();
    expect(comparison).toBeUndefined();
    expect(existsSync(log())).toBe(false);
  });
});

test('without a reference nobody is timed, and the run goes on', async () => {
  const impossible: Trial = { ...trial, id: 'impossible', h: 0 };
  const { trials, interrupted } = await runAll([evenkeel, fake({ name: 'fine' })], { trials: [impossible, trial] });
  expect(interrupted).toBe(false);
  expect(trials[0]).toMatchObject({ cases: [{ system: 'evenkeel', outcome: 'failed', reason: expect.stringContaining('expected') }] });
  expect(trials[0]?.comparison).toBeUndefined();
  expect(trials[1]?.comparison).toBeDefined();
});

test('clipping acts in what is trained', async () => {
  const { reference } = await run([]);
  expect(reference?.norm).toBeGreaterThan(1.5);
  expect(reference?.clippedNorm).toBeCloseTo(1, 5);
});

test('progress says how much time is left, less and less to nothing', async () => {
  const left: number[] = [];
  const progress = { ...quiet, advance: (_: number, seconds = Number.NaN) => void left.push(seconds) };
  await runAll([fake({ name: 'a' })], { trials: [trial, { ...trial, id: 'second' }] }, { progress });
  expect(left[0]).toBeGreaterThan(0);
  expect(left.at(-1)).toBeCloseTo(0, 6);
  expect(left.every(Number.isFinite)).toBe(true);
});

describe('what a rival may do', () => {
  const outcomes = async (...fakes: Fake[]): Promise<CaseResult[]> => (await run(fakes.map(fake))).cases;

  test('be missing: named with the command that installs it', async () => {
    expect(await outcomes({ name: 'a', behaviour: 'missing' })).toEqual([
      expect.objectContaining({ outcome: 'missing', reason: 'It is not there.', install: 'install it' }),
    ]);
    const noProgram = { ...fake({ name: 'b' }), command: () => ({ file: 'no-such-program', args: [] }) };
    expect((await run([noProgram])).cases).toEqual([expect.objectContaining({ outcome: 'missing', install: 'get b' })]);
  });

  test('crash, answer nonsense, or fail in mid-run: the others are timed all the same', async () => {
    const cases = await outcomes(
      { name: 'crash', behaviour: 'crash' },
      { name: 'garbage', behaviour: 'garbage' },
      { name: 'die-later', behaviour: 'die-later' },
      { name: 'fine' },
    );
    expect(cases.map(({ system, outcome }) => `${system} ${outcome}`)).toEqual([
      'crash failed',
      'garbage failed',
      'die-later failed',
      'fine timed',
    ]);
    expect(cases[0]?.reason).toBe('crashed with SIGSEGV');
    expect(cases[1]?.reason).toContain('not understood');
    expect(cases[2]?.reason).toContain('RangeError: Maximum call stack size exceeded');
  });

  test('take longer for its first call than the limit: it is ended, and not tried where it would take no less', async () => {
    const slow = { ...fake({ name: 'slow', behaviour: 'slow' }), threaded: false };
    const [smaller, longer] = [
      { ...trial, id: 'smaller', t: 2 },
      { ...trial, id: 'longer', t: 4 },
    ];
    const { trials } = await runAll([slow, fake({ name: 'fine', numbers: {} })], { trials: [trial, longer, smaller], limitSeconds: 1 });
    expect(trials.map(({ cases }) => `${cases[0]?.outcome}: ${cases[0]?.reason}`)).toEqual([
      'over the limit: its first call takes more than 1 s',
      `over the limit: not tried, since its first call takes more than 1 s at the smaller ${trial.id}`,
      'over the limit: its first call takes more than 1 s',
    ]);
    expect(logged().filter((line) => line.startsWith('slow'))).toHaveLength(2);
  });

  test('be over the limit in all its ways: one training step tells how far, and is not repeated', async () => {
    const late = {
      ...fake({ name: 'late', behaviour: 'late', first: 1500 }),
      ways: [
        { tier: 'a', works: ['train'] },
        { tier: 'b', works: ['train'] },
      ],
    };
    const never = fake({ name: 'never', behaviour: 'slow' });
    const wrong = fake({ name: 'wrong', behaviour: 'late', first: 1500, numbers: { loss: 1 } });
    const { cases, comparison } = await run([evenkeel, late as System, never, wrong], { limitSeconds: 1, oneStepSeconds: 3 });
    expect(cases.filter(({ system }) => system !== 'evenkeel')).toEqual([
      expect.objectContaining({ system: 'late', tier: 'a', outcome: 'over the limit', moreThanMs: 1000 }),
      expect.objectContaining({
        system: 'late',
        tier: 'b',
        outcome: 'one step',
        step: { milliseconds: 1500, baseBytes: 1e6, peakBytes: 2e6 },
      }),
      expect.objectContaining({ system: 'never', outcome: 'over the limit', moreThanMs: 3000 }),
      expect.objectContaining({ system: 'wrong', outcome: 'disagrees', reason: expect.stringContaining('loss 1, but') }),
    ]);
    expect(comparison).toBeUndefined();
  });

  test('take one step where it was fast and agreed before: its numbers are not asked for again', async () => {
    const late = fake({ name: 'late', behaviour: 'late-again', first: 1500 });
    const { trials } = await runAll([late], { trials: [trial, { ...trial, id: 'larger', h: 8 }], limitSeconds: 1, oneStepSeconds: 3 });
    expect(trials.map(({ cases }) => [cases[0]?.outcome, cases[0]?.numbers === undefined])).toEqual([
      ['timed', false],
      ['one step', true],
    ]);
  });

  test('take no step where a smaller trial tells that it would not fit', async () => {
    const never = fake({ name: 'never', behaviour: 'slow' });
    const { trials } = await runAll([never], { trials: [trial, { ...trial, id: 'larger', h: 8 }], limitSeconds: 1, oneStepSeconds: 2 });
    expect(trials.map(({ cases }) => cases[0]?.moreThanMs)).toEqual([2000, 1000]);
  });

  test('start processes: all have ended with the run', async () => {
    await run([fake({ name: 'parent', behaviour: 'spawn' })]);
    const [pid] = logged().map(Number);
    expect(pid).toBeGreaterThan(0);
    expect(isAlive(pid as number)).toBe(false);
  });
});

describe('turns', () => {
  test('systems take turns in rounds, there and back, and the first round does not count', async () => {
    const { cases } = await run([fake({ name: 'a' }), fake({ name: 'b' }), fake({ name: 'c' })]);
    const turns = logged().join('');
    expect(turns).toMatch(/^(abccba)+(abc)?$/);
    expect(cases.map(({ timing }) => timing?.of)).toEqual(cases.map(() => turns.length / 3 - 1));
  });

  test('the fastest of both sides go on until the budget is used, the others do not', async () => {
    const { cases } = await run([
      evenkeel,
      fake({ name: 'fast', calls: [10] }),
      fake({ name: 'close', calls: [13] }),
      fake({ name: 'slow', calls: [15] }),
    ]);
    // Evenkeel is real: with one thread or with two it is its own side's fastest.
    const rounds = (name: string) => Math.max(...cases.filter(({ system }) => system === name).map(({ timing }) => timing?.of ?? 0));
    expect(rounds('slow')).toBe(3);
    expect(rounds('fast')).toBeGreaterThan(3);
    expect([rounds('close'), rounds('evenkeel')]).toEqual([rounds('fast'), rounds('fast')]);
  });

  test('what takes less than a millisecond is measured in three processes, one after another', async () => {
    await run([fake({ name: 'a', calls: [0.5], noteStart: true }), fake({ name: 'b', calls: [0.6], noteStart: true })]);
    expect(logged().filter((line) => line.startsWith('start'))).toEqual(['start a', 'start b', 'start a', 'start b', 'start a', 'start b']);
    const before = logged().length;
    await run([fake({ name: 'a', calls: [1.5], noteStart: true })]);
    expect(
      logged()
        .slice(before)
        .filter((line) => line.startsWith('start')),
    ).toEqual(['start a']);
  });

  test('of many rounds the calm ones count, the same for all', async () => {
    const cycle = (name: string, ...medians: number[]) => fake({ name, turns: medians.map((ms) => [ms]) });
    const { cases } = await run([cycle('a', 2, 1), cycle('b', 2.2, 1.1)], { budgetSeconds: 1 });
    const [a, b] = cases.map(({ timing }) => timing);
    expect(a?.of).toBeGreaterThan(11);
    expect(new Set(a?.rounds)).toEqual(new Set([1]));
    expect(new Set(b?.rounds)).toEqual(new Set([1.1]));
    expect(a?.rounds).toHaveLength(Math.max(3, Math.ceil((a?.of ?? 0) / 5)));
  });

  test('one whose calls are long beside the budget and the others is measured once and marked', async () => {
    const { cases } = await run([fake({ name: 'long', first: 5000, calls: [5000] }), fake({ name: 'short' })]);
    expect(cases[0]?.timing).toMatchObject({ calls: 1, rounds: [5000], slow: true, median: 5000 });
    expect(cases[1]?.timing?.slow).toBe(false);
  });

  test('of calls that all are long, the fastest have rounds enough to be compared', async () => {
    const slow = (name: string, ms: number) => fake({ name, first: ms, calls: [ms] });
    const { cases } = await run([slow('a', 5000), slow('b', 6900), slow('c', 11_000)]);
    expect(cases.map(({ timing }) => timing?.rounds.length)).toEqual([3, 3, 1]);
    // evenkeel is far ahead: the best of the others is measured as well all the same.
    const { comparison } = await run([evenkeel, slow('a', 5000), slow('c', 11_000)]);
    expect(comparison).toMatchObject({ rival: { system: 'a' }, rounds: 3 });
  });

  test('the statistics are those of the calls', async () => {
    const { cases } = await run([fake({ name: 'a', calls: [4, 1, 2, 3], first: 9 })]);
    expect(cases[0]?.timing).toMatchObject({ median: 2.5, min: 1, firstCallMs: 9, baseBytes: 1e6, peakBytes: 3e6 });
    expect(cases[0]?.timing?.p90).toBeLessThanOrEqual(4);
    expect(new Set(cases[0]?.timing?.rounds)).toEqual(new Set([2.5]));
  });
});

describe('the comparison', () => {
  const timed = (system: string, threads: number, rounds: number[]): CaseResult => {
    const [median = 0] = rounds;
    const timing = { median, p10: 0, p90: 0, min: 0, calls: 1, rounds, slow: false, firstCallMs: 0, baseBytes: 0, peakBytes: 0 };
    return { system, title: system, threads, outcome: 'timed', counts: false, timing };
  };

  test('is of our better thread count with the best of the others', () => {
    const cases = [timed('evenkeel', 1, [4]), timed('evenkeel', 2, [3]), timed('a', 1, [9]), timed('b', 1, [7]), timed('b', 2, [6])];
    expect(compareWithBest(cases)).toEqual({
      rival: { system: 'b', title: 'b', tier: undefined, threads: 2 },
      of: 1,
      ratio: 0.5,
      low: 0.5,
      high: 0.5,
      rounds: 1,
    });
    expect(compareWithBest(cases.slice(0, 2))).toBeUndefined();
    expect(compareWithBest(cases.slice(2))).toBeUndefined();
  });

  test('only the better thread count of a system counts', async () => {
    const { cases } = await run([fake({ name: 'a', calls: [2] }), { ...fake({ name: 'a', calls: [1] }), title: 'better' }]);
    expect(cases.map(({ title, counts }) => `${title} ${counts}`)).toEqual(['a false', 'better true']);
  });
});

test('an aborted run keeps the trials that had finished, and ends its drivers', async () => {
  const controller = new AbortController();
  const second = { ...trial, id: 'second' };
  const systems = [fake({ name: 'parent', behaviour: 'spawn' })];
  const progress = {
    ...quiet,
    begin(title: string) {
      if (title === 'second') setTimeout(() => controller.abort('SIGINT'), 50);
    },
  };
  const results = await runAll(systems, { trials: [trial, second], budgetSeconds: 2 }, { progress, signal: controller.signal });
  expect(results.interrupted).toBe(true);
  expect(results.trials.map(({ trial: { id } }) => id)).toEqual([trial.id]);
  const pids = logged().filter((line) => line !== 'parent');
  expect(pids.filter((pid) => isAlive(Number(pid)))).toEqual([]);
  expect(readdirSync(folder)).toEqual(['log']);
});
