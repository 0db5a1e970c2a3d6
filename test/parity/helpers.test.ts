import { Tensor } from '../../lib/index';
import { expectClose, relativeError } from '../helpers/compare';
import { fill } from '../helpers/fill';
import { Goldens } from '../helpers/fixtures';

test('fill gives the very numbers of the generator', () => {
  expect(fill('fill', [5], { offset: 1, scale: 3 }).data).toEqual(new Goldens('losses').get('fill').data);
});

test('fill is spread over (-1, 1), never 0, and exact in float32', () => {
  const data = Array.from(fill('spread', [10_000]).data);
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
  const variance = data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length;
  expect(Math.abs(mean)).toBeLessThan(0.02);
  expect(Math.abs(variance - 1 / 3)).toBeLessThan(0.01);
  expect(new Set(data).size).toBeGreaterThan(9990);
  expect(data.every((value) => value !== 0 && Math.abs(value) < 1 && Math.fround(value) === value)).toBe(true);
});

test('relativeError is the norm of the difference over the norm of what was expected', () => {
  expect(relativeError([3, 4.5], [3, 4])).toBeCloseTo(0.1, 15);
  expect(relativeError([Number.NaN, 4], [3, 4])).toBeNaN();
});

describe('expectClose', () => {
  const ones = new Array<number>(10_000).fill(1);

  test.each<[string, Parameters<typeof expectClose>]>([
    ['equal arrays', [[1, -2], [1, -2], { within: 0 }]],
    ['arrays within the tolerance', [[1, -2.000001], [1, -2], { within: 1e-6 }]],
    ['numbers', [2, 2, { within: 0 }]],
    ['a sum whose terms cancel', [[0.001001], [0.001], { within: 1e-6, scales: [1] }]],
    ['declared zeros', [[1e-13], [-1e-14], { within: 1e-12, zero: true }]],
  ])('accepts %s', (_, [actual, expected, closeness]) => {
    expect(() => expectClose(actual, expected, closeness)).not.toThrow();
  });

  test.each<[string, Parameters<typeof expectClose>, RegExp]>([
    ['a NaN in the actual values', [[1, Number.NaN], [1, 2], { within: 1 }], /not finite/],
    ['a NaN on both sides', [[Number.NaN], [Number.NaN], { within: 1 }], /not finite/],
    ['an infinity on both sides', [[Infinity], [Infinity], { within: 1 }], /not finite/],
    ['a NaN where zeros are declared', [[Number.NaN], [0], { within: 1, zero: true }], /not finite/],
    ['another length', [[1, 2], [1], { within: 1 }], /expected 1 elements, got 2/],
    ['nothing', [[], [], { within: 1 }], /got 0/],
    ['another shape', [Tensor.zeros([2, 1]), Tensor.zeros([1, 2]), { within: 1 }], /shape/],
    ['undeclared zeros', [[0], [0], { within: 1 }], /all zeros/],
    ['a value where zeros are declared', [[1e-3], [0], { within: 1e-6, zero: true }], /not zero/],
    ['a golden value where zeros are declared', [[0], [1e-3], { within: 1e-6, zero: true }], /not zero/],
    ['an error of the whole', [[1.1, 2], [1, 2], { within: 1e-3 }], /relative error .* at 0 got 1\.1, expected 1/],
    ['an error beyond the scale', [[0.001002], [0.001], { within: 1e-6, scales: [1] }], /relative error/],
    ['an error of a sum that is larger than its scale', [[1.002], [1], { within: 1e-3, scales: [0.1] }], /relative error/],
    ['one wrong element among many with scales', [ones.with(7, 1.05), ones, { within: 1e-3, scales: ones }], /an element is off/],
    ['one wrong element among many', [ones.with(7, 1.05), ones, { within: 1e-3 }], /an element is off .* at 7 got 1\.05/],
  ])('refuses %s', (_, [actual, expected, closeness], message) => {
    expect(() => expectClose(actual, expected, closeness)).toThrow(message);
  });
});
