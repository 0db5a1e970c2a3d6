import { native } from '../../lib/native/load';
import { Generator } from '../../lib/random';
import type { DType, TensorData } from '../../lib/tensor';
import { backwardArguments, layerOf, normArrays, type RnnArrays, rnnArrays, runRnn, tapeOf } from './helpers';

const addon = native();
const threadsBefore = addon.getNumThreads();
afterEach(() => {
  addon.setNumThreads(threadsBefore);
  addon.setScanStrategy('auto');
});

type Shape = [n: number, t: number, i: number, h: number];

const OTHERS = ['panels', 'single', 'columns', 'lanes'];
const NAMES = ['output', 'gradInput', 'gradInitialState', 'gradWeightIh', 'gradWeightHh', 'gradBiasIh', 'gradBiasHh'];
const FIRST_PARAMETER = 3;

const gradientsOf = (a: RnnArrays) => [a.gradInitialState, a.gradWeightIh, a.gradWeightHh, a.gradBiasIh, a.gradBiasHh];

const arraysOf = ([n, t, i, h]: Shape, dtype: DType) => rnnArrays(n, t, i, h, dtype);

/** What both passes write, copied. */
function results(strategy: string, [n, t, i, h]: Shape, arrays: RnnArrays): TensorData[] {
  addon.setScanStrategy(strategy);
  return runRnn(addon, n, t, i, h, arrays).map((array) => array.slice());
}

/** The largest difference of two arrays; NaN when there is one. */
function largestDifference(actual: TensorData, expected: TensorData): number {
  let difference = 0;
  for (const [index, value] of expected.entries()) {
    const error = Math.abs((actual[index] as number) - value);
    if (!(error <= difference)) difference = error;
  }
  return difference;
}

/**
 * In what units each array's error counts: its largest element. The gradients of weights and biases are sums of the same da and share a unit:
 * the one sum of a single unit may cancel almost wholly.
 */
function unitsOf(expected: TensorData[]): number[] {
  const largest = expected.map((array) => {
    let most = 1e-300;
    for (const value of array) most = Math.max(most, Math.abs(value));
    return most;
  });
  const ofParameters = Math.max(...largest.slice(FIRST_PARAMETER));
  return largest.map((own, index) => (index < FIRST_PARAMETER ? own : ofParameters));
}

const TOLERANCE = { float32: 2e-5, float64: 1e-12 };

/** Fewer where each takes long, as under a sanitizer. */
const ROUNDS = Math.min(Number(process.env.FUZZ_RUNS) || 60, 60);

/** Each of `dtypes` against OpenBLAS in float64. */
function expectSameAsBlas(shape: Shape, dtypes: DType[] = ['float64', 'float32']): void {
  const expected = results('blas', shape, arraysOf(shape, 'float64'));
  const units = unitsOf(expected);
  for (const dtype of dtypes) {
    const arrays = arraysOf(shape, dtype);
    for (const strategy of OTHERS) {
      for (const [index, actual] of results(strategy, shape, arrays).entries()) {
        const error = largestDifference(actual, expected[index] as TensorData) / (units[index] as number);
        if (!(error < TOLERANCE[dtype])) throw new Error(`${strategy} ${shape} in ${dtype}: ${NAMES[index]} differs by ${error}`);
      }
    }
  }
}

/** Every third size from 1 to 70: all remainders of 16 are among them. Every ninth where each takes very long, as under the thread sanitizer. */
const SIZES = ROUNDS < 10 ? [1, 10, 19, 28, 37, 46, 55, 64] : Array.from({ length: 24 }, (_, index) => 1 + 3 * index);

describe('every strategy computes what OpenBLAS computes step by step', () => {
  test('for up to 70 sequences', () => {
    for (const n of SIZES) expectSameAsBlas([n, 3, 5, 19]);
  });
  test('for up to 70 inputs', () => {
    for (const i of SIZES) expectSameAsBlas([7, 3, i, 21]);
  });
  test('for up to 70 hidden units, and one sequence or several', () => {
    for (const h of SIZES) for (const n of [1, 3, 17]) expectSameAsBlas([n, 3, 6, h]);
  });
  test('for random sizes from 1 to 70', () => {
    const generator = new Generator(20);
    const size = (): number => 1 + generator.integer(70);
    for (let round = 0; round < ROUNDS; round++) expectSameAsBlas([size(), 1 + generator.integer(4), size(), size()]);
  });
  test('for sums longer than one pass through the registers, and sequences longer than one chunk', () => {
    for (const shape of [
      [3, 2, 400, 390],
      [9, 2, 70, 801],
      [1, 2500, 3, 9],
      [1, 700, 60, 131],
      [3, 150, 5, 300],
      [40, 400, 4, 11],
      [3, 200, 20, 230],
    ] as Shape[])
      expectSameAsBlas(shape, ['float64']);
  });
});

describe.each<DType>(['float32', 'float64'])('in %s the bits of every strategy are those of one thread', (dtype) => {
  const bits = (arrays: TensorData[]): Buffer[] => arrays.map((a) => Buffer.from(a.buffer, a.byteOffset, a.byteLength));

  test.each<Shape>([
    [1, 40, 3, 70],
    [1, 2500, 3, 20],
    [1, 300, 5, 130],
    [2, 200, 70, 390],
    [1, 40, 3, 1030],
    [5, 300, 10, 20],
    [13, 60, 17, 33],
    [32, 9, 10, 50],
    [70, 4, 3, 64],
    [200, 3, 40, 31],
    [7, 40, 30, 130],
    [6, 50, 40, 210],
    [23, 300, 5, 12],
  ])('N, T, I, H = %i, %i, %i, %i', (...shape) => {
    const arrays = arraysOf(shape, dtype);
    for (const strategy of ['blas', ...OTHERS]) {
      addon.setNumThreads(1);
      const expected = bits(results(strategy, shape, arrays));
      for (const threads of dtype === 'float32' ? [2, 7] : [3, 7]) {
        addon.setNumThreads(threads);
        for (const [index, actual] of bits(results(strategy, shape, arrays)).entries()) {
          if (!actual.equals(expected[index] as Buffer)) throw new Error(`${strategy}, ${threads} threads: ${NAMES[index]} differs`);
        }
      }
    }
  });
});

test.each<Shape>([
  [1, 300, 5, 130],
  [2, 40, 70, 33],
  [5, 300, 10, 20],
  [40, 9, 17, 50],
])('without ∂L/∂x every strategy gives the other gradients bit for bit: N, T, I, H = %i, %i, %i, %i', (n, t, i, h) => {
  for (const strategy of ['blas', ...OTHERS]) {
    const arrays = arraysOf([n, t, i, h], 'float32');
    const expected = results(strategy, [n, t, i, h], arrays).toSpliced(1, 1);
    for (const gradient of [arrays.gradInput, ...gradientsOf(arrays)]) gradient.fill(0);
    layerOf(addon, i, h, arrays).backward(...backwardArguments(n, t, arrays, null, undefined, { gradInput: null }));
    expect([arrays.output, ...gradientsOf(arrays)]).toEqual(expected);
    expect(arrays.gradInput.every((value) => value === 0)).toBe(true);
  }
});

describe.each<Shape>([
  [1, 300, 5, 20],
  [1, 300, 5, 130],
  [2, 40, 70, 33],
  [5, 300, 10, 20],
  [40, 9, 17, 50],
])('without ∂L/∂output every strategy gives what zeros give, bit for bit: N, T, I, H = %i, %i, %i, %i', (n, t, i, h) => {
  test.each([
    ['plain', 0, false],
    ['plain, recording', 0, true],
    ['with a norm of the pre-activation', 1, false],
    ['with a norm of the recurrent input, recording', 3, true],
  ])('%s', (_, placement, records) => {
    for (const strategy of ['blas', ...OTHERS]) {
      const arrays = arraysOf([n, t, i, h], 'float32');
      const norm = normArrays(placement, 0, h, 'float32');
      addon.setScanStrategy(strategy);
      const layer = layerOf(addon, i, h, arrays, norm);
      const tape = tapeOf(layer, n, t, 'float32');
      layer.forward(n, t, arrays.input, arrays.initialState, arrays.output, null, tape);
      const back = (gradOutput: TensorData | null): (TensorData | undefined)[] => {
        const written = [arrays.gradInput, ...gradientsOf(arrays), ...norm.gradients];
        for (const array of written) array?.fill(0);
        arrays.gradInitialState.fill(1); // all that comes in
        const recorded = [Number.POSITIVE_INFINITY, records ? new Float64Array(n * t) : null, records ? new Int32Array(n) : null] as const;
        layer.backward(...backwardArguments(n, t, arrays, tape, [...recorded], { gradOutput }));
        return [...written, recorded[1]].map((array) => array?.map((value) => value + 0)); // what underflowed has either sign
      };
      const expected = back(new Float32Array(n * t * h));
      expect(expected[2]?.some((value) => value !== 0)).toBe(true);
      expect(back(null)).toEqual(expected);
    }
  });
});

test('a strategy can be read and forced, by its name only', () => {
  const strategy = (n: number, i: number, h: number, placement = 0) =>
    layerOf(addon, i, h, rnnArrays(1, 1, i, h, 'float32'), normArrays(placement, 0, h, 'float32')).strategy(n);
  addon.setScanStrategy('auto');
  expect(strategy(32, 10, 200)).toBe('panels');
  expect(strategy(1, 10, 20)).toBe('single');
  expect(strategy(32, 10, 20)).toBe('lanes');
  expect(strategy(32, 10, 20, 1)).toBe('panels'); // a cell with a normalisation has no step in lanes
  expect(strategy(16, 1760, 1760)).toBe('columns');
  addon.setScanStrategy('blas');
  expect(strategy(32, 10, 20)).toBe('blas');
  expect(() => addon.setScanStrategy('fast')).toThrow('name: expected one of auto, blas, panels, single, columns, lanes, got "fast".');
  expect(strategy(32, 10, 20)).toBe('blas');
});
