import { formatTime, nextTimes, TimeReader } from '../../lib/data/times';

function read(...texts: string[]) {
  const reader = new TimeReader();
  for (const text of texts) reader.add(text);
  return { times: reader.finish(), style: reader.style };
}
const iso = (times: unknown) => (Array.isArray(times) ? times.map((time) => new Date(time as number).toISOString()) : [times]);

describe('a time', () => {
  test.each([
    ['2025-01-31', '2025-01-31T00:00:00.000Z'],
    ['2025/1/31', '2025-01-31T00:00:00.000Z'],
    ['2025.01.31 7:05', '2025-01-31T07:05:00.000Z'],
    ['2025-02', '2025-02-01T00:00:00.000Z'],
    ['2025', '2025-01-01T00:00:00.000Z'],
    ['2025-01-31T13:30:15.250', '2025-01-31T13:30:15.250Z'],
    ['2025-01-31 13:30:15,5', '2025-01-31T13:30:15.500Z'],
    ['2025-01-31T13:30:15.123456789Z', '2025-01-31T13:30:15.123Z'],
    ['2025-01-31T13:30+01:00', '2025-01-31T12:30:00.000Z'],
    ['2025-01-31 00:30:00 +0530', '2025-01-30T19:00:00.000Z'],
    ['2025-01-31T20:00-05', '2025-02-01T01:00:00.000Z'],
    ['2025-01-31 13:30 UTC', '2025-01-31T13:30:00.000Z'],
    ['31.01.2025 13:30', '2025-01-31T13:30:00.000Z'],
    ['31.1.2025', '2025-01-31T00:00:00.000Z'],
    ['31/01/2025', '2025-01-31T00:00:00.000Z'],
    ['1/31/2025 1:05 PM', '2025-01-31T13:05:00.000Z'],
    ['1/31/2025, 12:05:00 AM', '2025-01-31T00:05:00.000Z'],
    ['31 Jan 2025', '2025-01-31T00:00:00.000Z'],
    ['31-Jan-2025', '2025-01-31T00:00:00.000Z'],
    ['Jan 31 2025', '2025-01-31T00:00:00.000Z'],
    ['January 31, 2025', '2025-01-31T00:00:00.000Z'],
    ['Sept 2025', '2025-09-01T00:00:00.000Z'],
    ['20250131', '2025-01-31T00:00:00.000Z'],
    ['202501311330', '2025-01-31T13:30:00.000Z'],
    ['1738330215', '2025-01-31T13:30:15.000Z'],
    ['1738330215250', '2025-01-31T13:30:15.250Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['1899-12-31', '1899-12-31T00:00:00.000Z'],
  ])('%s', (text, expected) => {
    expect(iso(read(text).times)).toEqual([expected]);
  });

  test.each([
    '2025-02-29',
    '2025-13-01',
    '2025-00-10',
    '2025-01-31T24:00',
    '2025-01-31 13:60',
    '2025-01-31 13:00 PM',
    '31 Foo 2025',
    'Janu 2025',
    '2025-01-31 CET',
    '0099-01-01',
    '0000-01-01',
    '2025-01-31 13:30+99:99',
    '2025-01-31 13:30+24:00',
    '2025-01-31 13:30-01:60',
    '12',
    '',
    'yesterday',
    '2025-01/31',
    '1.5',
  ])('is not "%s"', (text) => {
    expect(read('2025-01-01', text).times).toEqual({ fault: 1, text });
  });
});

describe('a column of times', () => {
  test('has one order of day and month, by whichever cell tells', () => {
    expect(iso(read('01/02/2025', '13/02/2025').times)).toEqual(['2025-02-01T00:00:00.000Z', '2025-02-13T00:00:00.000Z']);
    expect(iso(read('01/02/2025', '01/13/2025').times)).toEqual(['2025-01-02T00:00:00.000Z', '2025-01-13T00:00:00.000Z']);
    expect(read('13/02/2025', '01/13/2025', '13/13/2025').times).toEqual({ fault: 1, text: '01/13/2025' });
  });

  test('that no cell tells goes by what rises, and is ambiguous where both or neither do', () => {
    expect(iso(read('01/01/2025', '02/01/2025', '03/01/2025', '01/02/2025').times).at(-1)).toBe('2025-02-01T00:00:00.000Z');
    expect(read('01/02/2025', '02/03/2025').times).toBe('ambiguous');
    expect(iso(read('01/01/2025', '02/02/2025').times)).toHaveLength(2);
  });

  test('says how it is written', () => {
    expect(read('2025-01-31').style).toEqual({ hasClock: false });
    expect(read('2025-01-31 10:00').style).toEqual({ hasClock: true });
    expect(read('2025-03-30 10:00+01:00', '2025-03-31T10:00+02:00').style).toEqual({ hasClock: true, offset: 120 });
  });
});

describe('times go on', () => {
  const days = (...texts: string[]) => Float64Array.from(texts, (text) => Date.parse(text));
  test.each([
    ['by days', days('2025-02-26', '2025-02-27', '2025-02-28'), ['2025-03-01', '2025-03-02']],
    ['by months', days('2024-12-01', '2025-01-01', '2025-02-01'), ['2025-03-01', '2025-04-01']],
    ['by ends of months', days('2024-12-31', '2025-01-31', '2025-02-28'), ['2025-03-31', '2025-04-30']],
    ['by quarters', days('2024-10-15', '2025-01-15'), ['2025-04-15', '2025-07-15']],
    ['by years', days('2023-02-28', '2024-02-29'), ['2025-02-28', '2026-02-28']],
    ['by the usual step, where one is longer', days('2025-01-01', '2025-01-02', '2025-01-06', '2025-01-07'), ['2025-01-08', '2025-01-09']],
  ])('%s', (_, times, expected) => {
    expect(nextTimes(times, 2).map((time) => formatTime(time, { hasClock: false }))).toEqual(expected);
  });

  test('in the style of the column', () => {
    const time = Date.parse('2025-01-31T13:30:15Z');
    expect(formatTime(time, { hasClock: true })).toBe('2025-01-31T13:30:15');
    expect(formatTime(time, { hasClock: true, offset: 0 })).toBe('2025-01-31T13:30:15Z');
    expect(formatTime(time, { hasClock: true, offset: -210 })).toBe('2025-01-31T10:00:15-03:30');
    expect(formatTime(time + 250, { hasClock: true, offset: 60 })).toBe('2025-01-31T14:30:15.250+01:00');
  });
});
