import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareRuns, formatChanges, readBench } from '../../lib/bench/compare';
import type { BenchResults, CaseResult, TrialResult } from '../../lib/bench/results';
import { compareWithBest } from '../../lib/bench/runner';
import { spread } from '../../lib/bench/statistics';
import { evenkeelError, expectRefused } from '../helpers/errors';
import { benchResults, winDrawLoss } from './synthetic';

function timed(system: string, rounds: number[], threads = 1, counts = true): CaseResult {
  const timing = { ...spread(rounds), calls: rounds.length, rounds, slow: false, firstCallMs: 1, baseBytes: 1, peakBytes: 2 };
  return { system, title: system, threads, outcome: 'timed', counts, timing };
}

function trialOf(id: string, cases: CaseResult[]): TrialResult {
  const trial = { id, work: 'train', n: 1, t: 1, i: 1, h: 1, quick: false, why: '' } as const;
  return { trial, floor: { flop: 1, bytes: 1 }, reference: { loss: 1, norm: 1 }, cases, comparison: compareWithBest(cases) };
}

const runOf = (...trials: TrialResult[]) => ({ schema: 'evenkeel/bench', schemaVersion: 1, trials }) as unknown as BenchResults;

describe('two runs', () => {
  const before = runOf(trialOf('a', [timed('evenkeel', [10, 11, 12]), timed('torch', [20, 22, 24])]), trialOf('gone', []));
  const after = runOf(trialOf('a', [timed('evenkeel', [5, 5.5, 6]), timed('torch', [20, 22, 26])]), trialOf('new', []));

  test('are compared by ratio and by time, against the spread of both', () => {
    const { trials, onlyBefore, onlyAfter } = compareRuns(before, after);
    expect(trials).toEqual([
      {
        trial: 'a',
        ratio: { before: 0.5, after: 0.25, changed: true, rivals: ['torch', 'torch'] },
        times: [
          { system: 'evenkeel', tier: undefined, before: 11, after: 5.5, changed: true },
          { system: 'torch', tier: undefined, before: 22, after: 22, changed: false },
        ],
      },
    ]);
    expect({ onlyBefore, onlyAfter }).toEqual({ onlyBefore: ['gone'], onlyAfter: ['new'] });
  });

  test('a machine that is slower throughout changes the times and not the ratio', () => {
    const slower = runOf(trialOf('a', [timed('evenkeel', [20, 22, 24]), timed('torch', [40, 44, 48])]));
    const [change] = compareRuns(before, slower).trials;
    expect(change?.ratio).toMatchObject({ before: 0.5, after: 0.5, changed: false });
    expect(change?.times.map(({ changed }) => changed)).toEqual([true, true]);
  });

  test('too few rounds are no ground for a judgement', () => {
    const short = runOf(trialOf('a', [timed('evenkeel', [1]), timed('torch', [100])]));
    const [change] = compareRuns(before, short).trials;
    expect(change?.ratio?.changed).toBeUndefined();
    expect(change?.times[0]?.changed).toBeUndefined();
  });

  test('of several thread counts the one that counts is taken', () => {
    const cases = [timed('evenkeel', [9, 9, 9], 1, false), timed('evenkeel', [7, 7, 7], 2, true)];
    const { trials } = compareRuns(runOf(trialOf('a', cases)), after);
    expect(trials[0]?.times[0]).toMatchObject({ before: 7, after: 5.5 });
  });

  test('the text says faster, slower and no', () => {
    const text = formatChanges(compareRuns(before, after));
    expect(text).toMatch(/evenkeel \/ best rival \(torch\) +0\.500 +0\.250 +−50\.0 % +faster\n/);
    expect(text).toMatch(/torch, ms +22\.00 +22\.00 +\+0\.0 % +no\n/);
    expect(text).toMatch(/Only in the first: gone\nOnly in the second: new\n/);
    expect(formatChanges(compareRuns(after, before))).toMatch(/evenkeel, ms .* slower\n/);
  });
});

describe('reading a run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each([
    ['no JSON', '{', 'not JSON'],
    ['other JSON', '[]', 'other JSON'],
    ['null', 'null', 'other JSON'],
    ['another version', '{"schema":"evenkeel/bench","schemaVersion":99,"trials":[]}', 'schema version 1, got 99'],
  ])('%s is refused', (_, text, message) => {
    const path = join(folder, 'results.json');
    writeFileSync(path, text);
    expectRefused(() => readBench(path), 'ERR_FILE', message);
  });

  test('a run is read as it was written; with any of its values in another form it is refused', () => {
    const path = join(folder, 'results.json');
    const whole = JSON.parse(JSON.stringify(benchResults({ trials: winDrawLoss() })));
    const read = (results: unknown) => {
      writeFileSync(path, JSON.stringify(results));
      return readBench(path);
    };
    expect(read(whole)).toEqual(whole);
    expect(read({ ...whole, more: 1 })).toMatchObject({ more: 1 });
    let count = 0;
    for (const [what, damaged] of damagedIn(whole)) {
      if (/^(schema|reason$)/.test(what)) continue;
      count++;
      expect(() => expect([what, read(damaged)]).toBe('refused')).toThrow(evenkeelError('ERR_FILE', path));
    }
    expect(count).toBeGreaterThan(200);
  });

  test('so is a file that is not there', () => {
    expectRefused(() => readBench(join(folder, 'none.json')), 'ERR_FILE', 'no such file');
  });
});

/** The value with one member after another, wherever it is, as something that fits nowhere. */
function* damagedIn(value: unknown, path = ''): Generator<[string, unknown]> {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    const where = path === '' ? name : `${path}.${name}`;
    const changed = (other: unknown) => (Array.isArray(value) ? value.with(Number(name), other) : { ...value, [name]: other });
    yield [where, changed({ a: [] })];
    for (const [what, inner] of damagedIn(member, where)) yield [what, changed(inner)];
  }
}
