import { gradNorms } from '../../lib/clipping/norms';
import { clipGradNorm, clipGradValue, type DType, Parameter, Tensor } from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { detach, expectRefused } from '../helpers/errors';

function make(grads: Record<string, number[]>, dtype: DType = 'float64'): Parameter[] {
  return Object.entries(grads).map(
    ([name, grad]) => new Parameter(name, Tensor.zeros([grad.length], { dtype }), Tensor.from(grad, { dtype })),
  );
}
const grads = (parameters: Parameter[]) => parameters.map(({ grad }) => grad.toArray());

describe('gradNorms', () => {
  const parameters = () => make({ a: [3, -4], b: [12], zero: [0, 0] });

  test.each([
    [1, 19, [7, 12, 0]],
    [2, 13, [5, 12, 0]],
    [Number.POSITIVE_INFINITY, 12, [4, 12, 0]],
  ])('of type %d', (normType, total, perParameter) => {
    const norms = gradNorms(parameters(), normType);
    expect(norms.total).toBe(total);
    expect([...norms.perParameter]).toEqual(perParameter);
  });

  test('do not overflow or underflow where the norm itself does not', () => {
    expectClose(gradNorms(make({ a: [3e200, 4e200], b: [12e200] })).total, 13e200, { within: 1e-15 });
    expectClose(gradNorms(make({ a: [3e-200, 4e-200], b: [12e-200] })).total * 1e200, 13, { within: 1e-15 });
    expectClose(gradNorms(make({ a: [3e-30, 4e-30], b: [12e30] }, 'float32')).total, 12e30, { within: 1e-7 });
    expectClose(gradNorms(make({ a: [3e38, 3e38] }, 'float32')).total, 3e38 * Math.SQRT2, { within: 1e-7 });
  });

  test('accumulate in double: a million float32 values, each lost in a float32 sum', () => {
    const many = new Parameter('w', Tensor.zeros([2 ** 20]), new Tensor(new Float32Array(2 ** 20).fill(0.1), [2 ** 20]));
    expectClose(gradNorms([many], 1).total, 2 ** 20 * Math.fround(0.1), { within: 1e-12 });
    expectClose(gradNorms([many], 2).total, 2 ** 10 * Math.fround(0.1), { within: 1e-12 });
  });

  test.each([1, 2, Number.POSITIVE_INFINITY])('are not finite where an element is not, type %d', (normType) => {
    expect(gradNorms(make({ a: [1, Number.NaN], b: [1] }), normType).total).toBeNaN();
    expect(gradNorms(make({ a: [Number.NaN, Number.NEGATIVE_INFINITY], b: [1] }), normType).total).toBeNaN();
    const { total, perParameter } = gradNorms(make({ a: [1], b: [Number.NEGATIVE_INFINITY, 0] }), normType);
    expect([total, ...perParameter]).toEqual([Number.POSITIVE_INFINITY, 1, Number.POSITIVE_INFINITY]);
  });

  test('of all-zero gradients are zero', () => {
    expect(gradNorms(make({ a: [0, -0] })).total).toBe(0);
  });
});

describe('clipGradNorm', () => {
  test('scales gradients above the limit, and returns the norm before', () => {
    const parameters = make({ a: [3, -4], b: [12] });
    expect(clipGradNorm(parameters, { maxNorm: 6.5 })).toBe(13);
    const factor = 6.5 / (13 + 1e-6);
    expect(grads(parameters)).toEqual([[3 * factor, -4 * factor], [12 * factor]]);
  });

  test('leaves gradients below the limit as they are, bit for bit', () => {
    const parameters = make({ a: [0.1, -0.2], b: [0.3] }, 'float32');
    const before = grads(parameters);
    clipGradNorm(parameters, { maxNorm: 10 });
    expect(grads(parameters)).toEqual(before);
  });

  test('without a limit it measures the norm', () => {
    const parameters = make({ a: [3e200, 4e200], b: [12e200] });
    const before = grads(parameters);
    expectClose(clipGradNorm(parameters, { maxNorm: Infinity }), 13e200, { within: 1e-15 });
    expect(clipGradNorm(parameters, { maxNorm: Infinity, normType: Infinity })).toBe(12e200);
    expect(grads(parameters)).toEqual(before);
    const infinite = make({ a: [1], b: [Infinity] });
    expectRefused(() => clipGradNorm(infinite, { maxNorm: Infinity }), 'ERR_NON_FINITE', '"b" is Infinity');
    expect(clipGradNorm(infinite, { maxNorm: Infinity, nonFinite: 'propagate' })).toBe(Infinity);
    expect(grads(infinite)).toEqual([[1], [Infinity]]);
  });

  test('counts parameters of both dtypes', () => {
    const parameters = [...make({ a: [3] }), ...make({ b: [4] }, 'float32')];
    expect(clipGradNorm(parameters, { maxNorm: 1, normType: 1 })).toBe(7);
    expectClose(gradNorms(parameters, 1).total, 1, { within: 1e-6 });
  });

  test('a norm that is not finite is an error that names the parameter, and changes nothing', () => {
    const parameters = make({ 'rnn.weight': [1], 'ln.bias': [2, Number.NaN], last: [Number.POSITIVE_INFINITY] });
    const before = grads(parameters);
    expectRefused(() => clipGradNorm(parameters, { maxNorm: 1 }), 'ERR_NON_FINITE', 'the norm of the gradient of "ln.bias" is NaN');
    expect(clipGradNorm(parameters, { maxNorm: 1, nonFinite: 'skip' })).toBeNaN();
    expect(grads(parameters)).toEqual(before);
    const infinite = make({ a: [1], b: [Number.POSITIVE_INFINITY] });
    expectRefused(() => clipGradNorm(infinite, { maxNorm: 1 }), 'ERR_NON_FINITE', '"b" is Infinity');
    const together = make({ a: [1.5e308], b: [1.5e308] });
    expectRefused(
      () => clipGradNorm(together, { maxNorm: 1, normType: 1 }),
      'ERR_NON_FINITE',
      'the norm of all gradients together is Infinity',
    );
  });

  test('propagate does what PyTorch does', () => {
    const parameters = make({ a: [1], b: [2, Number.NaN] });
    expect(clipGradNorm(parameters, { maxNorm: 1, nonFinite: 'propagate' })).toBeNaN();
    expect(grads(parameters)).toEqual([[Number.NaN], [Number.NaN, Number.NaN]]);
    const infinite = make({ a: [1], b: [Number.POSITIVE_INFINITY] });
    expect(clipGradNorm(infinite, { maxNorm: 1, nonFinite: 'propagate' })).toBe(Number.POSITIVE_INFINITY);
    expect(grads(infinite)).toEqual([[0], [Number.NaN]]);
  });

  test.each<[object, string]>([
    [{}, 'maxNorm: expected a number of at least 0, or Infinity, got undefined'],
    [{ maxNorm: Number.NaN }, 'maxNorm: expected a number of at least 0'],
    [{ maxNorm: Number.NEGATIVE_INFINITY }, 'maxNorm: expected a number of at least 0'],
    [{ maxNorm: -1 }, 'maxNorm'],
    [{ maxNorm: Number.NaN }, 'maxNorm'],
    [{ maxNorm: 1, normType: 3 }, 'normType: expected 1, 2 or Infinity, got 3'],
    [{ maxNorm: 1, normType: '2' }, 'normType'],
    [{ maxNorm: 1, nonFinite: 'ignore' }, 'nonFinite: expected one of "throw", "skip", "propagate"'],
    [{ max_norm: 1 }, 'Did you mean "maxNorm"?'],
  ])('refuses %j', (options, text) => {
    expectRefused(() => clipGradNorm(make({ a: [1] }), options as { maxNorm: number }), 'ERR_OPTION', text);
  });
});

describe('clipGradValue', () => {
  test('clamps each element, infinities too', () => {
    const parameters = [...make({ a: [3, -4, 0.5] }), ...make({ b: [Number.NEGATIVE_INFINITY, 1] }, 'float32')];
    clipGradValue(parameters, { clipValue: 2 });
    expect(grads(parameters)).toEqual([
      [2, -2, 0.5],
      [-2, 1],
    ]);
  });

  test('a NaN is an error that names the parameter, and nothing is clamped', () => {
    const parameters = make({ a: [9], b: [Number.NaN] });
    expectRefused(() => clipGradValue(parameters, { clipValue: 1 }), 'ERR_NON_FINITE', 'the gradient of "b" holds a NaN');
    expect(grads(parameters)).toEqual([[9], [Number.NaN]]);
  });

  test('refuses bad options', () => {
    expectRefused(() => clipGradValue(make({ a: [1] }), { clipValue: -1 }), 'ERR_OPTION', 'clipValue');
    expectRefused(
      () => clipGradValue(make({ a: [1] }), { value: 1 } as unknown as { clipValue: number }),
      'ERR_OPTION',
      'unknown option "value"',
    );
  });
});

test('both refuse gradients whose buffer is gone, and a parameter that is counted twice', () => {
  const parameters = make({ a: [1], b: [2] });
  const twice = [...parameters, ...parameters];
  expectRefused(() => clipGradNorm(twice, { maxNorm: 1 }), 'ERR_OPTION', 'parameters[2]: expected each parameter once');
  expectRefused(() => clipGradValue(twice, { clipValue: 1 }), 'ERR_OPTION', 'parameters[2]');
  detach((parameters[1] as Parameter).grad.data);
  expectRefused(() => clipGradNorm(parameters, { maxNorm: 1 }), 'ERR_STATE', 'gradient of b');
  expectRefused(() => clipGradValue(parameters, { clipValue: 1 }), 'ERR_STATE', 'gradient of b');
});
