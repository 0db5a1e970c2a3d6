import { isMeasure, isNumbers, isReady, isRun, isStart, isTimes } from '../../lib/bench/messages';
import { trials } from '../../lib/bench/trials';

const ready = { ready: true, system: 'a library 1.2', baseBytes: 1 };
const times = { timesMs: [1, 0, 2.5], peakBytes: 1 };
const start = { trial: trials[0], threads: 1, dataFile: 'data.safetensors' };

test('messages as the protocol has them are let in', () => {
  expect(isReady(ready)).toBe(true);
  expect(isTimes(times)).toBe(true);
  for (const trial of trials) expect(isStart({ ...start, trial, tier: 'layers' })).toBe(true);
  expect(isRun({ runMs: 0 })).toBe(true);
  expect(isMeasure({ measure: true })).toBe(true);
  expect(isMeasure({ measure: true, first: false })).toBe(true);
});

test('numbers that are not finite arrive as null, and what a system does not compute is left out', () => {
  expect(isNumbers(JSON.parse(JSON.stringify({ loss: Number.NaN, norm: 2 })))).toBe(true);
  expect(isNumbers({})).toBe(true);
  expect(isNumbers({ loss: '1', norm: 2 })).toBe(false);
  expect(isNumbers({ loss: 1, norm: 2, nextNorm: [] })).toBe(false);
});

test.each([
  ['a greeting', isReady, 'Welcome'],
  ['ready as a word', isReady, { ...ready, ready: 'yes' }],
  ['a system without a name', isReady, { ready: true, baseBytes: 1 }],
  ['a negative size', isReady, { ...ready, baseBytes: -1 }],
  ['no times', isTimes, { ...times, timesMs: [] }],
  ['a time that is null', isTimes, { ...times, timesMs: [1, null] }],
  ['a negative time', isTimes, { ...times, timesMs: [-1] }],
  ['no peak', isTimes, { timesMs: [1] }],
  ['no trial', isStart, { threads: 1, dataFile: 'x' }],
  ['a work that there is not', isStart, { ...start, trial: { ...trials[0], work: 'sleep' } }],
  ['a size that is no integer', isStart, { ...start, trial: { ...trials[0], n: 1.5 } }],
  ['threads as text', isStart, { ...start, threads: '2' }],
  ['a time to run that is text', isRun, { runMs: '50' }],
  ['null', isRun, null],
  ['measure: false', isMeasure, { measure: false }],
])('%s is not', (_, isMessage, message) => {
  expect(isMessage(message)).toBe(false);
});
