// Against a QR loop in plain JavaScript: its own states, Jacobians by central differences, Gram-Schmidt.
import { Generator, LayerNorm, lyapunovExponents, lyapunovSpectrum, type Nonlinearity, type Placement, RNN, Tensor } from '../../lib/index';
import { initializeWeight } from '../../lib/initializers';
import { expectRefused } from '../helpers/errors';
import { fill, fillRecurrent } from '../helpers/fill';
import { CASES } from '../helpers/fixtures';

const dtype = 'float64';
const [N, T, I, H] = [2, 40, 3, 6];
const EPS = 0.01;
const placements: Placement[] = ['none', ...CASES.placements.placements];
const variants = placements.flatMap((placement) =>
  (placement === 'none' ? (['layer'] as const) : CASES.placements.kinds).map((kind) => [placement, kind] as const),
);

interface Cell {
  placement: Placement;
  kind: 'layer' | 'rms';
  nonlinearity: Nonlinearity;
}

function makeRnn({ placement, kind, nonlinearity }: Cell): RNN {
  const rnn = new RNN({ inputSize: I, hiddenSize: H, nonlinearity, normalization: { placement, kind, eps: EPS }, dtype });
  fillRecurrent(rnn);
  return rnn;
}

/** h_t from h_{t−1} and x_t, by the table of placements. */
function stepOf(rnn: RNN, { placement, kind, nonlinearity }: Cell) {
  const state = rnn.stateDict();
  const vector = (name: string) => [...(state[name]?.data ?? [])];
  const matrix = (name: string) => state[name]?.toArray() as number[][];
  const times = (rows: number[][], x: readonly number[]) => rows.map((row) => row.reduce((sum, w, j) => sum + w * (x[j] as number), 0));
  const plus = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value + (b[i] ?? 0));
  const [weightIh, weightHh] = [matrix('weight_ih_l0'), matrix('weight_hh_l0')];
  const bias = plus(vector('bias_ih_l0'), vector('bias_hh_l0'));
  const norm = (a: readonly number[], name = 'norm') => {
    const mean = kind === 'layer' ? a.reduce((sum, value) => sum + value, 0) / H : 0;
    const scale = 1 / Math.sqrt(a.reduce((sum, value) => sum + (value - mean) ** 2, 0) / H + EPS);
    const [gamma, beta] = [vector(`${name}.weight`), vector(`${name}.bias`)];
    return a.map((value, i) => (value - mean) * scale * (gamma[i] as number) + (beta[i] ?? 0));
  };
  const phi = (a: readonly number[]) => a.map((value) => (nonlinearity === 'tanh' ? Math.tanh(value) : Math.max(0, value)));
  return (h: readonly number[], x: readonly number[]): number[] => {
    const [projected, recurrent] = [times(weightIh, x), times(weightHh, placement === 'recurrent-input' ? norm(h) : h)];
    if (placement === 'split-preactivation') return phi(plus(plus(norm(projected, 'norm_ih'), norm(recurrent, 'norm_hh')), bias));
    const a = plus(plus(projected, recurrent), bias);
    if (placement === 'preactivation') return phi(norm(a));
    return placement === 'hidden' ? norm(phi(a)) : phi(a);
  };
}

type Step = ReturnType<typeof stepOf>;

/** ∂h_t/∂h_{t−1}, by columns, to the fourth order: the smallest exponents show its errors first. */
function jacobian(step: Step, h: readonly number[], x: readonly number[]): number[][] {
  const move = (i: number, by: number) =>
    step(
      h.map((value, j) => (i === j ? value + by : value)),
      x,
    );
  return h.map((_, i) => {
    const difference = (by: number) => {
      const [above, below] = [move(i, by), move(i, -by)];
      return above.map((value, j) => (value - (below[j] as number)) / (2 * by));
    };
    const [near, far] = [difference(1e-4), difference(2e-4)];
    return near.map((value, j) => (4 * value - (far[j] as number)) / 3);
  });
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

/** Orthonormal vectors, and what was left of each beyond those before it; zero where that was little but the differences' errors. */
function gramSchmidt(vectors: readonly number[][]): { q: number[][]; lengths: number[] } {
  const q: number[][] = [];
  const lengths: number[] = [];
  for (const vector of vectors) {
    let rest = vector;
    for (let pass = 0; pass < 2; pass++) {
      for (const other of q) {
        const along = dot(rest, other);
        rest = rest.map((value, j) => value - along * (other[j] as number));
      }
    }
    const length = Math.hypot(...rest);
    const isNothing = length <= 1e-7 * Math.hypot(...vector);
    lengths.push(isNothing ? 0 : length);
    q.push(rest.map((value) => (isNothing ? 0 : value / length)));
  }
  return { q, lengths };
}

/** Mean of ln|R(i, i)| over all steps and sequences, not sorted, and of ln|det J|. */
function reference(rnn: RNN, cell: Cell, input: Tensor, start: readonly number[][]): { exponents: number[]; logDeterminant: number } {
  const step = stepOf(rnn, cell);
  const x = input.toArray() as number[][][];
  const exponents = start.map(() => 0);
  let logDeterminant = 0;
  for (const sequence of x) {
    let h = new Array<number>(H).fill(0);
    let q = start.map((vector) => [...vector]);
    for (const xt of sequence) {
      const columns = jacobian(step, h, xt);
      h = step(h, xt);
      const next = gramSchmidt(
        q.map((vector) => h.map((_, j) => vector.reduce((sum, value, i) => sum + value * (columns[i]?.[j] ?? 0), 0))),
      );
      q = next.q;
      const share = 1 / (x.length * sequence.length);
      for (const [i, length] of next.lengths.entries()) exponents[i] = (exponents[i] as number) + share * Math.log(length);
      logDeterminant += share * gramSchmidt(columns).lengths.reduce((sum, length) => sum + Math.log(length), 0);
    }
  }
  return { exponents, logDeterminant };
}

/** The directions that lyapunovExponents starts from. */
function startingDirections(): number[][] {
  const directions = Tensor.zeros([H, H], { dtype });
  initializeWeight(directions, { name: 'orthogonal', gain: 1 }, new Generator(0));
  return directions.toArray() as number[][];
}

const sorted = (values: readonly number[]) => [...values].sort((a, b) => b - a || 0);

describe.each(CASES.rnn.nonlinearities)('%s', (nonlinearity) => {
  test.each(variants)('%s, %s: every exponent is that of the plain loop, and all add up to the mean ln|det J|', (placement, kind) => {
    const cell = { placement, kind, nonlinearity };
    const rnn = makeRnn(cell);
    const input = fill('x', [N, T, I]);
    const exponents = lyapunovExponents(rnn, input, { burnIn: 0 });
    const expected = reference(rnn, cell, input, startingDirections());
    expect(exponents).toHaveLength(H);
    const finite = expected.exponents.filter(Number.isFinite).length;
    // What a LayerNorm and a relu take away is gone; a tanh and an RMSNorm take nothing away.
    if (nonlinearity === 'tanh') expect(finite).toBe(kind === 'layer' && placement !== 'none' ? H - 1 : H);
    expect(finite).toBeGreaterThan(0);
    expect([...exponents].filter(Number.isFinite)).toHaveLength(finite);
    for (const [i, value] of sorted(expected.exponents).slice(0, finite).entries()) expect(exponents[i]).toBeCloseTo(value, 6);
    const sum = exponents.reduce((total, value) => total + value, 0);
    if (finite === H) expect(sum).toBeCloseTo(expected.logDeterminant, 6);
    else expect([sum, expected.logDeterminant]).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    // The leading ones do not depend on how many are asked for.
    const leading = lyapunovExponents(rnn, input, { count: 1, burnIn: 0 })[0] as number;
    expect(leading).toBeCloseTo(expected.exponents[0] as number, 6);
  });
});

test('the leading exponents do not depend on the directions that the loop starts from', () => {
  const cell = { placement: 'hidden', kind: 'layer', nonlinearity: 'tanh' } as const;
  const rnn = makeRnn(cell);
  const input = fill('x', [1, 4000, I]);
  const axes = startingDirections().map((_, i) => Array.from({ length: H }, (_, j) => (i === j ? 1 : 0)));
  const expected = reference(rnn, cell, input, axes).exponents;
  const { exponents, standardErrors } = lyapunovSpectrum(rnn, input, { count: 3, burnIn: 0 });
  for (const i of [0, 1, 2]) {
    expect(Math.abs((exponents[i] as number) - (expected[i] as number))).toBeLessThan(1e-3);
    expect(standardErrors[i]).toBeGreaterThan(0);
    expect(standardErrors[i]).toBeLessThan(0.05);
  }
});

test('a tanh RNN near zero has the logarithms of the eigenvalues of W_hh', () => {
  const eigenvalues = [1.05, -0.9, 0.7, 0.4];
  const rnn = new RNN({ inputSize: 1, hiddenSize: 4, dtype });
  for (const { name, value } of rnn.parameters()) if (name.startsWith('bias')) value.data.fill(0);
  // S D S⁻¹ with S unit upper triangular, so that S⁻¹ is known: S = I + E with E² = 0.
  const s = [
    [1, 0, 0.5, -1],
    [0, 1, 2, 0.3],
    [0, 0, 1, 0],
    [0, 0, 0, 1],
  ];
  const inverse = s.map((row, i) => row.map((value, j) => (i === j ? value : -value)));
  const weight = s.flatMap((row) =>
    row.map((_, j) => row.reduce((sum, value, k) => sum + value * (eigenvalues[k] ?? 0) * (inverse[k]?.[j] ?? 0), 0)),
  );
  rnn.stateDict().weight_hh_l0?.data.set(weight);
  const steps = 400;
  const exponents = lyapunovExponents(rnn, fill('x', [1, steps, 1], { scale: 1e-12 }), { burnIn: 0 });
  for (const [i, value] of eigenvalues.entries()) {
    expect(Math.abs((exponents[i] as number) - Math.log(Math.abs(value)))).toBeLessThan(3 / steps);
  }
  // In float32 alike.
  const narrow = new RNN({ inputSize: 1, hiddenSize: 4 });
  for (const { name, value } of narrow.parameters()) value.data.set(rnn.stateDict()[name]?.data ?? []);
  const same = lyapunovExponents(narrow, fill('x', [1, steps, 1], { scale: 1e-12, dtype: 'float32' }), { burnIn: 0 });
  for (const [i, value] of exponents.entries()) expect(same[i]).toBeCloseTo(value, 6);
});

describe('parts of time', () => {
  const [n, t, i, h] = [3, 400, 2, 64];
  const generator = new Generator(3);
  const rnn = new RNN({ inputSize: i, hiddenSize: h, dtype, generator, recurrentInitializer: { name: 'orthogonal', gain: 1.5 } });
  const input = Tensor.randn([n, t, i], { dtype, generator });

  test('go on from each other, and are told of', () => {
    const told: number[] = [];
    const exponents = lyapunovExponents(rnn, input, {
      burnIn: 0,
      onProgress(steps, total) {
        expect(total).toBe(t);
        told.push(steps);
      },
    });
    expect(told.length).toBeGreaterThan(2);
    expect(told.at(-1)).toBe(t);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    // ln|det J_t| = Σ ln(1 − h²) + ln|det W_hh|, and W_hh is 1.5 times an orthogonal matrix.
    const slopes = Array.from(rnn.forward(input).data).reduce((sum, value) => sum + Math.log(1 - value * value), 0) / (n * t);
    expect(exponents.reduce((sum, value) => sum + value, 0)).toBeCloseTo(slopes + h * Math.log(1.5), 8);
  });

  test('end where onProgress throws', () => {
    let calls = 0;
    const stop = () => {
      calls++;
      throw new RangeError('enough');
    };
    expect(() => lyapunovExponents(rnn, input, { onProgress: stop })).toThrow('enough');
    expect(calls).toBe(1);
  });
});

test('neither the layer nor its state is changed', () => {
  const rnn = new RNN({ inputSize: I, hiddenSize: H, dtype, stateful: true, generator: new Generator(1) });
  const x = fill('x', [N, T, I]);
  rnn.forward(x);
  const before = [rnn.finalState.toArray(), ...rnn.parameters().flatMap(({ value, grad }) => [value.toArray(), grad.toArray()])];
  lyapunovExponents(rnn, fill('other', [1, T, I]));
  expect([rnn.finalState.toArray(), ...rnn.parameters().flatMap(({ value, grad }) => [value.toArray(), grad.toArray()])]).toEqual(before);
  expect(() => rnn.backward(fill('dy', [N, T, H]))).not.toThrow();
});

describe('of one unit, whose exponent is the mean of ln|w (1 − h²)|', () => {
  const rnn = new RNN({ inputSize: 1, hiddenSize: 1, dtype });
  for (const { value } of rnn.parameters()) value.data.fill(0.5);
  const logsOf = (x: Tensor) => [...rnn.forward(x).data].map((h) => Math.log(0.5 * (1 - h * h)));
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

  test('the first tenth of the steps does not count, or as many as burnIn says', () => {
    const x = fill('x', [1, 60, 1]);
    expect(lyapunovExponents(rnn, x)[0]).toBeCloseTo(mean(logsOf(x).slice(6)), 12);
    expect(lyapunovExponents(rnn, x, { burnIn: 59 })[0]).toBeCloseTo(logsOf(x)[59] as number, 12);
    expectRefused(() => lyapunovExponents(rnn, x, { burnIn: 60 }), 'ERR_OPTION', 'burnIn: expected an integer from 0 to 59');
  });

  test('the standard error of ten sequences is that of the mean of ten numbers', () => {
    const logs = logsOf(fill('x', [10, 60, 1]));
    const means = Array.from({ length: 10 }, (_, n) => mean(logs.slice(60 * n, 60 * (n + 1))));
    const error = Math.sqrt(means.reduce((sum, value) => sum + (value - mean(means)) ** 2, 0) / 90);
    const { exponents, standardErrors, intervals } = lyapunovSpectrum(rnn, fill('x', [10, 60, 1]), { burnIn: 0 });
    expect(exponents[0]).toBeCloseTo(mean(means), 12);
    expect(standardErrors[0]).toBeCloseTo(error, 12);
    // t of nine degrees of freedom
    expect(intervals[0]?.[1]).toBeCloseTo(mean(means) + 2.26216 * error, 10);
  });

  test('that of one sequence is known from its course in time, that of a single step is not', () => {
    const x = Tensor.randn([1, 400, 1], { dtype, generator: new Generator(2) });
    const many = Array.from({ length: 200 }, (_, seed) =>
      mean(logsOf(Tensor.randn([1, 400, 1], { dtype, generator: new Generator(seed) }))),
    );
    const spread = Math.sqrt(mean(many.map((value) => (value - mean(many)) ** 2)));
    const { standardErrors } = lyapunovSpectrum(rnn, x, { burnIn: 0 });
    expect((standardErrors[0] as number) / spread).toBeGreaterThan(0.5);
    expect((standardErrors[0] as number) / spread).toBeLessThan(2);
    expect(lyapunovSpectrum(rnn, fill('x', [1, 1, 1])).standardErrors).toEqual(Float64Array.of(Number.NaN));
  });
});

test('what the first step multiplies by, where a LayerNorm meets a state of zeros, is burnt in', () => {
  const exponentOf = (eps: number, burnIn?: number) => {
    const generator = new Generator(1);
    const recurrentInitializer = { name: 'orthogonal', gain: 1.5 } as const;
    const normalization = { placement: 'recurrent-input', eps } as const;
    const rnn = new RNN({ inputSize: 10, hiddenSize: 20, normalization, recurrentInitializer, dtype, generator });
    const input = Tensor.randn([8, 100, 10], { dtype, generator });
    return lyapunovExponents(rnn, input, { count: 1, ...(burnIn === undefined ? {} : { burnIn }) })[0] as number;
  };
  expect(exponentOf(1e-12, 0) - exponentOf(1e-5, 0)).toBeCloseTo(Math.log(1e7) / 2 / 100, 2);
  expect(Math.abs(exponentOf(1e-12) - exponentOf(1e-5))).toBeLessThan(0.005);
});

test('a layer without biases has the exponents of one with biases of zero', () => {
  const options = { inputSize: I, hiddenSize: H, dtype } as const;
  const [zeros, without] = [new RNN(options), new RNN({ ...options, bias: false })];
  const { bias_ih_l0, bias_hh_l0, ...others } = zeros.stateDict();
  for (const bias of [bias_ih_l0, bias_hh_l0]) bias?.data.fill(0);
  without.loadStateDict(others);
  const x = fill('x', [N, T, I]);
  expect(lyapunovExponents(without, x)).toEqual(lyapunovExponents(zeros, x));
});

describe('refusals', () => {
  const rnn = new RNN({ inputSize: I, hiddenSize: H, dtype });
  const x = fill('x', [N, T, I]);
  const call = (options: object) => lyapunovExponents(rnn, x, options);

  test.each([0, H + 1, 1.5, '2', Number.NaN])('count %p', (count) => {
    expectRefused(() => call({ count }), 'ERR_OPTION', `count: expected an integer from 1 to ${H}`);
  });

  test('of other arguments', () => {
    expectRefused(
      () => lyapunovExponents(new LayerNorm({ size: I, dtype }) as unknown as RNN, x),
      'ERR_OPTION',
      'rnn: expected a recurrent layer',
    );
    expectRefused(() => lyapunovExponents(rnn, fill('x', [N, T, I + 1])), 'ERR_SHAPE', 'input');
    expectRefused(() => lyapunovExponents(rnn, fill('x', [N, T, I], { dtype: 'float32' })), 'ERR_DTYPE', 'input');
    expectRefused(() => call({ onProgress: 3 }), 'ERR_OPTION', 'onProgress: expected a function');
    expectRefused(() => call({ counts: 3 }), 'ERR_OPTION', 'Did you mean "count"?');
  });

  test('of states that are not finite', () => {
    const broken = fill('x', [N, T, I]);
    broken.data[50] = Number.NaN;
    expectRefused(() => lyapunovExponents(rnn, broken), 'ERR_NON_FINITE', 'states of this layer on this input are not finite');
    const relu = new RNN({
      inputSize: I,
      hiddenSize: H,
      dtype,
      nonlinearity: 'relu',
      recurrentInitializer: { name: 'identity', gain: 1e30 },
    });
    expectRefused(() => lyapunovExponents(relu, x), 'ERR_NON_FINITE', 'a relu layer whose states grow without bound');
  });
});
