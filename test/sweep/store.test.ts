import { execFileSync } from 'node:child_process';
import fs, { appendFileSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkDefinition } from '../../lib/sweep/definition';
import { trialsOf } from '../../lib/sweep/grid';
import { readStore, SweepStore, type TrialRecord } from '../../lib/sweep/store';
import { trialHash } from '../../lib/sweep/trial';
import { useFolder } from '../cli/run-cli';
import { evenkeelError } from '../helpers/errors';

const folder = useFolder();
const { grid } = checkDefinition({ lengths: [1, 2, 3] }, '.');

const records: TrialRecord[] = [...trialsOf(grid)].map((trial) => ({
  hash: trialHash(trial, '1'),
  trial,
  finished: '2026-01-01T00:00:00.000Z',
  status: 'failed',
  reason: 'a test, with Umlauts äöü that take two bytes each',
  attempts: 1,
}));

const path = () => join(folder.path, 'store');
const journal = () => join(path(), 'trials.jsonl');
const open = () => new SweepStore(path(), grid, '1');

function withStore<T>(use: (store: SweepStore) => T): T {
  const store = open();
  try {
    return use(store);
  } finally {
    store.close();
  }
}

function fill(): void {
  withStore((store) => records.forEach((record) => void store.append(record)));
}

test('what was appended is there again, and its order is that of the appending', () => {
  fill();
  expect(withStore((store) => [...store.records.values()])).toEqual(records);
  expect([...readStore(path()).records.values()]).toEqual(records);
  expect(readStore(path())).toMatchObject({ version: '1', grid });
});

test('the last line of a trial counts', () => {
  fill();
  const [first] = records as [TrialRecord];
  withStore((store) => store.append({ ...first, finished: 'later' }));
  expect(readStore(path()).records.get(first.hash)?.finished).toBe('later');
  expect(readStore(path()).records.size).toBe(records.length);
});

test('a file cut at any byte gives its whole lines, and goes on behind them', () => {
  fill();
  const whole = readFileSync(journal());
  const lastLine = whole.lastIndexOf(10, whole.length - 2) + 1;
  const cuts = [0, 1, 100, lastLine - 1, lastLine, lastLine + 1, whole.length - 2, whole.length - 1];
  for (const cut of cuts) {
    writeFileSync(journal(), whole.subarray(0, cut));
    const left = whole.subarray(0, cut).toString().split('\n').length - 1;
    expect(readStore(path()).records.size).toBe(left);
    withStore((store) => {
      expect(store.records.size).toBe(left);
      for (const record of records.slice(left)) store.append(record);
    });
    expect(readFileSync(journal()).equals(whole)).toBe(true);
  }
});

test('a last line that a crash filled with zeros is torn too; one in the middle is damage, and named', () => {
  fill();
  const { size } = statSync(journal());
  appendFileSync(journal(), `${'\0'.repeat(50)}\n`);
  withStore((store) => expect(store.records.size).toBe(records.length));
  expect(statSync(journal()).size).toBe(size);
  truncateSync(journal(), 0);
  appendFileSync(journal(), `{"torn":\n${JSON.stringify(records[0])}\n`);
  expect(open).toThrow(evenkeelError('ERR_FILE', 'trials.jsonl, line 1: expected one trial as JSON'));
  // A failed opening leaves no lock behind.
  rmSync(journal());
  fill();
});

test('a second opening is refused until the first is closed', () => {
  const store = open();
  expect(open).toThrow(evenkeelError('ERR_STATE', 'another process has open'));
  store.close();
  open().close();
});

test('the id stays, whatever becomes of the definition', () => {
  const id = withStore(({ sweepId }) => sweepId);
  const wider = checkDefinition({ lengths: [1, 2, 3, 4] }, '.').grid;
  const store = new SweepStore(path(), wider, '2');
  store.close();
  expect(readStore(path())).toMatchObject({ sweepId: id, version: '2', grid: wider });
});

test('a folder with something else in it is left alone', () => {
  folder.write('definition.json', '{"mine": 1}');
  expect(() => new SweepStore(folder.path, grid, '1')).toThrow(
    evenkeelError('ERR_FILE', 'definition.json: expected the definition of a sweep'),
  );
  expect(() => readStore(folder.path)).toThrow(evenkeelError('ERR_FILE', 'definition.json'));
  expect(readFileSync(join(folder.path, 'definition.json'), 'utf8')).toBe('{"mine": 1}');
});

test.each<[string, object]>([
  ['no axis at all', {}],
  ['an axis of nothing', { ...grid, seeds: [] }],
  ['an axis that is no list', { ...grid, lengths: 5 }],
  ['an axis of words', { ...grid, lengths: ['5'] }],
  ['more trials than any sweep has', { ...grid, seeds: Array(1000).fill(1), lengths: Array(1000).fill(1) }],
])('a definition whose grid has %s is damaged', (_, damaged) => {
  fill();
  const header = JSON.parse(readFileSync(join(path(), 'definition.json'), 'utf8'));
  writeFileSync(join(path(), 'definition.json'), JSON.stringify({ ...header, grid: damaged }));
  expect(() => readStore(path())).toThrow(evenkeelError('ERR_FILE', 'definition.json: expected the definition of a sweep'));
});

test.each<[string, object]>([
  ['without its measures', { status: 'done', cost: {}, cpuKind: {} }],
  ['without its cost', { status: 'done', measures: {}, cpuKind: {} }],
  ['without its reason', { status: 'failed' }],
  ['of another status', { status: 'skipped', measures: {}, cost: {}, cpuKind: {}, reason: '' }],
])('a record %s is damage, and named', (_, outcome) => {
  fill();
  const [{ hash, trial }] = records as [TrialRecord];
  writeFileSync(journal(), [{ hash, trial, ...outcome }, records[1]].map((record) => `${JSON.stringify(record)}\n`).join(''));
  expect(() => readStore(path())).toThrow(evenkeelError('ERR_FILE', 'trials.jsonl, line 1: expected one trial as JSON'));
});

const doneOutcome = {
  status: 'done',
  attempts: 1,
  measures: {
    growthRate: 0.1,
    growthRateError: 0.01,
    verdict: 'exploding',
    horizon: 900,
    lyapunovLeader: null,
    gradNormFirst: 1,
    gradNormMax: 1,
    gradNormLast: 1,
    lossFirst: 1,
    lossLast: 1,
    lossMin: 1,
    clippedSteps: 0,
    divergedAt: null,
    largestState: 1,
    statesGrewAt: null,
  },
  cost: { seconds: 1, stepsPerSecond: null, peakMemoryBytes: 1e8 },
  cpuKind: { cpu: 'a', simdTarget: 'b', blas: 'c' },
};
const evil = '<img src=x onerror=alert(1)>';

/** Every object in the value's tree with one of its members replaced, and with one more. */
function* damaged(value: Record<string, unknown>): Generator<{ what: string; value: Record<string, unknown> }> {
  yield { what: 'a member too many', value: { ...value, more: 1 } };
  for (const [name, member] of Object.entries(value)) {
    for (const wrong of [evil, {}, [evil], Number.NaN, -1.5])
      yield { what: `${name} as ${JSON.stringify(wrong)}`, value: { ...value, [name]: wrong } };
    if (typeof member !== 'object' || member === null || Array.isArray(member)) continue;
    for (const inner of damaged(member as Record<string, unknown>)) {
      yield { what: `${name}.${inner.what}`, value: { ...value, [name]: inner.value } };
    }
  }
}

test('of a record only what fits its schema is read: any other member, or one with another value, is damage', () => {
  fill();
  const [{ hash, trial, finished }, second] = records as [TrialRecord, TrialRecord];
  const write = (line: object) => writeFileSync(journal(), [line, second].map((record) => `${JSON.stringify(record)}\n`).join(''));
  const sound = { hash, trial, finished, ...doneOutcome };
  write(sound);
  expect(readStore(path()).records.get(hash)).toEqual(sound);
  // Numbers that are allowed, and trials that are another version's.
  const harmless =
    /^(measures\.(growth|horizon|lyapunov|grad|loss)\w* as (null|-1.5)|measures\.(divergedAt|verdict|largestState|statesGrewAt) as null|cost\.stepsPerSecond as null|reason as|cpuKind\.\w+ as "|finished as ")/;
  let count = 0;
  for (const { what, value } of damaged(sound)) {
    write(value);
    if (harmless.test(what)) continue;
    count++;
    let found: unknown;
    try {
      found = readStore(path()).records.get(hash) ?? 'passed over';
    } catch (error) {
      expect(error).toEqual(evenkeelError('ERR_FILE', 'trials.jsonl, line 1: expected one trial as JSON'));
      found = 'refused';
    }
    // With another trial or key it may be a line of another version.
    if (!(found === 'passed over' && /^(trial|hash)/.test(what))) expect([what, found]).toEqual([what, 'refused']);
  }
  expect(count).toBeGreaterThan(150);
});

test('of a grid too', () => {
  fill();
  const header = JSON.parse(readFileSync(join(path(), 'definition.json'), 'utf8'));
  const refused = (what: string, changed: unknown) => {
    writeFileSync(join(path(), 'definition.json'), JSON.stringify({ ...header, grid: changed }));
    expect(() => expect([what, readStore(path())]).toBe('refused')).toThrow(evenkeelError('ERR_FILE', 'definition.json'));
  };
  for (const { what, value } of damaged(header.grid)) if (!/^lengths|^seeds/.test(what)) refused(what, value);
  for (const axis of ['shapes', 'recurrences', 'normalizations', 'initializers', 'clips']) {
    for (const { what, value } of damaged(header.grid[axis][0])) refused(`${axis} ${what}`, { ...header.grid, [axis]: [value] });
  }
});

test.each(['trials.jsonl', 'definition.json'])('a link in the place of %s is refused, and its target stays as it is', (name) => {
  fill();
  const victim = join(folder.path, 'victim');
  writeFileSync(victim, 'precious');
  rmSync(join(path(), name));
  symlinkSync(victim, join(path(), name));
  expect(open).toThrow(evenkeelError('ERR_FILE', `${name}: expected a regular file, got a symbolic link`));
  expect(() => readStore(path())).toThrow(evenkeelError('ERR_FILE', 'got a symbolic link'));
  expect(readFileSync(victim, 'utf8')).toBe('precious');
});

test('a link in the place of the lock is replaced; its target is neither made nor changed', () => {
  fill();
  const nowhere = join(folder.path, 'nowhere');
  rmSync(join(path(), 'lock'));
  symlinkSync(nowhere, join(path(), 'lock'));
  open().close();
  expect(fs.existsSync(nowhere)).toBe(false);
  expect(fs.lstatSync(join(path(), 'lock')).isFile()).toBe(true);
});

test.each(['trials.jsonl', 'definition.json', 'lock'])('a pipe in the place of %s is refused at once', (name) => {
  fill();
  rmSync(join(path(), name));
  execFileSync('mkfifo', [join(path(), name)]);
  expect(open).toThrow(evenkeelError('ERR_FILE', `${name}: expected a regular file, got a pipe or device`));
});

test('a file that no sweep wrote is not cut, though it stands under the name of one', () => {
  fill();
  const victim = join(folder.path, 'victim');
  writeFileSync(victim, 'precious, without a newline');
  rmSync(journal());
  linkSync(victim, journal());
  expect(open).toThrow(evenkeelError('ERR_FILE', 'trials.jsonl: expected the trials of a sweep'));
  expect(readFileSync(victim, 'utf8')).toBe('precious, without a newline');
});

test('a disk that does not sync is an error with its path; the next line is in order', () => {
  mkdirSync(path());
  const failure = () => {
    throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
  };
  const sync = jest.spyOn(fs, 'fdatasyncSync').mockImplementation(failure);
  expect(open).toThrow(evenkeelError('ERR_FILE', 'trials.jsonl: could not write the file. EIO'));
  sync.mockRestore();
  withStore((store) => {
    jest.spyOn(fs, 'fdatasyncSync').mockImplementation(failure);
    expect(() => store.append(records[0] as TrialRecord)).toThrow(evenkeelError('ERR_FILE', 'trials.jsonl: could not write the file. EIO'));
    jest.restoreAllMocks();
    store.append(records[1] as TrialRecord);
  });
  expect([...readStore(path()).records.values()]).toEqual([records[1]]);
});
