import { calmRounds, differs, quantile, ratioOverRounds, spread } from '../../lib/bench/statistics';

test('quantiles lie between the order statistics, in whatever order the values come', () => {
  const values = [30, 10, 50, 20, 40];
  expect(quantile(values, 0)).toBe(10);
  expect(quantile(values, 0.5)).toBe(30);
  expect(quantile(values, 0.1)).toBeCloseTo(14, 12);
  expect(quantile(values, 1)).toBe(50);
  expect(quantile([1, 2], 0.5)).toBe(1.5);
  expect(quantile([7], 0.9)).toBe(7);
  expect(quantile([], 0.5)).toBeNaN();
  expect(values).toEqual([30, 10, 50, 20, 40]);
});

test('one slow call moves neither the median nor the minimum', () => {
  const times = Array.from({ length: 100 }, (_, i) => 1 + i / 1000);
  expect(spread([...times, 1e6])).toEqual({
    median: expect.closeTo(1.05, 9),
    p10: expect.closeTo(1.01, 9),
    p90: expect.closeTo(1.09, 9),
    min: 1,
  });
});

test('the ratio is taken round by round, so that a slow round of both changes nothing', () => {
  expect(ratioOverRounds([1, 10, 1], [2, 20, 2])).toEqual({ ratio: 0.5, low: 0.5, high: 0.5, rounds: 3 });
  expect(ratioOverRounds([1, 2, 3, 4], [2, 2, 2])).toEqual({ ratio: 1, low: 0.5, high: 1.5, rounds: 3 });
});

describe('of many rounds the calm fifth counts, and at least three', () => {
  const steady = (length: number) => Array.from({ length }, () => 1);

  test.each([
    [0, 0],
    [2, 2],
    [3, 3],
    [5, 3],
    [9, 3],
    [15, 3],
    [16, 4],
    [30, 6],
  ])('of %d rounds %d', (rounds, counting) => {
    expect(calmRounds([steady(rounds), steady(rounds)])).toHaveLength(counting);
  });

  test('those in which all together took least, in their order', () => {
    expect(calmRounds([[9, 1, 9, 1, 9, 1, 9, 9, 9], [...steady(9)]])).toEqual([1, 3, 5]);
    // Where one was lucky and the other was not, the round is no calmer than others.
    expect(
      calmRounds([
        [1, 0.5, 0.5, 2, 0.8, 1, 0.8, 0.8, 1],
        [1, 3, 3, 0.6, 1, 1, 1, 1, 1],
      ]),
    ).toEqual([4, 6, 7]);
  });

  test('a machine that is busy most of the time changes nothing', () => {
    const [ours, theirs] = [
      Array.from({ length: 20 }, (_, i) => (i % 5 === 0 ? 1 : 1.6)),
      Array.from({ length: 20 }, (_, i) => (i % 5 === 0 ? 4 : 4.2)),
    ];
    const calm = calmRounds([ours, theirs]);
    expect(
      ratioOverRounds(
        calm.map((i) => ours[i] as number),
        calm.map((i) => theirs[i] as number),
      ).ratio,
    ).toBe(0.25);
  });

  test('nobody, no rounds', () => {
    expect(calmRounds([])).toEqual([]);
  });
});

test.each([
  ['ranges that meet', { low: 1, high: 2, rounds: 8 }, { low: 2, high: 3, rounds: 8 }, false],
  ['a range within the other', { low: 1, high: 4, rounds: 8 }, { low: 2, high: 3, rounds: 8 }, false],
  ['slower beyond noise', { low: 1, high: 2, rounds: 8 }, { low: 2.1, high: 3, rounds: 8 }, true],
  ['faster beyond noise', { low: 2.1, high: 3, rounds: 8 }, { low: 1, high: 2, rounds: 8 }, true],
  ['too few rounds to tell', { low: 1, high: 1, rounds: 1 }, { low: 9, high: 9, rounds: 8 }, undefined],
])('%s', (_, before, after, expected) => {
  expect(differs(before, after)).toBe(expected);
});
