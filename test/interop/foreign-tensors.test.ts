import { Linear, Tensor } from '../../lib/index';
import { concatenated, partOf, reorderBlocks, transposed } from '../../lib/interop/arrange';
import { commonDType, convertTensor, ForeignTensors, fillParameters } from '../../lib/interop/foreign-tensors';
import { expectRefused } from '../helpers/errors';

const tensors = () =>
  new ForeignTensors('file', [
    ['weight', Tensor.from([[1, 2]])],
    ['bias', Tensor.from([3])],
  ]);

describe('the tensors of a file', () => {
  test('are taken one by one, and all of them', () => {
    const file = tensors();
    expect(file.names).toEqual(['weight', 'bias']);
    expect(file.take('weight', [1, 'I']).toArray()).toEqual([[1, 2]]);
    expectRefused(
      () => file.checkAllTaken('Say where.'),
      'ERR_FILE',
      'file: expected tensors that belong to layers of the model, got "bias" [1]. Say where.',
    );
    expect(file.peek('bias')?.toArray()).toEqual([3]);
    file.take('bias');
    file.take('bias');
    file.checkAllTaken();
  });

  test('that are not there, or of another shape', () => {
    expectRefused(() => tensors().take('wieght'), 'ERR_FILE', 'file: expected a tensor "wieght", got none. There is "weight".');
    expectRefused(() => tensors().take('weight', [2, 1]), 'ERR_FILE', 'file, tensor "weight": expected shape [2, 1], got [1, 2]');
    expectRefused(() => tensors().take('weight', [2]), 'ERR_FILE', 'expected shape [2], got [1, 2]');
  });

  test('too many to name all', () => {
    const many = new ForeignTensors(
      'file',
      Array.from({ length: 13 }, (_, i) => [`t${i}`, Tensor.zeros([1])] as const),
    );
    expectRefused(() => many.checkAllTaken(), 'ERR_FILE', '"t9" [1] and 3 more.');
  });

  test('have one dtype, or the one that is asked for', () => {
    const [a, b] = [Tensor.zeros([1]), Tensor.zeros([1], { dtype: 'float64' })];
    expect(commonDType('file', [a, a], undefined)).toBe('float32');
    expect(commonDType('file', [b], undefined)).toBe('float64');
    expect(commonDType('file', [a, b], 'float32')).toBe('float32');
    expectRefused(() => commonDType('file', [a, b], undefined), 'ERR_DTYPE', 'file: expected tensors of one dtype');
  });
});

describe('a model', () => {
  const make = () => new Linear({ inputSize: 2, outputSize: 1 });

  test('is filled, in its own dtype', () => {
    const model = make();
    fillParameters('file', model, { weight: Tensor.from([[1, 0.1]], { dtype: 'float64' }), bias: Tensor.from([3]) });
    expect([...(model.stateDict().weight as Tensor).data]).toEqual([1, Math.fround(0.1)]);
    expect(model.stateDict().bias?.toArray()).toEqual([3]);
  });

  test.each<[string, Record<string, Tensor>, string]>([
    ['a parameter without a value', { bias: Tensor.from([7]) }, 'file: expected values for "weight", got none'],
    [
      'a value without a parameter',
      { weight: Tensor.from([[7, 7]]), bias: Tensor.from([7]), more: Tensor.from([7]) },
      'expected values for the parameters of the model alone, got "more"',
    ],
    ['another shape', { bias: Tensor.from([7]), weight: Tensor.from([[7], [7]]) }, 'file, "weight": expected shape [1, 2], got [2, 1]'],
    [
      'a number out of range',
      { bias: Tensor.from([7]), weight: Tensor.from([[7, 1e300]], { dtype: 'float64' }) },
      'file, "weight": expected numbers that float32 can hold, got 1e+300',
    ],
  ])('is left as it was by %s', (_, values, message) => {
    const model = make();
    const before = model.parameters().map(({ value }) => value.toArray());
    expectRefused(() => fillParameters('file', model, values), 'ERR_FILE', message);
    expect(model.parameters().map(({ value }) => value.toArray())).toEqual(before);
  });

  test('infinity and NaN are converted as they are', () => {
    const wide = Tensor.from([Number.POSITIVE_INFINITY, Number.NaN], { dtype: 'float64' });
    expect(convertTensor('file', wide, 'float32').toArray()).toEqual([Number.POSITIVE_INFINITY, Number.NaN]);
  });
});

test('arrays in another order', () => {
  const rows = Tensor.from([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  expect(reorderBlocks(rows, [2, 0, 1]).toArray()).toEqual([
    [5, 6],
    [1, 2],
    [3, 4],
  ]);
  expect(partOf(rows, 1, 3).toArray()).toEqual([[3, 4]]);
  expect(transposed(rows).toArray()).toEqual([
    [1, 3, 5],
    [2, 4, 6],
  ]);
  expect(concatenated([rows, partOf(rows, 0, 3)]).toArray()).toEqual([
    [1, 2],
    [3, 4],
    [5, 6],
    [1, 2],
  ]);
});
