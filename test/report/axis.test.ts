import { linearDomain, linearLabels, linearTicks, logDomain, logLabels, logTicks } from '../../lib/report/axis';

describe('logarithmic axis', () => {
  test('the domain holds the values and is at least a factor of two wide', () => {
    const [low, high] = logDomain([0.5, 0.47]);
    expect(low).toBeLessThan(0.47);
    expect(high).toBeGreaterThan(0.5);
    expect(high / low).toBeGreaterThanOrEqual(2 - 1e-12);
    expect(logDomain([1e-30, 1e30])[0]).toBeLessThan(1e-30);
  });

  test.each([
    [
      [0.4, 0.9],
      [0.4, 0.5, 0.6, 0.8],
    ],
    [
      [0.04, 1.1],
      [0.05, 0.1, 0.2, 0.5, 1],
    ],
    [
      [0.003, 1],
      [0.003, 0.01, 0.03, 0.1, 0.3, 1],
    ],
    [
      [1e-6, 1],
      [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1],
    ],
  ])('ticks of %j', ([low, high], ticks) => {
    expect(logTicks([low as number, high as number])).toEqual(ticks);
  });

  test.each([
    [1e-300, 1e300],
    [1e-12, 1e7],
    [0.5, 1],
    [3, 6.1],
  ])('from %p to %p there are neither too few nor too many ticks', (low, high) => {
    const { length } = logTicks([low, high]);
    expect(length).toBeGreaterThanOrEqual(2);
    expect(length).toBeLessThanOrEqual(10);
  });

  test('labels', () => {
    expect(logLabels([1e-4, 0.003, 1, 5000, 20000])).toEqual(['1e-4', '0.003', '1', '5000', '2e4']);
  });
});

describe('linear axis', () => {
  test('the domain holds the values, also a single one', () => {
    for (const values of [[3, 4], [0], [-5, -5], [1e300]]) {
      const [low, high] = linearDomain(values);
      expect(low).toBeLessThan(Math.min(...values));
      expect(high).toBeGreaterThan(Math.max(...values));
    }
  });

  test.each([
    [[0, 1], 5, ['0.0', '0.2', '0.4', '0.6', '0.8', '1.0']],
    [[-3, 36], 4, ['0', '10', '20', '30']],
    [[1.19, 2.02], 4, ['1.5', '2.0']],
    [[1.2e6, 2.4e6], 3, ['1.5e6', '2.0e6']],
    [[1e-9, 9e-9], 4, ['2e-9', '4e-9', '6e-9', '8e-9']],
  ])('%j in about %p ticks', ([low, high], count, labels) => {
    expect(linearLabels(linearTicks([low as number, high as number], count))).toEqual(labels);
  });
});
