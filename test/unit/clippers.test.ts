import {
  AdaptiveGradientClipping,
  type AdaptiveGradientClippingOptions,
  AutoClip,
  type Clipper,
  Generator,
  Parameter,
  RNN,
  Tensor,
  ZClip,
} from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { detach, expectRefused } from '../helpers/errors';

const float64 = { dtype: 'float64' } as const;

/** One parameter whose gradient has this norm, along (3, 4)/5. */
function withNorm(norm: number): Parameter {
  return new Parameter('w', Tensor.zeros([2], float64), Tensor.from([0.6 * norm, 0.8 * norm], float64));
}

/** What a clipper says and leaves of gradients with these norms, one after another. */
function course(clipper: Clipper, norms: readonly number[]) {
  return norms.map((norm) => {
    const parameter = withNorm(norm);
    const result = clipper.clip([parameter]);
    const [x = 0, y = 0] = parameter.grad.data;
    return { ...result, after: Math.hypot(x, y) };
  });
}

const clippers: [string, () => Clipper & { stateDict?(): unknown }][] = [
  ['AdaptiveGradientClipping', () => new AdaptiveGradientClipping()],
  ['AutoClip', () => new AutoClip()],
  ['ZClip', () => new ZClip({ warmupSteps: 1 })],
];

describe.each(clippers)('%s', (name, make) => {
  test('gradients that are not finite are an error that names the parameter; neither they nor the memory change', () => {
    const clipper = make();
    clipper.clip([withNorm(2)]);
    const memory = JSON.stringify(clipper.stateDict?.());
    for (const broken of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const parameters = [withNorm(5), new Parameter('rnn.bias', Tensor.zeros([1]), Tensor.from([broken]))];
      const text = `${name}: the norm of the gradient of "rnn.bias" is ${broken}. The gradients are as they were.`;
      expectRefused(() => clipper.clip(parameters), 'ERR_NON_FINITE', text);
      expect(parameters.map(({ grad }) => grad.toArray())).toEqual([[3, 4], [broken]]);
    }
    expect(JSON.stringify(clipper.stateDict?.())).toBe(memory);
  });

  test('refuses what is no list of parameters, a parameter twice, and a buffer that is gone', () => {
    const clipper = make();
    const parameter = withNorm(1);
    expectRefused(() => clipper.clip(3 as never), 'ERR_OPTION', 'parameters: expected an array of Parameters');
    expectRefused(() => clipper.clip([parameter, parameter]), 'ERR_OPTION', 'parameters[1]: expected each parameter once');
    detach(parameter.grad.data);
    expectRefused(() => clipper.clip([parameter]), 'ERR_STATE', 'gradient of w');
  });

  test('leaves gradients of zero as they are', () => {
    const clipper = make();
    for (let step = 0; step < 3; step++) expect(course(clipper, [0])[0]).toMatchObject({ norm: 0, after: 0, clipped: false });
  });
});

describe('AdaptiveGradientClipping', () => {
  const matrix = (name: string, value: number[][], grad: number[][], dtype: 'float32' | 'float64' = 'float64') =>
    new Parameter(name, Tensor.from(value, { dtype }), Tensor.from(grad, { dtype }));

  test('limits each row of a matrix by its own weights, and a vector as a whole', () => {
    const parameters = [
      // ‖W_i‖ = 5, 10, 0: limits 0.5, 1 and, by eps, 0.1 · 0.2
      matrix('weight', [[3, 4], [6, 8], [0, 0]], [[30, 40], [0.6, 0.8], [0, -7]]), // biome-ignore format: rows of one matrix
      // ‖b‖ = 13: limit 1.3
      new Parameter('bias', Tensor.from([5, 12], float64), Tensor.from([0, 2.6], float64)),
    ];
    const { norm, threshold, clipped } = new AdaptiveGradientClipping({ ratio: 0.1, eps: 0.2 }).clip(parameters);
    expectClose(parameters[0]?.grad as Tensor, Tensor.from([[0.3, 0.4], [0.6, 0.8], [0, -0.02]], float64), { within: 1e-15 }); // biome-ignore format: rows of one matrix
    expectClose(parameters[1]?.grad as Tensor, Tensor.from([0, 1.3], float64), { within: 1e-15 });
    expectClose(norm, Math.sqrt(2500 + 1 + 49 + 2.6 ** 2), { within: 1e-15 });
    expectClose(threshold, Math.sqrt(0.25 + 1 + 0.02 ** 2 + 1.3 ** 2), { within: 1e-15 });
    expect(clipped).toBe(true);
  });

  test("has the paper's defaults: 0.01 and 1e-3", () => {
    const parameter = matrix('weight', [[2], [0]], [[-1], [1]]);
    new AdaptiveGradientClipping().clip([parameter]);
    expectClose(parameter.grad, Tensor.from([[-0.02], [1e-5]], float64), { within: 1e-15 });
  });

  test('leaves gradients at or below their limits as they are, bit for bit', () => {
    const rnn = new RNN({ inputSize: 3, hiddenSize: 5, generator: new Generator(1) });
    const parameters = rnn.parameters();
    const generator = new Generator(2);
    for (const { grad } of parameters) grad.data.set(Tensor.randn([grad.size], { generator }).data.map((x) => x / 1000));
    const before = parameters.map(({ grad }) => grad.toArray());
    expect(new AdaptiveGradientClipping({ ratio: 1 }).clip(parameters).clipped).toBe(false);
    expect(parameters.map(({ grad }) => grad.toArray())).toEqual(before);
    const atLimit = matrix('weight', [[1]], [[0.5]]);
    expect(new AdaptiveGradientClipping({ ratio: 0.5 }).clip([atLimit])).toEqual({ norm: 0.5, threshold: 0.5, clipped: false });
  });

  test('clips float32, and a weight of three dimensions by its first', () => {
    const value = new Tensor(Float32Array.of(1, 0, 0, 0, 0, 0, 0, 2), [2, 2, 2]);
    const grad = new Tensor(Float32Array.of(4, 0, 0, 3, 0, 0, 1, 0), [2, 2, 2]);
    new AdaptiveGradientClipping({ ratio: 1 }).clip([new Parameter('weight', value, grad)]);
    expectClose(grad, new Tensor(Float32Array.of(0.8, 0, 0, 0.6, 0, 0, 1, 0), [2, 2, 2]), { within: 1e-7 });
  });

  test('weights that are not finite are an error that names them, and no gradient is clipped', () => {
    const parameters = [withNorm(5), matrix('rnn.weight', [[1], [Number.NaN]], [[1], [1]])];
    expectRefused(() => new AdaptiveGradientClipping().clip(parameters), 'ERR_NON_FINITE', 'the norm of "rnn.weight" is NaN');
    expect(parameters[0]?.grad.toArray()).toEqual([3, 4]);
  });

  test.each<[object, string]>([
    [{ ratio: 0 }, 'ratio: expected a finite number above 0, got 0'],
    [{ eps: 0 }, 'eps: expected a finite number above 0'],
    [{ lambda: 1 }, 'unknown option "lambda"'],
  ])('refuses %j', (options, text) => {
    expectRefused(() => new AdaptiveGradientClipping(options as AdaptiveGradientClippingOptions), 'ERR_OPTION', text);
  });
});

describe('AutoClip', () => {
  test('clips at the percentile of all norms so far, worked out by hand', () => {
    // Sorted histories: 4 | 1 4 | 1 4 9 | 1 2 4 9 | 1 2 3 4 9, and their 25th percentiles.
    const steps = course(new AutoClip({ percentile: 25 }), [4, 1, 9, 2, 3]);
    expect(steps.map(({ threshold }) => threshold)).toEqual([4, 1.75, 2.5, 1.75, 2]);
    expect(steps.map(({ clipped }) => clipped)).toEqual([false, false, true, true, true]);
    expectClose(
      steps.map(({ after }) => after),
      [4, 1, 2.5, 1.75, 2],
      { within: 1e-15 },
    );
  });

  test.each([
    [0, 1],
    [10, 1.9],
    [50, 5.5],
    [100, 10],
  ])('the percentile %d of 1 … 10 is %d', (percentile, expected) => {
    const clipper = new AutoClip({ percentile });
    const last = course(clipper, [7, 3, 10, 1, 5, 8, 2, 9, 4, 6]).at(-1);
    expectClose(last?.threshold ?? Number.NaN, expected, { within: 1e-15 });
  });

  test('keeps a long history in order', () => {
    const clipper = new AutoClip({ percentile: 50 });
    const generator = new Generator(3);
    const norms = Array.from({ length: 501 }, () => 1 + Math.round(generator.uniform() * 100));
    const last = course(clipper, norms).at(-1);
    const sorted = norms.toSorted((a, b) => a - b);
    expect(last?.threshold).toBe(sorted[250]);
    expectClose(clipper.stateDict().history?.data ?? [], sorted, { within: 1e-14 });
  });

  test.each([
    [
      [3, 1, 2],
      [5, 5, 0.5, 0, 9],
    ],
    [[], [1, 2]],
    [
      [2, 2, 2],
      [2, 2],
    ],
  ])('after %j it takes back %j', (before, taken) => {
    const [clipper, twin] = [new AutoClip({ percentile: 60 }), new AutoClip({ percentile: 60 })];
    course(clipper, before);
    const takeBack = clipper.mark();
    course(clipper, taken);
    takeBack();
    course(twin, before);
    expect(clipper.stateDict()).toEqual(twin.stateDict());
    expect(course(clipper, [4, 1, 7])).toEqual(course(twin, [4, 1, 7]));
  });

  test('takes over what another has remembered', () => {
    const [first, second] = [new AutoClip({ percentile: 30 }), new AutoClip({ percentile: 30 })];
    course(first, [3, 1, 2]);
    second.loadStateDict(first.stateDict());
    expect(course(second, [2.5, 0.5])).toEqual(course(first, [2.5, 0.5]));
    // Copies: what one does is not seen by the other.
    const state = second.stateDict();
    course(second, [1]);
    expect(state.history?.size).toBe(5);
  });

  test('refuses another state, and keeps its own', () => {
    const clipper = new AutoClip();
    course(clipper, [3, 1]);
    const load = (state: unknown) => () => clipper.loadStateDict(state as Record<string, Tensor>);
    expectRefused(load({}), 'ERR_STATE', 'Missing: history');
    expectRefused(load({ history: Tensor.zeros([2]) }), 'ERR_DTYPE', 'float64');
    expectRefused(load({ history: Tensor.zeros([2, 1], float64) }), 'ERR_SHAPE');
    expectRefused(load({ history: Tensor.from([1, Number.NaN], float64) }), 'ERR_OPTION', 'element 1');
    expectRefused(load({ history: Tensor.from([-1], float64) }), 'ERR_OPTION', 'element 0');
    expect(clipper.stateDict().history?.toArray()).toEqual([1, 3]);
  });

  test.each<[object, string]>([
    [{ percentile: -1 }, 'percentile: expected a finite number at least 0 and at most 100, got -1'],
    [{ percentile: 101 }, 'percentile'],
    [{ percentil: 5 }, 'Did you mean "percentile"?'],
  ])('refuses %j', (options, text) => {
    expectRefused(() => new AutoClip(options), 'ERR_OPTION', text);
  });
});

describe('ZClip', () => {
  test('clips spikes above the z-score, the harder the larger they are, worked out by hand', () => {
    // Warm-up norms 1, 3: μ = 2, σ² = 1. With z* = 2 the threshold is 4.
    const clipper = new ZClip({ alpha: 0.5, zThreshold: 2, warmupSteps: 2 });
    const steps = course(clipper, [1, 3, 4, 7, 1]);
    // 4 is not above 4. μ = 3, σ² = (1 + (4 − 3)²)/2 = 1: threshold 5.
    // 7: z = 4, so it is scaled to 3 + 1·4/4 = 4; μ = 3.5, σ² = (1 + (4 − 3.5)²)/2 = 0.625: threshold 3.5 + 2·√0.625.
    expectClose(steps.slice(2).map(({ threshold }) => threshold), [4, 5, 3.5 + 2 * Math.sqrt(0.625)], { within: 1e-15 }); // biome-ignore format: one comparison
    expect(steps.map(({ threshold }) => threshold).slice(0, 2)).toEqual([Infinity, Infinity]);
    expect(steps.map(({ clipped }) => clipped)).toEqual([false, false, false, true, false]);
    expectClose(steps.map(({ after }) => after), [1, 3, 4, 4, 1], { within: 1e-15 }); // biome-ignore format: one comparison
    // 1: μ = (3.5 + 1)/2 = 2.25, σ² = (0.625 + 1.25²)/2.
    const { steps: seen, mean, variance } = clipper.stateDict() as Record<string, Tensor>;
    expect([seen?.toArray(), mean?.toArray()]).toEqual([5, 2.25]);
    expectClose(variance as Tensor, (0.625 + 1.25 ** 2) / 2, { within: 1e-15 });
  });

  test("has the paper's defaults: α = 0.97, 25 steps of warm-up, z = 2.5", () => {
    const clipper = new ZClip();
    const warmup = Array.from({ length: 25 }, (_, i) => 10 + (i % 5));
    expect(course(clipper, warmup).some(({ clipped }) => clipped)).toBe(false);
    // Mean 12, population variance 2.
    const margin = 2.5 * Math.SQRT2;
    const [spike] = course(clipper, [20]);
    expectClose(spike?.threshold ?? Number.NaN, 12 + margin, { within: 1e-14 });
    expectClose(spike?.after ?? Number.NaN, 12 + margin ** 2 / 8, { within: 1e-14 });
    const after = 12 + margin ** 2 / 8;
    const mean = 0.97 * 12 + 0.03 * after;
    const { mean: stored, variance } = clipper.stateDict() as Record<string, Tensor>;
    expectClose(stored as Tensor, mean, { within: 1e-14 });
    expectClose(variance as Tensor, 0.97 * 2 + 0.03 * (after - mean) ** 2, { within: 1e-14 });
  });

  test('a spike does not raise what comes after it above its clipped norm', () => {
    const clipper = new ZClip({ warmupSteps: 4 });
    course(clipper, [1, 2, 1, 2]);
    const [spike] = course(clipper, [1e30]);
    expectClose(spike?.after ?? Number.NaN, 1.5, { within: 1e-12 });
    expect(course(clipper, [1])[0]?.threshold).toBeLessThan(3);
  });

  test('norms that never differed leave no spread: a larger one is clipped to their mean', () => {
    const clipper = new ZClip({ warmupSteps: 3 });
    const last = course(clipper, [2, 2, 2, 3]).at(-1);
    expect(last).toMatchObject({ threshold: 2, clipped: true });
    expectClose(last?.after ?? Number.NaN, 2, { within: 1e-15 });
  });

  test('takes over what another has remembered, in warm-up too', () => {
    const options = { warmupSteps: 3, zThreshold: 0.5 };
    const [first, second] = [new ZClip(options), new ZClip(options)];
    course(first, [3, 1]);
    second.loadStateDict(first.stateDict());
    const norms = [2, 5, 1, 9];
    expect(course(second, norms)).toEqual(course(first, norms));
  });

  test('refuses another state, and keeps its own', () => {
    const clipper = new ZClip();
    course(clipper, [3, 1]);
    const own = clipper.stateDict() as Record<'steps' | 'mean' | 'variance', Tensor>;
    const scalar = (value: number) => new Tensor(Float64Array.of(value), []);
    expectRefused(() => clipper.loadStateDict({ mean: own.mean }), 'ERR_STATE', 'Missing: steps, variance');
    for (const [key, value] of [
      ['steps', 1.5],
      ['steps', -1],
      ['mean', Number.NaN],
      ['variance', -1],
    ] as const) {
      // biome-ignore format: a table
      expectRefused(() => clipper.loadStateDict({ ...own, [key]: scalar(value) }), 'ERR_OPTION', `state["${key}"]`);
    }
    expect(clipper.stateDict()).toEqual(own);
  });

  test.each<[object, string]>([
    [{ alpha: 1 }, 'alpha: expected a finite number at least 0 and below 1, got 1'],
    [{ zThreshold: 0 }, 'zThreshold: expected a finite number above 0'],
    [{ warmupSteps: 0 }, 'warmupSteps: expected an integer of at least 1, got 0'],
    [{ zTreshold: 3 }, 'Did you mean "zThreshold"?'],
  ])('refuses %j', (options, text) => {
    expectRefused(() => new ZClip(options), 'ERR_OPTION', text);
  });
});

describe('steps without gradient', () => {
  test.each<[string, () => Clipper]>([
    ['AutoClip', () => new AutoClip()],
    ['ZClip', () => new ZClip({ warmupSteps: 3 })],
  ])('are not remembered by %s, at the beginning or later', (_, make) => {
    const [clipper, twin] = [make(), make()];
    const norms = [2, 1, 3, 4, 2, 8];
    const withZeros = course(clipper, [0, 0, 0, 0, 0, ...norms.slice(0, 4), 0, 0, ...norms.slice(4)]);
    expect(withZeros[0]).toMatchObject({ norm: 0, threshold: Number.POSITIVE_INFINITY, clipped: false });
    expect(withZeros.filter(({ norm }) => norm > 0)).toEqual(course(twin, norms));
    expect(clipper.stateDict?.()).toEqual(twin.stateDict?.());
  });

  test('that a state of an earlier version remembers are forgotten', () => {
    const autoClip = new AutoClip();
    autoClip.loadStateDict({ history: Tensor.from([0, 0, 0, 5], { dtype: 'float64' }) });
    expect(course(autoClip, [5])[0]).toMatchObject({ norm: 5, threshold: 5, clipped: false });
    const zClip = new ZClip();
    const zero = Tensor.from(0, { dtype: 'float64' });
    zClip.loadStateDict({ steps: Tensor.from(25, { dtype: 'float64' }), mean: zero, variance: zero });
    expect(course(zClip, [5])[0]).toMatchObject({ norm: 5, threshold: Number.POSITIVE_INFINITY, clipped: false });
  });
});
