// CSV files: made of cells of every kind, or a real one damaged.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { internal } from './calls.mjs';
import { json, mutateBytes, mutateJson, text } from './random.mjs';

const { readSeries, readSeriesAsync } = internal('index');
const CELLS = [
  '1',
  '-2.5',
  '1e3',
  '1,5',
  '1.234,5',
  '1 000',
  '2020-01-01',
  '12:00',
  'x',
  '',
  ' ',
  'NaN',
  'inf',
  '1e999',
  '"1"',
  '"a""b"',
  '"',
  "'",
  '#',
  '\t',
  '0x10',
  '1_000',
  '+1',
  '.5',
  '5.',
  '2025-01-31T13:30+01:00',
  '1/2/2025',
  '31.1.2025',
];
const DELIMITERS = [',', ';', '\t', '|', '\u0000'];
const OPTIONS = {
  columns: [undefined, ['a'], ['a', 'b'], [], [''], ['a', 'a'], 'a', null, new Array(5)],
  target: [undefined, 'a', 'b', '', 'zz', 7],
  time: [undefined, undefined, 'date', 'a', '', 7],
  sequenceId: [undefined, undefined, 'b', 'c', 'zz', 7],
  decimal: [undefined, '.', ',', ';', ''],
  delimiter: [undefined, ',', ';', '\t', '|', 'ab'],
  missing: [undefined, 'error', 'forward', 'mean', 'drop', 'x'],
};

function table(random) {
  const delimiter = random.pick(DELIMITERS);
  const end = random.pick(['\n', '\r\n', '\r']);
  const width = 1 + random.below(4);
  const row = (cell) => Array.from({ length: random.chance(0.03) ? random.below(6) : width }, cell).join(delimiter);
  const names = row(() => random.pick(['a', 'b', 'c', 'date', '"a b"', '', '__proto__', text(random)]));
  const cells = random.pick([['1', '-2.5', '3e2'], ['1', '2', '3.5', random.pick(CELLS)], CELLS]);
  const rows = Array.from({ length: random.below(20) }, () => row(() => random.pick(cells)));
  return (random.chance(0.1) ? '\ufeff' : '') + [names, ...rows].join(end) + (random.chance(0.7) ? end : '');
}

export async function prepare(folder, calls) {
  const file = join(folder, 'a.csv');
  const real = readFileSync(new URL('../../data/seattle-weather.csv', import.meta.url)).subarray(0, 2000);

  return async (random) => {
    const contents = random.chance(0.3) ? mutateBytes(random, real) : Buffer.from(table(random), random.chance(0.05) ? 'utf16le' : 'utf8');
    writeFileSync(file, random.chance(0.08) ? mutateBytes(random, contents) : contents);
    for (let i = 0; i < 3; i++) {
      const names = random.some(Object.keys(OPTIONS), random.pick([0, 0.4]));
      let options = Object.fromEntries(names.map((name) => [name, random.pick(OPTIONS[name])]));
      if (random.chance(0.05)) options = mutateJson(random, { columns: ['a'], target: 'a' });
      else if (random.chance(0.02)) options = json(random);
      const series = calls.run('readSeries', () => readSeries(file, options));
      if (random.chance(0.2)) {
        const slowly = await calls.runAsync('readSeriesAsync', () => readSeriesAsync(file, options));
        calls.expect('readSeriesAsync', isDeepStrictEqual(slowly, series), 'it gave something else than readSeries');
      }
      if (series === undefined) continue;
      const { columns, rows, values, target } = series;
      calls.expect('readSeries', values.length === rows * columns.length, `${values.length} values in ${rows} rows of ${columns.length}`);
      calls.expect('readSeries', target >= 0 && target < columns.length, `target ${target} of ${columns.length} columns`);
      calls.expect('readSeries', values.every(Number.isFinite), 'a value is not finite');
    }
  };
}
