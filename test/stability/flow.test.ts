import { Generator, Tensor } from '../../lib/index';
import { describeCourse } from '../../lib/stability/flow';
import { meanOf, slopeOf, wavesOf } from '../../lib/stability/growth-rate';
import { studentQuantile } from '../../lib/stability/student';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';

/** start + slope · k for k = 0, 1, … */
const line = (length: number, slope: number, start = 0) => Float64Array.from({ length }, (_, k) => start + slope * k);
/** Backwards from the last step with this slope, as ln‖∂L/∂h_t‖ for t = 1 … T. */
const flow = (length: number, slope: number, start = 0) => line(length, slope, start).reverse();

describe('slopeOf', () => {
  test.each([
    [3, 0.7, -2],
    [4, -0.001, 30],
    [200, 0.11, 0],
    [100_000, -0.69, 5],
    [7, 0, 1],
  ])('of an exact line over %i values is its slope %d, without an error', (length, slope, start) => {
    const { mean, error } = meanOf([slopeOf(line(length, slope, start), 8)]);
    expect(Math.abs(mean - slope)).toBeLessThan(1e-12);
    expect(error).toBeLessThan(1e-12);
  });

  test('is the least-squares line', () => {
    const generator = new Generator(1);
    for (const length of [3, 4, 5, 31]) {
      const values = Float64Array.from({ length }, () => generator.normal());
      const center = (length - 1) / 2;
      const slope =
        values.reduce((sum, y, k) => sum + (k - center) * y, 0) / line(length, 1).reduce((sum, k) => sum + (k - center) ** 2, 0);
      expectClose(slopeOf(values, 0).mean, slope, { within: 1e-12 });
    }
  });

  test('its waves are the products of the increments with cosines of unit length, worked out by hand', () => {
    // Increments 3, 0, 3: cos(π/6), cos(π/2), cos(5π/6) times √(2/3), and cos(π/3), cos(π), cos(5π/3).
    const { mean, squares, waves } = slopeOf(Float64Array.of(0, 3, 3, 6), 8);
    expectClose([mean, squares], [1.8, 0.34], { within: 1e-14 });
    expectClose(waves, [0, 3 * Math.sqrt(2 / 3)], { within: 1e-14 });
  });
});

describe('meanOf', () => {
  test('of many sequences has the error of a mean of independent numbers', () => {
    const sequences = [1, 2, 4, 9].map((mean) => ({ mean, squares: 0.1, waves: new Float64Array(0) }));
    const { mean, error, interval } = meanOf(sequences);
    const variance = (9 + 4 + 0 + 25) / 3;
    expect(mean).toBe(4);
    expect(error).toBeCloseTo(Math.sqrt(variance / 4), 12);
    // t of three degrees of freedom
    expect(interval[1] - mean).toBeCloseTo(3.18245 * error, 10);
  });

  test('of one has that of its waves, and needs eight of them', () => {
    const waves = Float64Array.of(1, -1, 2, 0, 1, 1, -2, 2);
    const { error, interval } = meanOf([{ mean: 5, squares: 0.25, waves }]);
    expect(error).toBeCloseTo(Math.sqrt((16 / 8) * 0.25), 12);
    expect(interval[0]).toBeCloseTo(5 - 2.306 * error, 10);
    expect([1, 2, 3, 8, 9, 100].map(wavesOf)).toEqual([8, 4, 2, 1, 0, 0]);
    expect(meanOf([{ mean: 5, squares: 1, waves: new Float64Array(0) }])).toEqual({
      mean: 5,
      error: Number.NaN,
      interval: [Number.NaN, Number.NaN],
    });
  });

  /** How often the interval holds the drift of random walks whose increments are AR(1), and how the error stated compares with the one made. */
  function simulate(sequences: number, length: number, correlation: number, runs = 400) {
    const generator = new Generator(1000 * length + 100 * correlation + sequences);
    const walk = () => {
      let [noise, value] = [generator.normal() / Math.sqrt(1 - correlation ** 2), 0];
      return Float64Array.from({ length }, () => {
        noise = correlation * noise + generator.normal();
        value += 0.1 + noise;
        return value;
      });
    };
    const estimates = Array.from({ length: runs }, () =>
      meanOf(Array.from({ length: sequences }, () => slopeOf(walk(), wavesOf(sequences)))),
    );
    const made = Math.sqrt(estimates.reduce((sum, { mean }) => sum + (mean - 0.1) ** 2, 0) / runs);
    const stated = Math.sqrt(estimates.reduce((sum, { error }) => sum + error ** 2, 0) / runs);
    const covered = estimates.filter(({ interval }) => interval[0] <= 0.1 && interval[1] >= 0.1).length / runs;
    return { ratio: stated / made, covered };
  }

  test.each([
    [1, 50, 0],
    [1, 200, 0.3],
    [1, 1000, 0.5],
    [1, 1000, -0.3],
    [2, 200, 0.3],
    [5, 100, 0],
    [9, 50, 0.6],
    [32, 50, 0.9],
  ])('of %i random walks of %i steps whose increments correlate by %d: its interval holds the drift in 95 %', (...walks) => {
    const { ratio, covered } = simulate(...walks);
    // Of 400 draws, the standard error of a share of 0.95 is 0.011.
    expect(covered).toBeGreaterThan(0.92);
    expect(covered).toBeLessThan(0.98);
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.1);
  });
});

test.each([
  [1, 12.706],
  [8, 2.306],
  [11, 2.201],
  [31, 2.0395],
  [120, 1.9799],
  [1e6, 1.96],
])("Student's t of %i degrees of freedom", (degrees, quantile) => {
  expect(Math.abs(studentQuantile(degrees) - quantile)).toBeLessThan(1e-3);
});

/** One sequence's gradient. */
const describeGrowth = (logNorms: Float64Array) => describeCourse(new Tensor(logNorms, [1, logNorms.length]), 'backwards');

describe('describeCourse', () => {
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
    expect(growth.horizonInterval[0]).toBeLessThan(1e4);
    expect(growth.horizonInterval[1]).toBe(Infinity);
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

  // Sums of independent increments, of which the mean is known.
  test.each([
    [9, 200, 0.15, 0.5],
    [3, 600, -0.15, 0.5],
    [3, 200, -0.25, 0.5],
    [1, 300, 0.2, 0.5],
    [1, 1000, 0.08, 0.3],
  ])(
    'of %i sequences of %i steps, rate %d ± %d a step, the interval of the horizon holds it in 95 %% of draws',
    (n, t, rate, deviation) => {
      const draws = 400;
      const bound = rate > 0 ? 128 * Math.LN2 : 126 * Math.LN2;
      const held = Array.from({ length: draws }, (_, draw) => {
        const generator = new Generator(draw);
        const logNorms = new Float64Array(n * t);
        for (let row = 0; row < n; row++) {
          let value = 0;
          for (let step = t - 1; step >= 0; step--) {
            logNorms[row * t + step] = value;
            value += rate + deviation * generator.normal();
          }
        }
        const { horizonInterval } = describeCourse(new Tensor(logNorms, [n, t]), 'backwards');
        const horizon = Math.ceil(bound / Math.abs(rate));
        return horizonInterval[0] <= horizon && horizon <= horizonInterval[1];
      }).filter(Boolean).length;
      // The standard error of a share of 0.95 is 0.011.
      expect(held / draws).toBeGreaterThan(0.92);
      expect(held / draws).toBeLessThan(0.98);
    },
  );

  test('the horizon of a straight course is known exactly, by its interval too', () => {
    const { horizon, horizonInterval } = describeGrowth(flow(100, -0.1));
    expect(horizonInterval[0]).toBeCloseTo(horizon, -0.5);
    expect(horizonInterval[1]).toBeCloseTo(horizon, -0.5);
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
      expect(describeGrowth(values)).toMatchObject({
        growthRate: -Infinity,
        growthRateError: Number.NaN,
        growthRateInterval: [-Infinity, -Infinity],
        batchGrowthRate: -Infinity,
        verdict: 'vanishing',
        horizon,
        horizonInterval: [horizon, horizon],
      });
    });
  });

  test.each<[unknown, string, string]>([
    [new Float64Array(2), 'ERR_SHAPE', 'at least 3 time steps, got [1, 2]'],
    [Float64Array.of(1, Number.NaN, 2), 'ERR_NON_FINITE', 'got NaN at step 2'],
    [Float64Array.of(1, 2, Infinity), 'ERR_NON_FINITE', 'got Infinity at step 3'],
  ])('refuses %p', (logNorms, code, text) => {
    expectRefused(() => describeGrowth(logNorms as Float64Array), code as 'ERR_SHAPE', text);
  });

  test('of several sequences the rate is the mean of theirs, the batch has that of the one that grows most', () => {
    const rates = [0.3, 0.1, -0.1];
    const data = Float64Array.from(rates.flatMap((rate) => [...flow(200, rate)]));
    const { growthRate, batchGrowthRate, growthRateError, growthRateInterval, logNorms } = describeCourse(
      new Tensor(data, [3, 200]),
      'backwards',
    );
    expect(growthRate).toBeCloseTo(0.1, 12);
    expect(batchGrowthRate).toBeCloseTo(0.3, 4);
    expect(growthRateError).toBeGreaterThan(0.05);
    expect(growthRateInterval[0]).toBeLessThan(0);
    expect(logNorms[199]).toBeCloseTo(0.5 * Math.log(3), 12);
  });

  test('a sequence that ends early is measured over its own distance, and one that dies does not make the batch vanish', () => {
    const data = Float64Array.from([...flow(100, 0.2), ...flow(100, 0.2), ...flow(100, 0.2)]);
    data.copyWithin(100, 150, 200).fill(-Infinity, 150, 200); // the second is 50 steps long
    data.fill(-Infinity, 200, 240); // the third has a zero 60 steps back
    expect(describeCourse(new Tensor(data, [3, 100]), 'backwards')).toMatchObject({
      verdict: 'exploding',
      growthRate: expect.closeTo(0.2, 12),
    });
  });

  test('a state goes forwards', () => {
    const states = Tensor.from([[...line(600, 0.3)]], { dtype: 'float64' });
    expect(describeCourse(states, 'forwards')).toMatchObject({ verdict: 'exploding', horizon: 296 });
  });

  test('leaves its argument as it was', () => {
    const values = flow(5, 0.1);
    const before = [...values];
    describeGrowth(values);
    expect([...values]).toEqual(before);
  });
});
