import { native } from '../../lib/native/load';
import { rnnArrays, runRnn } from './helpers';

const addon = native();
const TINY = 1e-310;

test('native calls flush denormals to zero', () => {
  const values = Float64Array.of(TINY, 1);
  addon.scale([values], 1, 1);
  expect([...values]).toEqual([0, 1]);
});

test('so do the worker threads', () => {
  const threads = addon.getNumThreads();
  addon.setNumThreads(4);
  // Many more elements than one task takes, several times, so that every thread comes by.
  for (let round = 0; round < 20; round++) {
    const values = new Float64Array(500_000).fill(TINY);
    addon.scale([values], 1, 1);
    expect(values.every((value) => value === 0)).toBe(true);
  }
  addon.setNumThreads(threads);
});

test("JavaScript's own arithmetic keeps its denormals after a native call, also after one that failed", () => {
  const keepsDenormals = (): boolean => TINY * Math.random() !== 0 && Number.MIN_VALUE / 1 > 0;
  addon.scale([Float64Array.of(1)], 2, 1);
  expect(keepsDenormals()).toBe(true);
  expect(() => addon.scale([[] as unknown as Float64Array], 2, 1)).toThrow();
  expect(keepsDenormals()).toBe(true);
});

test('a backward pass that vanishes ends in zeros, not in denormals', () => {
  const arrays = rnnArrays(2, 2000, 1, 4, 'float32', 0.05);
  arrays.gradOutput.fill(0, 0, -4);
  runRnn(addon, 2, 2000, 1, 4, arrays);
  const smallestNormal = 2 ** -126;
  expect([...arrays.gradInput].every((value) => value === 0 || Math.abs(value) >= smallestNormal)).toBe(true);
  expect(arrays.gradInput.some((value) => value !== 0)).toBe(true);
});
