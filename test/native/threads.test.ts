import { native } from '../../lib/native/load';
import { Generator } from '../../lib/random';
import { allocate, type DType, type TensorData } from '../../lib/tensor';
import { layerOf, normArrays, normTerm, rnnArrays, runRnn } from './helpers';

const addon = native();
const placements = [0, 1, 2, 3, 4];
const threadsBefore = addon.getNumThreads();
afterAll(() => addon.setNumThreads(threadsBefore));

const bytes = (arrays: TensorData[]): string =>
  arrays.map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('latin1')).join('|');

function underThreads(counts: number[], run: () => TensorData[]): string[] {
  return counts.map((count) => {
    addon.setNumThreads(count);
    return bytes(run());
  });
}

/** The same bits from 1, 2, 3 and 7 threads, and again from 1. */
function expectSameBits(run: () => TensorData[]): void {
  const [first, ...others] = underThreads([1, 2, 3, 7, 1], run);
  for (const other of others) expect(other === first).toBe(true);
}

test.each(placements)('tangents do not depend on the number of threads: placement %i', (placement) => {
  const [n, t, i, h, count] = [11, 30, 3, 17, 9];
  const a = rnnArrays(n, t, i, h, 'float64');
  const layer = layerOf(addon, i, h, a, normArrays(placement, 0, h, 'float64'));
  expectSameBits(() => {
    const [tangents, logGrowths] = [new Float64Array(n * count * h), new Float64Array(n * t * count)];
    for (let row = 0; row < n * count; row++) tangents[row * h + (row % count)] = 1;
    layer.tangents(n, t, a.input, a.initialState, a.output, null, count, tangents, logGrowths);
    return [a.output, tangents, logGrowths];
  });
});

describe.each<DType>(['float32', 'float64'])('%s results do not depend on the number of threads', (dtype) => {
  const generator = new Generator(3);
  const filled = (count: number): TensorData => allocate(dtype, count).map(() => generator.normal()) as TensorData;

  test.each([
    [1, 1, 1, 1],
    [33, 9, 3, 7],
    [40, 60, 10, 20],
    [48, 40, 70, 150],
    [17, 130, 1, 33],
    [5, 700, 3, 4],
  ])('RNN with N, T, I, H = %i, %i, %i, %i', (n, t, i, h) => {
    const arrays = rnnArrays(n, t, i, h, dtype);
    expectSameBits(() => runRnn(addon, n, t, i, h, arrays));
  });

  describe.each([1, 2, 3, 4])('RNN with normalisation, placement %i', (placement) => {
    test.each([
      [0, 33, 9, 3, 7],
      [1, 40, 60, 10, 20],
      [0, 17, 150, 1, 33],
    ])('kind %i, N, T, I, H = %i, %i, %i, %i', (kind, n, t, i, h) => {
      const arrays = rnnArrays(n, t, i, h, dtype);
      const norm = normArrays(placement, kind, h, dtype);
      expectSameBits(() => runRnn(addon, n, t, i, h, arrays, norm));
    });
  });

  test.each([
    [3000, 20],
    [777, 257],
    [40001, 3],
  ])('LayerNorm of %i rows of %i', (rows, size) => {
    const input = filled(rows * size);
    const weight = filled(size);
    const gradOutput = filled(rows * size);
    expectSameBits(() => {
      const [output, gradInput, statistics] = [rows * size, rows * size, 3 * rows].map((count) => allocate(dtype, count)) as [
        TensorData,
        TensorData,
        TensorData,
      ];
      const [gradWeight, gradBias] = [allocate(dtype, size), allocate(dtype, size)];
      addon.layerNormForward(rows, size, 1e-5, input, weight, weight, output, statistics);
      addon.layerNormBackward(rows, size, input, weight, statistics, gradOutput, gradInput, gradWeight, gradBias);
      return [output, gradInput, gradWeight, gradBias];
    });
  });

  test('norms, losses and optimisers over 200,001 elements', () => {
    const [value, grad] = [filled(200_001), filled(200_001)];
    expectSameBits(() => {
      const [theta, moment1, moment2, lossGrad] = [
        value.slice(),
        allocate(dtype, value.length),
        allocate(dtype, value.length),
        allocate(dtype, value.length),
      ];
      addon.adamPass([theta], [grad], [moment1], [moment2], null)(1e-3, 0.9, 0.999, 1e-8, 0.01, false, 1, false);
      const sums = [
        normTerm(addon, grad, 0),
        normTerm(addon, grad, 1),
        normTerm(addon, grad, 2),
        addon.pointLoss(0, value.length, 1, value, grad, null, null, lossGrad),
      ];
      return [theta, moment1, moment2, lossGrad, Float64Array.from(sums)];
    });
  });
});

test('setNumThreads takes effect and is read back', () => {
  for (const count of [1, 3, 2]) {
    addon.setNumThreads(count);
    expect(addon.getNumThreads()).toBe(count);
  }
});
