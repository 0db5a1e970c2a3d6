import { beats, countRises, countTrue, geometricMean, gradientTrend, isSameSeries } from '../../lib/study/verdicts';

describe('gradientTrend', () => {
  const series = (first: number, middle: number, last: number) => [
    ...Array<number>(10).fill(first),
    ...Array<number>(80).fill(middle),
    ...Array<number>(10).fill(last),
  ];

  test.each([
    ['grew', 1, 1.101],
    ['stayed', 1, 1.099],
    ['stayed', 1, 1 / 1.099],
    ['shrank', 1, 1 / 1.101],
    ['grew', 1e-300, 1e300],
  ])('%s from %p to %p, whatever lies between', (trend, first, last) => {
    expect(gradientTrend(series(first, 1e9, last), 10).trend).toBe(trend);
  });

  test('the ratio is that of geometric means', () => {
    expect(gradientTrend([1, 4, 100, 9, 16], 2).ratio).toBeCloseTo(6, 12);
  });

  test('of a short series at most half is compared at either end', () => {
    expect(gradientTrend([1, 1, 2, 2], 10)).toEqual({ trend: 'grew', ratio: expect.closeTo(2, 12) });
    expect(gradientTrend([3], 10)).toEqual({ trend: 'stayed', ratio: 1 });
  });

  test('zeros: all stayed, to zero shrank, from zero grew', () => {
    expect(gradientTrend(series(0, 1, 0), 10)).toEqual({ trend: 'stayed', ratio: 1 });
    expect(gradientTrend(series(1, 1, 0), 10)).toEqual({ trend: 'shrank', ratio: 0 });
    expect(gradientTrend(series(0, 1, 1), 10)).toEqual({ trend: 'grew', ratio: Infinity });
  });
});

test('geometricMean survives numbers whose product overflows', () => {
  expect(geometricMean([1e200, 1e300, 1e-200])).toBeCloseTo(1e100, -90);
});

test('countRises counts neither equal neighbours nor the first value', () => {
  expect(countRises([1, 2, 2, 1, 3])).toBe(2);
  expect(countRises([5])).toBe(0);
});

test('countTrue', () => {
  expect(countTrue([true, false, true])).toBe(2);
});

test('isSameSeries tells the last bit apart, and takes NaN for equal to nothing', () => {
  expect(isSameSeries([1, 2], [1, 2])).toBe(true);
  expect(isSameSeries([1, 2], [1, 2 + 2 ** -51])).toBe(false);
  expect(isSameSeries([1, 2], [1])).toBe(false);
  expect(isSameSeries([Number.NaN], [Number.NaN])).toBe(false);
});

test('beats asks for one percent', () => {
  expect(beats(0.98, 1)).toBe(true);
  expect(beats(0.995, 1)).toBe(false);
  expect(beats(Number.NaN, 1)).toBe(false);
});
