import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepareSeries } from '../../lib/study/series';
import { evenkeelError } from '../helpers/errors';

const options = { seed: 1, cell: 'rnn' as const, draws: 2, length: 10, epochs: 1, window: 3 };
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a series is read as it is written', async () => {
  const data = join(folder, 'series.csv');
  const rows = Array.from({ length: 40 }, (_, i) => `2025${i < 20 ? '01' : '02'}${10 + (i % 20)};${i};${i === 5 ? '' : `${i % 6},5`}`);
  writeFileSync(data, ['Datum;Nr;Wert', ...rows].join('\n'));
  const { part } = await prepareSeries({ ...options, data, decimal: ',', missing: 'forward' });
  expect(part).toMatchObject({ columns: ['Nr', 'Wert'], target: 'Wert', ignored: ['Datum'] });
  await expect(prepareSeries({ ...options, data, decimal: ',' })).rejects.toThrow(
    evenkeelError('ERR_FILE', 'series.csv, line 7, column "Wert": expected a number, got an empty cell.'),
  );
  await expect(prepareSeries({ ...options, data, missing: 'drop' })).rejects.toThrow(
    evenkeelError('ERR_FILE', 'got "0,5". Write numbers with a decimal point'),
  );
});

test('the default series forecasts its maximum temperature, where it is among the columns', async () => {
  expect((await prepareSeries({ ...options, columns: ['wind', 'temp_max'] })).part.target).toBe('temp_max');
  expect((await prepareSeries({ ...options, columns: ['wind', 'temp_min'] })).part.target).toBe('wind');
  expect((await prepareSeries(options)).part).toMatchObject({ target: 'temp_max', ignored: ['date', 'weather'] });
});
