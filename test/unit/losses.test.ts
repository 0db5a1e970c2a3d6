import { crossEntropyLoss, type Labels, mseLoss, Tensor } from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';

const float64 = { dtype: 'float64' } as const;

describe('mseLoss', () => {
  test('is the mean over all elements, with its gradient', () => {
    const { value, grad } = mseLoss(
      Tensor.from([
        [1, 2],
        [3, 4],
      ]),
      Tensor.from([
        [1, 0],
        [6, 8],
      ]),
    );
    expect(value).toBe((0 + 4 + 9 + 16) / 4);
    expect(grad.toArray()).toEqual([
      [0, 1],
      [-1.5, -2],
    ]);
  });

  test('refuses what does not fit together', () => {
    expectRefused(() => mseLoss(Tensor.zeros([2, 3]), Tensor.zeros([3, 2])), 'ERR_SHAPE', 'target: expected shape [2, 3], got [3, 2]');
    expectRefused(() => mseLoss(Tensor.zeros([2]), Tensor.zeros([2], float64)), 'ERR_DTYPE', 'target: expected a float32 tensor');
    expectRefused(() => mseLoss(Tensor.zeros([0]), Tensor.zeros([0])), 'ERR_SHAPE', 'at least one element');
    expectRefused(() => mseLoss([1] as unknown as Tensor, Tensor.zeros([1])), 'ERR_OPTION', 'output: expected a Tensor, got an array');
  });
});

describe('crossEntropyLoss', () => {
  const logits = Tensor.from(
    [
      [1, 2, 3],
      [0, 0, 0],
    ],
    float64,
  );

  test('is the mean of −ln softmax at the labels, with its gradient', () => {
    const { value, grad } = crossEntropyLoss(logits, [2, 0]);
    const total = Math.exp(-2) + Math.exp(-1) + 1;
    expectClose(value, (Math.log(total) + Math.log(3)) / 2, { within: 1e-14 });
    const p = [Math.exp(-2) / total, Math.exp(-1) / total, 1 / total];
    expectClose(grad.data, [...p.map((x, i) => (x - (i === 2 ? 1 : 0)) / 2), -1 / 3, 1 / 6, 1 / 6], { within: 1e-14 });
  });

  test('takes labels in any integer array, and in rows of sequences', () => {
    const expected = crossEntropyLoss(logits, [2, 0]);
    for (const Kind of [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array]) {
      expect(crossEntropyLoss(logits, Kind.of(2, 0))).toEqual(expected);
    }
    const sequences = crossEntropyLoss(new Tensor(logits.data, [1, 2, 3]), [2, 0]);
    expect(sequences.value).toBe(expected.value);
    expect(sequences.grad.shape).toEqual([1, 2, 3]);
  });

  test('survives logits that overflow exp', () => {
    expect(crossEntropyLoss(Tensor.from([[1000, 0]]), [0]).value).toBe(0);
    expectClose(crossEntropyLoss(Tensor.from([[1000, 0]]), [1]).value, 1000, { within: 1e-6 });
  });

  test.each<[unknown, 'ERR_OPTION' | 'ERR_SHAPE', string]>([
    [[0], 'ERR_SHAPE', 'labels: expected one for each of the 2 rows of logits, got 1'],
    [[0, 3], 'ERR_OPTION', 'labels[1]: expected a class from 0 to 2, got 3'],
    [Int32Array.of(-1, 0), 'ERR_OPTION', 'labels[0]: expected a class from 0 to 2, got -1'],
    [[0, 1.5], 'ERR_OPTION', 'labels[1]: expected a class from 0 to 2, got 1.5'],
    [['0', '1'], 'ERR_OPTION', 'labels[0]: expected a class from 0 to 2, got "0"'],
    [Float32Array.of(0, 1), 'ERR_OPTION', 'labels: expected an Int32Array, another array of integers'],
    [BigInt64Array.of(0n, 1n), 'ERR_OPTION', 'labels: expected an Int32Array'],
    [Tensor.from([0, 1]), 'ERR_OPTION', 'labels: expected an Int32Array'],
  ])('refuses the labels %#', (labels, code, text) => {
    expectRefused(() => crossEntropyLoss(logits, labels as Labels), code, text);
  });

  test('refuses logits of another rank', () => {
    for (const shape of [[3], [1, 1, 1, 3], [2, 0], [0, 3], []]) {
      expectRefused(() => crossEntropyLoss(Tensor.zeros(shape), []), 'ERR_SHAPE', 'logits: expected shape [N, C] or [N, T, C]');
    }
  });
});
