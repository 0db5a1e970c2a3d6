import { appendFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
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
