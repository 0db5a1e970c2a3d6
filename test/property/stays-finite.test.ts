// What an optimiser says of its next step before it is made: that no weight can become infinite or NaN by it.
import fc from 'fast-check';
import { Adam, AdamW, type Optimizer, Parameter, RMSprop, SGD, Tensor, type TensorData } from '../../lib';
import { native } from '../../lib/native/load';

const runs = { numRuns: Number(process.env.FUZZ_RUNS ?? 300) };
const EDGE = 2 ** 40;

/** A number of any magnitude, of those in between more than of the ends. */
const positive = fc.oneof(
  fc.constantFrom(0, 1e-8, 1e-3, 0.9, 1, 3e38),
  fc.integer({ min: -140, max: 127 }).map((exponent) => 2 ** exponent),
);
const signed = fc.tuple(fc.constantFrom(1, -1), positive).map(([sign, size]) => sign * size);
const moderate = fc.oneof(fc.double({ min: -2, max: 2, noNaN: true }), fc.constantFrom(2 ** 32, -(2 ** 32), 1e5));
const element = fc.oneof({ weight: 20, arbitrary: moderate }, signed, fc.constantFrom(Number.NaN, Infinity));
const SIZE = 19;
const lengths = { minLength: SIZE, maxLength: SIZE };
const elements = fc.oneof({ weight: 5, arbitrary: fc.array(moderate, lengths) }, fc.array(element, lengths));
const beta = fc.constantFrom(0, 0.5, 0.9, 0.999, 1 - 2 ** -30, 1 - 2 ** -53);

const optimizers: Record<string, fc.Arbitrary<(parameters: Parameter[]) => Optimizer>> = {
  SGD: fc
    .record({ learningRate: positive, momentum: positive, weightDecay: positive, dampening: signed, maximize: fc.boolean() })
    .map((options) => (parameters) => new SGD(parameters, options)),
  'SGD with nesterov': fc
    .record({ learningRate: positive, momentum: fc.constantFrom(0.5, 1, 2 ** 60), weightDecay: positive })
    .map((options) => (parameters) => new SGD(parameters, { ...options, nesterov: true })),
  RMSprop: fc
    .record({ learningRate: positive, alpha: beta, eps: positive, momentum: positive, weightDecay: positive, centered: fc.boolean() })
    .map((options) => (parameters) => new RMSprop(parameters, options)),
  Adam: fc
    .record({ learningRate: positive, betas: fc.tuple(beta, beta), eps: positive, weightDecay: positive, amsgrad: fc.boolean() })
    .map((options) => (parameters) => new Adam(parameters, options)),
  AdamW: fc
    .record({ learningRate: positive, betas: fc.tuple(beta, beta), eps: positive, weightDecay: positive, amsgrad: fc.boolean() })
    .map((options) => (parameters) => new AdamW(parameters, options)),
};

describe.each(Object.keys(optimizers))('%s', (name) => {
  test.each(['float32', 'float64'] as const)('keeps its word in %s', (dtype) => {
    const makers = optimizers[name] as fc.Arbitrary<(parameters: Parameter[]) => Optimizer>;
    let sure = 0;
    fc.assert(
      fc.property(makers, elements, elements, elements, fc.integer({ min: 0, max: 3 }), (make, values, grads, states, steps) => {
        const parameter = new Parameter('w', Tensor.from(values, { dtype }));
        const optimizer = make([parameter]);
        const own = Object.entries(optimizer.stateDict());
        for (const [key, { data }] of own) {
          if (key === 'step') data[0] = steps;
          else if (key !== 'learning_rate')
            data.set(states.map((value) => (key.endsWith('sq') || key.endsWith('square_avg') ? value ** 2 : value)));
        }
        parameter.grad.data.set(grads);
        if (!optimizer.staysFinite()) return;
        sure++;
        optimizer.step();
        for (const data of [parameter.value.data, ...own.map(([, tensor]) => tensor.data)]) expect(data.every(Number.isFinite)).toBe(true);
      }),
      runs,
    );
    expect(sure).toBeGreaterThan(0);
  });
});

describe.each(Object.keys(optimizers))('%s, whose states are not looked at', (name) => {
  test('keeps its word over many steps', () => {
    const makers = optimizers[name] as fc.Arbitrary<(parameters: Parameter[]) => Optimizer>;
    const gradient = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(0, 1, 1e3, -1e9, 2 ** 39) }, signed);
    let sure = 0;
    fc.assert(
      fc.property(makers, fc.array(fc.tuple(gradient, fc.integer({ min: 1, max: 40 })), { minLength: 1, maxLength: 8 }), (make, course) => {
        const parameter = new Parameter('w', Tensor.from([1, -1, 0.5]));
        const optimizer = make([parameter]);
        const arrays = [parameter.value, ...Object.values(optimizer.liveState())].map(({ data }) => data);
        for (const [size, steps] of course)
          for (let step = 0; step < steps; step++) {
            parameter.grad.data.set([size, size / 2, 0]);
            const isSure = optimizer.staysFinite(Math.abs(size));
            optimizer.step();
            if (isSure && arrays.some((data) => !data.every(Number.isFinite)))
              throw new Error(`step ${step} of size ${size} is not finite`);
            if (isSure) sure++;
          }
      }),
      runs,
    );
    expect(sure).toBeGreaterThan(0);
  });
});

test('a state in the hands of others is looked at before each step, and one that is loaded before the next', () => {
  const parameter = new Parameter('w', Tensor.from([1]));
  const optimizer = new SGD([parameter], { learningRate: 0.1, momentum: 0.9 });
  const other = new SGD([parameter], { learningRate: 0.1, momentum: 0.9 });
  expect(optimizer.staysFinite(1)).toBe(true);
  const { '0.w.momentum_buffer': buffer } = optimizer.stateDict();
  expect(optimizer.staysFinite(1)).toBe(true);
  optimizer.step();
  buffer?.data.fill(1e38);
  expect(optimizer.staysFinite(1)).toBe(false);
  expect(other.staysFinite(1)).toBe(true);
  other.loadStateDict(optimizer.stateDict());
  expect(other.staysFinite(1)).toBe(false);
});

test.each<[string, (parameters: Parameter[]) => Optimizer]>([
  ['SGD', (parameters) => new SGD(parameters, { learningRate: 0.1, momentum: 0.9, nesterov: true })],
  ['RMSprop', (parameters) => new RMSprop(parameters, { momentum: 0.9, centered: true })],
  ['Adam', (parameters) => new Adam(parameters, { amsgrad: true })],
  ['AdamW', (parameters) => new AdamW(parameters)],
])('%s is sure of the steps of a training, and of none whose numbers are at the end of their range', (_, make) => {
  const parameter = new Parameter('w', Tensor.from([1, -2, 3]));
  const optimizer = make([parameter]);
  for (let step = 0; step < 3; step++) {
    parameter.grad.data.set([1e4, -1e-20, 0]);
    expect(optimizer.staysFinite()).toBe(true);
    optimizer.step();
  }
  parameter.grad.data[1] = 1e38;
  expect(optimizer.staysFinite()).toBe(false);
});

test('of a class, or of an object, that changes what ours do, nothing is known', () => {
  class Odd extends SGD {
    override step(): void {}
  }
  const parameters = [new Parameter('w', Tensor.from([1]))];
  expect(new Odd(parameters, { learningRate: 1 }).staysFinite()).toBe(false);
  const patched = new SGD(parameters, { learningRate: 1 });
  patched.step = () => {};
  expect(patched.staysFinite()).toBe(false);
  expect(() => patched.staysFinite(['1'] as never)).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }));
});

describe.each([
  ['float32', Float32Array, 2 ** -23],
  ['float64', Float64Array, 2 ** -52],
] as const)('the pass that looks, in %s', (_, Kind, ulp) => {
  const beyond = EDGE * (1 + ulp);
  const look = (data: TensorData, isSquare: boolean) => native().withinPass([data])(EDGE, isSquare);

  test.each([0, 1, 15, 16, 17, 40])('sees element %i of 41', (at) => {
    const verdict = (value: number, isSquare: boolean) => look(new Kind(41).fill(value, at, at + 1), isSquare);
    for (const isSquare of [false, true]) {
      expect([0, 1e-310, 1, EDGE].map((value) => verdict(value, isSquare))).toEqual([true, true, true, true]);
      for (const value of [beyond, 1e300, Infinity, -Infinity, Number.NaN, -beyond]) expect(verdict(value, isSquare)).toBe(false);
      expect(verdict(-1, isSquare)).toBe(!isSquare);
      expect(verdict(-EDGE, isSquare)).toBe(!isSquare);
    }
  });
});
