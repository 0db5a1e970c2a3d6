import { Generator } from '../../lib/index';
import { describeGrowth } from '../../lib/stability/flow';
import { growthRate } from '../../lib/stability/growth-rate';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';

/** start + slope · k for k = 0, 1, … */
const line = (length: number, slope: number, start = 0) => Float64Array.from({ length }, (_, k) => start + slope * k);
/** Backwards from the last step with this slope, as ln‖∂L/∂h_t‖ for t = 1 … T. */
const flow = (length: number, slope: number, start = 0) => line(length, slope, start).reverse();

describe('growthRate', () => {
  test.each([
    [3, 0.7, -2],
    [4, -0.001, 30],
    [200, 0.11, 0],
    [100_000, -0.69, 5],
    [7, 0, 1],
  ])('of an exact line over %i values is its slope %d, without an error', (length, slope, start) => {
    const fit = growthRate(line(length, slope, start));
    expect(Math.abs(fit.rate - slope)).toBeLessThan(1e-12);
    expect(fit.error).toBeLessThan(1e-12);
    expect(Math.abs(fit.start - start)).toBeLessThan(1e-7);
  });

  test('is the least-squares line', () => {
    const generator = new Generator(1);
    for (const length of [3, 4, 5, 31]) {
      const values = Float64Array.from({ length }, () => generator.normal());
      const center = (length - 1) / 2;
      const mean = values.reduce((sum, y) => sum + y, 0) / length;
      const slope =
        values.reduce((sum, y, k) => sum + (k - center) * y, 0) / line(length, 1).reduce((sum, k) => sum + (k - center) ** 2, 0);
      const fit = growthRate(values);
      expectClose(fit.rate, slope, { within: 1e-12 });
      expectClose(fit.start, mean - slope * center, { within: 1e-12 });
    }
  });

  test("the error is Newey and West's, worked out by hand", () => {
    // Increments 3, 0, 3 with weights 0.3, 0.4, 0.3: the slope is 1.8, the terms are 0.36, −0.72, 0.36, and the one lag has weight ½.
    const { rate, error } = growthRate(Float64Array.of(0, 3, 3, 6));
    expectClose(rate, 1.8, { within: 1e-14 });
    const squares = 2 * 0.36 ** 2 + 0.72 ** 2;
    const neighbours = -2 * 0.36 * 0.72;
    expectClose(error, Math.sqrt(((squares + neighbours) * 3) / 2), { within: 1e-14 });
  });

  /** Values whose increments are drift plus AR(1) noise, and how the error that is stated compares with the one that is made. */
  function simulate(length: number, correlation: number, runs = 400) {
    const generator = new Generator(1000 * length + 100 * correlation + 7);
    const fits = Array.from({ length: runs }, () => {
      let [noise, value] = [generator.normal() / Math.sqrt(1 - correlation ** 2), 0];
      const values = Float64Array.from({ length }, () => {
        noise = correlation * noise + generator.normal();
        value += 0.1 + noise;
        return value;
      });
      return growthRate(values);
    });
    const made = Math.sqrt(fits.reduce((sum, { rate }) => sum + (rate - 0.1) ** 2, 0) / runs);
    const stated = fits.reduce((sum, { error }) => sum + error, 0) / runs;
    const covered = fits.filter(({ rate, error }) => Math.abs(rate - 0.1) < 2 * error).length / runs;
    return { ratio: stated / made, covered };
  }

  test.each([
    [50, 0],
    [200, 0],
    [200, 0.3],
    [1000, 0.5],
    [1000, -0.3],
  ])('on a random walk of %i steps whose increments correlate by %d, the stated error is the one made', (length, correlation) => {
    const { ratio, covered } = simulate(length, correlation);
    // The spread of 400 slopes is known to 4 %.
    expect(ratio).toBeGreaterThan(0.8);
    expect(ratio).toBeLessThan(1.3);
    expect(covered).toBeGreaterThan(0.87);
  });

  test('on independent scatter about a line it is too large, never too small', () => {
    const generator = new Generator(5);
    const fits = Array.from({ length: 300 }, () => growthRate(line(200, 0.1).map((y) => y + generator.normal())));
    const covered = fits.filter(({ rate, error }) => Math.abs(rate - 0.1) < 2 * error).length / fits.length;
    expect(covered).toBeGreaterThan(0.95);
  });

  test('a million steps keep their digits', () => {
    const { rate, error } = growthRate(line(1_000_000, 0.11));
    expect(Math.abs(rate - 0.11)).toBeLessThan(1e-12);
    expect(error).toBeLessThan(1e-12);
  });
});

describe('describeGrowth', () => {
  test.each([
    [0.11, 'exploding'],
    [-0.11, 'vanishing'],
    [0.024, 'exploding'],
    [0.022, 'stable'],
    [-0.024, 'vanishing'],
    [-0.022, 'stable'],
    [0, 'stable'],
  ])('a rate of %d over 200 steps is %s: a factor of 100 in all is the border', (rate, verdict) => {
    const growth = describeGrowth(flow(200, rate));
    expect(growth.verdict).toBe(verdict);
    expect(growth.growthRate).toBeCloseTo(rate, 12);
  });

  test('the same rate explodes over a longer sequence', () => {
    expect(describeGrowth(flow(200, 0.01)).verdict).toBe('stable');
    expect(describeGrowth(flow(1000, 0.01)).verdict).toBe('exploding');
  });

  test('a rate that is not told from chance is stable and has no horizon, however large', () => {
    const generator = new Generator(3);
    let value = 0;
    const walk = Float64Array.from({ length: 100 }, () => {
      value += 5 * generator.normal();
      return value / 10;
    });
    const growth = describeGrowth(walk);
    expect(Math.abs(growth.growthRate)).toBeLessThan(2 * growth.growthRateError);
    expect(growth).toMatchObject({ verdict: 'stable', horizon: Infinity });
  });

  test.each([
    // ln of the largest float32 is 88.7228, of the smallest normal one −87.3365.
    [0.1, 0, 888],
    [-0.1, 0, 874],
    [0.1, 10, 788],
    [-0.5, -20, 135],
  ])('the horizon of rate %d from %d is the distance %i', (rate, start, horizon) => {
    expect(describeGrowth(flow(100, rate, start)).horizon).toBe(horizon);
    // The same where it was seen.
    expect(describeGrowth(flow(1000, rate, start)).horizon).toBe(horizon);
  });

  test('a course that leaves the range and comes back has left it', () => {
    const values = flow(100, 0);
    values[90] = 95;
    expect(describeGrowth(values).horizon).toBe(9);
    values.fill(-200);
    expect(describeGrowth(values).horizon).toBe(0);
  });

  test('a stable but known rate has a horizon beyond the sequence', () => {
    expect(describeGrowth(flow(100, 0.001))).toMatchObject({ verdict: 'stable', horizon: 88_723 });
  });

  describe('where the gradient is zero', () => {
    test('it is vanishing, its rate that of the steps before, its horizon the first zero', () => {
      const values = flow(100, 0.5);
      values.fill(-Infinity, 0, 60);
      const growth = describeGrowth(values);
      expect(growth).toMatchObject({ verdict: 'vanishing', horizon: 40 });
      expect(growth.growthRate).toBeCloseTo(0.5, 12);
    });

    test('what stands on the far side of a zero does not count', () => {
      const values = flow(100, -0.1);
      values[60] = -Infinity;
      const growth = describeGrowth(values);
      expect(growth).toMatchObject({ verdict: 'vanishing', horizon: 39 });
      expect(growth.growthRate).toBeCloseTo(-0.1, 12);
    });

    test.each([
      ['everywhere', [], 0],
      ['but for the last step', [3], 1],
      ['but for the last two', [2, 3], 2],
      ['but for the last two, already out of range', [-100, 3], 1],
    ])('%s there is no rate', (_, last, horizon) => {
      const values = new Float64Array(10).fill(-Infinity);
      values.set(last, 10 - last.length);
      expect(describeGrowth(values)).toEqual({ growthRate: -Infinity, growthRateError: Number.NaN, verdict: 'vanishing', horizon });
    });
  });

  test.each<[unknown, string, string]>([
    [[1, 2, 3], 'ERR_DTYPE', 'logNorms: expected a Float64Array'],
    [new Float32Array(5), 'ERR_DTYPE', 'a Float64Array'],
    [new Float64Array(2), 'ERR_SHAPE', 'at least 3 time steps, got 2'],
    [Float64Array.of(1, Number.NaN, 2), 'ERR_NON_FINITE', 'got NaN at step 2'],
    [Float64Array.of(1, 2, Infinity), 'ERR_NON_FINITE', 'got Infinity at step 3'],
  ])('refuses %p', (logNorms, code, text) => {
    expectRefused(() => describeGrowth(logNorms as Float64Array), code as 'ERR_SHAPE', text);
  });

  test('leaves its argument as it was', () => {
    const values = flow(5, 0.1);
    const before = [...values];
    describeGrowth(values);
    expect([...values]).toEqual(before);
  });
});
