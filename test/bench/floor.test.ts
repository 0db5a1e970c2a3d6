import { floorMilliseconds, lastLevelCacheBytes, machineFloor, trialFloor } from '../../lib/bench/floor';
import type { Trial, Work } from '../../lib/bench/protocol';
import { getNumThreads, setNumThreads } from '../../lib/runtime';

const trial = (work: Work, n: number, t: number, i: number, h: number): Trial => ({ id: 'x', work, n, t, i, h, quick: false, why: '' });
const machine = { threads: 1, fmaGflops: 100, gemmGflops: 90, readGBs: 20, copyGBs: 10 };

test('a training step is 2NT(2IH + 3H²) operations: its forward and backward pass', () => {
  const [n, t, i, h] = [32, 200, 64, 128];
  expect(trialFloor(trial('train', n, t, i, h)).flop).toBe(2 * n * t * (2 * i * h + 3 * h * h));
  const parts = (['forward', 'backward'] as const).map((work) => trialFloor(trial(work, n, t, i, h)).flop);
  expect((parts[0] as number) + (parts[1] as number)).toBe(trialFloor(trial('train', n, t, i, h)).flop);
});

test.each([
  ['lstm', 4],
  ['gru', 3],
  ['gru-reset-before', 3],
  ['layer-norm-lstm', 4],
] as const)('a training step of a cell with gates, %s, is that of one without for each of its %i gates', (cell, gates) => {
  const sizes = [32, 200, 64, 128] as const;
  for (const part of ['train', 'forward'] as const) {
    expect(trialFloor(trial(`${cell}-${part}`, ...sizes)).flop).toBe(gates * trialFloor(trial(part, ...sizes)).flop);
  }
  expect(trialFloor(trial(`${cell}-step`, 1, 100, 64, 128)).flop).toBe(gates * 2 * 100 * (64 * 128 + 128 * 128));
});

test('the floor is the register peak, or memory where the data exceed the cache', () => {
  const small = trial('forward', 1, 100, 10, 10);
  expect(floorMilliseconds(small, machine, 2 ** 20)).toBeCloseTo((2 * 100 * 200) / 100 / 1e6, 12);
  const rows = trial('layer-norm', 1, 1000, 100, 100);
  expect(floorMilliseconds(rows, machine, 0)).toBeCloseTo((4 * 1000 * 5 * 100) / 20 / 1e6, 12);
  expect(floorMilliseconds(rows, machine, 2 ** 30)).toBeUndefined();
});

test('the machine is measured for one thread and for all, and the number of threads is left as it was', () => {
  const before = getNumThreads();
  setNumThreads(2);
  const [one, two] = machineFloor();
  expect(getNumThreads()).toBe(2);
  setNumThreads(before);
  expect([one?.threads, two?.threads]).toEqual([1, 2]);
  for (const measured of [one, two]) {
    for (const rate of [measured?.fmaGflops, measured?.gemmGflops, measured?.readGBs, measured?.copyGBs]) expect(rate).toBeGreaterThan(0.1);
    // No product is faster than multiply-adds that never leave the registers; a shared machine may be slower in one of the two.
    expect(measured?.gemmGflops).toBeLessThan(2 * (measured?.fmaGflops as number));
  }
  // All threads can do whatever one can: noise must not say otherwise.
  for (const key of ['fmaGflops', 'gemmGflops', 'readGBs', 'copyGBs'] as const) {
    expect(two?.[key]).toBeGreaterThanOrEqual(one?.[key] as number);
  }
});

test('the last-level cache has a size', () => {
  expect(lastLevelCacheBytes()).toBeGreaterThan(2 ** 18);
});
